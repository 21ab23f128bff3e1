// Shared memory of a kernel. Under tests/simt, which runs the kernels on the CPU, these are defined before.
#pragma once

#ifndef ZCFAST_SHARED
#define ZCFAST_SHARED(T, name, count) __shared__ T name[count]
#define ZCFAST_DYNAMIC_SHARED(T, name) extern __shared__ T name[]
#endif

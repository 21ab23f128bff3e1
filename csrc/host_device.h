// Marks functions that kernels on both devices inline. No torch headers.
#pragma once

#ifdef __CUDACC__
#define ZCFAST_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define ZCFAST_HOST_DEVICE inline __attribute__((always_inline))
#endif

// One thread a number (csrc/streams.h).
#pragma once
#include "../streams.h"

namespace zcfast {

// keys [count / draws], bits [count].
__global__ void stream_bits_kernel(const int64_t* keys, int64_t step, int64_t draws, int64_t count, int64_t* bits) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
    bits[i] = int64_t(Draws(keys[i / draws], step).bits(i % draws));
}

}  // namespace zcfast

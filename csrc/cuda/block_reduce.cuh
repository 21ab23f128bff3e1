// Sums over a warp and over a block, added in the same order every time.
#pragma once
#include "shared.cuh"

namespace zcfast {

constexpr int kWarp = 32;
constexpr int kMaxWarps = 32;

// The sum in lane 0; every lane of the warp must call it.
__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
  return value;
}

// Every thread gets the sums over the block, whose threads are whole warps and all call it.
template <int kCount>
__device__ __forceinline__ void block_sum(double (&values)[kCount]) {
  ZCFAST_SHARED(double, partial, kCount* kMaxWarps);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = warp_sum(values[i]);
    if (lane == 0) partial[i * kMaxWarps + warp] = values[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = 0;
    for (int w = 0; w < warps; ++w) values[i] += partial[i * kMaxWarps + w];
  }
  __syncthreads();  // before the next call writes
}

}  // namespace zcfast

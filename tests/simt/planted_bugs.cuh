// A correct kernel and what it must not be changed into: each bug is one that the emulation has to find.
#pragma once
#include "../../csrc/cuda/shared.cuh"

namespace planted {

enum Bug {
  kNone,
  kNoBarrierBeforeRead,
  kNoBarrierBeforeReuse,
  kDivergentBarrier,
  kSharedOutOfBounds,
  kExitBeforeShuffle,
  kNoWarpBarrier,
  kBlocksRace,
  kReadBeforeWrite,
  kMisalignedVector,
};

constexpr int kThreads = 128, kWarps = kThreads / 32;

template <Bug bug>
__device__ double block_sum(double value, double* partial) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
  if (lane == 0) partial[warp + (bug == kSharedOutOfBounds)] = value;
  if constexpr (bug == kDivergentBarrier) {
    if (warp == 0) __syncthreads();
  } else if constexpr (bug != kNoBarrierBeforeRead) {
    __syncthreads();
  }
  double sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += partial[w];
  if constexpr (bug != kNoBarrierBeforeReuse) __syncthreads();
  return sum;
}

// sums[b] = the sum of row b and of its squares; neighbours[i] = the element after x[i] within groups of a warp.
template <Bug bug>
__global__ void sum_rows(const float* x, int columns, double* sums, float* neighbours) {
  ZCFAST_SHARED(double, partial, kWarps);
  ZCFAST_SHARED(float, row, kThreads);
  if constexpr (bug == kExitBeforeShuffle) {
    if (int(threadIdx.x) >= columns) return;
  }
  const float own = int(threadIdx.x) < columns ? x[blockIdx.x * columns + threadIdx.x] : 0.0f;
  if (bug != kReadBeforeWrite || int(threadIdx.x) < columns) row[threadIdx.x] = own;
  if constexpr (bug != kNoWarpBarrier) __syncwarp();
  const float next = row[threadIdx.x / 32 * 32 + (threadIdx.x + 1) % 32];
  neighbours[blockIdx.x * kThreads + threadIdx.x] = next;
  const double sum = block_sum<bug>(own, partial);
  const double squares = block_sum<bug>(double(own) * own, partial);
  if (threadIdx.x == 0) sums[bug == kBlocksRace ? 0 : blockIdx.x] = sum + squares;
  if constexpr (bug == kMisalignedVector) neighbours[0] = float(__ldg(reinterpret_cast<const uint4*>(x + 1)).x);
}

}  // namespace planted

// Fisher saliency of channels. The first kernel sums a g over the positions of every image and channel: one warp a row
// where a channel's positions lie together, one thread a pack of channels where the channels do. The second squares the
// sums and adds the images, both in order.
//
// Sums are float64. 16-bit products are summed in float32 over one pack or four positions first, and again in float64
// where float32 overflows; the elementwise variant, which squares products, is float64 throughout.
#pragma once
#include <type_traits>

#include "block_reduce.cuh"
#include "launch.h"
#include "pack.cuh"

namespace zcfast {

constexpr int kFisherThreads = 256;
constexpr int kFisherPositions = 4;    // that a thread of fisher_positions_kernel has in flight
constexpr int kFisherImageSlices = 8;  // of fisher_combine_kernel's blocks, 32 channels wide

// Blocks of a multiprocessor. A memory of 3.35 TB/s takes 18 KB in flight on each of 132 to be busy: rows of small maps
// have less than a pack a thread, so they need threads; at positions a thread has 128 bytes, two blocks have 64 KB.
constexpr int kFisherRowBlocks = 4;
constexpr int kFisherPositionBlocks = 2;

template <class T, bool elementwise>
using FisherBlock = std::conditional_t<sizeof(T) == 2 && !elementwise, float, double>;

template <class Sum, bool elementwise, class T>
__device__ __forceinline__ Sum fisher_term(T activation, T gradient) {
  const Sum product = Sum(widen(activation)) * Sum(widen(gradient));
  return elementwise ? product * product : product;
}

template <bool elementwise, class T>
__device__ __forceinline__ double fisher_pack(const Pack<T>& a, const Pack<T>& g) {
  using Sum = FisherBlock<T, elementwise>;
  Sum sum = 0;
#pragma unroll
  for (int i = 0; i < Pack<T>::kSize; ++i) sum += fisher_term<Sum, elementwise>(a.v[i], g.v[i]);
  if (std::is_same_v<Sum, double> || fabs(double(sum)) <= double(3.4028234663852886e38f)) return double(sum);
  double again = 0;
#pragma unroll
  for (int i = 0; i < Pack<T>::kSize; ++i) again += fisher_term<double, elementwise>(a.v[i], g.v[i]);
  return again;
}

// One warp sums a row of `count` elements; every lane has its part.
template <bool elementwise, class T>
__device__ __forceinline__ double fisher_row(const T* a, const T* g, int64_t count) {
  const int64_t lane = threadIdx.x % kWarp, step = kWarp * Pack<T>::kSize;
  const Split split = split_of(a, g, count);
  double sum = 0;
#pragma unroll 1  // as below: copies of a short loop would take the registers of another block
  for (int64_t i = lane; i < split.head; i += kWarp)
    sum += fisher_term<double, elementwise>(load_one(a + i), load_one(g + i));
  int64_t i = split.head + lane * Pack<T>::kSize;
#pragma unroll 1
  for (; i + step < split.tail; i += 2 * step) {
    const Pack<T> a0 = load_pack(a + i), g0 = load_pack(g + i);
    const Pack<T> a1 = load_pack(a + i + step), g1 = load_pack(g + i + step);
    sum += fisher_pack<elementwise>(a0, g0);
    sum += fisher_pack<elementwise>(a1, g1);
  }
  if (i < split.tail) sum += fisher_pack<elementwise>(load_pack(a + i), load_pack(g + i));
#pragma unroll 1
  for (int64_t j = split.tail + lane; j < count; j += kWarp)
    sum += fisher_term<double, elementwise>(load_one(a + j), load_one(g + j));
  return sum;
}

// One warp a row, in strides: partial [images, channels].
template <bool elementwise, class T>
__global__ void __launch_bounds__(kFisherThreads, kFisherRowBlocks)
    fisher_rows_kernel(FisherView view, double* partial) {
  const T* activation = static_cast<const T*>(view.activation);
  const T* gradient = static_cast<const T*>(view.gradient);
  const int64_t rows = view.images * view.channels, warps = blockDim.x / kWarp;
  for (int64_t row = blockIdx.x * warps + threadIdx.x / kWarp; row < rows; row += gridDim.x * warps) {
    const int64_t image = row / view.channels, channel = row % view.channels;
    double sum = 0;
    for (int64_t o = 0; o < view.outer; ++o) {
      const int64_t at = ((image * view.outer + o) * view.channels + channel) * view.inner;
      sum += fisher_row<elementwise>(activation + at, gradient + at, view.inner);
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) partial[row] = sum;
  }
}

template <bool elementwise, int kWidth, class T>
__device__ __forceinline__ void add_positions(const T (&a)[kFisherPositions][kWidth],
                                              const T (&g)[kFisherPositions][kWidth], double (&sums)[kWidth]) {
  using Sum = FisherBlock<T, elementwise>;
#pragma unroll
  for (int c = 0; c < kWidth; ++c) {
    Sum sum = 0;
#pragma unroll
    for (int p = 0; p < kFisherPositions; ++p) sum += fisher_term<Sum, elementwise>(a[p][c], g[p][c]);
    double exact = double(sum);
    if (!std::is_same_v<Sum, double> && !(fabs(exact) <= double(3.4028234663852886e38f))) {
      exact = 0;
#pragma unroll
      for (int p = 0; p < kFisherPositions; ++p) exact += fisher_term<double, elementwise>(a[p][c], g[p][c]);
    }
    sums[c] += exact;
  }
}

template <int kWidth, class T>
__device__ __forceinline__ void load_channels(const T* from, T (&to)[kWidth]) {
  if constexpr (kWidth == 1) {
    to[0] = load_one(from);
  } else {
    const Pack<T> pack = load_pack(from);
#pragma unroll
    for (int c = 0; c < kWidth; ++c) to[c] = pack.v[c];
  }
}

// The sums of kWidth channels over positions first, first + step, ... below last.
template <bool elementwise, int kWidth, class T>
__device__ __forceinline__ void sum_channels(const T* a, const T* g, int64_t channels, int64_t first, int64_t last,
                                             int64_t step, double (&sums)[kWidth]) {
  T activation[kFisherPositions][kWidth], gradient[kFisherPositions][kWidth];
  int64_t position = first;
  for (; position + (kFisherPositions - 1) * step < last; position += kFisherPositions * step) {
#pragma unroll
    for (int p = 0; p < kFisherPositions; ++p) {
      load_channels(a + (position + p * step) * channels, activation[p]);
      load_channels(g + (position + p * step) * channels, gradient[p]);
    }
    add_positions<elementwise>(activation, gradient, sums);
  }
  for (; position < last; position += step) {
    load_channels(a + position * channels, activation[0]);
    load_channels(g + position * channels, gradient[0]);
#pragma unroll
    for (int c = 0; c < kWidth; ++c) sums[c] += fisher_term<double, elementwise>(activation[0][c], gradient[0][c]);
  }
}

// Channels innermost: block (image and chunk, tile of columns) sums one chunk of positions, a column being kWidth
// channels: one, or a pack where every row is aligned. blockDim is (columns, positions at once). partial [images,
// chunks, channels].
template <bool elementwise, int kWidth, class T>
__global__ void __launch_bounds__(kFisherThreads, kFisherPositionBlocks)
    fisher_positions_kernel(FisherView view, double* partial) {
  ZCFAST_DYNAMIC_SHARED(double, shared);  // [blockDim.y, kWidth, blockDim.x]
  const int64_t channel = (int64_t(blockIdx.y) * blockDim.x + threadIdx.x) * kWidth;
  const int64_t image = blockIdx.x / view.chunks, begin = blockIdx.x % view.chunks * view.chunk,
                end = begin + view.chunk;
  double sums[kWidth] = {};
  if (channel < view.channels) {
    const int64_t at = image * view.outer * view.channels + channel;
    sum_channels<elementwise>(static_cast<const T*>(view.activation) + at, static_cast<const T*>(view.gradient) + at,
                              view.channels, begin + threadIdx.y, end < view.outer ? end : view.outer,
                              int64_t(blockDim.y), sums);
  }
#pragma unroll
  for (int c = 0; c < kWidth; ++c) shared[(threadIdx.y * kWidth + c) * blockDim.x + threadIdx.x] = sums[c];
  __syncthreads();
  if (threadIdx.y > 0 || channel >= view.channels) return;
  double* row = partial + int64_t(blockIdx.x) * view.channels + channel;
#pragma unroll
  for (int c = 0; c < kWidth; ++c) {
    double sum = 0;
    for (unsigned y = 0; y < blockDim.y; ++y) sum += shared[(y * kWidth + c) * blockDim.x + threadIdx.x];
    row[c] = sum;
  }
}

// Half the mean over images of the squared sum over chunks, or of the sum. blockDim is (32, kFisherImageSlices).
__global__ void __launch_bounds__(kFisherThreads)
    fisher_combine_kernel(FisherView view, bool elementwise, const double* partial, double* out) {
  ZCFAST_SHARED(double, slices, kFisherImageSlices* kWarp);
  const int64_t channel = int64_t(blockIdx.x) * kWarp + threadIdx.x;
  double total = 0;
  for (int64_t image = threadIdx.y; channel < view.channels && image < view.images; image += kFisherImageSlices) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < view.chunks; ++chunk)
      sum += partial[(image * view.chunks + chunk) * view.channels + channel];
    total += elementwise ? sum : sum * sum;
  }
  slices[threadIdx.y * kWarp + threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y > 0 || channel >= view.channels) return;
  total = 0;
  for (int slice = 0; slice < kFisherImageSlices; ++slice) total += slices[slice * kWarp + threadIdx.x];
  out[channel] = 0.5 * total / double(view.images);
}

}  // namespace zcfast

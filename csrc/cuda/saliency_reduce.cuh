// Sums of saliencies over the layers of a net. Every block sums one chunk of one layer; a second kernel adds each
// layer's chunks in order. Layers lie in a table that is an argument of the kernels, so nothing is copied to the
// device.
//
// Sums are float64, as on the CPU; of 16-bit elements eight are summed in float32 first, and again in float64 where
// float32 may have lost something to underflow or overflow.
#pragma once
#include "../saliency.h"
#include "block_reduce.cuh"
#include "launch.h"
#include "pack.cuh"

namespace zcfast {

constexpr float kSafeSum = 0x1p-90f;  // terms lost to underflow are less than its rounding

template <class Sum, bool with_weights, class T, int kCount>
__device__ __forceinline__ void add_terms(const T (&w)[kCount], const T (&g)[kCount], Sum (&sums)[kSaliencyKinds]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const Sum grad = widen(g[i]);
    if constexpr (with_weights) {
      const Sum weight = widen(w[i]);
      sums[kAbsProduct] += AbsProduct{}(weight, grad);
      sums[kProduct] += Product{}(weight, grad);
    }
    sums[kSquare] += Square{}(grad, grad);
  }
}

template <bool with_weights, class T, int kCount>
__device__ __forceinline__ void add_block(const T (&w)[kCount], const T (&g)[kCount], double (&sums)[kSaliencyKinds]) {
  if constexpr (sizeof(T) == 2) {
    float block[kSaliencyKinds] = {};
    add_terms<float, with_weights>(w, g, block);
    const auto in_range = [](float sum) { return sum > kSafeSum && sum < HUGE_VALF; };
    if (in_range(block[kSquare]) && (!with_weights || in_range(block[kAbsProduct]))) {
#pragma unroll
      for (int kind = 0; kind < kSaliencyKinds; ++kind) sums[kind] += double(block[kind]);
      return;
    }
  }
  add_terms<double, with_weights>(w, g, sums);
}

template <bool with_weights, class T>
__device__ __forceinline__ void add_one(const T* w, const T* g, int64_t at, double (&sums)[kSaliencyKinds]) {
  const T grad[1] = {load_one(g + at)};
  T weight[1] = {};
  if constexpr (with_weights) weight[0] = load_one(w + at);
  add_terms<double, with_weights>(weight, grad, sums);
}

template <bool with_weights, class T>
__device__ __forceinline__ void add_span(const T* w, const T* g, int64_t count, double (&sums)[kSaliencyKinds]) {
  constexpr int kAtOnce = 2;  // packs of each tensor in flight
  const Split split = split_of(with_weights ? w : g, g, count);
  const int64_t thread = threadIdx.x, threads = blockDim.x, step = threads * Pack<T>::kSize;
  for (int64_t i = thread; i < split.head; i += threads) add_one<with_weights>(w, g, i, sums);
  int64_t i = split.head + thread * Pack<T>::kSize;
  for (; i + (kAtOnce - 1) * step < split.tail; i += kAtOnce * step) {
    Pack<T> weights[kAtOnce] = {}, grads[kAtOnce];
#pragma unroll
    for (int p = 0; p < kAtOnce; ++p) {
      if constexpr (with_weights) weights[p] = load_pack(w + i + p * step);
      grads[p] = load_pack(g + i + p * step);
    }
#pragma unroll
    for (int p = 0; p < kAtOnce; ++p) add_block<with_weights>(weights[p].v, grads[p].v, sums);
  }
  for (; i < split.tail; i += step) {
    Pack<T> weights = {};
    if constexpr (with_weights) weights = load_pack(w + i);
    add_block<with_weights>(weights.v, load_pack(g + i).v, sums);
  }
  for (int64_t j = split.tail + thread; j < count; j += threads) add_one<with_weights>(w, g, j, sums);
}

// The last layer that begins at this chunk or before: empty ones begin where the next does.
__device__ __forceinline__ int layer_of_chunk(const SaliencyTable& table, int32_t chunk) {
  int first = 0, last = table.layers - 1;
  while (first < last) {
    const int middle = (first + last + 1) / 2;
    if (table.layer[middle].first_chunk <= chunk)
      first = middle;
    else
      last = middle - 1;
  }
  return first;
}

// One block a chunk of kSaliencyChunk elements; partial is [chunks, kSaliencyKinds].
template <bool with_weights>
__global__ void __launch_bounds__(256, 3)
    saliency_chunks_kernel(const __grid_constant__ SaliencyTable table, double* partial) {
  const int32_t chunk = blockIdx.x;
  const SaliencyLayer& layer = table.layer[layer_of_chunk(table, chunk)];
  const int64_t begin = int64_t(chunk - layer.first_chunk) * kSaliencyChunk;
  const int64_t rest = layer.numel - begin, count = rest < kSaliencyChunk ? rest : kSaliencyChunk;
  double sums[kSaliencyKinds] = {};
  const auto add = [&](auto type) {
    using T = decltype(type);
    add_span<with_weights>(static_cast<const T*>(layer.weights) + begin, static_cast<const T*>(layer.grads) + begin,
                           count, sums);
  };
  switch (layer.element) {
    case Element::kDouble:
      add(double());
      break;
    case Element::kFloat:
      add(float());
      break;
    case Element::kBFloat16:
      add(BFloat16());
      break;
    case Element::kFloat16:
      add(Float16());
      break;
  }
  block_sum(sums);
  if (threadIdx.x > 0) return;
#pragma unroll
  for (int kind = 0; kind < kSaliencyKinds; ++kind) partial[int64_t(chunk) * kSaliencyKinds + kind] = sums[kind];
}

// One block a layer: its sums into column `layer` of out, whose rows are `row_stride` apart.
__global__ void __launch_bounds__(256)
    saliency_combine_kernel(const __grid_constant__ SaliencyTable table, const __grid_constant__ SaliencyRows rows,
                            const double* partial, double* out, int64_t row_stride) {
  const int layer = blockIdx.x;
  const int32_t begin = table.layer[layer].first_chunk;
  const int32_t end = layer + 1 < table.layers ? table.layer[layer + 1].first_chunk : table.chunks;
  double sums[kSaliencyKinds] = {};
  for (int32_t chunk = begin + int32_t(threadIdx.x); chunk < end; chunk += int32_t(blockDim.x)) {
#pragma unroll
    for (int kind = 0; kind < kSaliencyKinds; ++kind) sums[kind] += partial[int64_t(chunk) * kSaliencyKinds + kind];
  }
  block_sum(sums);
  if (threadIdx.x > 0) return;
  for (int row = 0; row < rows.count; ++row) {
    const int kind = rows.kind[row];
    out[row * row_stride + layer] = kind == kAbsProduct ? sums[kAbsProduct]
                                    : kind == kProduct  ? sums[kProduct]
                                                        : sums[kSquare];
  }
}

}  // namespace zcfast

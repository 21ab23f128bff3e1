// Sums of saliencies over every layer of a net. The layers are cut into chunks of a fixed size, each chunk is summed by
// one thread and the sums of the chunks are added in order, so the result does not depend on the number of threads.
//
// Sums are float64. The product of two float32 is exact in float64. Two bfloat16 or float16 multiply exactly in float32
// too, so these are summed in float32 over short blocks, which is what keeps up with memory, and a block whose float32
// sums may have lost something to underflow or overflow is summed again in float64. Relative error of a 16-bit block:
// at most kBlock / 8 additions of float32 a lane (about 4e-6, in practice 1e-7), relative to the sum of magnitudes.
#include <torch/csrc/stable/library.h>

#include <cmath>

#include "saliency_tensors.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kChunk = 32768;  // elements a task: large enough to hide its overhead, small enough to balance
constexpr int64_t kBlock = 512;    // 16-bit elements summed in float32
// Terms lost to float32's underflow are below kBlock 2^-126: less than float32's rounding of any sum above this.
constexpr float kSafeSum = 0x1p-90f;

struct Sums {
  double of[kSaliencyKinds] = {};
};

// The type named Sum decides the precision of products and sums.
template <class Sum, bool with_weights, class T>
ZCFAST_INLINE Sums sum_span(const T* w, const T* g, int64_t count) {
  Sum abs_product = 0, product = 0, square = 0;
  if constexpr (with_weights) {
#pragma omp simd reduction(+ : abs_product, product, square)
    for (int64_t i = 0; i < count; ++i) {
      const Sum weight = widen(w[i]), grad = widen(g[i]);
      abs_product += AbsProduct{}(weight, grad);
      product += Product{}(weight, grad);
      square += Square{}(weight, grad);
    }
  } else {
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < count; ++i) {
      const Sum grad = widen(g[i]);
      square += Square{}(grad, grad);
    }
  }
  return {{abs_product, product, square}};
}

template <bool with_weights, class T>
ZCFAST_INLINE Sums sum_blocks(const T* w, const T* g, int64_t count) {
  Sums total;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = begin + kBlock < count ? kBlock : count - begin;
    const T *block_w = w + begin, *block_g = g + begin;
    Sums sums = sum_span<float, with_weights>(block_w, block_g, length);
    const auto in_range = [](double sum) { return sum > kSafeSum && sum < HUGE_VALF; };
    if (!in_range(sums.of[kSquare]) || (with_weights && !in_range(sums.of[kAbsProduct])))
      sums = sum_span<double, with_weights>(block_w, block_g, length);
    for (int kind = 0; kind < kSaliencyKinds; ++kind) total.of[kind] += sums.of[kind];
  }
  return total;
}

ZCFAST_CLONES Sums sum_chunk(const double* w, const double* g, int64_t count) {
  return w ? sum_span<double, true>(w, g, count) : sum_span<double, false>(w, g, count);
}
ZCFAST_CLONES Sums sum_chunk(const float* w, const float* g, int64_t count) {
  return w ? sum_span<double, true>(w, g, count) : sum_span<double, false>(w, g, count);
}
ZCFAST_CLONES Sums sum_chunk(const BFloat16* w, const BFloat16* g, int64_t count) {
  return w ? sum_blocks<true>(w, g, count) : sum_blocks<false>(w, g, count);
}
ZCFAST_CLONES Sums sum_chunk(const Float16* w, const Float16* g, int64_t count) {
  return w ? sum_blocks<true>(w, g, count) : sum_blocks<false>(w, g, count);
}

// A layer in memory; weights is null where no kind reads them.
struct Layer {
  const void *weights, *grads;
  ScalarType dtype;
  int64_t numel;
};

struct Chunk {
  int64_t layer, begin;
};

Sums sum_chunk(const Layer& layer, int64_t begin) {
  const int64_t count = std::min(kChunk, layer.numel - begin);
  Sums sums;
  dispatch_floating(layer.dtype, [&]<class T>(const T*) {
    const T* weights = static_cast<const T*>(layer.weights);
    sums = sum_chunk(weights ? weights + begin : nullptr, static_cast<const T*>(layer.grads) + begin, count);
  });
  return sums;
}

Tensor saliency_reduce(const std::vector<Tensor>& weights, const std::vector<Tensor>& grads,
                       const std::vector<std::string>& kinds) {
  const SaliencyTensors tensors(weights, grads, kinds);
  std::vector<Layer> layers;
  std::vector<Chunk> chunks;
  for (const DensePair& pair : tensors.layers) {
    const int64_t numel = pair.second.numel();
    layers.push_back({tensors.with_weights ? pair.first.data_ptr() : nullptr, pair.second.data_ptr(),
                      pair.second.scalar_type(), numel});
    for (int64_t begin = 0; begin < numel; begin += kChunk) chunks.push_back({int64_t(layers.size()) - 1, begin});
  }

  std::vector<Sums> partial(chunks.size());
  torch::stable::parallel_for(0, int64_t(chunks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) partial[c] = sum_chunk(layers[chunks[c].layer], chunks[c].begin);
  });

  std::vector<Sums> totals(layers.size());
  for (size_t c = 0; c < chunks.size(); ++c)
    for (int kind = 0; kind < kSaliencyKinds; ++kind) totals[chunks[c].layer].of[kind] += partial[c].of[kind];
  Tensor out =
      torch::stable::new_empty(grads[0], {int64_t(tensors.rows.size()), int64_t(layers.size())}, ScalarType::Double);
  auto* values = static_cast<double*>(out.data_ptr());
  for (const int kind : tensors.rows)
    for (const Sums& total : totals) *values++ = total.of[kind];
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("saliency_reduce", TORCH_BOX(&saliency_reduce)); }

}  // namespace zcfast

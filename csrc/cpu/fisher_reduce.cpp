// Fisher saliency of every channel of one layer's output. Both tensors are read once, in the order they lie in memory.
// One thread makes each partial sum and these are combined in order, so the result does not depend on the number of
// threads.
//
// Sums are float64. float32, bfloat16 and float16 are multiplied and summed in float32 over at most kBlock positions
// first: an error of at most 4e-6 (in practice 1e-7) of the sum of magnitudes, and products below 1e-38 may be lost;
// where float32 overflows the sum is made again in float64. The elementwise variant, which squares products, is float64
// throughout.
#include <torch/csrc/stable/library.h>

#include <cmath>
#include <type_traits>

#include "fisher_tensors.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kGrain = 32768;   // elements a task
constexpr int64_t kBlock = 512;     // positions summed in float32
constexpr int64_t kLanes = 8;       // independent sums, which the compiler keeps in one vector
constexpr int64_t kRowsAtOnce = 4;  // each load and store of a channel's sum serves so many positions

// The tensors as they lie in memory: [images, outer, channels, inner], where outer and inner are the positions. Partial
// sums are [images, chunks, channels]; only with inner == 1 are the positions of an image cut into chunks.
struct View {
  int64_t images = 1, outer = 1, channels = 1, inner = 1, chunk = 1, chunks = 1;

  // Independent tasks: one channel of one image, or with inner == 1 every channel in one chunk of positions.
  int64_t tasks() const { return inner == 1 ? images * chunks : images * channels; }
  int64_t task_elements() const { return inner == 1 ? chunk * channels : outer * inner; }
  int64_t task_sums() const { return inner == 1 ? channels : 1; }
};

template <class Sum, bool elementwise, class T>
ZCFAST_INLINE Sum term(T activation, T gradient) {
  const Sum product = Sum(widen(activation)) * Sum(widen(gradient));
  return elementwise ? product * product : product;
}

template <class Sum, bool elementwise, class T>
ZCFAST_INLINE double sum_span(const T* a, const T* g, int64_t count) {
  double total = 0;
  int64_t i = 0;
  while (i + kLanes <= count) {
    const int64_t end = i + kBlock < count ? i + kBlock : count;
    Sum lanes[kLanes] = {};
    for (; i + kLanes <= end; i += kLanes)
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += term<Sum, elementwise>(a[i + l], g[i + l]);
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
      for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
    total += lanes[0];
  }
  for (; i < count; ++i) total += term<double, elementwise>(a[i], g[i]);
  return total;
}

template <class Sum, bool elementwise, class T>
ZCFAST_INLINE void sum_channel(const T* activation, const T* gradient, const View& view, int64_t task, double* sum) {
  if (view.outer == 1) {  // spares a short row two divisions
    *sum = sum_span<Sum, elementwise>(activation + task * view.inner, gradient + task * view.inner, view.inner);
    return;
  }
  const int64_t image = task / view.channels, channel = task % view.channels;
  *sum = 0;
  for (int64_t o = 0; o < view.outer; ++o) {
    const int64_t offset = ((image * view.outer + o) * view.channels + channel) * view.inner;
    *sum += sum_span<Sum, elementwise>(activation + offset, gradient + offset, view.inner);
  }
}

template <class Sum, bool elementwise, class T>
ZCFAST_INLINE void sum_positions(const T* activation, const T* gradient, const View& view, int64_t task, double* sums) {
  const int64_t channels = view.channels, image = task / view.chunks, first = task % view.chunks * view.chunk;
  const int64_t rows = first + view.chunk < view.outer ? view.chunk : view.outer - first;
  const T* a = activation + (image * view.outer + first) * channels;
  const T* g = gradient + (image * view.outer + first) * channels;
  for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
  int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce, a += kRowsAtOnce * channels, g += kRowsAtOnce * channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      Sum sum = 0;
      for (int64_t r = 0; r < kRowsAtOnce; ++r) sum += term<Sum, elementwise>(a[r * channels + c], g[r * channels + c]);
      sums[c] += sum;
    }
  }
  for (; row < rows; ++row, a += channels, g += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) sums[c] += term<Sum, elementwise>(a[c], g[c]);
  }
}

template <class Sum, bool elementwise, class T>
ZCFAST_INLINE void run_task(const T* activation, const T* gradient, const View& view, int64_t task, double* sums) {
  if (view.inner == 1)
    sum_positions<Sum, elementwise>(activation, gradient, view, task, sums);
  else
    sum_channel<Sum, elementwise>(activation, gradient, view, task, sums);
}

struct Tasks {
  View view;
  bool elementwise;
  double* sums;
};

template <bool elementwise, class T>
ZCFAST_INLINE void run(const T* activation, const T* gradient, const Tasks& tasks, int64_t begin, int64_t end) {
  const int64_t count = tasks.view.task_sums();
  for (int64_t task = begin; task < end; ++task) {
    double* sums = tasks.sums + task * count;
    if constexpr (!elementwise && !std::is_same_v<T, double>) {
      run_task<float, elementwise>(activation, gradient, tasks.view, task, sums);
      double finite = 0;  // stays 0, or becomes NaN
      for (int64_t c = 0; c < count; ++c) finite += 0 * sums[c];
      if (finite == 0) continue;
    }
    run_task<double, elementwise>(activation, gradient, tasks.view, task, sums);
  }
}

ZCFAST_CLONES void run(const double* a, const double* g, const Tasks& tasks, int64_t begin, int64_t end) {
  tasks.elementwise ? run<true>(a, g, tasks, begin, end) : run<false>(a, g, tasks, begin, end);
}
ZCFAST_CLONES void run(const float* a, const float* g, const Tasks& tasks, int64_t begin, int64_t end) {
  tasks.elementwise ? run<true>(a, g, tasks, begin, end) : run<false>(a, g, tasks, begin, end);
}
ZCFAST_CLONES void run(const BFloat16* a, const BFloat16* g, const Tasks& tasks, int64_t begin, int64_t end) {
  tasks.elementwise ? run<true>(a, g, tasks, begin, end) : run<false>(a, g, tasks, begin, end);
}
ZCFAST_CLONES void run(const Float16* a, const Float16* g, const Tasks& tasks, int64_t begin, int64_t end) {
  tasks.elementwise ? run<true>(a, g, tasks, begin, end) : run<false>(a, g, tasks, begin, end);
}

// Half the mean over images of the squared sum over positions, or of the sum of squares.
ZCFAST_CLONES void combine(const Tasks& tasks, double* out) {
  const View& view = tasks.view;
  std::vector<double> image_sums(view.channels);
  std::fill(out, out + view.channels, 0.0);
  for (int64_t image = 0; image < view.images; ++image) {
    std::fill(image_sums.begin(), image_sums.end(), 0.0);
    for (int64_t chunk = 0; chunk < view.chunks; ++chunk) {
      const double* partial = tasks.sums + (image * view.chunks + chunk) * view.channels;
      for (int64_t c = 0; c < view.channels; ++c) image_sums[c] += partial[c];
    }
    for (int64_t c = 0; c < view.channels; ++c)
      out[c] += tasks.elementwise ? image_sums[c] : image_sums[c] * image_sums[c];
  }
  for (int64_t c = 0; c < view.channels; ++c) out[c] = 0.5 * out[c] / double(view.images);
}

Tensor fisher_reduce(const Tensor& activation, const Tensor& gradient, int64_t channel_dim, bool elementwise) {
  const FisherTensors tensors(activation, gradient, channel_dim);
  Tensor out = torch::stable::new_empty(activation, {tensors.channels}, ScalarType::Double);
  auto* result = static_cast<double*>(out.data_ptr());
  if (activation.numel() == 0) {  // of sizes that may still be huge
    std::fill_n(result, tensors.channels, tensors.images ? 0.0 : double(NAN));
    return out;
  }
  View view{tensors.images, tensors.outer, tensors.channels, tensors.inner};
  if (view.inner == 1) {
    view.chunk = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, view.channels));
    view.chunks = (view.outer + view.chunk - 1) / view.chunk;
  }
  std::vector<double> sums(view.images * view.chunks * view.channels);
  const Tasks tasks{view, elementwise, sums.data()};
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, view.task_elements()));
  dispatch_floating(activation.scalar_type(), [&]<class T>(const T*) {
    const T* a = static_cast<const T*>(tensors.pair.first.data_ptr());
    const T* g = static_cast<const T*>(tensors.pair.second.data_ptr());
    torch::stable::parallel_for(0, view.tasks(), grain,
                                [&](int64_t begin, int64_t end) { run(a, g, tasks, begin, end); });
  });
  combine(tasks, result);
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("fisher_reduce", TORCH_BOX(&fisher_reduce)); }

}  // namespace zcfast

// BatchNorm in training of float32 images whose channels lie innermost, and its derivatives. torch sums such images one
// position after the other in float32; here the sums are float64. Chunks of positions are summed apart and combined in
// order, so the result does not depend on the number of threads.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "check.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kGrain = 32768;   // elements a chunk
constexpr int64_t kRowsAtOnce = 4;  // each load and store of a channel's sum serves so many positions

// An image batch as [positions, channels], in chunks of positions.
struct Rows {
  int64_t positions, channels, chunk, chunks;

  explicit Rows(const Tensor& input) : channels(input.size(1)) {
    positions = channels ? input.numel() / channels : 0;
    chunk = std::max<int64_t>(kRowsAtOnce, kGrain / std::max<int64_t>(1, channels));
    chunks = (positions + chunk - 1) / chunk;
  }
  int64_t first(int64_t index) const { return index * chunk; }
  int64_t count(int64_t index) const { return std::min(chunk, positions - first(index)); }
};

// sums[c] += sum of x and sums[channels + c] += sum of x^2 over the rows.
ZCFAST_CLONES void sum_moments(const float* x, int64_t rows, int64_t channels, double* sums) {
  double* squares = sums + channels;
  int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce, x += kRowsAtOnce * channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, square = 0;
      for (int64_t r = 0; r < kRowsAtOnce; ++r) {
        const double value = x[r * channels + c];
        sum += value, square += value * value;
      }
      sums[c] += sum, squares[c] += square;
    }
  }
  for (; row < rows; ++row, x += channels)
    for (int64_t c = 0; c < channels; ++c) sums[c] += x[c], squares[c] += double(x[c]) * x[c];
}

// sums[c] += sum of g and sums[channels + c] += sum of g (x - mean) over the rows.
ZCFAST_CLONES void sum_gradients(const float* g, const float* x, const float* mean, int64_t rows, int64_t channels,
                                 double* sums) {
  double* along = sums + channels;
  int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce, x += kRowsAtOnce * channels, g += kRowsAtOnce * channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, product = 0;
      for (int64_t r = 0; r < kRowsAtOnce; ++r) {
        const double gradient = g[r * channels + c];
        sum += gradient, product += gradient * (x[r * channels + c] - mean[c]);
      }
      sums[c] += sum, along[c] += product;
    }
  }
  for (; row < rows; ++row, x += channels, g += channels)
    for (int64_t c = 0; c < channels; ++c) sums[c] += g[c], along[c] += double(g[c]) * (x[c] - mean[c]);
}

// y = (x - mean) scale + shift.
ZCFAST_CLONES void normalise(const float* x, const float* mean, const float* scale, const float* shift, int64_t rows,
                             int64_t channels, float* y) {
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) y[c] = (x[c] - mean[c]) * scale[c] + shift[c];
  }
}

// out = (g - constant - (x - mean) slope) scale.
ZCFAST_CLONES void project(const float* g, const float* x, const float* mean, const float* constant, const float* slope,
                           const float* scale, int64_t rows, int64_t channels, float* out) {
  for (int64_t row = 0; row < rows; ++row, g += channels, x += channels, out += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) out[c] = (g[c] - constant[c] - (x[c] - mean[c]) * slope[c]) * scale[c];
  }
}

// Two sums of every channel: sum(chunk, sums) adds a chunk's.
template <class Sum>
std::vector<double> sum_chunks(const Rows& rows, const Sum& sum) {
  std::vector<double> partial(rows.chunks * 2 * rows.channels), total(2 * rows.channels);
  torch::stable::parallel_for(0, rows.chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) sum(chunk, partial.data() + chunk * 2 * rows.channels);
  });
  for (int64_t chunk = 0; chunk < rows.chunks; ++chunk)
    for (int64_t c = 0; c < 2 * rows.channels; ++c) total[c] += partial[chunk * 2 * rows.channels + c];
  return total;
}

void check_images(const char* op, const char* name, const Tensor& tensor) {
  check_dtype(op, name, tensor, ScalarType::Float);
  if (tensor.dim() != 4) fail(op, name, ": expected shape [*, *, *, *], got ", shape_of(tensor));
  int64_t expected = 1;
  for (const int64_t d : {1, 3, 2, 0}) {
    if (tensor.size(d) != 1 && tensor.stride(d) != expected)
      fail(op, name, ": expected a tensor in the memory format channels_last");
    expected *= tensor.size(d);
  }
}

void check_channels(const char* op, const char* name, const Tensor& tensor, const Tensor& input) {
  check_dtype(op, name, tensor, ScalarType::Float);
  check_shape(op, name, tensor, {input.size(1)});
  if (!tensor.is_contiguous()) fail(op, name, ": expected a contiguous tensor");
}

const float* floats(const Tensor& tensor) { return static_cast<const float*>(tensor.data_ptr()); }
float* mutable_floats(const Tensor& tensor) { return static_cast<float*>(tensor.data_ptr()); }

std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                              double eps) {
  constexpr const char* op = "batch_norm";
  check_images(op, "input", input);
  check_channels(op, "weight", weight, input), check_channels(op, "bias", bias, input);
  check_finite(op, "eps", eps, 0);
  const Rows rows(input);
  const int64_t channels = rows.channels;
  const float *x = floats(input), *w = floats(weight), *b = floats(bias);
  const std::vector<double> sums = sum_chunks(rows, [&](int64_t chunk, double* out) {
    sum_moments(x + rows.first(chunk) * channels, rows.count(chunk), channels, out);
  });
  Tensor mean = torch::stable::new_empty(input, {channels}), inverse = torch::stable::new_empty(input, {channels});
  float *m = mutable_floats(mean), *r = mutable_floats(inverse);
  std::vector<float> scale(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double average = sums[c] / rows.positions;
    const double variance = sums[channels + c] / rows.positions - average * average;
    const double deviation = std::sqrt((variance < 0 ? 0 : variance) + eps);  // NaN stays NaN
    m[c] = float(average), r[c] = float(1 / deviation), scale[c] = float(w[c] / deviation);
  }
  Tensor output = torch::stable::empty_like(input);
  float* y = mutable_floats(output);
  torch::stable::parallel_for(0, rows.chunks, 1, [&](int64_t begin, int64_t end) {
    const int64_t first = rows.first(begin), count = rows.first(end - 1) + rows.count(end - 1) - first;
    normalise(x + first * channels, m, scale.data(), b, count, channels, y + first * channels);
  });
  return {output, mean, inverse};
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_backward(const Tensor& gradient, const Tensor& input,
                                                       const Tensor& weight, const Tensor& mean,
                                                       const Tensor& inverse) {
  constexpr const char* op = "batch_norm_backward";
  check_images(op, "gradient", gradient), check_images(op, "input", input);
  check_same_shape(op, "gradient", gradient, input);
  for (const auto& [name, tensor] :
       {std::pair<const char*, const Tensor&>{"weight", weight}, {"mean", mean}, {"inverse_deviation", inverse}})
    check_channels(op, name, tensor, input);
  const Rows rows(input);
  const int64_t channels = rows.channels;
  const float *g = floats(gradient), *x = floats(input), *w = floats(weight), *m = floats(mean), *r = floats(inverse);
  const std::vector<double> sums = sum_chunks(rows, [&](int64_t chunk, double* out) {
    const int64_t first = rows.first(chunk) * channels;
    sum_gradients(g + first, x + first, m, rows.count(chunk), channels, out);
  });
  Tensor along = torch::stable::new_empty(input, {channels}), total = torch::stable::new_empty(input, {channels});
  std::vector<float> constant(channels), slope(channels), scale(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double inverse_deviation = r[c], product = sums[channels + c] * inverse_deviation;
    mutable_floats(along)[c] = float(product), mutable_floats(total)[c] = float(sums[c]);
    constant[c] = float(sums[c] / rows.positions);
    slope[c] = float(product * inverse_deviation / rows.positions);
    scale[c] = float(inverse_deviation * w[c]);
  }
  Tensor by_input = torch::stable::empty_like(input);
  float* out = mutable_floats(by_input);
  torch::stable::parallel_for(0, rows.chunks, 1, [&](int64_t begin, int64_t end) {
    const int64_t first = rows.first(begin), count = rows.first(end - 1) + rows.count(end - 1) - first;
    const int64_t offset = first * channels;
    project(g + offset, x + offset, m, constant.data(), slope.data(), scale.data(), count, channels, out + offset);
  });
  return {by_input, along, total};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) {
  m.impl("batch_norm", TORCH_BOX(&batch_norm));
  m.impl("batch_norm_backward", TORCH_BOX(&batch_norm_backward));
}

}  // namespace zcfast

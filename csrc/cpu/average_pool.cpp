// Average pool of float64 maps by windows that move one position at a time: columns of a window first, then rows. torch
// reads each number once a window, and fast only with the channels innermost.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <vector>

#include "check.h"
#include "simd.h"

namespace zcfast {
namespace {

struct Window {
  int64_t height, width, pad_height, pad_width;
  bool count_include_pad;
};

// How many of the positions that a window covers from `first` on lie within an edge.
int64_t inside(int64_t first, int64_t window, int64_t edge) {
  return std::max<int64_t>(0, std::min(first + window, edge) - std::max<int64_t>(first, 0));
}

// One map. `columns` holds sums over the rows of a window, with zeros for the padding around them.
ZCFAST_CLONES void pool(const double* input, int64_t height, int64_t width, const Window& w, const double* counts,
                        int64_t out_height, int64_t out_width, double* columns, double* output) {
  for (int64_t y = 0; y < out_height; ++y, output += out_width) {
    const int64_t first = std::max<int64_t>(0, y - w.pad_height);
    const int64_t rows = inside(y - w.pad_height, w.height, height);
    double* sums = columns + w.pad_width;
    std::memset(sums, 0, width * sizeof(double));
    for (int64_t row = first; row < first + rows; ++row)
#pragma omp simd
      for (int64_t x = 0; x < width; ++x) sums[x] += input[row * width + x];
    std::memcpy(output, columns, out_width * sizeof(double));
    for (int64_t shift = 1; shift < w.width; ++shift)
#pragma omp simd
      for (int64_t x = 0; x < out_width; ++x) output[x] += columns[x + shift];
    const double vertical = double(w.count_include_pad ? w.height : rows);
#pragma omp simd
    for (int64_t x = 0; x < out_width; ++x) output[x] /= vertical * counts[x];
  }
}

Tensor average_pool(const Tensor& input, int64_t height, int64_t width, int64_t pad_height, int64_t pad_width,
                    bool count_include_pad) {
  constexpr const char* op = "average_pool";
  check_dtype(op, "input", input, ScalarType::Double), check_shape(op, "input", input, {-1, -1, -1, -1});
  check_range(op, "height", height, 1, 1 << 20), check_range(op, "width", width, 1, 1 << 20);
  check_range(op, "pad_height", pad_height, 0, height / 2), check_range(op, "pad_width", pad_width, 0, width / 2);
  const Window window = {height, width, pad_height, pad_width, count_include_pad};
  const int64_t in_height = input.size(2), in_width = input.size(3);
  const int64_t out_height = in_height + 2 * pad_height - height + 1, out_width = in_width + 2 * pad_width - width + 1;
  if (out_height < 1 || out_width < 1)
    fail(op, "input: expected maps that hold a window of ", height, " x ", width, ", got ", shape_of(input));
  checked_count(op, "input", {input.size(0), input.size(1), out_height, out_width});
  std::vector<double> counts(out_width);
  for (int64_t x = 0; x < out_width; ++x)
    counts[x] = double(count_include_pad ? width : inside(x - pad_width, width, in_width));
  const Tensor contiguous = torch::stable::contiguous(input);
  Tensor output = torch::stable::new_empty(input, {input.size(0), input.size(1), out_height, out_width});
  const auto* from = static_cast<const double*>(contiguous.data_ptr());
  auto* to = static_cast<double*>(output.data_ptr());
  torch::stable::parallel_for(0, input.size(0) * input.size(1), 16, [&](int64_t begin, int64_t end) {
    std::vector<double> columns(in_width + 2 * pad_width);
    for (int64_t map = begin; map < end; ++map)
      pool(from + map * in_height * in_width, in_height, in_width, window, counts.data(), out_height, out_width,
           columns.data(), to + map * out_height * out_width);
  });
  return output;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("average_pool", TORCH_BOX(&average_pool)); }

}  // namespace zcfast

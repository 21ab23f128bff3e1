// Convolution of synflow's pairs (value, tangent) by |W|, float64: both parts go through the same weights, and the
// tangent, if it is there, gets `count` times the new value (zcfast/passes/flow/pair_rules.py). torch has no fast
// float64 convolution.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <cmath>

#include "cpu/flow.h"
#include "dtype.h"

namespace zcfast {
namespace {

// |W| of the six outputs of a block as [depth][6], zero for those that are not there.
template <class T>
void interleave(const T* weights, const Geometry& g, int64_t block, double* packed) {
  const T* own = weights + block * kOutputs * g.depth();
  const int64_t outputs = g.outputs(block);
  if (outputs < kOutputs) std::fill_n(packed, g.depth() * kOutputs, 0.0);
  const auto write = [&](int64_t count) {
    for (int64_t k = 0; k < g.depth(); ++k)
      for (int64_t o = 0; o < count; ++o) packed[k * kOutputs + o] = std::fabs(double(widen(own[o * g.depth() + k])));
  };
  outputs == kOutputs ? write(kOutputs) : write(outputs);  // the number known: unrolled, twice as fast
}

template <class Flow, class T>
void convolve(const Geometry& g, const double* input, const T* weights, const Output& output) {
  const Flow flow(g, input);
  torch::stable::parallel_for(0, g.blocks(), 1, [&](int64_t begin, int64_t end) {
    const int64_t at_once = flow.blocks_at_once(), size = g.depth() * kOutputs;
    const std::unique_ptr<double[]> packed(new double[std::min(at_once, end - begin) * size]);
    for (int64_t first = begin; first < end; first += at_once) {
      const int64_t last = std::min(end, first + at_once);
      for (int64_t block = first; block < last; ++block)
        interleave(weights, g, block, packed.get() + (block - first) * size);
      flow.convolve(first, last, packed.get(), output);
    }
  });
}

Tensor flow_convolution(const Tensor& input, const Tensor& weight, int64_t count, int64_t stride_height,
                        int64_t stride_width, int64_t pad_height, int64_t pad_width) {
  constexpr const char* op = "flow_convolution";
  check_dtype(op, "input", input, ScalarType::Double), check_floating(op, "weight", weight);
  check_shape(op, "input", input, {-1, -1, -1, -1, -1});
  if (input.size(0) != 1 && input.size(0) != 2)
    fail(op, "input: expected values, or values and tangents, [1 or 2, *, *, *, *], got ", shape_of(input));
  check_shape(op, "weight", weight, {-1, input.size(2), -1, -1});
  check_range(op, "count", count, 0, 1 << 20);
  check_range(op, "stride_height", stride_height, 1, 1 << 20);
  check_range(op, "stride_width", stride_width, 1, 1 << 20);
  check_range(op, "pad_height", pad_height, 0, 1 << 20), check_range(op, "pad_width", pad_width, 0, 1 << 20);
  const Geometry g = {input.size(0),  input.size(1),  input.size(2), weight.size(0), input.size(3), input.size(4),
                      weight.size(2), weight.size(3), stride_height, stride_width,   pad_height,    pad_width};
  if (g.taps() == 0 || !g.fits())
    fail(op, "weight: expected a kernel that is not empty and fits in the padded input, got ", shape_of(weight));
  checked_count(op, "input", {g.parts, g.batch, g.outs, g.out_height(), g.out_width()});
  const Tensor contiguous = torch::stable::contiguous(input), weights = torch::stable::contiguous(weight);
  Tensor output = torch::stable::new_empty(input, {g.parts, g.batch, g.outs, g.out_height(), g.out_width()});
  const Output to = {g, static_cast<double*>(output.data_ptr()), double(count)};
  if (output.numel() == 0) return output;
  if (g.ins == 0) {
    std::fill_n(to.data, output.numel(), 0.0);
    return output;
  }
  const auto* from = static_cast<const double*>(contiguous.data_ptr());
  dispatch_floating(weight.scalar_type(), [&](const auto* type) {
    const auto* w = static_cast<decltype(type)>(weights.data_ptr());
    WinogradFlow::suits(g) ? convolve<WinogradFlow>(g, from, w, to) : convolve<DirectFlow>(g, from, w, to);
  });
  return output;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("flow_convolution", TORCH_BOX(&flow_convolution)); }

}  // namespace zcfast

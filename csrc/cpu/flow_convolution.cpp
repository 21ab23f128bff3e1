// Convolution of synflow's pairs (value, tangent) by |W|, float64: both parts go through the same weights, and the
// tangent gets `count` times the new value (zcfast/tracing/pairs.py). torch has no fast float64 convolution.
//
// The input is copied once with its padding, so that output position i = y * stride + x needs the inputs i + offset for
// one list of offsets; positions between rows are computed and dropped. A tile of 6 outputs x 8 positions stays in
// registers. Sums run over channels in blocks that fit the cache, in one order whatever the number of threads.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "dtype.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kOutputs = 6, kPositions = 8;  // 12 sums with their operands fit in 16 vector registers
constexpr int64_t kChannels = 64;                // of the input at a time

struct Geometry {
  int64_t batch, ins, outs, height, width, kernel_height, kernel_width, pad_height, pad_width;

  int64_t stride() const { return width + 2 * pad_width; }
  // An odd number of cache lines, so that the channels of a tile do not evict one another.
  int64_t plane() const { return ((height + 2 * pad_height) * stride() + 7) / 8 * 8 | 8; }
  int64_t out_height() const { return height + 2 * pad_height - kernel_height + 1; }
  int64_t out_width() const { return width + 2 * pad_width - kernel_width + 1; }
  int64_t positions() const { return (out_height() - 1) * stride() + out_width(); }
  int64_t tiled() const { return (positions() + kPositions - 1) / kPositions * kPositions; }
  int64_t taps() const { return kernel_height * kernel_width; }
};

// sums[o][i] += sum over channels c and taps t of weights[c][t][o] * input[c][i + offsets[t]]. Named sums: GCC keeps an
// array of them in memory.
ZCFAST_CLONES void add_channels(const double* input, int64_t plane, const double* weights, const int64_t* offsets,
                                int64_t channels, int64_t taps, int64_t tiled, double* sums) {
  for (int64_t i = 0; i < tiled; i += kPositions) {
    Double4 l0 = {}, l1 = {}, l2 = {}, l3 = {}, l4 = {}, l5 = {}, h0 = {}, h1 = {}, h2 = {}, h3 = {}, h4 = {}, h5 = {};
    const double* w = weights;
    for (int64_t c = 0; c < channels; ++c) {
      const double* x = input + c * plane + i;
      for (int64_t t = 0; t < taps; ++t, w += kOutputs) {
        Double4 low, high;
        std::memcpy(&low, x + offsets[t], sizeof(low));
        std::memcpy(&high, x + offsets[t] + 4, sizeof(high));
        l0 += w[0] * low, h0 += w[0] * high;
        l1 += w[1] * low, h1 += w[1] * high;
        l2 += w[2] * low, h2 += w[2] * high;
        l3 += w[3] * low, h3 += w[3] * high;
        l4 += w[4] * low, h4 += w[4] * high;
        l5 += w[5] * low, h5 += w[5] * high;
      }
    }
    double* out = sums + i;
    add_to(out, 1, l0), add_to(out + 4, 1, h0), out += tiled;
    add_to(out, 1, l1), add_to(out + 4, 1, h1), out += tiled;
    add_to(out, 1, l2), add_to(out + 4, 1, h2), out += tiled;
    add_to(out, 1, l3), add_to(out + 4, 1, h3), out += tiled;
    add_to(out, 1, l4), add_to(out + 4, 1, h4), out += tiled;
    add_to(out, 1, l5), add_to(out + 4, 1, h5);
  }
}

// All planes with zeros around them, and after the last as many as a tile may read past its end.
std::vector<double> padded(const double* input, int64_t planes, const Geometry& g) {
  std::vector<double> result(planes * g.plane() + kPositions);
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t y = 0; y < g.height; ++y)
      std::memcpy(result.data() + plane * g.plane() + (y + g.pad_height) * g.stride() + g.pad_width,
                  input + (plane * g.height + y) * g.width, g.width * sizeof(double));
  return result;
}

// |W| of up to six outputs as [channels][taps][6], zero for those that are not there.
template <class T>
void pack(const T* weight, const Geometry& g, int64_t first, double* packed) {
  const int64_t depth = g.ins * g.taps();
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t o = 0; o < kOutputs; ++o)
      packed[k * kOutputs + o] = first + o < g.outs ? std::fabs(double(widen(weight[(first + o) * depth + k]))) : 0;
}

// The maps of up to six outputs, of all samples; the tangents follow the values, which they need.
void convolve(const double* input, const double* packed, const int64_t* offsets, const Geometry& g, int64_t first,
              double count, double* output) {
  const int64_t area = g.out_height() * g.out_width();
  std::vector<double> sums(kOutputs * g.tiled());
  for (int64_t sample = 0; sample < 2 * g.batch; ++sample) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t c = 0; c < g.ins; c += kChannels)
      add_channels(input + (sample * g.ins + c) * g.plane(), g.plane(), packed + c * g.taps() * kOutputs, offsets,
                   std::min(kChannels, g.ins - c), g.taps(), g.tiled(), sums.data());
    for (int64_t o = first; o < std::min(first + kOutputs, g.outs); ++o) {
      double* out = output + (sample * g.outs + o) * area;
      const double* value = sample < g.batch || count == 0 ? nullptr : out - g.batch * g.outs * area;
      for (int64_t y = 0; y < g.out_height(); ++y) {
        const double* row = sums.data() + (o - first) * g.tiled() + y * g.stride();
        for (int64_t x = 0; x < g.out_width(); ++x, ++out) *out = row[x] + (value ? count * *value++ : 0);
      }
    }
  }
}

Tensor flow_convolution(const Tensor& input, const Tensor& weight, int64_t count, int64_t pad_height,
                        int64_t pad_width) {
  constexpr const char* op = "flow_convolution";
  check_dtype(op, "input", input, ScalarType::Double), check_floating(op, "weight", weight);
  check_shape(op, "input", input, {2, -1, -1, -1, -1}), check_shape(op, "weight", weight, {-1, input.size(2), -1, -1});
  check_range(op, "count", count, 0, 1 << 20);
  check_range(op, "pad_height", pad_height, 0, 1 << 20), check_range(op, "pad_width", pad_width, 0, 1 << 20);
  const Geometry g = {input.size(1),  input.size(2),  weight.size(0), input.size(3), input.size(4),
                      weight.size(2), weight.size(3), pad_height,     pad_width};
  if (g.taps() == 0 || g.out_height() < 1 || g.out_width() < 1)
    fail(op, "weight: expected a kernel that is not empty and fits in the padded input, got ", shape_of(weight));
  const Tensor contiguous = torch::stable::contiguous(input), weights = torch::stable::contiguous(weight);
  Tensor output = torch::stable::new_empty(input, {2, g.batch, g.outs, g.out_height(), g.out_width()});
  const std::vector<double> maps = padded(static_cast<const double*>(contiguous.data_ptr()), 2 * g.batch * g.ins, g);
  std::vector<int64_t> offsets;
  for (int64_t y = 0; y < g.kernel_height; ++y)
    for (int64_t x = 0; x < g.kernel_width; ++x) offsets.push_back(y * g.stride() + x);
  dispatch_floating(weight.scalar_type(), [&](const auto* type) {
    const auto* w = static_cast<decltype(type)>(weights.data_ptr());
    torch::stable::parallel_for(0, (g.outs + kOutputs - 1) / kOutputs, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> packed(g.ins * g.taps() * kOutputs);
      for (int64_t block = begin; block < end; ++block) {
        pack(w, g, block * kOutputs, packed.data());
        convolve(maps.data(), packed.data(), offsets.data(), g, block * kOutputs, double(count),
                 static_cast<double*>(output.data_ptr()));
      }
    });
  });
  return output;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("flow_convolution", TORCH_BOX(&flow_convolution)); }

}  // namespace zcfast

// Convolution of synflow's pairs (value, tangent) by |W|, float64: both parts go through the same weights, and the
// tangent gets `count` times the new value (zcfast/tracing/pairs.py). torch has no fast float64 convolution.
//
// The input is copied once with its padding, so that output position i = y * stride + x needs the inputs i + offset for
// one list of offsets; positions between rows are computed and dropped. Six outputs at eight positions stay in
// registers, the channels at a strip of positions in the cache while as many outputs as have their weights there are
// made of them. Sums run over channels in blocks, in one order whatever the number of threads.
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
constexpr int64_t kCached = 32768;               // numbers in half of a small second-level cache

struct Geometry {
  int64_t batch, ins, outs, height, width, kernel_height, kernel_width, pad_height, pad_width;

  // Whether the input serves as it lies: no padding, no tile that reads past the end, and not so many channels that
  // those of a strip evict one another, their planes being a power of two apart.
  bool direct() const {
    const int64_t area = height * width;
    return taps() == 1 && pad_height + pad_width == 0 && area % kPositions == 0 && ins * area <= 2 * kCached;
  }
  int64_t stride() const { return width + 2 * pad_width; }
  // Of a copy an odd number of cache lines, so that the channels of a tile do not evict one another.
  int64_t plane() const { return direct() ? height * width : ((height + 2 * pad_height) * stride() + 7) / 8 * 8 | 8; }
  int64_t out_height() const { return height + 2 * pad_height - kernel_height + 1; }
  int64_t out_width() const { return width + 2 * pad_width - kernel_width + 1; }
  int64_t positions() const { return (out_height() - 1) * stride() + out_width(); }
  int64_t tiled() const { return (positions() + kPositions - 1) / kPositions * kPositions; }
  int64_t taps() const { return kernel_height * kernel_width; }
  int64_t depth() const { return ins * taps(); }
  int64_t blocks() const { return (outs + kOutputs - 1) / kOutputs; }
  int64_t strip() const { return std::max<int64_t>(8, kCached / std::max<int64_t>(1, ins) / kPositions) * kPositions; }
  int64_t blocks_at_once() const { return std::max<int64_t>(1, kCached / std::max<int64_t>(1, depth() * kOutputs)); }
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
void pack(const T* weight, const Geometry& g, int64_t block, double* packed) {
  const int64_t first = block * kOutputs, depth = g.depth();
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t o = 0; o < kOutputs; ++o)
      packed[k * kOutputs + o] = first + o < g.outs ? std::fabs(double(widen(weight[(first + o) * depth + k]))) : 0;
}

// The part of a map that lies in the strip [begin, end) of positions; `sums` starts at the strip. The tangent's gets
// `count` times the value's.
void store(const double* sums, int64_t begin, int64_t end, const Geometry& g, const double* value, double count,
           double* map) {
  for (int64_t y = begin / g.stride(); y < g.out_height() && y * g.stride() < end; ++y) {
    const int64_t row = y * g.stride(), last = std::min(g.out_width(), end - row);
    for (int64_t x = std::max<int64_t>(0, begin - row); x < last; ++x)
      map[y * g.out_width() + x] = sums[row + x - begin] + (value ? count * value[y * g.out_width() + x] : 0);
  }
}

// The maps of the outputs of some blocks, of all samples; the tangents follow the values, which they need.
void convolve(const double* input, const double* packed, const int64_t* offsets, const Geometry& g, int64_t first,
              int64_t last, double count, double* output) {
  const int64_t area = g.out_height() * g.out_width();
  std::vector<double> sums(kOutputs * g.strip());
  for (int64_t sample = 0; sample < 2 * g.batch; ++sample) {
    const double* planes = input + sample * g.ins * g.plane();
    for (int64_t begin = 0; begin < g.tiled(); begin += g.strip()) {
      const int64_t length = std::min(g.strip(), g.tiled() - begin);
      for (int64_t block = first; block < last; ++block) {
        const double* weights = packed + (block - first) * g.depth() * kOutputs;
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t c = 0; c < g.ins; c += kChannels)
          add_channels(planes + c * g.plane() + begin, g.plane(), weights + c * g.taps() * kOutputs, offsets,
                       std::min(kChannels, g.ins - c), g.taps(), length, sums.data());
        for (int64_t o = block * kOutputs; o < std::min((block + 1) * kOutputs, g.outs); ++o) {
          double* map = output + (sample * g.outs + o) * area;
          const double* value = sample < g.batch || count == 0 ? nullptr : map - g.batch * g.outs * area;
          store(sums.data() + (o - block * kOutputs) * length, begin, begin + length, g, value, count, map);
        }
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
  const double* maps = static_cast<const double*>(contiguous.data_ptr());
  std::vector<double> copy;
  if (!g.direct()) copy = padded(maps, 2 * g.batch * g.ins, g), maps = copy.data();
  std::vector<int64_t> offsets;
  for (int64_t y = 0; y < g.kernel_height; ++y)
    for (int64_t x = 0; x < g.kernel_width; ++x) offsets.push_back(y * g.stride() + x);
  dispatch_floating(weight.scalar_type(), [&](const auto* type) {
    const auto* w = static_cast<decltype(type)>(weights.data_ptr());
    torch::stable::parallel_for(0, g.blocks(), 1, [&](int64_t begin, int64_t end) {
      std::vector<double> packed(std::min(g.blocks_at_once(), end - begin) * g.depth() * kOutputs);
      for (int64_t first = begin; first < end; first += g.blocks_at_once()) {
        const int64_t last = std::min(end, first + g.blocks_at_once());
        for (int64_t block = first; block < last; ++block)
          pack(w, g, block, packed.data() + (block - first) * g.depth() * kOutputs);
        convolve(maps, packed.data(), offsets.data(), g, first, last, double(count),
                 static_cast<double*>(output.data_ptr()));
      }
    });
  });
  return output;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("flow_convolution", TORCH_BOX(&flow_convolution)); }

}  // namespace zcfast

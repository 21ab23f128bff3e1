// The input is copied once with its padding, a phase for each place within a stride, so that output position
// i = y * row + x needs the inputs i + offset for one list of offsets; positions between rows are computed and dropped.
// Six outputs at eight positions stay in registers, the channels at a strip of positions in the cache while as many
// outputs as have their weights there are made of them. Sums run over channels in blocks, in one order.
#include <cstring>

#include "check.h"
#include "cpu/flow.h"
#include "simd.h"

namespace zcfast {

namespace {

ZCFAST_INLINE void put(double* out, bool add, const Double4& sums) {
  if (add)
    add_to(out, 1, sums);
  else
    std::memcpy(out, &sums, sizeof(sums));
}

}  // namespace

// Named sums: GCC keeps an array of them in memory.
ZCFAST_CLONES void add_products(const double* input, int64_t plane, const double* weights, const int64_t* offsets,
                                int64_t channels, int64_t taps, int64_t positions, bool add, double* sums) {
  for (int64_t i = 0; i < positions; i += kPositions) {
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
    put(out, add, l0), put(out + 4, add, h0), out += positions;
    put(out, add, l1), put(out + 4, add, h1), out += positions;
    put(out, add, l2), put(out + 4, add, h2), out += positions;
    put(out, add, l3), put(out + 4, add, h3), out += positions;
    put(out, add, l4), put(out + 4, add, h4), out += positions;
    put(out, add, l5), put(out + 4, add, h5);
  }
}

namespace {

// The part of a map that lies in the strip [begin, end) of positions; `sums` starts at the strip.
void store(const double* sums, int64_t begin, int64_t end, int64_t stride, const Output& output, int64_t sample,
           int64_t channel) {
  const int64_t height = output.g.out_height(), width = output.g.out_width();
  double* map = output.map(sample, channel);
  const double* value = output.value(sample, channel);
  for (int64_t y = begin / stride; y < height && y * stride < end; ++y) {
    const int64_t row = y * stride, last = std::min(width, end - row);
    for (int64_t x = std::max<int64_t>(0, begin - row); x < last; ++x)
      map[y * width + x] = sums[row + x - begin] + (value ? output.count * value[y * width + x] : 0);
  }
}

}  // namespace

// A product of matrices, no eight positions that reach past the end, and not so many channels that those of a strip
// evict one another, their planes being a power of two apart.
bool DirectFlow::as_it_lies() const {
  const int64_t area = g_.height * g_.width;
  return g_.taps() == 1 && g_.stride_height * g_.stride_width == 1 && g_.pad_height + g_.pad_width == 0 &&
         area % kPositions == 0 && g_.ins * area <= 2 * kCached;
}

// Of a copy an odd number of cache lines, so that channels do not evict one another.
int64_t DirectFlow::plane() const {
  return as_it_lies() ? g_.height * g_.width : (phases_down() * phases_across() * rows() * row() + 7) / 8 * 8 | 8;
}

DirectFlow::DirectFlow(const Geometry& g, const double* input) : g_(g), input_(input) {
  for (int64_t y = 0; y < g.kernel_height; ++y)
    for (int64_t x = 0; x < g.kernel_width; ++x) {
      const int64_t phase = y % g.stride_height * phases_across() + x % g.stride_width;
      offsets_.push_back((phase * rows() + y / g.stride_height) * row() + x / g.stride_width);
    }
  if (as_it_lies()) return;
  const int64_t planes = g.samples() * g.ins;
  copy_.reset(new double[checked_count("flow_convolution", "input", {planes, plane()}) + kPositions]);
  double* to = copy_.get();
  for (int64_t p = 0; p < planes; ++p) {
    double* const end = to + plane();
    for (int64_t down = 0; down < phases_down(); ++down)
      for (int64_t across = 0; across < phases_across(); ++across)
        to = copy_phase(input + p * g.height * g.width, down, across, to);
    to = std::fill_n(to, end - to, 0.0);
  }
  std::fill_n(to, kPositions, 0.0);  // the last eight positions may reach past the end
  input_ = copy_.get();
}

double* DirectFlow::copy_phase(const double* map, int64_t down, int64_t across, double* to) const {
  const int64_t step = g_.stride_width, missing = g_.pad_width - across;
  const int64_t first = std::clamp<int64_t>((missing + step - 1) / step, 0, row());
  const int64_t last = std::clamp<int64_t>((missing + g_.width + step - 1) / step, first, row());
  for (int64_t r = 0; r < rows(); ++r, to += row()) {
    const int64_t y = r * g_.stride_height + down - g_.pad_height;
    if (y < 0 || y >= g_.height) {
      std::fill_n(to, row(), 0.0);
      continue;
    }
    const int64_t from = y * g_.width - missing;
    std::fill_n(to, first, 0.0);
    if (step == 1)
      std::copy_n(map + from + first, last - first, to + first);
    else
      for (int64_t x = first; x < last; ++x) to[x] = map[from + x * step];
    std::fill(to + last, to + row(), 0.0);
  }
  return to;
}

int64_t DirectFlow::blocks_at_once() const {
  return std::max<int64_t>(1, kCached / std::max<int64_t>(1, g_.depth() * kOutputs));
}

void DirectFlow::convolve(int64_t first, int64_t last, const double* weights, const Output& output) const {
  const int64_t positions = (g_.out_height() - 1) * row() + g_.out_width();
  const int64_t padded = (positions + kPositions - 1) / kPositions * kPositions;
  const int64_t strip = std::max<int64_t>(8, kCached / std::max<int64_t>(1, g_.ins) / kPositions) * kPositions;
  const std::unique_ptr<double[]> sums(new double[kOutputs * std::min(strip, padded)]);
  for (int64_t sample = 0; sample < g_.samples(); ++sample) {
    for (int64_t begin = 0; begin < padded; begin += strip) {
      const int64_t length = std::min(strip, padded - begin);
      for (int64_t block = first; block < last; ++block) {
        const double* own = weights + (block - first) * g_.depth() * kOutputs;
        for (int64_t c = 0; c < g_.ins; c += kChannels)
          add_products(input_ + (sample * g_.ins + c) * plane() + begin, plane(), own + c * g_.taps() * kOutputs,
                       offsets_.data(), std::min(kChannels, g_.ins - c), g_.taps(), length, c > 0, sums.get());
        for (int64_t o = 0; o < g_.outputs(block); ++o)
          store(sums.get() + o * length, begin, begin + length, row(), output, sample, block * kOutputs + o);
      }
    }
  }
}

}  // namespace zcfast

// Winograd's F(2 x 2, 3 x 3) (Lavin and Gray 2016, Fast algorithms for convolutional neural networks, section 4.1):
// with d the 4 x 4 inputs under a tile of 2 x 2 outputs and g the weights,
//     y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A,   * element by element,
//     B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1],  G = [1 0 0; .5 .5 .5; .5 -.5 .5; 0 0 1],
//     A^T = [1 1 1 0; 0 1 -1 -1].
// The sums over channels are 16 products of matrices, of weights [outs, ins] and tiles [ins, tiles]. Tiles are numbered
// row by row, sample after sample, values first; a strip of them is done at a time. Rounding stays within some ten
// times that of the direct sums, relative to the largest of the inputs under a tile.
#include <torch/csrc/stable/ops.h>

#include <cstring>

#include "cpu/flow.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kTransformed = 16;                       // numbers of a tile
constexpr int64_t kStrip = 32;                             // the most tiles at once, a multiple of kPositions
constexpr int64_t kBlocksAtOnce = 4;                       // of outputs: what a strip gives stays in the cache
constexpr int64_t kFewestTiles = 8, kFewestChannels = 32;  // fewer do not pay
constexpr int64_t kLargest = 1 << 21;                      // numbers of a transformed input: 16 MiB

// B^T d for four rows of a map.
ZCFAST_CLONES void combine_rows(const double* input, int64_t width, double* out) {
  const double *d0 = input, *d1 = input + width, *d2 = input + 2 * width, *d3 = input + 3 * width;
#pragma omp simd
  for (int64_t x = 0; x < width; ++x) {
    out[x] = d0[x] - d2[x];
    out[width + x] = d1[x] + d2[x];
    out[2 * width + x] = d2[x] - d1[x];
    out[3 * width + x] = d1[x] - d3[x];
  }
}

// (B^T d) B for tiles side by side: of each of four rows the numbers in even places lie before those in odd ones,
// `half` of either. The 16 results of a tile lie `step` apart.
ZCFAST_CLONES void combine_columns(const double* rows, int64_t half, int64_t tiles, int64_t step, double* out) {
  for (int64_t r = 0; r < 4; ++r, rows += 2 * half, out += 4 * step) {
    const double *even = rows, *odd = rows + half;
#pragma omp simd
    for (int64_t t = 0; t < tiles; ++t) {
      out[t] = even[t] - even[t + 1];
      out[step + t] = odd[t] + even[t + 1];
      out[2 * step + t] = even[t + 1] - odd[t];
      out[3 * step + t] = odd[t] - odd[t + 1];
    }
  }
}

// G g G^T of the weights of six outputs, [channels][9][6] to [16][channels][6]; `step` lies between the 16.
ZCFAST_CLONES void transform_weights(const double* weights, int64_t channels, int64_t step, double* out) {
  for (int64_t c = 0; c < channels; ++c, weights += 9 * kOutputs, out += kOutputs) {
    double rows[12 * kOutputs];  // G g, [4][3][6]
    for (int64_t i = 0; i < 3 * kOutputs; ++i) {
      const double a = weights[i], b = weights[3 * kOutputs + i], d = weights[6 * kOutputs + i];
      rows[i] = a, rows[9 * kOutputs + i] = d;
      rows[3 * kOutputs + i] = .5 * (a + b + d), rows[6 * kOutputs + i] = .5 * (a - b + d);
    }
    for (int64_t r = 0; r < 4; ++r) {
      const double* row = rows + 3 * r * kOutputs;
      double* to = out + 4 * r * step;
      for (int64_t o = 0; o < kOutputs; ++o) {
        const double a = row[o], b = row[kOutputs + o], d = row[2 * kOutputs + o];
        to[o] = a, to[3 * step + o] = d;
        to[step + o] = .5 * (a + b + d), to[2 * step + o] = .5 * (a - b + d);
      }
    }
  }
}

// A^T m A of a strip of tiles, whose 16 numbers lie `step` apart, as [4][strip]: the outputs row by row.
ZCFAST_CLONES void transform_outputs(const double* m, int64_t step, int64_t strip, double* out) {
  double rows[8 * kStrip];  // A^T m, [2][4][strip]
  for (int64_t x = 0; x < 4; ++x) {
    const double *a = m + x * step, *b = a + 4 * step, *c = b + 4 * step, *d = c + 4 * step;
#pragma omp simd
    for (int64_t t = 0; t < strip; ++t) {
      rows[x * strip + t] = a[t] + b[t] + c[t];
      rows[(4 + x) * strip + t] = b[t] - c[t] - d[t];
    }
  }
  for (int64_t y = 0; y < 2; ++y) {
    const double *a = rows + 4 * y * strip, *b = a + strip, *c = b + strip, *d = c + strip;
    double* to = out + 2 * y * strip;
#pragma omp simd
    for (int64_t t = 0; t < strip; ++t) {
      to[t] = a[t] + b[t] + c[t];
      to[strip + t] = b[t] - c[t] - d[t];
    }
  }
}

}  // namespace

bool WinogradFlow::suits(const Geometry& g) {
  if (g.kernel_height != 3 || g.kernel_width != 3 || g.stride_height * g.stride_width > 1) return false;
  if (g.ins < kFewestChannels) return false;
  const int64_t tiles = g.samples() * ((g.out_height() + 1) / 2) * ((g.out_width() + 1) / 2);
  return tiles >= kFewestTiles && tiles * kTransformed * g.ins <= kLargest;
}

WinogradFlow::WinogradFlow(const Geometry& g, const double* input) : g_(g) {
  strip_ = std::min(kStrip, (tiles() + kPositions - 1) / kPositions * kPositions);
  const int64_t strips = (tiles() + strip_ - 1) / strip_, size = kTransformed * g.ins * strip_;
  transformed_.reset(new double[strips * size]);
  if (tiles() % strip_) std::fill_n(transformed_.get() + (strips - 1) * size, size, 0.0);
  torch::stable::parallel_for(0, g.ins, 4, [&](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) transform_channel(input, channel);
  });
}

void WinogradFlow::transform_channel(const double* input, int64_t channel) {
  const int64_t half = columns() + 1, width = 2 * half;
  std::vector<double> padded((2 * rows() + 2) * width), combined(4 * width);
  for (int64_t sample = 0; sample < g_.samples(); ++sample) {
    const double* map = input + (sample * g_.ins + channel) * g_.height * g_.width;
    for (int64_t y = 0; y < g_.height; ++y) {
      double* row = padded.data() + (y + g_.pad_height) * width;
      for (int64_t x = 0; x < g_.width; ++x) {
        const int64_t place = x + g_.pad_width;
        row[place / 2 + (place & 1) * half] = map[y * g_.width + x];
      }
    }
    for (int64_t row = 0; row < rows(); ++row) {
      combine_rows(padded.data() + 2 * row * width, width, combined.data());
      const int64_t first = (sample * rows() + row) * columns();
      for (int64_t done = 0; done < columns();) {  // a row may cross from one strip to the next
        const int64_t strip = (first + done) / strip_, place = (first + done) % strip_;
        const int64_t length = std::min(columns() - done, strip_ - place);
        combine_columns(combined.data() + done, half, length, g_.ins * strip_,
                        transformed_.get() + (strip * kTransformed * g_.ins + channel) * strip_ + place);
        done += length;
      }
    }
  }
}

int64_t WinogradFlow::blocks_at_once() const { return kBlocksAtOnce; }

void WinogradFlow::convolve(int64_t first, int64_t last, const double* weights, const Output& output) const {
  // Not a power of two apart, where the numbers of a tile would evict one another.
  const int64_t apart = g_.ins * kOutputs + 8, blocks = last - first, packed_block = kTransformed * apart;
  const int64_t step = blocks * kOutputs * strip_, offset = 0;
  const std::unique_ptr<double[]> packed(new double[blocks * packed_block]);
  const std::unique_ptr<double[]> products(new double[kTransformed * step]), outputs(new double[4 * strip_]);
  for (int64_t b = 0; b < blocks; ++b)
    transform_weights(weights + b * g_.depth() * kOutputs, g_.ins, apart, packed.get() + b * packed_block);
  for (int64_t begin = 0; begin < tiles(); begin += strip_) {
    for (int64_t k = 0; k < kTransformed; ++k)
      for (int64_t b = 0; b < blocks; ++b)
        for (int64_t c = 0; c < g_.ins; c += kChannels)
          add_products(transformed_.get() + ((begin / strip_ * kTransformed + k) * g_.ins + c) * strip_, strip_,
                       packed.get() + b * packed_block + k * apart + c * kOutputs, &offset,
                       std::min(kChannels, g_.ins - c), 1, strip_, c > 0,
                       products.get() + k * step + b * kOutputs * strip_);
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t o = 0; o < g_.outputs(first + b); ++o) {
        transform_outputs(products.get() + (b * kOutputs + o) * strip_, step, strip_, outputs.get());
        store(begin, std::min(begin + strip_, tiles()), (first + b) * kOutputs + o, outputs.get(), output);
      }
  }
}

// The outputs of the tiles begin to end - 1 into a channel's maps.
void WinogradFlow::store(int64_t begin, int64_t end, int64_t channel, const double* tiles, const Output& output) const {
  const int64_t height = g_.out_height(), width = g_.out_width();
  for (int64_t tile = begin; tile < end;) {
    const int64_t sample = tile / (rows() * columns()), row = tile / columns() % rows(), column = tile % columns();
    const int64_t length = std::min(columns() - column, end - tile);
    double* map = output.map(sample, channel);
    const double* value = output.value(sample, channel);
    for (int64_t y = 0; y < std::min<int64_t>(2, height - 2 * row); ++y) {
      const int64_t first = (2 * row + y) * width + 2 * column, count = std::min(2 * length, width - 2 * column);
      const double* left = tiles + 2 * y * strip_ + tile - begin;
      for (int64_t x = 0; x < count; ++x) map[first + x] = left[x / 2 + (x & 1) * strip_];
      for (int64_t x = 0; value && x < count; ++x) map[first + x] += output.count * value[first + x];
    }
    tile += length;
  }
}

}  // namespace zcfast

// The convolution of synflow's pairs, in two ways: directly, and by Winograd's algorithm. Either makes the input ready
// once; then blocks of six outputs are made apart, so that the result does not depend on the number of threads.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace zcfast {

constexpr int64_t kOutputs = 6, kPositions = 8;  // 12 sums with their operands fit in 16 vector registers
constexpr int64_t kChannels = 64;                // of the input at a time
constexpr int64_t kCached = 32768;               // numbers in half of a small second-level cache

struct Geometry {
  int64_t parts;  // 2: values, then tangents; 1: values alone
  int64_t batch, ins, outs, height, width, kernel_height, kernel_width;
  int64_t stride_height, stride_width, pad_height, pad_width;

  int64_t samples() const { return parts * batch; }
  bool fits() const { return kernel_height <= height + 2 * pad_height && kernel_width <= width + 2 * pad_width; }
  int64_t out_height() const { return (height + 2 * pad_height - kernel_height) / stride_height + 1; }
  int64_t out_width() const { return (width + 2 * pad_width - kernel_width) / stride_width + 1; }
  int64_t taps() const { return kernel_height * kernel_width; }
  int64_t depth() const { return ins * taps(); }
  int64_t blocks() const { return (outs + kOutputs - 1) / kOutputs; }
  // How many outputs a block has.
  int64_t outputs(int64_t block) const { return std::min(kOutputs, outs - block * kOutputs); }
};

// The maps of the outputs, written so that each tangent gets `count` times the value at its place, written before.
struct Output {
  const Geometry& g;
  double* data;
  double count;

  double* map(int64_t sample, int64_t channel) const {
    return data + (sample * g.outs + channel) * g.out_height() * g.out_width();
  }
  // What a tangent's map adds; null for a value's.
  const double* value(int64_t sample, int64_t channel) const {
    return sample < g.batch || count == 0 ? nullptr : map(sample - g.batch, channel);
  }
};

// Weights come as [blocks][depth][6], non-negative, those of the blocks first to last - 1.
class DirectFlow {
 public:
  DirectFlow(const Geometry& g, const double* input);
  int64_t blocks_at_once() const;
  void convolve(int64_t first, int64_t last, const double* weights, const Output& output) const;

 private:
  bool as_it_lies() const;
  // Of a phase, the inputs that taps equal modulo the strides meet.
  int64_t rows() const { return g_.out_height() + (g_.kernel_height - 1) / g_.stride_height; }
  int64_t row() const { return g_.out_width() + (g_.kernel_width - 1) / g_.stride_width; }
  int64_t phases_down() const { return std::min(g_.stride_height, g_.kernel_height); }
  int64_t phases_across() const { return std::min(g_.stride_width, g_.kernel_width); }
  int64_t plane() const;
  double* copy_phase(const double* map, int64_t down, int64_t across, double* to) const;

  Geometry g_;
  const double* input_;
  std::unique_ptr<double[]> copy_;
  std::vector<int64_t> offsets_;
};

// Convolutions by 3 x 3: 16 products instead of 36 for a tile of 2 x 2 outputs.
class WinogradFlow {
 public:
  static bool suits(const Geometry& g);
  WinogradFlow(const Geometry& g, const double* input);
  int64_t blocks_at_once() const;
  void convolve(int64_t first, int64_t last, const double* weights, const Output& output) const;

 private:
  int64_t rows() const { return (g_.out_height() + 1) / 2; }
  int64_t columns() const { return (g_.out_width() + 1) / 2; }
  int64_t tiles() const { return g_.samples() * rows() * columns(); }
  void transform_channel(const double* input, int64_t channel);
  void store(int64_t begin, int64_t end, int64_t channel, const double* tiles, const Output& output) const;

  Geometry g_;
  int64_t strip_;                          // tiles at once
  std::unique_ptr<double[]> transformed_;  // [strips][16][ins][strip]
};

// sums[o][i] = (or, to add, +=) sum over channels c and taps t of weights[c][t][o] * input[c][i + offsets[t]], for six
// outputs and a number of positions that is a multiple of eight.
void add_products(const double* input, int64_t plane, const double* weights, const int64_t* offsets, int64_t channels,
                  int64_t taps, int64_t positions, bool add, double* sums);

}  // namespace zcfast

// Expected synflow of NAS-Bench-101 cells (docs/expected.md), one warp a cell, its maps in shared memory.
//
// As on the CPU a map is the upper triangle of one quadrant, of pairs (value, tangent): zeros lie beyond its first row
// and column, its mirror image beyond the last ones, and it grows inwards, so a max-pool is a shift. Column by column,
// element (row, column) is at column (column + 1) / 2 + row whatever the size: small maps are the first part of large.
#pragma once
#include <cmath>

#include "../cell.h"
#include "block_reduce.cuh"
#include "launch.h"

namespace zcfast {

constexpr int kSynflowMaps = 8;  // input, output, sum of sources, five inner vertices

__device__ __forceinline__ int map_at(int row, int column) {
  return row <= column ? column * (column + 1) / 2 + row : row * (row + 1) / 2 + column;
}

__device__ __forceinline__ int map_count(int size) { return size * (size + 1) / 2; }

template <class T>
struct SynflowMap {
  T *value, *tangent;
};

// What a warp knows of its cell, in shared memory: one lane writes it, the others read.
struct SynflowCell {
  Cell cell;
  bool valid;
  int channels[kMaxVertices];
};

// The 3 x 3 sum at a place of a map.
template <class T>
__device__ __forceinline__ T box_sum(const T* map, int row, int column, int size) {
  const int below = row + 1 < size ? row + 1 : row, right = column + 1 < size ? column + 1 : column;
  T sum = map[map_at(row, column)] + map[map_at(below, column)] + map[map_at(row, right)] + map[map_at(below, right)];
  if (row > 0) sum += map[map_at(row - 1, column)] + map[map_at(row - 1, right)];
  if (column > 0) sum += map[map_at(row, column - 1)] + map[map_at(below, column - 1)];
  if (row > 0 && column > 0) sum += map[map_at(row - 1, column - 1)];
  return sum;
}

// Scores one cell; every lane of the warp calls it.
template <class T>
class SynflowWarp {
 public:
  // places: row and column of every element, 8 bits each. maps: kSynflowMaps pairs of maps.
  __device__ SynflowWarp(const SynflowNetwork& network, SynflowCell& state, const uint16_t* places, T* maps)
      : network_(network), state_(state), places_(places), maps_(maps), stride_(map_count(network.quadrant)) {}

  __device__ double log_score() {
    int input = 0, output = 1, size = network_.quadrant, channels = network_.stem_channels, exponents = 0;
    stem(map(input), size);
    for (int stack = 0; stack < network_.stacks; ++stack) {
      int inputs = channels;
      if (stack > 0) {
        downsample(map(input), size, map(output), size / 2);
        size /= 2, channels *= 2;
        swap(input, output);
      }
      if (threadIdx.x % kWarp == 0) vertex_channels(state_.cell.vertices, state_.cell.edges, channels, state_.channels);
      __syncwarp();
      for (int repeat = 0; repeat < network_.modules; ++repeat) {
        run_module(map(input), map(output), inputs, channels, size);
        exponents += renormalise(map(output), size);
        inputs = channels;
        swap(input, output);
      }
    }
    return classify(map(input), size, channels) + exponents * 0.69314718055994530942;
  }

 private:
  __device__ static void swap(int& a, int& b) {
    const int before = a;
    a = b, b = before;
  }

  __device__ SynflowMap<T> map(int index) const {
    return {maps_ + 2 * index * stride_, maps_ + (2 * index + 1) * stride_};
  }
  __device__ SynflowMap<T> sum_map() const { return map(2); }
  __device__ SynflowMap<T> inner_map(int vertex) const { return map(2 + vertex); }

  __device__ int channels_of(int vertex) const { return state_.channels[vertex]; }

  // f(element, row, column) by the lanes; what one lane writes the others may read after it.
  template <class F>
  __device__ void for_every_element(int size, const F& f) const {
    for (int i = threadIdx.x % kWarp; i < map_count(size); i += kWarp) f(i, places_[i] & 255, places_[i] >> 8);
    __syncwarp();
  }

  __device__ void stem(SynflowMap<T> to, int size) const {
    const T gain = T(double(network_.stem_channels) * network_.image_channels *
                     network_.initialisation.convolution(network_.image_channels, network_.stem_channels, 3));
    for_every_element(size, [&](int i, int row, int column) {
      to.value[i] = to.tangent[i] = gain * T((row > 0 ? 3 : 2) * (column > 0 ? 3 : 2));
    });
  }

  // The pixel of every 2 x 2 that is nearest to the middle.
  __device__ void downsample(SynflowMap<T> from, int from_size, SynflowMap<T> to, int to_size) const {
    for_every_element(to_size, [&](int i, int row, int column) {
      const int last = from_size - 1;
      const int at = map_at(2 * row + 1 < last ? 2 * row + 1 : last, 2 * column + 1 < last ? 2 * column + 1 : last);
      to.value[i] = from.value[at];
      to.tangent[i] = from.tangent[at];
    });
  }

  // to = the input through a projection, a layer of its own, plus the inner vertices of `from`, each times its weight.
  template <class Weight>
  __device__ void add_sources(uint32_t from, SynflowMap<T> input, T projection, const Weight& weight, SynflowMap<T> to,
                              int size) const {
    for_every_element(size, [&](int i, int, int) {
      T value = 0, tangent = 0;
      if (from & 1) {
        value = projection * input.value[i];
        tangent = projection * input.tangent[i] + value;
      }
      for (int u = 1; u < kMaxVertices - 1; ++u) {
        if (!(from >> u & 1)) continue;
        value += weight(u) * inner_map(u).value[i];
        tangent += weight(u) * inner_map(u).tangent[i];
      }
      to.value[i] = value;
      to.tangent[i] = tangent;
    });
  }

  __device__ void operate(int operation, int channels, SynflowMap<T> in, SynflowMap<T> out, int size) const {
    if (operation == kMaxPool3x3) {
      for_every_element(size, [&](int i, int row, int column) {
        const int at = map_at(row + 1 < size ? row + 1 : row, column + 1 < size ? column + 1 : column);
        out.value[i] = in.value[at];
        out.tangent[i] = in.tangent[at];
      });
    } else if (operation == kConv3x3) {
      const T gain = T(channels * network_.initialisation.convolution(channels, channels, 3));
      for_every_element(size, [&](int i, int row, int column) {
        const T value = gain * box_sum(in.value, row, column, size);
        out.value[i] = value;
        out.tangent[i] = gain * box_sum(in.tangent, row, column, size) + value;
      });
    } else {
      const T gain = T(channels * network_.initialisation.convolution(channels, channels, 1));
      for_every_element(size, [&](int i, int, int) {
        const T value = gain * in.value[i];
        out.value[i] = value;
        out.tangent[i] = gain * in.tangent[i] + value;
      });
    }
  }

  __device__ void run_module(SynflowMap<T> input, SynflowMap<T> output, int inputs, int channels, int size) {
    const int last = state_.cell.vertices - 1;
    for (int v = 1; v < last; ++v) {
      const T projection = T(network_.initialisation.convolution(inputs, channels_of(v), 1));
      add_sources(sources(state_.cell.edges, v), input, projection, [](int) { return T(1); }, sum_map(), size);
      operate(state_.cell.operations[v - 1], channels_of(v), sum_map(), inner_map(v), size);
    }
    const T projection = T(channels * network_.initialisation.convolution(inputs, channels, 1));
    add_sources(
        sources(state_.cell.edges, last), input, projection, [&](int u) { return T(channels_of(u)); }, output, size);
  }

  // Times a power of two, so that the last value is in [1, 2); its exponent.
  __device__ int renormalise(SynflowMap<T> map, int size) const {
    const double last = map.value[map_count(size) - 1];
    const int exponent = last > 0 ? ilogb(last) : 0;
    const T scale = T(ldexp(1.0, -exponent));
    __syncwarp();  // every lane has read the last value
    for_every_element(size, [&](int i, int, int) {
      map.value[i] *= scale;
      map.tangent[i] *= scale;
    });
    return exponent;
  }

  // In lane 0: the logarithm of what a global average and the classifier make of the map.
  __device__ double classify(SynflowMap<T> map, int size, int channels) const {
    double sum = 0;
    for_every_element(size, [&](int i, int row, int column) {
      sum += (row == column ? 1 : 2) * (double(map.value[i]) + double(map.tangent[i]));
    });
    return log(network_.classes * network_.initialisation.linear(channels) / (double(size) * size) * warp_sum(sum));
  }

  const SynflowNetwork& network_;
  SynflowCell& state_;
  const uint16_t* places_;
  T* maps_;
  int stride_;
};

constexpr int kSynflowWarps = 4;  // at most, in a block

// Shared bytes of a block.
template <class T>
ZCFAST_HOST_DEVICE int64_t synflow_bytes(int quadrant, int warps) {
  const int64_t count = int64_t(quadrant) * (quadrant + 1) / 2;
  return (2 * kSynflowMaps * warps * int64_t(sizeof(T)) + int64_t(sizeof(uint16_t))) * count;
}

// One warp a cell, in strides; NaN for an invalid one.
template <class T>
__global__ void __launch_bounds__(kSynflowWarps* kWarp, 4)
    nasbench101_expected_synflow_kernel(const __grid_constant__ SynflowNetwork network, CellBatch cells, int64_t count,
                                        double* log_scores) {
  ZCFAST_DYNAMIC_SHARED(double, memory);  // the maps of every warp, then the places
  ZCFAST_SHARED(SynflowCell, states, kSynflowWarps);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int of_warp = 2 * kSynflowMaps * map_count(network.quadrant);
  T* maps = reinterpret_cast<T*>(memory);
  auto* places = reinterpret_cast<uint16_t*>(maps + warps * of_warp);
  for (int column = threadIdx.x; column < network.quadrant; column += blockDim.x)
    for (int row = 0; row <= column; ++row) places[map_at(row, column)] = uint16_t(row | column << 8);
  __syncthreads();
  SynflowCell& state = states[warp];
  for (int64_t i = int64_t(blockIdx.x) * warps + warp; i < count; i += int64_t(gridDim.x) * warps) {
    if (lane == 0) {
      Cell cell = cells[i];
      state.valid = validate(cell) == kValid;
      state.cell = cell;
    }
    __syncwarp();
    double score = NAN;
    if (state.valid) score = SynflowWarp<T>(network, state, places, maps + warp * of_warp).log_score();
    if (lane == 0) log_scores[i] = score;
    __syncwarp();  // before the next cell is written
  }
}

}  // namespace zcfast

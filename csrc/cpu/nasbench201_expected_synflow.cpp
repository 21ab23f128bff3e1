// Expected synflow of NAS-Bench-201 networks in closed form, several at once; derivation in docs/expected.md.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "check.h"
#include "feature_map.h"
#include "initialisation.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench201_expected_synflow";
constexpr int kNodes = 4, kEdges = 6;
enum EdgeOperation : int8_t { kNone, kSkip, kConv1x1, kConv3x3, kAveragePool, kEdgeOperations };

struct Network {
  int stem_channels, modules, classes, resolution, image_channels;
  Initialisation initialisation;
};

// One cell, an architecture a lane. The edge into node j from node i is j (j - 1) / 2 + i.
template <class T>
struct CellOf {
  using V = Vector<T>;
  V skip[kEdges] = {}, conv1x1[kEdges] = {}, conv3x3[kEdges] = {}, pool[kEdges] = {};  // 1 where it is the operation
  bool any_box[kEdges] = {}, any_point[kEdges] = {}, any_pool[kEdges] = {};
  V point_gain[kEdges] = {}, box_gain[kEdges] = {}, bias[kEdges] = {};

  void set_operation(int edge, int lane, int operation) {
    skip[edge][lane] = T(operation == kSkip);
    conv1x1[edge][lane] = T(operation == kConv1x1);
    conv3x3[edge][lane] = T(operation == kConv3x3);
    pool[edge][lane] = T(operation == kAveragePool);
    any_point[edge] |= operation == kSkip || operation == kConv1x1;
    any_box[edge] |= operation == kConv3x3;
    any_pool[edge] |= operation == kAveragePool;
  }

  // Convolutions of cells carry biases where BatchNorm is left out, as synflow does.
  void set_channels(int channels, const Initialisation& init) {
    const T point = T(channels * init.convolution(channels, channels, 1));
    const T box = T(channels * init.convolution(channels, channels, 3));
    const T point_bias = T(init.bias(channels, 1)), box_bias = T(init.bias(channels, 3));
    for (int edge = 0; edge < kEdges; ++edge) {
      point_gain[edge] = point * conv1x1[edge];
      box_gain[edge] = box * conv3x3[edge];
      bias[edge] = point_bias * conv1x1[edge] + box_bias * conv3x3[edge];
    }
  }
};

// 1 / (number of pixels that a 3 x 3 average pool at `position` sees along one axis): padding is not counted.
template <class T, bool kMirror>
ZCFAST_INLINE T pool_share(int position, int size) {
  const int seen = 3 - (position == 0) - (!kMirror && position == size - 1);
  return T(1) / T(seen);
}

// to (+)= what an edge makes of `from`; lanes differ, so each pixel adds up the operations that occur.
template <class T, bool kMirror, bool kBox, bool kPoint>
ZCFAST_INLINE void add_edge(const CellOf<T>& cell, int edge, Map<T> from, Map<T> to, Triangle shape, bool first) {
  const Vector<T> box_gain = cell.box_gain[edge], point_gain = cell.point_gain[edge], bias = cell.bias[edge];
  const Vector<T> pool = cell.pool[edge], skip = cell.skip[edge];
  for (int row = 0; row < shape.size; ++row) {
    BoxRow<T, kMirror> values(from.value, shape, row), tangents(from.tangent, shape, row);
    const int start = shape.row_start(row);
    for (int column = row; column < shape.size; ++column) {
      Vector<T> value = {}, tangent = {};
      if (kBox) {
        const T share = pool_share<T, kMirror>(row, shape.size) * pool_share<T, kMirror>(column, shape.size);
        const Vector<T> v = values.next(column), t = tangents.next(column), gain = box_gain + share * pool;
        value = gain * v, tangent = gain * t + box_gain * v;
      }
      if (kPoint) {
        const Vector<T> v = from.value[start + column], t = from.tangent[start + column], gain = point_gain + skip;
        value += gain * v, tangent += gain * t + point_gain * v;
      }
      value += bias;
      to.value[start + column] = first ? value : to.value[start + column] + value;
      to.tangent[start + column] = first ? tangent : to.tangent[start + column] + tangent;
    }
  }
}

template <class T, bool kMirror>
ZCFAST_INLINE void run_cell(const CellOf<T>& cell, const Map<T>* nodes, Triangle shape) {
  for (int to = 1, edge = 0; to < kNodes; ++to) {
    bool first = true;
    for (int from = 0; from < to; ++from, ++edge) {
      const bool box = cell.any_box[edge] || cell.any_pool[edge], point = cell.any_point[edge];
      if (box && point)
        add_edge<T, kMirror, true, true>(cell, edge, nodes[from], nodes[to], shape, first);
      else if (box)
        add_edge<T, kMirror, true, false>(cell, edge, nodes[from], nodes[to], shape, first);
      else if (point)
        add_edge<T, kMirror, false, true>(cell, edge, nodes[from], nodes[to], shape, first);
      first = first && !box && !point;
    }
    if (!first) continue;
    std::fill_n(nodes[to].value, shape.count(), Vector<T>{});
    std::fill_n(nodes[to].tangent, shape.count(), Vector<T>{});
  }
}

// The residual block between stages (conv 3x3 stride 2, conv 3x3, and 2 x 2 average pool with conv 1x1 beside), no
// bias. The stride breaks the mirror symmetry: from here on a map is the whole image. `pixel(row, column)` reads the
// input.
template <class T, class Pixel>
ZCFAST_INLINE void reduce(int in, const Initialisation& init, Pixel pixel, Map<T> to, Map<T> scratch, Triangle shape) {
  const int out = 2 * in;
  const T gain_a = T(in * init.convolution(in, out, 3)), gain_b = T(out * init.convolution(out, out, 3));
  const T gain_residual = T(in * init.convolution(in, out, 1)) / 4;
  for (int row = 0; row < shape.size; ++row) {
    for (int column = row; column < shape.size; ++column) {
      Vector<T> value = {}, tangent = {}, residual = {}, residual_tangent = {};
      for (int y = 2 * row - 1; y <= 2 * row + 1; ++y) {
        for (int x = 2 * column - 1; x <= 2 * column + 1; ++x) {
          if (y < 0 || x < 0) continue;
          const auto [v, t] = pixel(y, x);
          value += v, tangent += t;
          if (y >= 2 * row && x >= 2 * column) residual += v, residual_tangent += t;
        }
      }
      const int at = shape.row_start(row) + column;
      scratch.value[at] = gain_a * value;
      scratch.tangent[at] = gain_a * tangent + scratch.value[at];
      to.value[at] = gain_residual * residual;
      to.tangent[at] = gain_residual * residual_tangent + to.value[at];
    }
  }
  for (int row = 0; row < shape.size; ++row) {
    BoxRow<T, false> values(scratch.value, shape, row), tangents(scratch.tangent, shape, row);
    for (int column = row; column < shape.size; ++column) {
      const int at = shape.row_start(row) + column;
      const Vector<T> value = gain_b * values.next(column);
      to.value[at] += value;
      to.tangent[at] += gain_b * tangents.next(column) + value;
    }
  }
}

// The bias of a later layer must keep its size beside a map that was scaled by 2^-exponent.
template <class T>
ZCFAST_INLINE void scale_bias(CellOf<T>& cell, const int64_t* exponents) {
  for (int edge = 0; edge < kEdges; ++edge)
    for (int lane = 0; lane < kLanes<T>; ++lane)
      cell.bias[edge][lane] = T(std::ldexp(double(cell.bias[edge][lane]), -int(exponents[lane])));
}

template <class T, bool kMirror>
ZCFAST_INLINE void run_stage(const Network& network, CellOf<T>& cell, int channels, Map<T>* nodes, Triangle shape,
                             int64_t* exponents) {
  for (int repeat = 0; repeat < network.modules; ++repeat) {
    cell.set_channels(channels, network.initialisation);
    scale_bias(cell, exponents);
    run_cell<T, kMirror>(cell, nodes, shape);
    renormalise(nodes[kNodes - 1], shape.count(), exponents);
    std::swap(nodes[0], nodes[kNodes - 1]);
  }
}

template <class T>
ZCFAST_INLINE void score_group(const Network& network, const int8_t* const* operations, const Workspace<T>& maps,
                               double* log_scores) {
  const Initialisation& init = network.initialisation;
  CellOf<T> cell;
  for (int lane = 0; lane < kLanes<T>; ++lane)
    for (int edge = 0; edge < kEdges; ++edge) cell.set_operation(edge, lane, operations[lane][edge]);
  Map<T> nodes[kNodes] = {maps[0], maps[1], maps[2], maps[3]}, scratch = maps[4];
  int64_t exponents[kLanes<T>] = {};
  const int half = network.resolution / 2, channels = network.stem_channels;

  const Triangle quadrant{half};
  const double stem_gain = network.image_channels * init.convolution(network.image_channels, network.stem_channels, 3);
  convolve_ones(T(stem_gain), nodes[0], scratch, quadrant);
  run_stage<T, true>(network, cell, channels, nodes, quadrant, exponents);

  const Map<T> first = nodes[0];
  const auto mirrored = [&](int row, int column) {
    const int at = quadrant.at(std::min(row, 2 * half - 1 - row), std::min(column, 2 * half - 1 - column));
    return std::pair(first.value[at], first.tangent[at]);
  };
  const Triangle second_shape{half};
  reduce<T>(channels, init, mirrored, nodes[1], scratch, second_shape);
  std::swap(nodes[0], nodes[1]);
  run_stage<T, false>(network, cell, 2 * channels, nodes, second_shape, exponents);

  const Map<T> second = nodes[0];
  const auto whole = [&](int row, int column) {
    const int at = second_shape.at(row, column);
    return std::pair(second.value[at], second.tangent[at]);
  };
  const Triangle third_shape{half / 2};
  reduce<T>(2 * channels, init, whole, nodes[1], scratch, third_shape);
  std::swap(nodes[0], nodes[1]);
  run_stage<T, false>(network, cell, 4 * channels, nodes, third_shape, exponents);
  log_scores_of(4.0 * channels * network.classes * init.linear(4 * channels), nodes[0], third_shape, exponents,
                log_scores);
}

template <class T>
ZCFAST_INLINE void score_groups(const Network& network, const int8_t* operations, const int32_t* order, int64_t count,
                                int64_t begin, int64_t end, double* log_scores) {
  const Workspace<T> maps(kNodes + 1, network.resolution / 2);
  for (int64_t group = begin; group < end; ++group) {
    const int8_t* group_operations[kLanes<T>];
    int rows[kLanes<T>];
    double scores[kLanes<T>];
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      rows[lane] = order[std::min(group * kLanes<T> + lane, count - 1)];
      group_operations[lane] = operations + int64_t(rows[lane]) * kEdges;
    }
    score_group(network, group_operations, maps, scores);
    for (int lane = 0; lane < kLanes<T>; ++lane) log_scores[rows[lane]] = scores[lane];
  }
}

#define ZCFAST_SCORE_GROUPS(T)                                                                                \
  ZCFAST_CLONES void score_groups_##T(const Network& network, const int8_t* operations, const int32_t* order, \
                                      int64_t count, int64_t begin, int64_t end, double* log_scores) {        \
    score_groups<T>(network, operations, order, count, begin, end, log_scores);                               \
  }
ZCFAST_SCORE_GROUPS(float)
ZCFAST_SCORE_GROUPS(double)
#undef ZCFAST_SCORE_GROUPS

// Architectures with the same first operations beside each other.
std::vector<int32_t> group_order(const int8_t* operations, int64_t count) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const int8_t *first = operations + int64_t(a) * kEdges, *second = operations + int64_t(b) * kEdges;
    return std::lexicographical_compare(first, first + kEdges, second, second + kEdges);
  });
  return order;
}

Tensor expected_synflow(const Tensor& operations_, int64_t stem_channels, int64_t modules, int64_t classes,
                        int64_t resolution, int64_t image_channels, double init_scale, bool init_fan_out,
                        double init_linear_mean, double init_bias_scale, bool double_precision) {
  check_dtype(kOp, "operations", operations_, ScalarType::Char);
  check_shape(kOp, "operations", operations_, {-1, kEdges});
  check_range(kOp, "operations: length", operations_.size(0), 0, INT32_MAX);
  check_network(kOp, stem_channels, modules, classes, resolution, image_channels);
  check_initialisation(kOp, init_scale, init_linear_mean, init_bias_scale);
  if (resolution % 4) fail(kOp, "resolution: expected a multiple of 4, got ", resolution);
  const Network network{int(stem_channels),  int(modules),
                        int(classes),        int(resolution),
                        int(image_channels), {init_scale, init_fan_out, init_linear_mean, init_bias_scale}};
  const Tensor contiguous = torch::stable::contiguous(operations_);
  const auto* operations = static_cast<const int8_t*>(contiguous.data_ptr());
  const int64_t count = contiguous.size(0), lanes = double_precision ? kLanes<double> : kLanes<float>;
  for (int64_t i = 0; i < count * kEdges; ++i)
    if (operations[i] < 0 || operations[i] >= kEdgeOperations)
      fail(kOp, "operations: expected 0 to 4, got ", int(operations[i]), " in row ", i / kEdges);
  const std::vector<int32_t> order = group_order(operations, count);
  Tensor log_scores = torch::stable::new_empty(contiguous, {count}, ScalarType::Double);
  auto* out = static_cast<double*>(log_scores.data_ptr());
  torch::stable::parallel_for(0, (count + lanes - 1) / lanes, 16, [&](int64_t begin, int64_t end) {
    const auto score = double_precision ? score_groups_double : score_groups_float;
    score(network, operations, order.data(), count, begin, end, out);
  });
  return log_scores;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench201_expected_synflow", TORCH_BOX(&expected_synflow)); }

}  // namespace zcfast

// Expected synflow of NAS-Bench-101 networks in closed form, several cells at once; derivation in docs/expected.md.
#include <torch/csrc/stable/library.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "cells.h"
#include "feature_map.h"
#include "initialisation.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_expected_synflow";

struct Network {
  int stem_channels, stacks, modules, classes, quadrant, image_channels;
  Initialisation initialisation;
};

// What one module does to its input, one cell a lane. Vertices are numbered as in the cells, the output is kOutput.
constexpr int kOutput = kMaxVertices - 1;
template <class T>
struct Module {
  using V = Vector<T>;
  int inner = 0;  // vertices between input and output, over all lanes
  // The wiring, 1 where an edge or operation exists, and whether it does in any and in all lanes.
  V edge[kMaxVertices][kMaxVertices] = {};
  V conv3x3[kMaxVertices] = {}, conv1x1[kMaxVertices] = {}, pool[kMaxVertices] = {};
  uint32_t any_source[kMaxVertices] = {}, all_source[kMaxVertices] = {};
  bool any_conv3x3[kMaxVertices] = {}, any_conv1x1[kMaxVertices] = {}, any_pool[kMaxVertices] = {};
  // Gains, zero where there is nothing; they change with the channels.
  V projection_gain[kMaxVertices] = {};                                // from the sum of the input's channels
  V conv3x3_gain[kMaxVertices] = {}, conv1x1_gain[kMaxVertices] = {};  // from a channel to a channel
  V concatenation[kMaxVertices] = {};                                  // channels that a vertex gives to the output

  explicit Module(const Cell* cells) {
    std::fill(all_source, all_source + kMaxVertices, ~0u);
    for (int lane = 0; lane < kLanes<T>; ++lane) add(cells[lane], lane);
  }

 private:
  void add(const Cell& cell, int lane) {
    const int output = cell.vertices - 1;
    inner = std::max(inner, output - 1);
    for (int v = 1; v < cell.vertices; ++v) {
      const int to = v == output ? kOutput : v;
      const uint32_t from = sources(cell.edges, v);
      any_source[to] |= from;
      all_source[to] &= from;
      for (int u = 0; u < v; ++u) edge[to][u][lane] = T(from >> u & 1);
      if (v == output) continue;
      const int operation = cell.operations[v - 1];
      conv3x3[v][lane] = T(operation == kConv3x3);
      conv1x1[v][lane] = T(operation == kConv1x1);
      pool[v][lane] = T(operation == kMaxPool3x3);
      any_conv3x3[v] |= operation == kConv3x3;
      any_conv1x1[v] |= operation == kConv1x1;
      any_pool[v] |= operation == kMaxPool3x3;
    }
    for (int v = output; v < kOutput; ++v) all_source[v] = 0;
  }
};

// The gains of one graph's vertices in every module, whatever their operations. Cells beside each other share a graph.
class GainCache {
 public:
  struct Gains {
    double projection[kMaxVertices], conv3x3[kMaxVertices], conv1x1[kMaxVertices], channels[kMaxVertices];
  };

  explicit GainCache(const Network& network) : network_(network), gains_(2 * network.stacks) {}

  // of a stack's first module, which may widen its input, or of the others
  const Gains& of(const Cell& cell, int stack, bool first) {
    if (cell.vertices != vertices_ || cell.edges != edges_) {
      vertices_ = cell.vertices, edges_ = cell.edges;
      for (int s = 0, out = network_.stem_channels; s < network_.stacks; ++s, out *= 2) {
        gains_[2 * s] = compute(s == 0 ? out : out / 2, out);
        gains_[2 * s + 1] = compute(out, out);
      }
    }
    return gains_[2 * stack + !first];
  }

 private:
  Gains compute(int in, int out) const {
    const Initialisation& init = network_.initialisation;
    int channels[kMaxVertices];
    vertex_channels(vertices_, edges_, out, channels);
    Gains gains = {};
    for (int v = 1; v < vertices_; ++v) {
      const int c = channels[v];
      gains.channels[v] = c;
      gains.projection[v] = init.convolution(in, c, 1);
      gains.conv3x3[v] = c * init.convolution(c, c, 3);
      gains.conv1x1[v] = c * init.convolution(c, c, 1);
    }
    return gains;
  }

  const Network& network_;
  int vertices_ = 0;
  uint32_t edges_ = 0;
  std::vector<Gains> gains_;
};

template <class T>
void set_gains(Module<T>& module, const Cell& cell, int lane, const GainCache::Gains& gains) {
  const int output = cell.vertices - 1;
  module.projection_gain[kOutput][lane] =
      module.edge[kOutput][0][lane] * T(gains.channels[output] * gains.projection[output]);
  for (int v = 1; v < output; ++v) {
    module.projection_gain[v][lane] = module.edge[v][0][lane] * T(gains.projection[v]);
    module.conv3x3_gain[v][lane] = module.conv3x3[v][lane] * T(gains.conv3x3[v]);
    module.conv1x1_gain[v][lane] = module.conv1x1[v][lane] * T(gains.conv1x1[v]);
    module.concatenation[v][lane] = module.edge[kOutput][v][lane] * T(gains.channels[v]);
  }
}

// in = the module's input through its projection, which is a layer.
template <class T>
ZCFAST_INLINE void project(Vector<T> gain, Map<T> input, Map<T> in, int count) {
  for (int i = 0; i < count; ++i) {
    const Vector<T> value = gain * input.value[i];
    in.value[i] = value;
    in.tangent[i] = gain * input.tangent[i] + value;
  }
}

// in (+)= weight x source, without the product where every weight is one.
template <class T, bool kAdd, bool kWeigh>
ZCFAST_INLINE void accumulate(Vector<T> weight, Map<T> source, Map<T> in, int count) {
  for (int i = 0; i < count; ++i) {
    const Vector<T> value = kWeigh ? weight * source.value[i] : source.value[i];
    const Vector<T> tangent = kWeigh ? weight * source.tangent[i] : source.tangent[i];
    in.value[i] = kAdd ? in.value[i] + value : value;
    in.tangent[i] = kAdd ? in.tangent[i] + tangent : tangent;
  }
}

// The sum over an inner vertex's sources, in `scratch` unless it is one inner vertex in every lane.
template <class T>
ZCFAST_INLINE Map<T> gather(const Module<T>& module, int v, Map<T> input, const Map<T>* inner, Map<T> scratch,
                            int count) {
  uint32_t rest = module.any_source[v] & ~1u;
  bool add = module.any_source[v] & 1;
  if (add)
    project(module.projection_gain[v], input, scratch, count);
  else if (rest == module.all_source[v] && !(rest & (rest - 1)))
    return inner[__builtin_ctz(rest)];
  for (; rest; rest &= rest - 1, add = true) {
    const int u = __builtin_ctz(rest);
    const bool everywhere = module.all_source[v] >> u & 1;
    if (add && everywhere)
      accumulate<T, true, false>(module.edge[v][u], inner[u], scratch, count);
    else if (add)
      accumulate<T, true, true>(module.edge[v][u], inner[u], scratch, count);
    else
      accumulate<T, false, true>(module.edge[v][u], inner[u], scratch, count);
  }
  return scratch;
}

// The module's output, summed over channels: inner vertices side by side, plus the projected input.
template <class T>
ZCFAST_INLINE void concatenate(const Module<T>& module, Map<T> input, const Map<T>* inner, Map<T> output, int count) {
  bool add = module.any_source[kOutput] & 1;
  if (add) project(module.projection_gain[kOutput], input, output, count);
  for (uint32_t rest = module.any_source[kOutput] & ~1u; rest; rest &= rest - 1, add = true) {
    const int u = __builtin_ctz(rest);
    if (add)
      accumulate<T, true, true>(module.concatenation[u], inner[u], output, count);
    else
      accumulate<T, false, true>(module.concatenation[u], inner[u], output, count);
  }
}

// The vertex's operation; lanes differ, so each pixel adds up the operations that occur, the others' gains being zero.
template <class T, bool kBox, bool kPoint, bool kPool>
ZCFAST_INLINE void operate(const Module<T>& module, int v, Map<T> in, Map<T> out, Triangle shape) {
  const Vector<T> box_gain = module.conv3x3_gain[v], point_gain = module.conv1x1_gain[v], pool = module.pool[v];
  const Vector<T> layer = module.conv3x3[v] + module.conv1x1[v];
  for (int row = 0; row < shape.size; ++row) {
    BoxRow<T, true> values(in.value, shape, row), tangents(in.tangent, shape, row);
    const int start = shape.row_start(row), last = shape.size - 1;
    const int inwards = shape.row_start(row < last ? row + 1 : last);
    for (int column = row; column < shape.size; ++column) {
      Vector<T> value = {}, tangent = {};
      if (kBox) value = box_gain * values.next(column), tangent = box_gain * tangents.next(column);
      if (kPoint) value += point_gain * in.value[start + column], tangent += point_gain * in.tangent[start + column];
      if (kBox || kPoint) tangent += kPool ? layer * value : value;
      if (kPool) {  // maps grow inwards: the maximum is the next element on the diagonal
        const int next = inwards + (column < last ? column + 1 : last);
        value += pool * in.value[next], tangent += pool * in.tangent[next];
      }
      out.value[start + column] = value;
      out.tangent[start + column] = tangent;
    }
  }
}

template <class T>
ZCFAST_INLINE void operate(const Module<T>& module, int v, Map<T> in, Map<T> out, Triangle shape) {
  switch (4 * module.any_conv3x3[v] + 2 * module.any_conv1x1[v] + module.any_pool[v]) {
    case 1:
      return operate<T, false, false, true>(module, v, in, out, shape);
    case 2:
      return operate<T, false, true, false>(module, v, in, out, shape);
    case 3:
      return operate<T, false, true, true>(module, v, in, out, shape);
    case 4:
      return operate<T, true, false, false>(module, v, in, out, shape);
    case 5:
      return operate<T, true, false, true>(module, v, in, out, shape);
    case 6:
      return operate<T, true, true, false>(module, v, in, out, shape);
    case 7:
      return operate<T, true, true, true>(module, v, in, out, shape);
  }
}

template <class T>
ZCFAST_INLINE void run_module(const Module<T>& module, Map<T> input, Map<T> output, Map<T> scratch, const Map<T>* inner,
                              Triangle shape) {
  for (int v = 1; v <= module.inner; ++v) {
    const Map<T> in = gather(module, v, input, inner, scratch, shape.count());
    operate(module, v, in, inner[v], shape);
  }
  concatenate(module, input, inner, output, shape.count());
}

// From how many pixels off the border the maps of one stack are constant, given that of its input: a 3 x 3 convolution
// moves the border's influence one pixel inwards, a pool one outwards. Replaces it by that of the output, returns the
// size of map that holds every pixel before, over all lanes.
template <class T>
ZCFAST_INLINE int needed_size(const Module<T>& module, int modules, Vector<T>* border) {
  const auto larger = [](Vector<T> a, Vector<T> b) { return a > b ? a : b; };
  Vector<T> largest = *border;
  for (int repeat = 0; repeat < modules; ++repeat) {
    Vector<T> from[kMaxVertices] = {*border};
    const auto gather = [&](int v) {
      Vector<T> in = {};
      for (int u = 0; u < v; ++u) in = larger(in, module.edge[v][u] * from[u]);
      return in;
    };
    for (int v = 1; v <= module.inner; ++v) {
      from[v] = larger(gather(v) + module.conv3x3[v] - module.pool[v], Vector<T>{});
      largest = larger(largest, from[v]);
    }
    *border = gather(kOutput);
  }
  T size = 0;
  for (int lane = 0; lane < kLanes<T>; ++lane) size = std::max(size, largest[lane]);
  return int(size) + 1;
}

// 2 x 2 max-pool with stride 2: the maximum is the pixel nearest to the middle. A map may have been cut short where it
// is constant.
template <class T>
ZCFAST_INLINE void downsample(Map<T> from, Triangle from_shape, Map<T> to, Triangle to_shape) {
  const int last = from_shape.size - 1;
  for (int row = 0; row < to_shape.size; ++row) {
    for (int column = row; column < to_shape.size; ++column) {
      const int source = from_shape.at(std::min(2 * row + 1, last), std::min(2 * column + 1, last));
      to.value[to_shape.row_start(row) + column] = from.value[source];
      to.tangent[to_shape.row_start(row) + column] = from.tangent[source];
    }
  }
}

// Scores kLanes<T> cells. Stacks but the last are computed on maps cut short where they are constant.
template <class T>
ZCFAST_INLINE void score_group(const Network& network, const Cell* cells, GainCache& cache, const Workspace<T>& maps,
                               double* log_scores) {
  const Initialisation& init = network.initialisation;
  const double stem_gain = double(network.stem_channels) * network.image_channels *
                           init.convolution(network.image_channels, network.stem_channels, 3);
  Module<T> module(cells);
  Map<T> input = maps[0], output = maps[1], inner[kMaxVertices];
  const Map<T> scratch = maps[2];
  for (int v = 1; v < kOutput; ++v) inner[v] = maps[2 + v];

  Vector<T> border = Vector<T>{} + 1;  // the stem is a 3 x 3 convolution
  int64_t exponents[kLanes<T>] = {};
  int channels = network.stem_channels, quadrant = network.quadrant;
  Triangle shape{quadrant};
  for (int stack = 0; stack < network.stacks; ++stack) {
    const Triangle before = shape;
    shape.size =
        stack + 1 == network.stacks ? quadrant : std::min(needed_size(module, network.modules, &border), quadrant);
    for (int lane = 0; lane < kLanes<T>; ++lane) border[lane] = T(int(border[lane]) / 2);  // every second pixel stays
    if (stack == 0) {
      convolve_ones(T(stem_gain), input, scratch, shape);
    } else {
      downsample(input, before, output, shape);
      std::swap(input, output);
      channels *= 2;
    }
    for (int repeat = 0; repeat < network.modules; ++repeat) {
      if (repeat < 2)  // the others are like the second
        for (int lane = 0; lane < kLanes<T>; ++lane)
          set_gains(module, cells[lane], lane, cache.of(cells[lane], stack, repeat == 0));
      run_module(module, input, output, scratch, inner, shape);
      renormalise(output, shape.count(), exponents);
      std::swap(input, output);
    }
    quadrant /= 2;
  }
  log_scores_of(network.classes * init.linear(channels), input, shape, exponents, log_scores);
}

// Groups [begin, end) of kLanes<T> cells each, taken in the given order; the last group repeats its last cell.
template <class T>
ZCFAST_INLINE void score_groups(const Network& network, CellBatch batch, const int32_t* order, int64_t count,
                                int64_t begin, int64_t end, double* log_scores, FirstBad* invalid) {
  const Workspace<T> maps(kMaxVertices + 1, network.quadrant);
  GainCache cache(network);
  for (int64_t group = begin; group < end; ++group) {
    Cell cells[kLanes<T>];
    double scores[kLanes<T>];
    int rows[kLanes<T>];
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      rows[lane] = order[std::min(group * kLanes<T> + lane, count - 1)];
      cells[lane] = batch[rows[lane]];
      if (validate(cells[lane]) == kValid) continue;
      invalid->note(rows[lane]);
      cells[lane] = Cell{2, 1, {kNoOperation, kNoOperation, kNoOperation, kNoOperation, kNoOperation}};
    }
    score_group(network, cells, cache, maps, scores);
    for (int lane = 0; lane < kLanes<T>; ++lane) log_scores[rows[lane]] = scores[lane];
  }
}

#define ZCFAST_SCORE_GROUPS(T)                                                                                      \
  ZCFAST_CLONES void score_groups_##T(const Network& network, CellBatch batch, const int32_t* order, int64_t count, \
                                      int64_t begin, int64_t end, double* log_scores, FirstBad* invalid) {          \
    score_groups<T>(network, batch, order, count, begin, end, log_scores, invalid);                                 \
  }
ZCFAST_SCORE_GROUPS(float)
ZCFAST_SCORE_GROUPS(double)
#undef ZCFAST_SCORE_GROUPS

// Cells of one graph beside each other share their wiring; an enumeration is in that order already.
std::vector<int32_t> group_order(CellBatch batch, int64_t count) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    return batch.vertices[a] != batch.vertices[b] ? batch.vertices[a] < batch.vertices[b]
                                                  : batch.edges[a] < batch.edges[b];
  };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::stable_sort(order.begin(), order.end(), before);
  return order;
}

Tensor expected_synflow(const Tensor& vertices, const Tensor& edges, const Tensor& operations, int64_t stem_channels,
                        int64_t stacks, int64_t modules, int64_t classes, int64_t resolution, int64_t image_channels,
                        double init_scale, bool init_fan_out, double init_linear_mean, bool double_precision) {
  const CellTensors cells(kOp, vertices, edges, operations);
  check_nasbench101_network(kOp, stem_channels, stacks, modules, classes, resolution, image_channels);
  check_initialisation(kOp, init_scale, init_linear_mean, 0);
  const Network network{int(stem_channels),
                        int(stacks),
                        int(modules),
                        int(classes),
                        int(resolution / 2),
                        int(image_channels),
                        {init_scale, init_fan_out, init_linear_mean, 0}};
  const CellBatch batch = cells.batch();
  const int64_t count = cells.size();
  const int64_t lanes = double_precision ? kLanes<double> : kLanes<float>;
  const std::vector<int32_t> order = group_order(batch, count);
  Tensor log_scores = torch::stable::new_empty(vertices, {count}, ScalarType::Double);
  FirstBad invalid;
  auto* out = static_cast<double*>(log_scores.data_ptr());
  torch::stable::parallel_for(0, (count + lanes - 1) / lanes, 64, [&](int64_t begin, int64_t end) {
    const auto score = double_precision ? score_groups_double : score_groups_float;
    score(network, batch, order.data(), count, begin, end, out, &invalid);
  });
  if (invalid.found())
    fail(kOp, "vertices, edges, operations: expected valid cells, got an invalid one in row ", invalid.row());
  return log_scores;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_expected_synflow", TORCH_BOX(&expected_synflow)); }

}  // namespace zcfast

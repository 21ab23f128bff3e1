// Parameters and multiply-adds of NAS-Bench-101 networks without building them.
#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "cells.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_size";

struct Network {
  int64_t stem_channels, stacks, modules, classes, resolution, image_channels;
};

struct Size {
  int64_t params = 0, flops = 0;

  // Convolution without bias, then BatchNorm with scale and shift.
  void add_convolution(int64_t in, int64_t out, int64_t kernel, int64_t pixels, int64_t times = 1) {
    params += times * (kernel * kernel * in * out + 2 * out);
    flops += times * (kernel * kernel * in * out * pixels);
  }
  void add(const Size& other) { params += other.params, flops += other.flops; }
};

// What one graph's networks consist of: all that does not depend on the operations, and each vertex's convolutions.
// Cells beside each other share a graph.
class GraphSizes {
 public:
  explicit GraphSizes(const Network& network) : network_(network) {}

  Size of(const Cell& cell) {
    if (cell.vertices != vertices_ || cell.edges != edges_) set_graph(cell);
    Size size = fixed_;
    for (int v = 1; v < cell.vertices - 1; ++v)
      if (cell.operations[v - 1] != kMaxPool3x3) size.add(convolutions_[cell.operations[v - 1] == kConv1x1][v]);
    return size;
  }

 private:
  void set_graph(const Cell& cell) {
    vertices_ = cell.vertices, edges_ = cell.edges;
    fixed_ = {};
    std::fill_n(&convolutions_[0][0], 2 * kMaxVertices, Size{});
    int64_t out = network_.stem_channels, side = network_.resolution;
    fixed_.add_convolution(network_.image_channels, out, 3, side * side);
    for (int64_t stack = 0; stack < network_.stacks; ++stack) {
      const int64_t in = out;
      if (stack > 0) out *= 2, side /= 2;
      add_modules(in, out, side * side, 1);
      add_modules(out, out, side * side, network_.modules - 1);
    }
    fixed_.params += (out + 1) * network_.classes;
    fixed_.flops += out * network_.classes;
  }

  void add_modules(int64_t in, int64_t out, int64_t pixels, int64_t times) {
    int channels[kMaxVertices];
    vertex_channels(vertices_, edges_, int(out), channels);
    for (int v = 1; v < vertices_; ++v) {
      if (sources(edges_, v) & 1) fixed_.add_convolution(in, channels[v], 1, pixels, times);
      convolutions_[0][v].add_convolution(channels[v], channels[v], 3, pixels, times);
      convolutions_[1][v].add_convolution(channels[v], channels[v], 1, pixels, times);
    }
  }

  const Network network_;
  int vertices_ = 0;
  uint32_t edges_ = 0;
  Size fixed_, convolutions_[2][kMaxVertices];  // 3x3, 1x1
};

std::tuple<Tensor, Tensor> size(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                int64_t stem_channels, int64_t stacks, int64_t modules, int64_t classes,
                                int64_t resolution, int64_t image_channels) {
  const CellTensors cells(kOp, vertices, edges, operations);
  check_network(kOp, stem_channels, modules, classes, resolution, image_channels);
  check_range(kOp, "stacks", stacks, 1, 8);
  const CellBatch batch = cells.batch();
  const Network network{stem_channels, stacks, modules, classes, resolution, image_channels};
  Tensor params = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  Tensor flops = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  auto* params_out = static_cast<int64_t*>(params.data_ptr());
  auto* flops_out = static_cast<int64_t*>(flops.data_ptr());
  torch::stable::parallel_for(0, cells.size(), 4096, [&](int64_t begin, int64_t end) {
    GraphSizes graph(network);
    for (int64_t i = begin; i < end; ++i) {
      Cell cell = batch[i];
      const Size size = validate(cell) == kValid ? graph.of(cell) : Size{-1, -1};
      params_out[i] = size.params;
      flops_out[i] = size.flops;
    }
  });
  return {params, flops};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_size", TORCH_BOX(&size)); }

}  // namespace zcfast

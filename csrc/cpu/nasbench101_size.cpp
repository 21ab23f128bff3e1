// Parameters and multiply-adds of NAS-Bench-101 networks without building them.
#include <torch/csrc/stable/library.h>

#include "cells.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_size";

struct Size {
  int64_t params = 0, flops = 0;

  // Convolution without bias, then BatchNorm with scale and shift.
  void add_convolution(int64_t in, int64_t out, int64_t kernel, int64_t pixels) {
    params += kernel * kernel * in * out + 2 * out;
    flops += kernel * kernel * in * out * pixels;
  }
};

void add_module(Size& size, const Cell& cell, int64_t in, int64_t out, int64_t pixels) {
  int channels[kMaxVertices];
  vertex_channels(cell.vertices, cell.edges, int(out), channels);
  for (int v = 1; v < cell.vertices; ++v) {
    if (sources(cell.edges, v) & 1) size.add_convolution(in, channels[v], 1, pixels);
    if (v == cell.vertices - 1 || cell.operations[v - 1] == kMaxPool3x3) continue;
    size.add_convolution(channels[v], channels[v], cell.operations[v - 1] == kConv3x3 ? 3 : 1, pixels);
  }
}

std::tuple<Tensor, Tensor> size(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                int64_t stem_channels, int64_t stacks, int64_t modules, int64_t classes,
                                int64_t resolution, int64_t image_channels) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const CellBatch batch = cells.batch();
  Tensor params = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  Tensor flops = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  auto* params_out = static_cast<int64_t*>(params.data_ptr());
  auto* flops_out = static_cast<int64_t*>(flops.data_ptr());
  torch::stable::parallel_for(0, cells.size(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Cell cell = batch[i];
      if (validate(cell) != kValid) {
        params_out[i] = flops_out[i] = -1;
        continue;
      }
      Size size;
      int64_t channels = stem_channels, side = resolution;
      size.add_convolution(image_channels, channels, 3, side * side);
      for (int64_t stack = 0; stack < stacks; ++stack) {
        if (stack > 0) side /= 2;
        const int64_t in = channels;
        if (stack > 0) channels *= 2;
        for (int64_t module = 0; module < modules; ++module)
          add_module(size, cell, module == 0 ? in : channels, channels, side * side);
      }
      params_out[i] = size.params + (channels + 1) * classes;
      flops_out[i] = size.flops + channels * classes;
    }
  });
  return {params, flops};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_size", TORCH_BOX(&size)); }

}  // namespace zcfast

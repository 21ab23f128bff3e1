#include <torch/csrc/stable/library.h>

#include "../cells.h"
#include "on_device.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_expected_synflow";

Tensor expected_synflow(const Tensor& vertices, const Tensor& edges, const Tensor& operations, int64_t stem_channels,
                        int64_t stacks, int64_t modules, int64_t classes, int64_t resolution, int64_t image_channels,
                        double init_scale, bool init_fan_out, double init_linear_mean, bool double_precision) {
  const CellTensors cells(kOp, vertices, edges, operations);
  check_nasbench101_network(kOp, stem_channels, stacks, modules, classes, resolution, image_channels);
  check_initialisation(kOp, init_scale, init_linear_mean, 0);
  if (const int largest = 2 * largest_synflow_quadrant(double_precision); resolution > largest)
    fail(kOp, "resolution: expected at most ", largest, " for cells on CUDA, got ", resolution, "; the CPU takes more");
  const SynflowNetwork network{int(stem_channels),
                               int(stacks),
                               int(modules),
                               int(classes),
                               int(resolution / 2),
                               int(image_channels),
                               {init_scale, init_fan_out, init_linear_mean, 0}};
  const OnDevice device(kOp, vertices);
  Tensor log_scores = torch::stable::new_empty(vertices, {cells.size()}, ScalarType::Double);
  device.check(launch_nasbench101_expected_synflow(network, cells.batch(), cells.size(), double_precision,
                                                   static_cast<double*>(log_scores.data_ptr()), device.stream()));
  return log_scores;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("nasbench101_expected_synflow", TORCH_BOX(&expected_synflow)); }

}  // namespace zcfast

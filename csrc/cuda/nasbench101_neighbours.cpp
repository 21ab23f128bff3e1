#include <torch/csrc/stable/library.h>

#include "../cells.h"
#include "on_device.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_neighbours";

std::tuple<Tensor, Tensor> neighbours(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                      const Tensor& lookup, const Tensor& orders, const Tensor& class_first,
                                      const Tensor& class_orbits, const Tensor& orbits, int64_t relation) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const TableTensors tensors(kOp, lookup, orders, class_first, class_orbits, orbits, vertices);
  check_range(kOp, "relation", relation, 0, kRelations - 1);
  const OnDevice device(kOp, cells.vertices);
  Tensor ids = torch::stable::new_empty(cells.vertices, {cells.size(), kMaxNeighbours}, ScalarType::Int);
  Tensor counts = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  device.check(launch_nasbench101_neighbours(cells.batch(), tensors.tables(), cells.size(), relation,
                                             static_cast<int32_t*>(ids.data_ptr()),
                                             static_cast<int64_t*>(counts.data_ptr()), device.stream()));
  return {ids, counts};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("nasbench101_neighbours", TORCH_BOX(&neighbours)); }

}  // namespace zcfast

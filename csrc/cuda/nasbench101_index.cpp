#include <torch/csrc/stable/library.h>

#include "../cells.h"
#include "on_device.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_index";

std::tuple<Tensor, Tensor> index(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                 const Tensor& lookup, const Tensor& orders, const Tensor& class_first,
                                 const Tensor& class_orbits, const Tensor& orbits) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const TableTensors tensors(kOp, lookup, orders, class_first, class_orbits, orbits, vertices);
  const OnDevice device(kOp, cells.vertices);
  Tensor index = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  Tensor validity = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Char);
  device.check(launch_nasbench101_index(cells.batch(), tensors.tables(), cells.size(),
                                        static_cast<int64_t*>(index.data_ptr()),
                                        static_cast<int8_t*>(validity.data_ptr()), device.stream()));
  return {index, validity};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("nasbench101_index", TORCH_BOX(&index)); }

}  // namespace zcfast

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>

#include "../cells.h"
#include "launch.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_index";

std::tuple<Tensor, Tensor> index(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                 const Tensor& lookup, const Tensor& orders, const Tensor& class_first,
                                 const Tensor& class_orbits, const Tensor& orbits) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const TableTensors tensors(kOp, lookup, orders, class_first, class_orbits, orbits, vertices);
  const auto device = cells.vertices.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(device);
  void* stream = torch::stable::accelerator::getCurrentStream(device).nativeHandle();
  Tensor index = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  Tensor validity = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Char);
  const int error =
      launch_nasbench101_index(cells.batch(), tensors.tables(), cells.size(), static_cast<int64_t*>(index.data_ptr()),
                               static_cast<int8_t*>(validity.data_ptr()), stream);
  if (error) fail(kOp, "CUDA launch failed: ", cuda_error_text(error));
  return {index, validity};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("nasbench101_index", TORCH_BOX(&index)); }

}  // namespace zcfast

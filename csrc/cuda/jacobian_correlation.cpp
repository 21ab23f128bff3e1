#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <cmath>

#include "on_device.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "jacobian_correlation";

double* doubles(const Tensor& tensor) { return static_cast<double*>(tensor.data_ptr()); }

Tensor jacobian_correlation(const Tensor& jacobian, double k) {
  check_floating(kOp, "jacobian", jacobian);
  check_shape(kOp, "jacobian", jacobian, {-1, -1});
  checked_count(kOp, "jacobian", {jacobian.size(0), jacobian.size(0)});
  if (!(k >= 0) || std::isinf(k)) fail(kOp, "k: expected a finite number of at least 0, got ", k);
  const int64_t rows = jacobian.size(0), columns = jacobian.size(1);
  const OnDevice device(kOp, jacobian);
  const Tensor dense = torch::stable::contiguous(jacobian);
  Tensor out = torch::stable::new_empty(jacobian, {}, ScalarType::Double);
  if (rows == 0) return torch::stable::zero_(out);
  const Tensor centred = torch::stable::new_empty(jacobian, {rows, columns}, ScalarType::Double);
  const Tensor inverse_norm = torch::stable::new_empty(jacobian, {rows}, ScalarType::Double);
  device.check(launch_centre_rows(dense.data_ptr(), element_of(dense), rows, columns, doubles(centred),
                                  doubles(inverse_norm), device.stream()));
  const Tensor products = torch::stable::matmul(centred, torch::stable::transpose(centred, 0, 1));
  const Tensor scratch = torch::stable::new_empty(jacobian, {correlation_scratch(rows)}, ScalarType::Double);
  device.check(launch_correlation_value(doubles(products), doubles(inverse_norm), rows, k, doubles(scratch),
                                        doubles(out), device.stream()));
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("jacobian_correlation", TORCH_BOX(&jacobian_correlation)); }

}  // namespace zcfast

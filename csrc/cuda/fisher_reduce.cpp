#include <torch/csrc/stable/library.h>

#include "../fisher_tensors.h"
#include "on_device.h"

namespace zcfast {
namespace {

constexpr int64_t kBlockElements = 8192;  // of one chunk of positions

FisherView view_of(const FisherTensors& tensors) {
  FisherView view{tensors.pair.first.data_ptr(),
                  tensors.pair.second.data_ptr(),
                  tensors.images,
                  tensors.outer,
                  tensors.channels,
                  tensors.inner,
                  1,
                  1};
  if (view.inner == 1) {
    view.chunk = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, view.channels));
    view.chunks = (view.outer + view.chunk - 1) / view.chunk;
  }
  return view;
}

Tensor fisher_reduce(const Tensor& activation, const Tensor& gradient, int64_t channel_dim, bool elementwise) {
  const FisherTensors tensors(activation, gradient, channel_dim);
  const FisherView view = view_of(tensors);
  check_range(FisherTensors::kOp, "activation: blocks of positions", view.images * view.chunks, 0, INT32_MAX);
  const OnDevice device(FisherTensors::kOp, activation);
  const Tensor partial =
      torch::stable::new_empty(activation, {view.images, view.chunks, view.channels}, ScalarType::Double);
  Tensor out = torch::stable::new_empty(activation, {view.channels}, ScalarType::Double);
  device.check(launch_fisher_reduce(view, element_of(activation), elementwise, static_cast<double*>(partial.data_ptr()),
                                    static_cast<double*>(out.data_ptr()), device.stream()));
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("fisher_reduce", TORCH_BOX(&fisher_reduce)); }

}  // namespace zcfast

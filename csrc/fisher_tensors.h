// The arguments of fisher_reduce as its kernels take them: checked, dense, images outermost.
#pragma once
#include <torch/csrc/stable/ops.h>

#include "dense.h"
#include "dtype.h"

namespace zcfast {

// In memory both tensors are [images, outer, channels, inner], where outer and inner are the positions.
struct FisherTensors {
  static constexpr const char* kOp = "fisher_reduce";

  DensePair pair;
  int64_t images, outer = 1, channels, inner = 1;

  FisherTensors(const Tensor& activation, const Tensor& gradient, int64_t channel_dim)
      : pair(checked(activation, gradient), gradient) {
    const int64_t dims = activation.dim(), channel = channel_dim < 0 ? channel_dim + dims : channel_dim;
    if (channel < 1 || channel >= dims)
      fail(kOp, "channel_dim: expected a dimension after the first of activation ", shape_of(activation), ", got ",
           channel_dim);
    const bool images_first = pair.first.size(0) == 1 || pair.order.empty() || pair.order[0] == 0;
    if (!images_first) pair = DensePair(torch::stable::contiguous(activation), torch::stable::contiguous(gradient));
    images = pair.first.size(0), channels = pair.first.size(channel);
    checked_count(kOp, "activation", {images, channels});
    bool inside = channels == 1;  // a single channel may be anywhere: outermost gives one long row
    for (const int64_t d : pair.order) {
      if (d == 0) continue;
      if (d == channel)
        inside = true;
      else
        (inside ? inner : outer) *= pair.first.size(d);
    }
  }

 private:
  static const Tensor& checked(const Tensor& activation, const Tensor& gradient) {
    check_floating(kOp, "activation", activation);
    check_dtype(kOp, "gradient", gradient, activation.scalar_type());
    check_same_shape(kOp, "gradient", gradient, activation);
    check_same_device(kOp, "gradient", gradient, activation);
    return activation;
  }
};

}  // namespace zcfast

// The device and the current stream of a tensor, while an operator launches on them.
#pragma once
#include <torch/csrc/stable/accelerator.h>

#include "../check.h"
#include "../dtype.h"
#include "launch.h"

namespace zcfast {

class OnDevice {
 public:
  OnDevice(const char* op, const Tensor& tensor)
      : op_(op),
        guard_(tensor.get_device_index()),
        stream_(torch::stable::accelerator::getCurrentStream(tensor.get_device_index()).nativeHandle()) {}

  void* stream() const { return stream_; }

  void check(int error) const {
    if (error) fail(op_, "CUDA launch failed: ", cuda_error_text(error));
  }

 private:
  const char* op_;
  torch::stable::accelerator::DeviceGuard guard_;
  void* stream_;
};

inline Element element_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Double:
      return Element::kDouble;
    case ScalarType::Float:
      return Element::kFloat;
    case ScalarType::BFloat16:
      return Element::kBFloat16;
    default:
      return Element::kFloat16;
  }
}

}  // namespace zcfast

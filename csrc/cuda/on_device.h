// The device and the current stream of a tensor, while an operator launches on them.
#pragma once
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>

#include "../check.h"
#include "../dtype.h"
#include "launch.h"

namespace zcfast {

// torch's current stream of a device. Before 2.13 only libtorch_cuda.so tells it, which a torch for the CPU lacks and
// this extension must not need: it is looked up in the library that torch has loaded, by the name of its stable C
// function.
inline void* current_stream(const char* op, int32_t device) {
  using Ask = AOTITorchError (*)(int32_t, void**);
  static const auto ask = reinterpret_cast<Ask>(
      dlsym(dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD), "aoti_torch_get_current_cuda_stream"));
  void* stream = nullptr;
  if (!ask || ask(device, &stream) != AOTI_TORCH_SUCCESS)
    fail(op, "expected the current stream of CUDA device ", device, " from PyTorch, got none");
  return stream;
}

class OnDevice {
 public:
  OnDevice(const char* op, const Tensor& tensor)
      : op_(op), guard_(tensor.get_device_index()), stream_(current_stream(op, tensor.get_device_index())) {}

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

// What the readers of published files need at the speed of C++: framing, checksums and checks, without torch.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string_view>

namespace zcfast {

// The memory of a buffer, which must be one piece.
inline std::string_view bytes_of(const pybind11::buffer_info& buffer) {
  if (!PyBuffer_IsContiguous(buffer.view(), 'C')) throw std::invalid_argument("expected a contiguous buffer");
  return {static_cast<const char*>(buffer.ptr), size_t(buffer.size) * size_t(buffer.itemsize)};
}

void register_tfrecord(pybind11::module_& module);
void register_model_metrics(pybind11::module_& module);
void register_pickle(pybind11::module_& module);

}  // namespace zcfast

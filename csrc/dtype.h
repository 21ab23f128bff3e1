// The element types of the reductions.
#pragma once
#include "check.h"
#include "element.h"

namespace zcfast {

inline void check_floating(const char* op, const char* name, const Tensor& tensor) {
  check_memory(op, name, tensor);
  switch (tensor.scalar_type()) {
    case ScalarType::Double:
    case ScalarType::Float:
    case ScalarType::BFloat16:
    case ScalarType::Half:
      return;
    default:
      fail(op, name, ": expected dtype Double, Float, BFloat16 or Half, got ",
           torch::headeronly::toString(tensor.scalar_type()));
  }
}

// Calls f with a null pointer of the element type; for what check_floating let through.
template <class F>
void dispatch_floating(ScalarType dtype, const F& f) {
  switch (dtype) {
    case ScalarType::Double:
      return f(static_cast<const double*>(nullptr));
    case ScalarType::Float:
      return f(static_cast<const float*>(nullptr));
    case ScalarType::BFloat16:
      return f(static_cast<const BFloat16*>(nullptr));
    default:
      return f(static_cast<const Float16*>(nullptr));
  }
}

}  // namespace zcfast

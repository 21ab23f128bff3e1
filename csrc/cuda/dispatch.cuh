// From an element type known at run time to one known to the compiler.
#pragma once
#include "../element.h"
#include "launch.h"

namespace zcfast {

// Calls f with a value of the type.
template <class F>
auto with_element(Element element, const F& f) {
  switch (element) {
    case Element::kDouble:
      return f(double());
    case Element::kFloat:
      return f(float());
    case Element::kBFloat16:
      return f(BFloat16());
    default:
      return f(Float16());
  }
}

}  // namespace zcfast

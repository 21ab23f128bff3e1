// The saliency of one weight w with gradient g, before it is summed over a layer. No torch headers: the same functors
// serve the host and the device, in float32 and float64.
#pragma once
#include <cmath>

#include "host_device.h"

namespace zcfast {

// snip; synflow on absolute weights
struct AbsProduct {
  static constexpr const char* kName = "abs_product";
  static constexpr bool kNeedsWeights = true;
  ZCFAST_HOST_DEVICE float operator()(float w, float g) const { return fabsf(w * g); }
  ZCFAST_HOST_DEVICE double operator()(double w, double g) const { return fabs(w * g); }
};

// plain, grasp
struct Product {
  static constexpr const char* kName = "product";
  static constexpr bool kNeedsWeights = true;
  ZCFAST_HOST_DEVICE float operator()(float w, float g) const { return w * g; }
  ZCFAST_HOST_DEVICE double operator()(double w, double g) const { return w * g; }
};

// the square of grad_norm
struct Square {
  static constexpr const char* kName = "square";
  static constexpr bool kNeedsWeights = false;
  ZCFAST_HOST_DEVICE float operator()(float, float g) const { return g * g; }
  ZCFAST_HOST_DEVICE double operator()(double, double g) const { return g * g; }
};

// The place of each kind in a row of sums.
enum SaliencyKind : int { kAbsProduct, kProduct, kSquare, kSaliencyKinds };

}  // namespace zcfast

// E|w| of a network's weights under the initialisations the closed forms know.
#pragma once
#include <cmath>

#include "host_device.h"

namespace zcfast {

// A convolution's E|w| = scale / sqrt(fan), fan = kernel area x (output or input channels); its E|b| = bias_scale /
// sqrt(fan in) where it has a bias. The classifier's E|w| = linear_mean where that is positive, else scale /
// sqrt(inputs). zcfast/nets/initialisation.py names them.
struct Initialisation {
  double scale;
  bool fan_out;
  double linear_mean;
  double bias_scale;

  ZCFAST_HOST_DEVICE double convolution(double in, double out, int kernel) const {
    return scale / std::sqrt(kernel * kernel * (fan_out ? out : in));
  }
  ZCFAST_HOST_DEVICE double bias(double in, int kernel) const { return bias_scale / std::sqrt(kernel * kernel * in); }
  ZCFAST_HOST_DEVICE double linear(double in) const { return linear_mean > 0 ? linear_mean : scale / std::sqrt(in); }
};

}  // namespace zcfast

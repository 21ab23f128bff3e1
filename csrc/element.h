// Numbers as they lie in memory and how kernels widen them. No torch headers.
#pragma once
#include <bit>
#include <cstdint>

#include "host_device.h"

namespace zcfast {

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

ZCFAST_HOST_DEVICE double widen(double x) { return x; }
ZCFAST_HOST_DEVICE float widen(float x) { return x; }
ZCFAST_HOST_DEVICE float widen(BFloat16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }

// Without branches, so that loops vectorise: a subnormal m 2^-24 is (0.5 + m 2^-24) - 0.5, exact also where the
// processor flushes float32's subnormals; any other exponent moves by the difference of the biases; inf and NaN get
// float32's exponent of all ones.
ZCFAST_HOST_DEVICE float widen(Float16 x) {
#ifdef __CUDA_ARCH__  // one instruction there
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
  return wide;
#else
  const uint32_t half = x.bits, exponent = half & 0x7c00, mantissa = half & 0x03ff;
  const uint32_t is_special = -uint32_t(exponent == 0x7c00), is_subnormal = -uint32_t(exponent == 0);
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(0x3f000000 | mantissa) - 0.5f);
  const uint32_t normal = ((half & 0x7fff) << 13) + (112 << 23);
  const uint32_t magnitude = (subnormal & is_subnormal) | (normal & ~is_subnormal) | (is_special & 0x7f800000);
  return std::bit_cast<float>(magnitude | (half & 0x8000) << 16);
#endif
}

}  // namespace zcfast

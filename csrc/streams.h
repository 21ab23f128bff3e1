// Counter-based random numbers: the finaliser of splitmix64 over run, step and draw; zcfast/search/streams.py. No torch
// headers.
#pragma once
#include <cstdint>

#include "host_device.h"

namespace zcfast {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

ZCFAST_HOST_DEVICE uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

// The numbers that one run draws at one step.
class Draws {
 public:
  ZCFAST_HOST_DEVICE Draws(int64_t key, int64_t step)
      : at_step_(mix(uint64_t(key) + mix((uint64_t(step) + 1) * kGolden))) {}
  ZCFAST_HOST_DEVICE uint64_t bits(int64_t draw) const { return mix(at_step_ + uint64_t(draw + 1) * kGolden); }
  // A multiple of 2^-53 in [0, 1)
  ZCFAST_HOST_DEVICE double uniform(int64_t draw) const { return double(int64_t(bits(draw) >> 11)) * 0x1p-53; }
  // 0 to n - 1
  ZCFAST_HOST_DEVICE int64_t below(int64_t draw, int64_t n) const {
    const int64_t number = int64_t(uniform(draw) * double(n));
    return number < n ? number : n - 1;
  }

 private:
  uint64_t at_step_;
};

}  // namespace zcfast

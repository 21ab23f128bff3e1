// What the programs of this folder share: cases by name, schedules, comparisons.
#pragma once
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "simt.h"

namespace check {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// In order, reversed, then as many as are asked for drawn ones.
inline std::vector<simt::Schedule> schedules(int drawn) {
  std::vector<simt::Schedule> all = {{simt::Order::kInOrder}, {simt::Order::kReversed}};
  for (int i = 0; i < drawn; ++i)
    all.push_back({i % 2 ? simt::Order::kFarAhead : simt::Order::kRandom, uint64_t(i + 1)});
  return all;
}

template <class T>
void equal(T got, T expected, const std::string& what) {
  if (got != expected) throw Failure(what + ": expected " + std::to_string(expected) + ", got " + std::to_string(got));
}

// NaN and infinities equal themselves alone.
inline void close(double got, double expected, double tolerance, const std::string& what) {
  const bool same = std::isfinite(expected) ? std::abs(got - expected) <= tolerance
                                            : (std::isnan(expected) ? std::isnan(got) : got == expected);
  if (same) return;
  char text[160];
  std::snprintf(text, sizeof text, ": expected %.17g within %.3g, got %.17g", expected, tolerance, got);
  throw Failure(what + text);
}

struct Case {
  const char* name;
  void (*run)();
};

template <size_t count>
int main(const Case (&cases)[count], int arguments, char** argument) {
  const std::string name = arguments == 2 ? argument[1] : "";
  for (const Case& one : cases) {
    if (name != one.name) continue;
    try {
      one.run();
    } catch (const simt::Violation& violation) {
      std::fprintf(stderr, "violation: %s\n", violation.what());
      return 1;
    } catch (const Failure& failure) {
      std::fprintf(stderr, "wrong result: %s\n", failure.what());
      return 1;
    }
    return 0;
  }
  std::fprintf(stderr, "expected a case of this program, got '%s'\n", name.c_str());
  return 2;
}

}  // namespace check

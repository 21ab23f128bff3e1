// SIMD on the CPU: GNU vectors, and functions compiled for several levels of x86-64. No torch headers.
#pragma once
#include <cstdint>
#include <cstring>

// A function marked so is compiled three times and the fastest that runs is picked at load time. It needs GCC's names
// of x86-64 levels and glibc's indirect functions; these are resolved before a sanitizer is ready, so sanitizer builds,
// like every other compiler and processor, compile the function once. Not for templates.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(ZCFAST_NO_CLONES)
#define ZCFAST_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ZCFAST_HAS_CLONES
#else
#define ZCFAST_CLONES
#endif

// For what a cloned function calls: left as a call, it would be compiled for the lowest level only.
#define ZCFAST_INLINE inline __attribute__((always_inline))

namespace zcfast {

inline const char* simd_level() {
#ifdef ZCFAST_HAS_CLONES
  if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
#endif
  return "baseline";
}

// Numbers side by side, as many as one register of the usual machines holds: wider vectors go through memory. In the
// closed forms every lane belongs to another architecture.
#ifdef __x86_64__
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
template <class T>
constexpr int kLanes = kVectorBytes / sizeof(T);
template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

// Four numbers for code that is compiled for several levels.
#if defined(ZCFAST_HAS_CLONES) || defined(__AVX__)
typedef double Double4 __attribute__((vector_size(32)));
#else
// A vector wider than the processor's would be kept in memory.
struct Double4 {
  typedef double Double2 __attribute__((vector_size(16)));
  Double2 low, high;
};
ZCFAST_INLINE Double4 operator*(double factor, const Double4& v) { return {factor * v.low, factor * v.high}; }
ZCFAST_INLINE void operator+=(Double4& sum, const Double4& v) { sum.low += v.low, sum.high += v.high; }
#endif

// out[0..3] += sign * sums, at any address.
ZCFAST_INLINE void add_to(double* out, double sign, const Double4& sums) {
  Double4 v;
  std::memcpy(&v, out, sizeof(v));
  v += sign * sums;
  std::memcpy(out, &v, sizeof(v));
}

}  // namespace zcfast

// SIMD on the CPU: GNU vectors, and one clone of a function for each x86-64 level, chosen when the library is loaded.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ZCFAST_HAS_CLONES 1
#define ZCFAST_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ZCFAST_CLONES
#endif
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

}  // namespace zcfast

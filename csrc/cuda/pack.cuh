// Loads of 16 bytes by the read-only path. Pointers out of a table would compile to generic loads; __ldg says that they
// are global and do not change.
#pragma once
#include <bit>

#include "../element.h"

namespace zcfast {

constexpr int kPackBytes = 16;

template <class T>
struct Pack {
  static constexpr int kSize = kPackBytes / sizeof(T);
  T v[kSize];
};

template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* address) {
  return std::bit_cast<Pack<T>>(__ldg(reinterpret_cast<const uint4*>(address)));
}

__device__ __forceinline__ double load_one(const double* address) { return __ldg(address); }
__device__ __forceinline__ float load_one(const float* address) { return __ldg(address); }
__device__ __forceinline__ BFloat16 load_one(const BFloat16* address) { return {__ldg(&address->bits)}; }
__device__ __forceinline__ Float16 load_one(const Float16* address) { return {__ldg(&address->bits)}; }

// Elements before the first one on a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ int64_t misaligned(const T* address) {
  return (kPackBytes - reinterpret_cast<uintptr_t>(address) % kPackBytes) % kPackBytes / sizeof(T);
}

// How a pair of spans is read: one by one up to `head`, by packs up to `tail`, one by one to the end.
struct Split {
  int64_t head, tail;
};

template <class T>
__device__ __forceinline__ Split split_of(const T* a, const T* b, int64_t count) {
  const int64_t head = misaligned(a);
  if (misaligned(b) != head || head >= count) return {count, count};
  return {head, head + (count - head) / Pack<T>::kSize * Pack<T>::kSize};
}

}  // namespace zcfast

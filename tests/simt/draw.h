// Drawn tensors of every element type, at any alignment, in memory of exactly their size.
#pragma once
#include <bit>
#include <memory>
#include <random>

#include "cuda/launch.h"
#include "element.h"

namespace draw {

inline std::mt19937_64& random() {
  static std::mt19937_64 generator(11);
  return generator;
}

inline int64_t integer(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random());
}

inline double normal() { return std::normal_distribution<double>()(random()); }

inline void set(double& to, double value) { to = value; }
inline void set(float& to, double value) { to = float(value); }
inline void set(zcfast::Float16& to, double value) { to.bits = std::bit_cast<uint16_t>(_Float16(value)); }
inline void set(zcfast::BFloat16& to, double value) {
  const uint32_t bits = std::bit_cast<uint32_t>(float(value));
  to.bits = std::isnan(value) ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class T>
constexpr zcfast::Element kElement = sizeof(T) == 8                        ? zcfast::Element::kDouble
                                     : sizeof(T) == 4                      ? zcfast::Element::kFloat
                                     : std::is_same_v<T, zcfast::BFloat16> ? zcfast::Element::kBFloat16
                                                                           : zcfast::Element::kFloat16;

// `size` elements that begin `offset` elements after a multiple of 16 bytes and end where their memory does.
template <class T>
class Buffer {
 public:
  Buffer(int64_t size, int64_t offset, double scale = 1)
      : size_(size), memory_(new T[size_t(offset + size)]), data_(memory_.get() + offset) {
    for (int64_t i = 0; i < size; ++i) set(data_[i], scale * normal());
  }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  double operator[](int64_t i) const { return double(zcfast::widen(data_[i])); }
  void put(int64_t i, double value) { set(data_[i], value); }

 private:
  int64_t size_;
  std::unique_ptr<T[]> memory_;
  T* data_;
};

// f(null pointer of the type) for every element type.
template <class F>
void for_every_type(const F& f) {
  f(static_cast<double*>(nullptr));
  f(static_cast<float*>(nullptr));
  f(static_cast<zcfast::BFloat16*>(nullptr));
  f(static_cast<zcfast::Float16*>(nullptr));
}

inline simt::Schedule schedule() { return {simt::Order(integer(0, 3)), uint64_t(integer(1, 1 << 30))}; }

inline unsigned block_size(unsigned most) {
  const unsigned sizes[] = {32, 64, 96, 128, 256};
  unsigned size;
  do size = sizes[integer(0, 4)];
  while (size > most);
  return size;
}

}  // namespace draw

// Tensors whose elements fill a block of memory in some order of their dimensions: contiguous, channels_last,
// transposed.
#pragma once
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "check.h"

namespace zcfast {

// The dimensions of more than one element from the outermost in memory to the innermost; nothing if the tensor has gaps
// or overlaps.
inline std::optional<std::vector<int64_t>> dense_order(const Tensor& tensor) {
  std::vector<int64_t> order;
  for (int64_t d = 0; d < tensor.dim(); ++d)
    if (tensor.size(d) != 1) order.push_back(d);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return tensor.stride(a) > tensor.stride(b); });
  int64_t expected = 1;
  for (auto d = order.rbegin(); d != order.rend(); ++d) {
    if (tensor.stride(*d) != expected) return std::nullopt;
    expected *= tensor.size(*d);
  }
  return order;
}

// Both of one shape; strides of dimensions of one element mean nothing.
inline bool same_strides(const Tensor& a, const Tensor& b) {
  for (int64_t d = 0; d < a.dim(); ++d)
    if (a.size(d) != 1 && a.stride(d) != b.stride(d)) return false;
  return true;
}

// Two tensors of one shape laid out alike and without gaps, so that element i of one memory block belongs to element i
// of the other. Copies only what does not already lie so.
struct DensePair {
  Tensor first, second;
  std::vector<int64_t> order;  // as dense_order

  DensePair(const Tensor& a, const Tensor& b) : first(a), second(b) {
    if (auto dense = same_strides(a, b) ? dense_order(a) : std::nullopt) {
      order = std::move(*dense);
      return;
    }
    first = torch::stable::contiguous(a), second = torch::stable::contiguous(b);
    for (int64_t d = 0; d < a.dim(); ++d)
      if (a.size(d) != 1) order.push_back(d);
  }
};

}  // namespace zcfast

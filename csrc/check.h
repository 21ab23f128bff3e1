// Argument checks of the operators: every message names the operator, the argument, what was expected and what came.
#pragma once
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace zcfast {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <class... Parts>
[[noreturn]] void fail(const char* op, const Parts&... parts) {
  std::ostringstream message;
  message << "zcfast::" << op << ": ";
  (message << ... << parts);
  throw std::runtime_error(message.str());
}

inline std::string shape_of(const Tensor& tensor) {
  std::ostringstream text;
  text << '[';
  for (int64_t d = 0; d < tensor.dim(); ++d) text << (d ? ", " : "") << tensor.size(d);
  text << ']';
  return text.str();
}

// A storage may have been resized to nothing while its tensors stayed, as sharded training does.
inline void check_memory(const char* op, const char* name, const Tensor& tensor) {
  if (tensor.numel() > 0 && !tensor.data_ptr())
    fail(op, name, ": expected a tensor with memory, got one whose storage was freed");
}

inline void check_dtype(const char* op, const char* name, const Tensor& tensor, ScalarType dtype) {
  check_memory(op, name, tensor);
  if (tensor.scalar_type() != dtype)
    fail(op, name, ": expected dtype ", torch::headeronly::toString(dtype), ", got ",
         torch::headeronly::toString(tensor.scalar_type()));
}

// -1 stands for any size.
inline void check_shape(const char* op, const char* name, const Tensor& tensor, std::initializer_list<int64_t> shape) {
  bool equal = tensor.dim() == int64_t(shape.size());
  int64_t d = 0;
  for (const int64_t size : shape) equal = equal && (size < 0 || tensor.size(d) == size), ++d;
  if (equal) return;
  std::ostringstream expected;
  d = 0;
  for (const int64_t size : shape) {
    expected << (d++ ? ", " : "");
    if (size < 0)
      expected << "*";
    else
      expected << size;
  }
  fail(op, name, ": expected shape [", expected.str(), "], got ", shape_of(tensor));
}

inline void check_same_shape(const char* op, const char* name, const Tensor& tensor, const Tensor& like) {
  const auto sizes = tensor.sizes(), expected = like.sizes();
  if (!std::equal(sizes.begin(), sizes.end(), expected.begin(), expected.end()))
    fail(op, name, ": expected shape ", shape_of(like), ", got ", shape_of(tensor));
}

inline void check_range(const char* op, const char* name, int64_t value, int64_t smallest, int64_t largest) {
  if (value < smallest || value > largest) fail(op, name, ": expected ", smallest, " to ", largest, ", got ", value);
}

inline void check_finite(const char* op, const char* name, double value, double smallest) {
  if (!(value >= smallest) || std::isinf(value))
    fail(op, name, ": expected a finite number of at least ", smallest, ", got ", value);
}

// The product of sizes >= 0, for what an operator allocates; below the limit the allocator has its say.
inline int64_t checked_count(const char* op, const char* name, std::initializer_list<int64_t> sizes) {
  constexpr int64_t kMost = int64_t(1) << 40;
  int64_t count = 1;
  bool fits = true;
  for (const int64_t size : sizes) fits = fits && !__builtin_mul_overflow(count, size, &count);
  if (fits && count <= kMost) return count;
  std::ostringstream product;
  for (const int64_t size : sizes) product << (product.tellp() > 0 ? " x " : "") << size;
  fail(op, name, ": expected at most 2^40 numbers to be made of it, got ", product.str());
}

// The first of the rows that any thread finds to be bad.
class FirstBad {
 public:
  void note(int64_t row) {
    for (int64_t first = row_; row < first && !row_.compare_exchange_weak(first, row);) {
    }
  }
  bool found() const { return row_ < INT64_MAX; }
  int64_t row() const { return row_; }

 private:
  std::atomic<int64_t> row_{INT64_MAX};
};

// Options of a network, within what counts fit int64 and maps fit the memory; zcfast/nets/options.py has the same.
inline void check_network(const char* op, int64_t stem_channels, int64_t modules, int64_t classes, int64_t resolution,
                          int64_t image_channels) {
  check_range(op, "stem_channels", stem_channels, 1, 2048);
  check_range(op, "modules", modules, 1, 100);
  check_range(op, "classes", classes, 1, 1000000);
  check_range(op, "resolution", resolution, 1, 1024);
  check_range(op, "image_channels", image_channels, 1, 1024);
}

// E|w| of an initialisation (csrc/initialisation.h).
inline void check_initialisation(const char* op, double scale, double linear_mean, double bias_scale) {
  check_finite(op, "init_scale", scale, 0);
  check_finite(op, "init_linear_mean", linear_mean, 0);
  check_finite(op, "init_bias_scale", bias_scale, 0);
}

inline void check_same_device(const char* op, const char* name, const Tensor& tensor, const Tensor& like) {
  if (tensor.is_cuda() != like.is_cuda() || tensor.get_device_index() != like.get_device_index())
    fail(op, name, ": expected a tensor on the device of the other arguments");
}

}  // namespace zcfast

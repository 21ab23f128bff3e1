// The protocol buffer ModelMetrics of NAS-Bench-101 (nasbench/lib/model_metrics.proto), the fields that tables need.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "formats.h"

namespace py = pybind11;

namespace {

constexpr int kDoubles = 5;  // of EvaluationData: current_epoch, training_time, train, validation and test accuracy
enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Reads one message field by field; every read is checked against the end of the message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  uint64_t number = 0, varint = 0;
  Wire wire = kVarint;
  std::string_view bytes;  // of a field of any wire type but varint

  bool next() {
    if (rest_.empty()) return false;
    const uint64_t tag = read_varint();
    number = tag >> 3;
    wire = Wire(tag & 7);
    if (number == 0) throw std::invalid_argument("a field of a ModelMetrics message has number 0");
    switch (wire) {
      case kVarint:
        varint = read_varint();
        return true;
      case kFixed64:
        bytes = take(8);
        return true;
      case kBytes:
        bytes = take(read_varint());
        return true;
      case kFixed32:
        bytes = take(4);
        return true;
    }
    throw std::invalid_argument("a ModelMetrics message has a field of an unknown type");
  }

 private:
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) throw std::invalid_argument("a ModelMetrics message ends within a field");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  uint64_t read_varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = uint8_t(take(1)[0]);
      value |= uint64_t(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw std::invalid_argument("a ModelMetrics message has a number of more than 64 bits");
  }

  std::string_view rest_;
};

py::tuple evaluation(std::string_view message) {
  double values[kDoubles];
  for (double& value : values) value = std::nan("");
  for (Fields field(message); field.next();) {
    if (field.number <= kDoubles && field.wire == kFixed64) {
      std::memcpy(&values[field.number - 1], field.bytes.data(), 8);
    }
  }
  return py::make_tuple(values[0], values[1], values[2], values[3], values[4]);
}

py::list evaluations(const py::bytes& message) {
  py::list result;
  for (Fields field{std::string_view(message)}; field.next();) {
    if (field.number == 1 && field.wire == kBytes) result.append(evaluation(field.bytes));
  }
  return result;
}

}  // namespace

void zcfast::register_model_metrics(py::module_& module) {
  module.def("model_metrics", &evaluations,
             "The evaluations of a serialised ModelMetrics: (current_epoch, training_time, train_accuracy, "
             "validation_accuracy, test_accuracy) each, NaN where absent.");
}

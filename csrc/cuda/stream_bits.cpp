#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include "on_device.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "stream_bits";

Tensor stream_bits(const Tensor& keys, int64_t step, int64_t draws) {
  check_dtype(kOp, "keys", keys, ScalarType::Long);
  check_shape(kOp, "keys", keys, {-1});
  check_range(kOp, "step", step, 0, INT64_MAX);
  check_range(kOp, "draws", draws, 0, int64_t(1) << 31);
  checked_count(kOp, "draws", {keys.size(0), draws});
  const OnDevice device(kOp, keys);
  const Tensor in = torch::stable::contiguous(keys);
  Tensor bits = torch::stable::new_empty(in, {in.size(0), draws});
  device.check(launch_stream_bits(static_cast<const int64_t*>(in.data_ptr()), step, draws, bits.numel(),
                                  static_cast<int64_t*>(bits.data_ptr()), device.stream()));
  return bits;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("stream_bits", TORCH_BOX(&stream_bits)); }

}  // namespace zcfast

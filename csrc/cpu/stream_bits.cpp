// Random bits of many runs (csrc/streams.h).
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include "check.h"
#include "streams.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "stream_bits";

Tensor stream_bits(const Tensor& keys, int64_t step, int64_t draws) {
  check_dtype(kOp, "keys", keys, ScalarType::Long);
  check_shape(kOp, "keys", keys, {-1});
  check_range(kOp, "step", step, 0, INT64_MAX);
  check_range(kOp, "draws", draws, 0, int64_t(1) << 31);
  checked_count(kOp, "draws", {keys.size(0), draws});
  const Tensor in = torch::stable::contiguous(keys);
  Tensor bits = torch::stable::new_empty(in, {in.size(0), draws});
  const auto* key = static_cast<const int64_t*>(in.data_ptr());
  auto* out = static_cast<int64_t*>(bits.data_ptr());
  torch::stable::parallel_for(0, in.size(0), 1 + 16384 / (draws + 1), [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      const Draws stream(key[run], step);
      for (int64_t draw = 0; draw < draws; ++draw) out[run * draws + draw] = int64_t(stream.bits(draw));
    }
  });
  return bits;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("stream_bits", TORCH_BOX(&stream_bits)); }

}  // namespace zcfast

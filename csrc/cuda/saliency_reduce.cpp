#include <torch/csrc/stable/library.h>

#include "../saliency_tensors.h"
#include "on_device.h"

namespace zcfast {
namespace {

// The layers from `first` on, as many as a table holds.
SaliencyTable table_of(const SaliencyTensors& tensors, size_t first) {
  SaliencyTable table = {};
  for (size_t l = first; l < tensors.layers.size() && table.layers < kSaliencyLayers; ++l) {
    const DensePair& pair = tensors.layers[l];
    const int64_t numel = pair.second.numel(), chunks = (numel + kSaliencyChunk - 1) / kSaliencyChunk;
    table.layer[table.layers++] = {tensors.with_weights ? pair.first.data_ptr() : nullptr, pair.second.data_ptr(),
                                   numel, table.chunks, element_of(pair.second)};
    table.chunks += int32_t(chunks);
  }
  return table;
}

Tensor saliency_reduce(const std::vector<Tensor>& weights, const std::vector<Tensor>& grads,
                       const std::vector<std::string>& kinds) {
  constexpr const char* kOp = SaliencyTensors::kOp;
  const SaliencyTensors tensors(weights, grads, kinds);
  SaliencyRows rows = {int32_t(tensors.rows.size()), {}};
  if (rows.count > kSaliencyRows) fail(kOp, "kinds: expected at most ", kSaliencyRows, ", got ", rows.count);
  std::copy(tensors.rows.begin(), tensors.rows.end(), rows.kind);
  const auto layers = int64_t(tensors.layers.size());
  const OnDevice device(kOp, grads[0]);
  Tensor out = torch::stable::new_empty(grads[0], {rows.count, layers}, ScalarType::Double);
  for (int64_t first = 0; rows.count > 0 && first < layers; first += kSaliencyLayers) {
    const SaliencyTable table = table_of(tensors, size_t(first));
    const Tensor partial = torch::stable::new_empty(grads[0], {table.chunks, kSaliencyKinds}, ScalarType::Double);
    device.check(launch_saliency_reduce(table, rows, tensors.with_weights, static_cast<double*>(partial.data_ptr()),
                                        static_cast<double*>(out.data_ptr()) + first, layers, device.stream()));
  }
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("saliency_reduce", TORCH_BOX(&saliency_reduce)); }

}  // namespace zcfast

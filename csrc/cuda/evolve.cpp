#include <torch/csrc/stable/library.h>

#include "../evolution_tensors.h"
#include "on_device.h"

namespace zcfast {
namespace {

std::tuple<Tensor, Tensor, Tensor> evolve(const Tensor& keys, int64_t asked, int64_t steps, const Tensor& initial,
                                          const Tensor& rows, const Tensor& accuracies, int64_t tournament,
                                          const Tensor& offsets, const Tensor& ids, const std::optional<Tensor>& moves,
                                          double ratio, const Tensor& values) {
  const EvolutionTensors tensors(keys, asked, steps, initial, rows, accuracies, tournament, offsets, ids, moves, ratio,
                                 values);
  const OnDevice device(EvolutionTensors::kOp, keys);
  const EvolutionRuns runs = tensors.runs();
  const Tensor drawn = torch::stable::new_empty(keys, {runs.count, tournament});
  const Tensor taken = torch::stable::new_empty(keys, {runs.count, runs.pool}, ScalarType::Char);
  device.check(launch_evolve(tensors.space(), runs, static_cast<int64_t*>(drawn.data_ptr()),
                             static_cast<int8_t*>(taken.data_ptr()), device.stream()));
  return {tensors.trained, tensors.rows, tensors.accuracies};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CUDA, m) { m.impl("evolve", TORCH_BOX(&evolve)); }

}  // namespace zcfast

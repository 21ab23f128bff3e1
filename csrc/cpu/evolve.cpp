// Ageing evolution by look-up (csrc/evolution.h), one run after the other.
#include <torch/csrc/stable/library.h>

#include <vector>

#include "evolution_tensors.h"

namespace zcfast {
namespace {

std::tuple<Tensor, Tensor, Tensor> evolve(const Tensor& keys, int64_t asked, int64_t steps, const Tensor& initial,
                                          const Tensor& rows, const Tensor& accuracies, int64_t tournament,
                                          const Tensor& offsets, const Tensor& ids, const std::optional<Tensor>& moves,
                                          double ratio, const Tensor& values) {
  const EvolutionTensors tensors(keys, asked, steps, initial, rows, accuracies, tournament, offsets, ids, moves, ratio,
                                 values);
  const EvolutionSpace space = tensors.space();
  const EvolutionRuns runs = tensors.runs();
  std::vector<EvolutionFault> faults(runs.count);
  torch::stable::parallel_for(0, runs.count, 16, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> drawn(tournament);
    std::vector<int8_t> taken(runs.pool);
    for (int64_t run = begin; run < end; ++run) {
      EvolutionRun evolution(space, runs, run, drawn.data(), taken.data());
      if (const int64_t step = evolution.advance(); step >= 0) faults[run] = evolution.fault(step);
    }
  });
  for (const EvolutionFault& fault : faults)
    if (fault.name) tensors.fail_with(fault);
  return {tensors.trained, tensors.rows, tensors.accuracies};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("evolve", TORCH_BOX(&evolve)); }

}  // namespace zcfast

// One thread a run of ageing evolution: a step hangs on the one before, and its few look-ups wait for memory.
#pragma once
#include "../evolution.h"

namespace zcfast {

// drawn [runs, tournament] and taken [runs, pool] are scratch.
__global__ void evolve_kernel(const __grid_constant__ EvolutionSpace space, const __grid_constant__ EvolutionRuns runs,
                              int64_t* drawn, int8_t* taken) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t run = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; run < runs.count; run += stride)
    EvolutionRun(space, runs, run, drawn + run * runs.tournament, taken + run * runs.pool).advance();
}

}  // namespace zcfast

#include "evolve.cuh"
#include "launch.cuh"
#include "launch.h"

namespace zcfast {
namespace {

constexpr int kEvolveThreads = 32;  // few runs spread over many multiprocessors

}  // namespace

int launch_evolve(const EvolutionSpace& space, const EvolutionRuns& runs, int64_t* drawn, int8_t* taken, void* stream) {
  if (runs.count == 0) return cudaSuccess;
  const int64_t blocks = std::min((runs.count + kEvolveThreads - 1) / kEvolveThreads, kMaxBlocks);
  evolve_kernel<<<unsigned(blocks), kEvolveThreads, 0, static_cast<cudaStream_t>(stream)>>>(space, runs, drawn, taken);
  return cudaGetLastError();
}

}  // namespace zcfast

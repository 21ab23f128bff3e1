// Resident threads of a multiprocessor in per cent, by NVIDIA's own calculator, for each line of standard input:
// architecture (75, ...), registers a thread, shared bytes a block, threads a block.
#include <cuda_occupancy.h>

#include <cstdio>

namespace {

struct Architecture {
  int number, threads;
  size_t shared, shared_of_block, reserved;
};

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
constexpr Architecture kArchitectures[] = {
    {75, 1024, 64 << 10, 64 << 10, 0},      {80, 2048, 164 << 10, 163 << 10, 1024},
    {86, 1536, 100 << 10, 99 << 10, 1024},  {89, 1536, 100 << 10, 99 << 10, 1024},
    {90, 2048, 228 << 10, 227 << 10, 1024}, {100, 2048, 228 << 10, 227 << 10, 1024},
    {120, 1536, 100 << 10, 99 << 10, 1024},
};

int occupancy(const Architecture& architecture, int registers, size_t shared, int threads) {
  cudaOccDeviceProp device;
  device.computeMajor = architecture.number / 10, device.computeMinor = architecture.number % 10;
  device.maxThreadsPerBlock = 1024, device.maxThreadsPerMultiprocessor = architecture.threads;
  device.regsPerBlock = device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 48 << 10, device.sharedMemPerBlockOptin = architecture.shared_of_block;
  device.sharedMemPerMultiprocessor = architecture.shared;
  device.reservedSharedMemPerBlock = architecture.reserved;
  device.numSms = 1;
  cudaOccFuncAttributes kernel;
  kernel.maxThreadsPerBlock = threads, kernel.numRegs = registers, kernel.sharedSizeBytes = shared;
  kernel.maxDynamicSharedSizeBytes = 48 << 10;
  kernel.partitionedGCConfig = PARTITIONED_GC_OFF, kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_DEFAULT;
  kernel.numBlockBarriers = 1;
  const cudaOccDeviceState state;
  cudaOccResult result;
  const auto error = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, 0);
  if (error != CUDA_OCC_SUCCESS) return -1;
  return 100 * result.activeBlocksPerMultiprocessor * threads / architecture.threads;
}

}  // namespace

int main() {
  int number, registers, threads;
  size_t shared;
  while (std::scanf("%d %d %zu %d", &number, &registers, &shared, &threads) == 4) {
    int value = -1;
    for (const Architecture& architecture : kArchitectures)
      if (architecture.number == number) value = occupancy(architecture, registers, shared, threads);
    std::printf("%d\n", value);
  }
}

#include "launch.cuh"
#include "launch.h"
#include "stream_bits.cuh"

namespace zcfast {

int launch_stream_bits(const int64_t* keys, int64_t step, int64_t draws, int64_t count, int64_t* bits, void* stream) {
  if (count == 0) return cudaSuccess;
  stream_bits_kernel<<<blocks_for(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(keys, step, draws, count,
                                                                                            bits);
  return cudaGetLastError();
}

}  // namespace zcfast

#include "launch.cuh"
#include "launch.h"
#include "nasbench101_index.cuh"

namespace zcfast {

int launch_nasbench101_index(CellBatch cells, CellTables tables, int64_t count, int64_t* index, int8_t* validity,
                             void* stream) {
  if (count == 0) return cudaSuccess;
  nasbench101_index_kernel<<<blocks_for(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(cells, tables, count,
                                                                                                  index, validity);
  return cudaGetLastError();
}

const char* cuda_error_text(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

}  // namespace zcfast

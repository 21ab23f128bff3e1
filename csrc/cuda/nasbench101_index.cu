#include <algorithm>

#include "launch.h"
#include "nasbench101_index.cuh"

namespace zcfast {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;  // the loop strides over the rest

int launch_nasbench101_index(CellBatch cells, CellTables tables, int64_t count, int64_t* index, int8_t* validity,
                             void* stream) {
  if (count == 0) return cudaSuccess;
  const auto blocks = unsigned(std::min((count + kThreads - 1) / kThreads, kMaxBlocks));
  nasbench101_index_kernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(cells, tables, count, index,
                                                                                       validity);
  return cudaGetLastError();
}

const char* cuda_error_text(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

}  // namespace zcfast

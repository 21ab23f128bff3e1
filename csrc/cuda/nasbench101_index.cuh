// One thread a cell: check, prune, look up. Shared by the launch below nvcc and by tests that run kernels on the CPU.
#pragma once
#include "../cell.h"

namespace zcfast {

__global__ void nasbench101_index_kernel(CellBatch cells, CellTables tables, int64_t count, int64_t* index,
                                         int8_t* validity) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    Cell cell = cells[i];
    const Validity why = validate(cell);
    validity[i] = why;
    index[i] = why == kValid ? index_of(cell, tables) : -1;
  }
}

}  // namespace zcfast

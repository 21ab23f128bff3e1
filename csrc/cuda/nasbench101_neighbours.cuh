// One thread a cell; its candidates one after the other into a row of its own.
#pragma once
#include "../cell.h"

namespace zcfast {

__global__ void nasbench101_neighbours_kernel(CellBatch cells, CellTables tables, int64_t count, int64_t relation,
                                              int32_t* ids, int64_t* counts) {
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    Cell cell = cells[i];
    int32_t* row = ids + i * kMaxNeighbours;
    const int found = validate(cell) == kValid ? neighbours_of(cell, tables, relation, row) : -1;
    counts[i] = found;
    for (int k = found < 0 ? 0 : found; k < kMaxNeighbours; ++k) row[k] = -1;
  }
}

}  // namespace zcfast

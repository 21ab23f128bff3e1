#include "launch.cuh"
#include "launch.h"
#include "nasbench101_neighbours.cuh"

namespace zcfast {

int launch_nasbench101_neighbours(CellBatch cells, CellTables tables, int64_t count, int64_t relation, int32_t* ids,
                                  int64_t* counts, void* stream) {
  if (count == 0) return cudaSuccess;
  nasbench101_neighbours_kernel<<<blocks_for(count * kCandidateLanes), kThreads, 0,
                                  static_cast<cudaStream_t>(stream)>>>(cells, tables, count, relation, ids, counts);
  return cudaGetLastError();
}

}  // namespace zcfast

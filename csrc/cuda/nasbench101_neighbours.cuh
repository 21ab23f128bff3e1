// One warp a cell, one lane a candidate: each makes its edit, prunes and looks up; then the lanes compare.
#pragma once
#include "../cell.h"

namespace zcfast {

constexpr int kCandidateLanes = 32;
static_assert(kMaxNeighbours <= kCandidateLanes);

// A cell that is invalid, or that the tables lead to no index, counts -1. Blocks are whole warps. Every lane of a warp
// has the same cell, so all of them meet in the shuffles.
__global__ void nasbench101_neighbours_kernel(CellBatch cells, CellTables tables, int64_t count, int64_t relation,
                                              int32_t* ids, int64_t* counts) {
  constexpr uint32_t kAll = 0xffffffffu;
  constexpr int32_t kNone = INT32_MAX;  // behind every index
  const int lane = threadIdx.x % kCandidateLanes, warps = blockDim.x / kCandidateLanes;
  const int64_t stride = int64_t(gridDim.x) * warps;
  for (int64_t i = int64_t(blockIdx.x) * warps + threadIdx.x / kCandidateLanes; i < count; i += stride) {
    Cell cell = cells[i], edited;
    const bool valid = validate(cell) == kValid;
    int32_t own = kNone;
    if (valid && lane < kMaxNeighbours && make_edit(cell, lane, relation, edited)) {
      own = int32_t(index_of(edited, tables));
      const int32_t self = int32_t(index_of(cell, tables));
      if (own == self) own = kNone;
      if (self < 0) own = self;
    }
    bool repeated = false;
    for (int other = 0; other < kMaxNeighbours; ++other)
      repeated |= __shfl_sync(kAll, own, other) == own && other < lane;
    if (repeated) own = kNone;
    int rank = 0, found = 0;
    bool lost = false;
    for (int other = 0; other < kMaxNeighbours; ++other) {
      const int32_t index = __shfl_sync(kAll, own, other);
      rank += index < own;
      found += index != kNone;
      lost |= index < 0;
    }
    if (lost) own = kNone, found = 0;
    int32_t* row = ids + i * kMaxNeighbours;
    if (own != kNone) row[rank] = own;
    if (lane >= found && lane < kMaxNeighbours) row[lane] = -1;
    if (lane == 0) counts[i] = valid && !lost ? found : -1;
  }
}

}  // namespace zcfast

// What the kernel files offer to the operators: launches on a stream. No torch and no CUDA headers.
#pragma once
#include "../cell.h"

namespace zcfast {

// Nonzero: a cudaError_t. `stream` is a cudaStream_t.
int launch_nasbench101_index(CellBatch cells, CellTables tables, int64_t count, int64_t* index, int8_t* validity,
                             void* stream);
int launch_nasbench101_neighbours(CellBatch cells, CellTables tables, int64_t count, int64_t relation, int32_t* ids,
                                  int64_t* counts, void* stream);
const char* cuda_error_text(int error);

}  // namespace zcfast

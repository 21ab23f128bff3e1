// What the kernel files offer to the operators: launches on a stream. No torch and no CUDA headers.
#pragma once
#include "../cell.h"

namespace zcfast {

// Nonzero: a cudaError_t. `stream` is a cudaStream_t.
int launch_nasbench101_index(CellBatch cells, CellTables tables, int64_t count, int64_t* index, int8_t* validity,
                             void* stream);
const char* cuda_error_text(int error);

}  // namespace zcfast

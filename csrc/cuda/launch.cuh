// Grids for kernels of one thread an element that stride over the rest.
#pragma once
#include <algorithm>
#include <cstdint>

namespace zcfast {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

inline unsigned blocks_for(int64_t count) { return unsigned(std::min((count + kThreads - 1) / kThreads, kMaxBlocks)); }

}  // namespace zcfast

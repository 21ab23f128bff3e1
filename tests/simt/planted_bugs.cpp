// `planted_bugs NAME`: 0 if every schedule gave the right result, 1 and what was found if not.
#include "planted_bugs.cuh"

#include <memory>

#include "check.h"

namespace {

using namespace planted;

constexpr int kRows = 3, kColumns = 100;

template <Bug bug>
void run_all() {
  std::unique_ptr<float[]> x(new float[kRows * kColumns]);  // aligned to 16 bytes
  for (int i = 0; i < kRows * kColumns; ++i) x[i] = float(i % 17) - 5;
  double expected[kRows] = {};
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) expected[r] += x[r * kColumns + c] * (1 + x[r * kColumns + c]);
  for (const simt::Schedule schedule : check::schedules(6)) {
    double sums[kRows] = {};
    float neighbours[kRows * kThreads] = {};
    simt::launch({.grid = {kRows}, .block = {kThreads}, .schedule = schedule}, sum_rows<bug>,
                 static_cast<const float*>(x.get()), kColumns, sums, neighbours);
    for (int r = 0; r < kRows; ++r) {
      check::equal(sums[r], expected[r], "sum");
      for (int t = 0; t < kThreads; ++t) {
        const int next = t / 32 * 32 + (t + 1) % 32;
        check::equal(neighbours[r * kThreads + t], next < kColumns ? x[r * kColumns + next] : 0.0f, "neighbour");
      }
    }
  }
}

const check::Case kCases[] = {
    {"none", run_all<kNone>},
    {"no_barrier_before_read", run_all<kNoBarrierBeforeRead>},
    {"no_barrier_before_reuse", run_all<kNoBarrierBeforeReuse>},
    {"divergent_barrier", run_all<kDivergentBarrier>},
    {"shared_out_of_bounds", run_all<kSharedOutOfBounds>},
    {"exit_before_shuffle", run_all<kExitBeforeShuffle>},
    {"no_warp_barrier", run_all<kNoWarpBarrier>},
    {"blocks_race", run_all<kBlocksRace>},
    {"read_before_write", run_all<kReadBeforeWrite>},
    {"misaligned_vector", run_all<kMisalignedVector>},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

// The winner among some members of each run's pool, drawn without replacement (R. Floyd's algorithm, CACM 1987).
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <limits>
#include <vector>

#include "check.h"
#include "streams.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "tournament";

// The slot of the highest accuracy, of equal ones the first that was drawn; -1 where all are NaN or -inf.
int64_t winner(const Draws& stream, const double* accuracies, int64_t pool, int64_t size, int64_t* slots, char* taken) {
  for (int64_t draw = 0; draw < size; ++draw) slots[draw] = stream.below(draw, pool - size + draw + 1);
  int64_t best = -1;
  double highest = -std::numeric_limits<double>::infinity();
  for (int64_t draw = 0; draw < size; ++draw) {
    const int64_t slot = taken[slots[draw]] ? pool - size + draw : slots[draw];
    taken[slot] = 1, slots[draw] = slot;
    const bool higher = accuracies[slot] > highest;
    best = higher ? slot : best;
    highest = higher ? accuracies[slot] : highest;
  }
  for (int64_t draw = 0; draw < size; ++draw) taken[slots[draw]] = 0;
  return best;
}

Tensor tournament(const Tensor& keys, int64_t step, const Tensor& accuracies, int64_t size) {
  check_dtype(kOp, "keys", keys, ScalarType::Long);
  check_shape(kOp, "keys", keys, {-1});
  check_dtype(kOp, "accuracies", accuracies, ScalarType::Double);
  check_shape(kOp, "accuracies", accuracies, {keys.size(0), -1});
  check_range(kOp, "size", size, 1, accuracies.size(1));
  const Tensor in = torch::stable::contiguous(keys), values = torch::stable::contiguous(accuracies);
  Tensor slots = torch::stable::new_empty(in, {in.size(0)});
  const auto* key = static_cast<const int64_t*>(in.data_ptr());
  const auto* value = static_cast<const double*>(values.data_ptr());
  auto* out = static_cast<int64_t*>(slots.data_ptr());
  const int64_t pool = values.size(1);
  torch::stable::parallel_for(0, in.size(0), 1024, [&](int64_t begin, int64_t end) {
    std::vector<char> taken(pool);
    std::vector<int64_t> drawn(size);
    for (int64_t run = begin; run < end; ++run)
      out[run] = winner(Draws(key[run], step), value + run * pool, pool, size, drawn.data(), taken.data());
  });
  return slots;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("tournament", TORCH_BOX(&tournament)); }

}  // namespace zcfast

// Ageing evolution by look-up: many trainings of each run, one run after the other, as
// zcfast/search/ageing_evolution.py defines them one training at a time.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <limits>
#include <optional>
#include <vector>

#include "check.h"
#include "streams.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "evolve";

struct Space {
  const int64_t *offsets, *ids, *moves;  // moves: null without move proposal
  const double* values;
  int64_t size;
  double ratio;
};

// One run's pool; slot k % pool holds the k-th that was trained.
class Run {
 public:
  Run(const Space& space, int64_t pool, int64_t tournament)
      : space_(space), pool_(pool), drawn_(tournament), taken_(pool) {}

  void advance(int64_t key, int64_t asked, int64_t steps, const int64_t* initial, int64_t* rows, double* accuracies,
               int64_t* trained) {
    for (int64_t step = asked; step < asked + steps; ++step) {
      const int64_t row = step < pool_ ? initial[step] : proposal(key, step, rows, accuracies);
      rows[step % pool_] = row, accuracies[step % pool_] = space_.values[row];
      trained[step - asked] = row;
    }
  }

 private:
  int64_t proposal(int64_t key, int64_t step, const int64_t* rows, const double* accuracies) {
    const int64_t slot = winner(Draws(key, 2 * step), accuracies);
    const Draws draws(key, 2 * step + 1);
    if (slot < 0) return draws.below(0, space_.size);
    const int64_t parent = rows[slot], first = space_.offsets[parent], count = space_.offsets[parent + 1] - first;
    if (space_.moves && draws.uniform(2) < space_.ratio) return space_.moves[parent];
    return count > 0 ? space_.ids[first + draws.below(1, count)] : parent;
  }

  // The slot of the highest accuracy among members drawn without replacement (R. Floyd's algorithm, CACM 1987), of
  // equal ones the first drawn; -1 where all are NaN or -inf.
  int64_t winner(const Draws& draws, const double* accuracies) {
    const int64_t size = int64_t(drawn_.size());
    for (int64_t draw = 0; draw < size; ++draw) drawn_[draw] = draws.below(draw, pool_ - size + draw + 1);
    int64_t best = -1;
    double highest = -std::numeric_limits<double>::infinity();
    for (int64_t draw = 0; draw < size; ++draw) {
      const int64_t slot = taken_[drawn_[draw]] ? pool_ - size + draw : drawn_[draw];
      taken_[slot] = 1, drawn_[draw] = slot;
      const bool higher = accuracies[slot] > highest;
      best = higher ? slot : best;
      highest = higher ? accuracies[slot] : highest;
    }
    for (const int64_t slot : drawn_) taken_[slot] = 0;
    return best;
  }

  const Space& space_;
  int64_t pool_;
  std::vector<int64_t> drawn_;
  std::vector<char> taken_;
};

void check_vector(const char* name, const Tensor& tensor, ScalarType dtype, std::initializer_list<int64_t> shape) {
  check_dtype(kOp, name, tensor, dtype);
  check_shape(kOp, name, tensor, shape);
}

std::tuple<Tensor, Tensor, Tensor> evolve(const Tensor& keys, int64_t asked, int64_t steps, const Tensor& initial,
                                          const Tensor& rows, const Tensor& accuracies, int64_t tournament,
                                          const Tensor& offsets, const Tensor& ids, const std::optional<Tensor>& moves,
                                          double ratio, const Tensor& values) {
  const int64_t runs = keys.size(0), pool = rows.size(1), size = values.size(0);
  check_vector("keys", keys, ScalarType::Long, {-1});
  check_vector("initial", initial, ScalarType::Long, {runs, pool});
  check_vector("rows", rows, ScalarType::Long, {runs, pool});
  check_vector("accuracies", accuracies, ScalarType::Double, {runs, pool});
  check_vector("values", values, ScalarType::Double, {-1});
  check_vector("offsets", offsets, ScalarType::Long, {size + 1});
  check_vector("ids", ids, ScalarType::Long, {-1});
  if (moves) check_vector("moves", *moves, ScalarType::Long, {size});
  check_range(kOp, "tournament", tournament, 1, pool);
  check_range(kOp, "steps", steps, 0, int64_t(1) << 31);
  const auto contiguous = [](const Tensor& tensor) { return torch::stable::contiguous(tensor); };
  const Tensor key = contiguous(keys), first = contiguous(initial), table = contiguous(values);
  const Tensor starts = contiguous(offsets), neighbours = contiguous(ids), proposed = contiguous(moves ? *moves : ids);
  Tensor pool_rows = torch::stable::clone(contiguous(rows)), reached = torch::stable::clone(contiguous(accuracies));
  Tensor trained = torch::stable::new_empty(key, {runs, steps});
  const auto integers = [](const Tensor& tensor) { return static_cast<int64_t*>(tensor.data_ptr()); };
  const auto doubles = [](const Tensor& tensor) { return static_cast<double*>(tensor.data_ptr()); };
  const Space space{
      integers(starts), integers(neighbours), moves ? integers(proposed) : nullptr, doubles(table), size, ratio};
  torch::stable::parallel_for(0, runs, 16, [&](int64_t begin, int64_t end) {
    Run run(space, pool, tournament);
    for (int64_t r = begin; r < end; ++r)
      run.advance(integers(key)[r], asked, steps, integers(first) + r * pool, integers(pool_rows) + r * pool,
                  doubles(reached) + r * pool, integers(trained) + r * steps);
  });
  return {trained, pool_rows, reached};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("evolve", TORCH_BOX(&evolve)); }

}  // namespace zcfast

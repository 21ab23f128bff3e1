// Ageing evolution by look-up: many trainings of one run, as zcfast/search/ageing_evolution.py defines them one
// training at a time. No torch headers.
#pragma once
#include <limits>

#include "streams.h"

namespace zcfast {

struct EvolutionSpace {
  const int64_t *offsets, *ids, *moves;  // moves: null without move proposal
  const double* values;
  int64_t size;
  double ratio;
};

// R runs: keys [R], initial, rows and accuracies [R, pool], trained [R, steps]; slot k % pool holds the k-th that was
// trained.
struct EvolutionRuns {
  const int64_t *keys, *initial;
  int64_t* rows;
  double* accuracies;
  int64_t* trained;
  int64_t count, asked, steps, pool, tournament;
};

class EvolutionRun {
 public:
  // drawn [tournament] and taken [pool] are scratch.
  ZCFAST_HOST_DEVICE EvolutionRun(const EvolutionSpace& space, const EvolutionRuns& runs, int64_t run, int64_t* drawn,
                                  int8_t* taken)
      : space_(space),
        runs_(runs),
        run_(run),
        rows_(runs.rows + run * runs.pool),
        accuracies_(runs.accuracies + run * runs.pool),
        drawn_(drawn),
        taken_(taken) {
    for (int64_t slot = 0; slot < runs.pool; ++slot) taken_[slot] = 0;
  }

  ZCFAST_HOST_DEVICE void advance() {
    for (int64_t step = runs_.asked; step < runs_.asked + runs_.steps; ++step) {
      const int64_t row = step < runs_.pool ? runs_.initial[run_ * runs_.pool + step] : proposal(step);
      rows_[step % runs_.pool] = row, accuracies_[step % runs_.pool] = space_.values[row];
      runs_.trained[run_ * runs_.steps + step - runs_.asked] = row;
    }
  }

 private:
  ZCFAST_HOST_DEVICE int64_t proposal(int64_t step) {
    const int64_t slot = winner(Draws(runs_.keys[run_], 2 * step));
    const Draws draws(runs_.keys[run_], 2 * step + 1);
    if (slot < 0) return draws.below(0, space_.size);
    const int64_t parent = rows_[slot], first = space_.offsets[parent], count = space_.offsets[parent + 1] - first;
    if (space_.moves && draws.uniform(2) < space_.ratio) return space_.moves[parent];
    return count > 0 ? space_.ids[first + draws.below(1, count)] : parent;
  }

  // The slot of the highest accuracy among members drawn without replacement (R. Floyd's algorithm, CACM 1987), of
  // equal ones the first drawn; -1 where all are NaN or -inf.
  ZCFAST_HOST_DEVICE int64_t winner(const Draws& draws) {
    const int64_t size = runs_.tournament, others = runs_.pool - size;
    for (int64_t draw = 0; draw < size; ++draw) drawn_[draw] = draws.below(draw, others + draw + 1);
    int64_t best = -1;
    double highest = -std::numeric_limits<double>::infinity();
    for (int64_t draw = 0; draw < size; ++draw) {
      const int64_t slot = taken_[drawn_[draw]] ? others + draw : drawn_[draw];
      taken_[slot] = 1, drawn_[draw] = slot;
      const bool higher = accuracies_[slot] > highest;
      best = higher ? slot : best;
      highest = higher ? accuracies_[slot] : highest;
    }
    for (int64_t draw = 0; draw < size; ++draw) taken_[drawn_[draw]] = 0;
    return best;
  }

  const EvolutionSpace& space_;
  const EvolutionRuns& runs_;
  int64_t run_;
  int64_t* rows_;
  double* accuracies_;
  int64_t* drawn_;
  int8_t* taken_;
};

}  // namespace zcfast

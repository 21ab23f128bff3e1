// Ageing evolution by look-up: many trainings of one run, as zcfast/search/ageing_evolution.py defines them one
// training at a time. No torch headers.
#pragma once
#include <limits>

#include "streams.h"

namespace zcfast {

struct EvolutionSpace {
  const int64_t *offsets, *ids, *moves;  // moves: null without move proposal
  const double* values;
  int64_t size, edges;  // lengths of values and ids
  double ratio;
};

// What leads a run to no architecture: the number that one of its arguments holds at a place. None where name is null.
struct EvolutionFault {
  const char* name;
  int64_t place, number;
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

  // Ends at a step that leads to no architecture, and the rest of trained is -1: gives that step, or -1.
  ZCFAST_HOST_DEVICE int64_t advance() {
    int64_t* trained = runs_.trained + run_ * runs_.steps - runs_.asked;
    const int64_t last = runs_.asked + runs_.steps;
    for (int64_t step = runs_.asked; step < last; ++step) {
      const int64_t row = step < runs_.pool ? runs_.initial[run_ * runs_.pool + step] : proposal(step);
      if (!is_row(row)) [[unlikely]] {
        for (int64_t rest = step; rest < last; ++rest) trained[rest] = -1;
        return step;
      }
      rows_[step % runs_.pool] = row, accuracies_[step % runs_.pool] = space_.values[row];
      trained[step] = row;
    }
    return -1;
  }

  // What leads the step that advance gave to none. Not for the device.
  EvolutionFault fault(int64_t step) {
    const int64_t first_slot = run_ * runs_.pool;
    if (step < runs_.pool) return {"initial", first_slot + step, runs_.initial[first_slot + step]};
    const int64_t slot = winner(Draws(runs_.keys[run_], 2 * step)), parent = rows_[slot];
    if (!is_row(parent)) return {"rows", first_slot + slot, parent};
    const Draws draws(runs_.keys[run_], 2 * step + 1);
    if (space_.moves && draws.uniform(2) < space_.ratio) return {"moves", parent, space_.moves[parent]};
    const int64_t first = space_.offsets[parent], last = space_.offsets[parent + 1];
    if (!are_places(first, last)) {
      const bool is_last = are_places(first, space_.edges);
      return {"offsets", parent + is_last, is_last ? last : first};
    }
    const int64_t place = first + draws.below(1, last - first);
    return {"ids", place, space_.ids[place]};
  }

 private:
  ZCFAST_HOST_DEVICE bool is_row(int64_t row) const { return uint64_t(row) < uint64_t(space_.size); }

  ZCFAST_HOST_DEVICE bool are_places(int64_t first, int64_t last) const {
    return uint64_t(first) <= uint64_t(last) && uint64_t(last) <= uint64_t(space_.edges);
  }

  ZCFAST_HOST_DEVICE int64_t proposal(int64_t step) {
    const int64_t slot = winner(Draws(runs_.keys[run_], 2 * step));
    const Draws draws(runs_.keys[run_], 2 * step + 1);
    if (slot < 0) return draws.below(0, space_.size);
    const int64_t parent = rows_[slot];
    if (!is_row(parent)) [[unlikely]]
      return -1;
    const int64_t first = space_.offsets[parent], last = space_.offsets[parent + 1];
    if (space_.moves && draws.uniform(2) < space_.ratio) return space_.moves[parent];
    if (!are_places(first, last)) [[unlikely]]
      return -1;
    return first < last ? space_.ids[first + draws.below(1, last - first)] : parent;
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

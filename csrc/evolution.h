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

  // A run that is led to no architecture ends there: the rest of trained is -1, the pool stays.
  ZCFAST_HOST_DEVICE EvolutionFault advance() {
    int64_t* trained = runs_.trained + run_ * runs_.steps;
    int64_t row = 0;
    for (int64_t made = 0; made < runs_.steps; ++made) {
      const int64_t step = runs_.asked + made, slot = step % runs_.pool;
      if (row >= 0)
        row = step < runs_.pool ? looked_up("initial", runs_.initial, run_ * runs_.pool + step) : proposal(step);
      trained[made] = row;
      if (row >= 0) rows_[slot] = row, accuracies_[slot] = space_.values[row];
    }
    return fault_;
  }

 private:
  ZCFAST_HOST_DEVICE int64_t fault(const char* name, int64_t place, int64_t number) {
    fault_ = {name, place, number};
    return -1;
  }

  // The architecture that a table names, or -1.
  ZCFAST_HOST_DEVICE int64_t looked_up(const char* name, const int64_t* table, int64_t place) {
    const int64_t row = table[place];
    return uint64_t(row) < uint64_t(space_.size) ? row : fault(name, place, row);
  }

  ZCFAST_HOST_DEVICE int64_t proposal(int64_t step) {
    const int64_t slot = winner(Draws(runs_.keys[run_], 2 * step));
    const Draws draws(runs_.keys[run_], 2 * step + 1);
    if (slot < 0) return draws.below(0, space_.size);
    const int64_t parent = looked_up("rows", runs_.rows, run_ * runs_.pool + slot);
    if (parent < 0) return -1;
    const int64_t first = space_.offsets[parent], last = space_.offsets[parent + 1];
    if (space_.moves && draws.uniform(2) < space_.ratio) return looked_up("moves", space_.moves, parent);
    if (uint64_t(first) > uint64_t(space_.edges)) return fault("offsets", parent, first);
    if (last < first || last > space_.edges) return fault("offsets", parent + 1, last);
    return first < last ? looked_up("ids", space_.ids, first + draws.below(1, last - first)) : parent;
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
  EvolutionFault fault_ = {nullptr, 0, 0};
};

}  // namespace zcfast

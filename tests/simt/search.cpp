// The kernels of the search: random bits against splitmix64 as published, evolution against its loop on lists.
#include <algorithm>
#include <deque>

#include "check.h"
#include "cuda/evolve.cuh"
#include "cuda/stream_bits.cuh"
#include "draw.h"

namespace {

using namespace zcfast;

// Steele, Lea and Flood, OOPSLA 2014: the k-th number of a generator that starts at `seed`.
uint64_t splitmix64(uint64_t seed, uint64_t k) {
  uint64_t z = seed + k * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::vector<int64_t> drawn_keys(int64_t runs) {
  std::vector<int64_t> keys;
  for (int64_t r = 0; r < runs; ++r) keys.push_back(int64_t(draw::random()()));
  return keys;
}

void bits_of_drawn_keys() {
  for (const int64_t draws : {int64_t(1), int64_t(7), draw::integer(2, 60)})
    for (const unsigned blocks : {1u, 3u}) {
      const std::vector<int64_t> keys = drawn_keys(draw::integer(1, 40));
      const int64_t step = draw::integer(0, int64_t(1) << 40), count = int64_t(keys.size()) * draws;
      std::vector<int64_t> bits(count, -7);
      simt::launch({{blocks}, {draw::block_size(256)}, 0, draw::schedule()}, stream_bits_kernel, keys.data(), step,
                   draws, count, bits.data());
      for (int64_t i = 0; i < count; ++i) {
        const uint64_t at_step = uint64_t(keys[i / draws]) + splitmix64(0, uint64_t(step) + 1);
        check::equal(uint64_t(bits[i]), splitmix64(splitmix64(at_step, 0), uint64_t(i % draws) + 1), "bits");
      }
    }
}

// A space with a drawn graph, in which some architectures have no neighbour and some trainings fail.
struct Space {
  std::vector<int64_t> offsets = {0}, ids, moves;
  std::vector<double> values;

  Space(int64_t size, double failed) {
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t k = draw::integer(0, 4); k > 0; --k) ids.push_back(draw::integer(0, size - 1));
      offsets.push_back(int64_t(ids.size()));
      moves.push_back(draw::integer(0, size - 1));
      const bool fails = draw::integer(0, 99) < 100 * failed;
      values.push_back(fails ? double(NAN) : double(draw::integer(0, 20)));  // few values: many are equal
    }
  }
  EvolutionSpace view(bool with_moves) const {
    return {offsets.data(),      ids.data(), with_moves ? moves.data() : nullptr, values.data(), int64_t(values.size()),
            int64_t(ids.size()), 0.6};
  }
};

// Trainings 0 to steps - 1 of one run; the pool holds the last `pool` of them, oldest first.
std::vector<int64_t> slow_run(const Space& space, bool with_moves, int64_t key, const int64_t* initial, int64_t steps,
                              int64_t pool, int64_t tournament) {
  const auto size = int64_t(space.values.size());
  std::vector<int64_t> trained(initial, initial + std::min(steps, pool));
  for (int64_t step = pool; step < steps; ++step) {
    const Draws of_tournament(key, 2 * step), of_child(key, 2 * step + 1);
    std::vector<int64_t> members;
    for (int64_t last = pool - tournament; last < pool; ++last) {
      const int64_t slot = of_tournament.below(last - pool + tournament, last + 1);
      const bool taken = std::find(members.begin(), members.end(), slot) != members.end();
      members.push_back(taken ? last : slot);
    }
    int64_t parent = -1;
    for (const int64_t slot : members) {
      // The latest training that went to this slot.
      const int64_t row = trained[step - 1 - (step - 1 - slot) % pool];
      if (std::isnan(space.values[row])) continue;
      if (parent < 0 || space.values[row] > space.values[parent]) parent = row;
    }
    int64_t child = of_child.below(0, size);
    if (parent >= 0) {
      const int64_t first = space.offsets[parent], count = space.offsets[parent + 1] - first;
      child = count > 0 ? space.ids[first + of_child.below(1, count)] : parent;
      if (with_moves && of_child.uniform(2) < 0.6) child = space.moves[parent];
    }
    trained.push_back(child);
  }
  return trained;
}

void check_evolution(const Space& space, bool with_moves, int64_t pool, int64_t tournament, unsigned blocks) {
  const int64_t steps = pool + 60, size = int64_t(space.values.size());
  const std::vector<int64_t> keys = drawn_keys(draw::integer(1, 40));
  const auto count = int64_t(keys.size());
  std::vector<int64_t> initial, rows(count * pool, -7), drawn(count * tournament, -7);
  for (int64_t i = 0; i < count * pool; ++i) initial.push_back(draw::integer(0, size - 1));
  std::vector<double> accuracies(count * pool, NAN);
  std::vector<int8_t> taken(count * pool, -7);
  // In two launches, the second of which goes on from the pool that the first left.
  const int64_t before = draw::integer(0, steps);
  for (const auto& [asked, made] : {std::pair(int64_t(0), before), std::pair(before, steps - before)}) {
    std::vector<int64_t> trained(count * made, -7);
    const EvolutionRuns runs{keys.data(), initial.data(), rows.data(), accuracies.data(), trained.data(), count,
                             asked,       made,           pool,        tournament};
    simt::launch({{blocks}, {draw::block_size(64)}, 0, draw::schedule()}, evolve_kernel, space.view(with_moves), runs,
                 drawn.data(), taken.data());
    for (int64_t r = 0; r < count; ++r) {
      const auto expected = slow_run(space, with_moves, keys[r], &initial[r * pool], steps, pool, tournament);
      for (int64_t k = 0; k < made; ++k) check::equal(trained[r * made + k], expected[asked + k], "trained");
    }
  }
}

void evolution_of_drawn_spaces() {
  for (const double failed : {0.0, 0.2, 0.9})
    for (const bool with_moves : {false, true})
      for (const unsigned blocks : {1u, 3u}) {
        const int64_t pool = draw::integer(1, 30);
        check_evolution(Space(draw::integer(1, 200), failed), with_moves, pool, draw::integer(1, pool), blocks);
      }
}

// Numbers that are no place in a table of `size`.
int64_t no_place(int64_t size) {
  const int64_t numbers[] = {
      -1, size, INT64_MIN, INT64_MAX, size + draw::integer(1, 1 << 20), -draw::integer(1, 1 << 20)};
  return numbers[draw::integer(0, 5)];
}

// Some of the numbers of every table lead nowhere: a run trains architectures, then -1 alone, and nothing outside the
// tables is read or written.
void evolution_of_broken_tables() {
  for (int drawn = 0; drawn < 60; ++drawn) {
    const int64_t size = draw::integer(1, 40), pool = draw::integer(1, 8), steps = pool + 60;
    Space space(size, 0.1);
    std::vector<int64_t> keys = drawn_keys(draw::integer(1, 20)), initial, rows;
    const auto count = int64_t(keys.size());
    for (int64_t i = 0; i < count * pool; ++i)
      initial.push_back(draw::integer(0, size - 1)), rows.push_back(draw::integer(0, size - 1));
    std::vector<int64_t>* const tables[] = {&initial, &rows, &space.offsets, &space.ids, &space.moves};
    std::vector<int64_t>& broken = *tables[drawn % 5];
    for (int64_t& number : broken)
      if (draw::integer(0, 3) == 0) number = no_place(&broken == &space.offsets ? int64_t(space.ids.size()) + 1 : size);
    std::vector<double> accuracies(count * pool, 1);
    std::vector<int64_t> drawn_slots(count * pool), trained(count * steps, -7);
    std::vector<int8_t> taken(count * pool);
    const int64_t asked = drawn % 2 ? pool : 0;
    const EvolutionRuns runs{keys.data(), initial.data(), rows.data(), accuracies.data(),     trained.data(), count,
                             asked,       steps,          pool,        draw::integer(1, pool)};
    simt::launch({{1 + unsigned(drawn % 3)}, {32}, 0, draw::schedule()}, evolve_kernel, space.view(drawn % 5 == 4),
                 runs, drawn_slots.data(), taken.data());
    for (int64_t i = 0; i < count * steps; ++i) {
      const bool ended = i % steps > 0 && trained[i - 1] == -1, is_row = trained[i] >= 0 && trained[i] < size;
      if (trained[i] != -1 && (ended || !is_row)) throw check::Failure("trained " + std::to_string(trained[i]));
    }
  }
}

const check::Case kCases[] = {
    {"evolution_of_broken_tables", evolution_of_broken_tables},
    {"bits_of_drawn_keys", bits_of_drawn_keys},
    {"evolution_of_drawn_spaces", evolution_of_drawn_spaces},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

// The kernels on NAS-Bench-101 cells against the host's code and the enumeration.
#include <limits>
#include <random>

#include "check.h"
#include "cuda/nasbench101_index.cuh"
#include "cuda/nasbench101_neighbours.cuh"
#include "enumeration.h"

namespace {

using namespace zcfast;

struct Cells {
  std::vector<int8_t> vertices, operations;
  std::vector<int32_t> edges;

  void add(int v, uint32_t e, const int8_t* o) {
    vertices.push_back(int8_t(v));
    edges.push_back(int32_t(e));
    operations.insert(operations.end(), o, o + kMaxOperations);
  }
  CellBatch batch() const { return {vertices.data(), edges.data(), operations.data()}; }
  int64_t size() const { return int64_t(vertices.size()); }
};

const Enumeration& enumeration() {
  static const Enumeration all = enumerate_cells();
  return all;
}

CellTables tables() {
  const Enumeration& all = enumeration();
  return {all.lookup.data(), all.orders[0].data(), all.class_first.data(), all.class_orbits.data(), all.orbits.data()};
}

// Encodings of every kind: cells of the space, any edges and operations, numbers that encode nothing.
Cells draw(int64_t count) {
  std::mt19937 random(5);
  Cells cells;
  for (int64_t i = 0; i < count; ++i) {
    int8_t operations[kMaxOperations];
    if (i % 3 == 0) {
      const size_t at = random() % enumeration().vertices.size();
      cells.add(enumeration().vertices[at], uint32_t(enumeration().edges[at]), enumeration().operations[at].data());
      continue;
    }
    const int vertices = i % 3 == 1 ? 2 + int(random() % 6) : int(random() % 9);
    for (int k = 0; k < kMaxOperations; ++k)
      operations[k] = i % 3 == 1 ? (k < vertices - 2 ? int8_t(random() % 3) : kNoOperation) : int8_t(random() % 5 - 1);
    cells.add(vertices, random() & ((1u << (i % 3 == 1 ? edge_slots(vertices) : 21)) - 1), operations);
  }
  return cells;
}

void check_index(const Cells& cells, const simt::Launch& launch, const std::vector<int64_t>& expected) {
  std::vector<int64_t> index(cells.size(), -7);
  std::vector<int8_t> validity(cells.size(), -7);
  simt::launch(launch, nasbench101_index_kernel, cells.batch(), tables(), cells.size(), index.data(), validity.data());
  for (int64_t i = 0; i < cells.size(); ++i) {
    Cell cell = cells.batch()[i];
    check::equal(int(validity[i]), int(validate(cell)), "validity");
    check::equal(index[i], expected[i], "index");
  }
}

void index_of_drawn_cells() {
  const Cells cells = draw(300);
  std::vector<int64_t> expected;
  for (int64_t i = 0; i < cells.size(); ++i) {
    Cell cell = cells.batch()[i];
    expected.push_back(validate(cell) == kValid ? index_of(cell, tables()) : -1);
  }
  for (const simt::Schedule schedule : check::schedules(2))
    for (const unsigned threads : {1u, 96u, 256u})
      for (const unsigned blocks : {1u, 3u}) check_index(cells, {{blocks}, {threads}, 0, schedule}, expected);
}

void index_of_enumerated_cells() {
  Cells cells;
  std::vector<int64_t> expected;
  for (size_t i = 0; i < enumeration().vertices.size(); i += 97) {
    cells.add(enumeration().vertices[i], uint32_t(enumeration().edges[i]), enumeration().operations[i].data());
    expected.push_back(int64_t(i));
  }
  check_index(cells, {{4}, {256}, 0, {}}, expected);
}

void check_neighbours(const Cells& cells, int64_t relation, const simt::Launch& launch) {
  std::vector<int32_t> ids(cells.size() * kMaxNeighbours, -7);
  std::vector<int64_t> counts(cells.size(), -7);
  simt::launch(launch, nasbench101_neighbours_kernel, cells.batch(), tables(), cells.size(), relation, ids.data(),
               counts.data());
  for (int64_t i = 0; i < cells.size(); ++i) {
    Cell cell = cells.batch()[i];
    int32_t expected[kMaxNeighbours];
    const bool valid = validate(cell) == kValid;
    const int count = valid ? neighbours_of(cell, tables(), relation, expected) : 0;
    check::equal(counts[i], int64_t(valid ? count : -1), "count");
    for (int k = 0; k < kMaxNeighbours; ++k)
      check::equal(ids[i * kMaxNeighbours + k], k < count ? expected[k] : -1, "neighbour");
  }
}

void neighbours_of_drawn_cells() {
  const Cells cells = draw(50);
  for (int64_t relation = 0; relation < kRelations; ++relation)
    for (const simt::Schedule schedule : check::schedules(1))
      for (const unsigned threads : {32u, 96u})
        for (const unsigned blocks : {1u, 3u}) check_neighbours(cells, relation, {{blocks}, {threads}, 0, schedule});
}

// Numbers of every kind in one table at a time: an index is one of the space or -1, a count -1 with no neighbour, and
// nothing outside the tables is read.
void broken_tables() {
  const Cells cells = draw(200);
  std::mt19937 random(7);
  for (int broken = 0; broken < 15; ++broken) {
    Enumeration all = enumeration();
    const auto break_some = [&](auto* numbers, size_t size) {
      using T = std::remove_pointer_t<decltype(numbers)>;
      const T values[] = {std::numeric_limits<T>::min(), T(-1),      T(-2), T(6),
                          std::numeric_limits<T>::max(), T(random())};
      for (size_t i = 0; i < size; ++i)
        if (random() % 2) numbers[i] = values[random() % 6];
    };
    switch (broken % 5) {
      case 0:
        break_some(all.lookup.data(), all.lookup.size());
        break;
      case 1:
        break_some(all.orders[0].data(), all.orders.size() * kMaxOperations);
        break;
      case 2:
        break_some(all.class_first.data(), all.class_first.size());
        break;
      case 3:
        break_some(all.class_orbits.data(), all.class_orbits.size());
        break;
      case 4:
        break_some(all.orbits.data(), all.orbits.size());
        break;
    }
    const CellTables tables{all.lookup.data(), all.orders[0].data(), all.class_first.data(), all.class_orbits.data(),
                            all.orbits.data()};
    std::vector<int64_t> index(cells.size(), -7), counts(cells.size(), -7);
    std::vector<int8_t> validity(cells.size(), -7);
    std::vector<int32_t> ids(cells.size() * kMaxNeighbours, -7);
    simt::launch({{2}, {64}, 0, {}}, nasbench101_index_kernel, cells.batch(), tables, cells.size(), index.data(),
                 validity.data());
    simt::launch({{2}, {64}, 0, {}}, nasbench101_neighbours_kernel, cells.batch(), tables, cells.size(),
                 int64_t(kPrunedEdges), ids.data(), counts.data());
    for (int64_t i = 0; i < cells.size(); ++i) {
      if (index[i] < -1 || index[i] >= kCells) throw check::Failure("index " + std::to_string(index[i]));
      for (int64_t k = 0; k < kMaxNeighbours; ++k) {
        const int32_t id = ids[i * kMaxNeighbours + k];
        if (k < counts[i] ? id < 0 || id >= kCells : id != -1) throw check::Failure("neighbour " + std::to_string(id));
      }
      if (index[i] < 0 && counts[i] > 0) throw check::Failure("neighbours of no cell");
    }
  }
}

const check::Case kCases[] = {
    {"broken_tables", broken_tables},
    {"index_of_drawn_cells", index_of_drawn_cells},
    {"index_of_enumerated_cells", index_of_enumerated_cells},
    {"neighbours_of_drawn_cells", neighbours_of_drawn_cells},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

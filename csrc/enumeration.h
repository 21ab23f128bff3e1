// Exact enumeration of the NAS-Bench-101 space and the tables that turn any cell into its canonical one by look-up.
//
// Two cells are the same if some relabelling of the inner vertices maps one onto the other. Graphs without labels are
// grouped into classes by marking the orbit of each edge mask the first time it is met; within a class, labellings are
// grouped into orbits under the automorphisms of the class's first graph. Counting masks and labellings upwards, the
// representative of every cell is the one that the original enumeration meets first.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "cell.h"

namespace zcfast {

using VertexOrder = std::array<int8_t, kMaxOperations>;  // where the inner vertices 1 .. n - 2 go

struct Enumeration {
  std::vector<int32_t> lookup = std::vector<int32_t>(kLookupSize, 0);
  std::vector<VertexOrder> orders;
  std::vector<int32_t> class_first, class_orbits, orbits;
  std::vector<int8_t> vertices;  // of every cell, in enumeration order, as are the next two
  std::vector<int32_t> edges;
  std::vector<std::array<int8_t, kMaxOperations>> operations;
};

// All orders of 1 .. count, padded with the identity, so that the first count! rows serve every smaller graph: the
// orders of the first k vertices that leave the others in place come first.
inline std::vector<VertexOrder> vertex_orders() {
  VertexOrder order;
  std::iota(order.begin(), order.end(), int8_t(1));
  std::vector<VertexOrder> orders;
  do orders.push_back(order);
  while (std::next_permutation(order.begin(), order.end()));
  const auto moved = [](const VertexOrder& o) {
    int last = kMaxOperations;
    while (last > 0 && o[last - 1] == last) --last;
    return last;
  };
  std::stable_sort(orders.begin(), orders.end(), [&](const auto& a, const auto& b) { return moved(a) < moved(b); });
  return orders;
}

inline int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

inline int power_of_three(int n) { return n == 0 ? 1 : 3 * power_of_three(n - 1); }

// Every vertex but the input has a source, every vertex but the output is one: nothing to prune.
inline bool is_full(int vertices, uint32_t edges) {
  uint32_t is_source = 0;
  for (int v = 1; v < vertices; ++v) {
    const uint32_t from = sources(edges, v);
    if (!from) return false;
    is_source |= from;
  }
  return is_source == (1u << (vertices - 1)) - 1;
}

// The mask of the graph with its inner vertices moved; false if an edge would point backwards.
inline bool move_vertices(int vertices, uint32_t edges, const VertexOrder& order, uint32_t* moved) {
  int8_t to[kMaxVertices] = {0};
  for (int v = 1; v < vertices - 1; ++v) to[v] = order[v - 1];
  to[vertices - 1] = int8_t(vertices - 1);
  *moved = 0;
  for (int v = 1; v < vertices; ++v)
    for (uint32_t from = sources(edges, v); from; from &= from - 1) {
      const int source = to[__builtin_ctz(from)];
      if (source > to[v]) return false;
      *moved |= 1u << edge_bit(source, to[v]);
    }
  return true;
}

inline void decode_labelling(int labelling, int count, int8_t* operations) {
  for (int i = count - 1; i >= 0; --i, labelling /= 3) operations[i] = int8_t(labelling % 3);
}

// Appends the cells of one class: every labelling, or one for each orbit under the automorphisms.
inline void add_class(Enumeration& all, int vertices, uint32_t edges, const std::vector<int>& automorphisms) {
  const int inner = vertices - 2, labellings = power_of_three(inner);
  const int offset = int(all.orbits.size());
  const bool symmetric = automorphisms.size() > 1;
  all.class_first.push_back(int32_t(all.vertices.size()));
  all.class_orbits.push_back(symmetric ? offset : -1);
  if (symmetric) all.orbits.resize(offset + labellings, -1);
  int32_t found = 0;
  for (int labelling = 0; labelling < labellings; ++labelling) {
    if (symmetric && all.orbits[offset + labelling] >= 0) continue;
    std::array<int8_t, kMaxOperations> operations;
    operations.fill(kNoOperation);
    decode_labelling(labelling, inner, operations.data());
    if (symmetric) {
      for (const int automorphism : automorphisms) {
        int image = 0;
        for (int v = 0; v < inner; ++v) image = 3 * image + operations[all.orders[automorphism][v] - 1];
        all.orbits[offset + image] = found;
      }
    }
    ++found;
    all.vertices.push_back(int8_t(vertices));
    all.edges.push_back(int32_t(edges));
    all.operations.push_back(operations);
  }
}

inline Enumeration enumerate_cells() {
  Enumeration all;
  all.orders = vertex_orders();
  all.vertices.reserve(kCells), all.edges.reserve(kCells), all.operations.reserve(kCells);
  std::vector<int> automorphisms;
  for (int n = 2; n <= kMaxVertices; ++n) {
    int32_t* lookup = all.lookup.data() + lookup_offset(n);
    const int order_count = factorial(n - 2);
    for (uint32_t edges = 0; edges < 1u << edge_slots(n); ++edges) {
      if (lookup[edges] || __builtin_popcount(edges) > kMaxEdges || !is_full(n, edges)) continue;
      const int32_t graph = int32_t(all.class_first.size());
      automorphisms.clear();
      for (int order = 0; order < order_count; ++order) {
        uint32_t moved;
        if (!move_vertices(n, edges, all.orders[order], &moved)) continue;
        if (moved == edges) automorphisms.push_back(order);
        if (!lookup[moved]) lookup[moved] = 1 + 128 * graph + order;
      }
      add_class(all, n, edges, automorphisms);
    }
  }
  return all;
}

}  // namespace zcfast

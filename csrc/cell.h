// NAS-Bench-101 cells (Ying et al. 2019) as plain values, for host and device code; no torch headers.
//
// A cell is a directed acyclic graph of 2 to 7 vertices in topological order: 0 is the input, the last one the output,
// the ones between carry an operation. Edge x -> y (x < y) is bit x + y (y - 1) / 2 of `edges`, the order in which the
// benchmark's own enumeration counts.
#pragma once
#include <cstdint>

#include "host_device.h"

namespace zcfast {

constexpr int kMaxVertices = 7;
constexpr int kMaxEdges = 9;
constexpr int kMaxOperations = kMaxVertices - 2;
constexpr int kOperationKinds = 3;
enum Operation : int8_t { kNoOperation = -1, kConv3x3 = 0, kConv1x1 = 1, kMaxPool3x3 = 2 };

struct Cell {
  int vertices;
  uint32_t edges;
  int8_t operations[kMaxOperations];  // of vertices 1 .. vertices - 2; the rest is kNoOperation
};

// A batch of encodings, in host or device memory.
struct CellBatch {
  const int8_t* vertices;
  const int32_t* edges;
  const int8_t* operations;

  ZCFAST_HOST_DEVICE Cell operator[](int64_t i) const {
    Cell cell{vertices[i], uint32_t(edges[i]), {}};
    for (int k = 0; k < kMaxOperations; ++k) cell.operations[k] = operations[i * kMaxOperations + k];
    return cell;
  }
};

// Why an encoding is not a cell of the space; the texts are in zcfast/spaces/nasbench101.py.
enum Validity : int8_t { kValid, kBadVertices, kBadEdgeBits, kBadOperation, kNoPath, kTooManyEdges };

ZCFAST_HOST_DEVICE int edge_bit(int from, int to) { return from + to * (to - 1) / 2; }

ZCFAST_HOST_DEVICE int edge_slots(int vertices) { return vertices * (vertices - 1) / 2; }

// The vertices with an edge into `vertex`, as a set of bits.
ZCFAST_HOST_DEVICE uint32_t sources(uint32_t edges, int vertex) {
  return (edges >> edge_bit(0, vertex)) & ((1u << vertex) - 1);
}

ZCFAST_HOST_DEVICE int count_bits(uint32_t bits) {
  int count = 0;
  for (; bits; bits &= bits - 1) ++count;
  return count;
}

// Where the masks of `vertices` vertices start in the look-up table of all edge masks (2, 8, 64, ... entries).
ZCFAST_HOST_DEVICE int64_t lookup_offset(int vertices) {
  int64_t offset = 0;
  for (int n = 2; n < vertices; ++n) offset += int64_t(1) << edge_slots(n);
  return offset;
}
constexpr int64_t kLookupSize = 2 + 8 + 64 + 1024 + 32768 + 2097152;
constexpr int64_t kClasses = 2494, kOrbits = 72918;  // graphs, and labellings of those with automorphisms
constexpr int64_t kOrders = 120, kCells = 423624;

// The vertices on some path from input to output.
ZCFAST_HOST_DEVICE uint32_t vertices_on_paths(int vertices, uint32_t edges) {
  uint32_t from_input = 1, to_output = 1u << (vertices - 1);
  for (int v = 1; v < vertices; ++v)
    if (sources(edges, v) & from_input) from_input |= 1u << v;
  for (int v = vertices - 1; v > 0; --v)
    if (to_output >> v & 1) to_output |= sources(edges, v);
  return from_input & to_output;
}

ZCFAST_HOST_DEVICE bool well_formed(const Cell& cell, Validity* why) {
  *why = kBadVertices;
  if (cell.vertices < 2 || cell.vertices > kMaxVertices) return false;
  *why = kBadEdgeBits;
  if (cell.edges >> edge_slots(cell.vertices)) return false;
  *why = kBadOperation;
  for (int i = 0; i < kMaxOperations; ++i) {
    const int operation = cell.operations[i];
    if (i < cell.vertices - 2 ? operation < 0 || operation >= kOperationKinds : operation != kNoOperation) return false;
  }
  *why = kValid;
  return true;
}

// Removes every vertex that lies on no path from input to output, as the original ModelSpec does. The caller has
// checked that the cell is well formed. False if there is no path.
ZCFAST_HOST_DEVICE bool prune(Cell& cell) {
  const uint32_t keep = vertices_on_paths(cell.vertices, cell.edges);
  if (!(keep & 1) || !(keep >> (cell.vertices - 1) & 1)) return false;
  if (keep == (1u << cell.vertices) - 1) return true;
  Cell pruned{0, 0, {kNoOperation, kNoOperation, kNoOperation, kNoOperation, kNoOperation}};
  int position[kMaxVertices] = {};
  for (int v = 0; v < cell.vertices; ++v) {
    if (!(keep >> v & 1)) continue;
    const int to = pruned.vertices;
    for (uint32_t rest = sources(cell.edges, v) & keep; rest; rest &= rest - 1)
      pruned.edges |= 1u << edge_bit(position[count_bits((rest & (0u - rest)) - 1)], to);
    if (v > 0 && v < cell.vertices - 1) pruned.operations[to - 1] = cell.operations[v - 1];
    position[v] = to;
    ++pruned.vertices;
  }
  cell = pruned;
  return true;
}

// Checks the encoding and prunes it in place.
ZCFAST_HOST_DEVICE Validity validate(Cell& cell) {
  Validity why;
  if (!well_formed(cell, &why)) return why;
  if (!prune(cell)) return kNoPath;
  return count_bits(cell.edges) > kMaxEdges ? kTooManyEdges : kValid;
}

// What enumeration.h builds: exact canonical forms by look-up.
struct CellTables {
  const int32_t* lookup;        // [kLookupSize] 0 for no cell, else 1 + 128 graph class + vertex order
  const int8_t* orders;         // [kOrders, 5] vertex v of the representative is vertex order[v - 1] of this graph
  const int32_t* class_first;   // [classes] index of the class's first cell
  const int32_t* class_orbits;  // [classes] offset in orbits, or -1 where every labelling is a cell of its own
  const int32_t* orbits;        // labelling -> cell within the class
};

// Index of the pruned, valid cell in enumeration order; -1, and nothing is read outside them, where the tables lead to
// none.
ZCFAST_HOST_DEVICE int64_t index_of(const Cell& cell, const CellTables& tables) {
  const uint32_t entry = uint32_t(tables.lookup[lookup_offset(cell.vertices) + cell.edges]) - 1u;
  const uint32_t graph = entry >> 7, place = entry & 127;
  if (graph >= kClasses || place >= kOrders) return -1;
  const int8_t* order = tables.orders + place * kMaxOperations;
  const uint32_t inner = uint32_t(cell.vertices - 2);
  uint32_t labelling = 0;
  for (uint32_t v = 0; v < inner; ++v) {
    const uint32_t from = uint32_t(order[v]) - 1u;
    if (from >= inner) return -1;
    labelling = 3 * labelling + uint32_t(cell.operations[from]);
  }
  int64_t within = labelling;
  if (const int32_t orbits = tables.class_orbits[graph]; orbits >= 0) {
    if (orbits + within >= kOrbits) return -1;
    within = tables.orbits[orbits + within];
    if (uint64_t(within) > labelling) return -1;  // as many cells come before as are among those labellings
  }
  const int64_t index = tables.class_first[graph] + within;
  return uint64_t(index) < uint64_t(kCells) ? index : -1;
}

// Which cells count as one edit away; every one changes an operation of an inner vertex.
enum Relation : int64_t {
  kOperationsOnly,
  kUnprunedEdges,  // or toggles an edge between two vertices and leaves every vertex on a path
  kPrunedEdges,    // or toggles any edge; vertices that are then on no path are removed
  kRelations
};
constexpr int kOperationEdits = (kOperationKinds - 1) * kMaxOperations;
constexpr int kMaxNeighbours = kOperationEdits + kMaxVertices * (kMaxVertices - 1) / 2;

// Makes edit number `edit` of a pruned, valid cell: first the changes of one operation, then the toggles of one edge.
// False where the cell has no such edit or the relation does not count what comes out.
ZCFAST_HOST_DEVICE bool make_edit(const Cell& cell, int edit, int64_t relation, Cell& edited) {
  edited = cell;
  if (edit < kOperationEdits) {
    const int v = edit / (kOperationKinds - 1), change = 1 + edit % (kOperationKinds - 1);
    if (v >= cell.vertices - 2) return false;
    edited.operations[v] = int8_t((cell.operations[v] + change) % kOperationKinds);
    return true;
  }
  const int bit = edit - kOperationEdits;
  if (relation == kOperationsOnly || bit >= edge_slots(cell.vertices)) return false;
  edited.edges ^= 1u << bit;
  if (!prune(edited) || count_bits(edited.edges) > kMaxEdges) return false;
  return relation != kUnprunedEdges || edited.vertices == cell.vertices;
}

// Puts an index into the sorted, distinct list.
ZCFAST_HOST_DEVICE int insert_distinct(int32_t index, int32_t* sorted, int count) {
  int at = count;
  while (at > 0 && sorted[at - 1] > index) --at;
  if (at > 0 && sorted[at - 1] == index) return count;
  for (int i = count; i > at; --i) sorted[i] = sorted[i - 1];
  sorted[at] = index;
  return count + 1;
}

// Indices of the cells one edit away from a pruned, valid cell, itself excluded, in rising order; how many there are,
// or -1 where the tables lead to no index.
ZCFAST_HOST_DEVICE int neighbours_of(const Cell& cell, const CellTables& tables, int64_t relation, int32_t* result) {
  const int32_t self = int32_t(index_of(cell, tables));
  if (self < 0) return -1;
  const int edits = kOperationEdits + (relation == kOperationsOnly ? 0 : edge_slots(cell.vertices));
  int count = 0;
  for (int edit = 0; edit < edits; ++edit) {
    Cell edited;
    if (!make_edit(cell, edit, relation, edited)) continue;
    const int32_t index = int32_t(index_of(edited, tables));
    if (index < 0) return -1;
    if (index != self) count = insert_distinct(index, result, count);
  }
  return count;
}

// Channels of every vertex of a cell whose output has `channels` (Ying et al. 2019, section 2.3): the vertices that
// feed the output share its channels, the first ones taking the remainder; the others take the largest of the vertices
// they feed. The input's entry is 0: it is projected to the channels of whatever it feeds.
ZCFAST_HOST_DEVICE void vertex_channels(int vertices, uint32_t edges, int channels, int* result) {
  const int output = vertices - 1;
  for (int v = 0; v < vertices; ++v) result[v] = 0;
  result[output] = channels;
  const uint32_t feeding = sources(edges, output) & ~1u;
  const int parts = count_bits(feeding);
  if (parts == 0) return;
  int remainder = channels % parts;
  for (int v = 1; v < output; ++v)
    if (feeding >> v & 1) result[v] = channels / parts + (remainder-- > 0 ? 1 : 0);
  for (int v = output - 1; v > 0; --v) {
    if (feeding >> v & 1) continue;
    for (int to = v + 1; to < output; ++to)
      if ((sources(edges, to) >> v & 1) && result[to] > result[v]) result[v] = result[to];
  }
}

}  // namespace zcfast

// A batch of NAS-Bench-101 cells as the operators take it: three checked, contiguous tensors.
#pragma once
#include <torch/csrc/stable/ops.h>

#include "cell.h"
#include "check.h"

namespace zcfast {

struct CellTensors {
  Tensor vertices, edges, operations;

  CellTensors(const char* op, const Tensor& vertices_, const Tensor& edges_, const Tensor& operations_) {
    check_dtype(op, "vertices", vertices_, ScalarType::Char);
    check_dtype(op, "edges", edges_, ScalarType::Int);
    check_dtype(op, "operations", operations_, ScalarType::Char);
    check_shape(op, "vertices", vertices_, {-1});
    check_shape(op, "edges", edges_, {vertices_.size(0)});
    check_shape(op, "operations", operations_, {vertices_.size(0), kMaxOperations});
    check_same_device(op, "edges", edges_, vertices_);
    check_same_device(op, "operations", operations_, vertices_);
    check_range(op, "vertices: length", vertices_.size(0), 0, INT32_MAX);
    vertices = torch::stable::contiguous(vertices_);
    edges = torch::stable::contiguous(edges_);
    operations = torch::stable::contiguous(operations_);
  }

  int64_t size() const { return vertices.size(0); }

  CellBatch batch() const {
    return {static_cast<const int8_t*>(vertices.data_ptr()), static_cast<const int32_t*>(edges.data_ptr()),
            static_cast<const int8_t*>(operations.data_ptr())};
  }
};

// Options of a network of cells, as check_network.
inline void check_nasbench101_network(const char* op, int64_t stem_channels, int64_t stacks, int64_t modules,
                                      int64_t classes, int64_t resolution, int64_t image_channels) {
  check_network(op, stem_channels, modules, classes, resolution, image_channels);
  check_range(op, "stem_channels", stem_channels, kMaxOperations, 2048);
  check_range(op, "stacks", stacks, 1, 8);
  if (resolution % (int64_t(1) << stacks)) fail(op, "resolution: expected a multiple of 2^stacks, got ", resolution);
}

// The tables of csrc/enumeration.h as the operators take them. Their sizes are checked here, their contents where a
// look-up follows them (index_of).
struct TableTensors {
  Tensor lookup, orders, class_first, class_orbits, orbits;

  TableTensors(const char* op, const Tensor& lookup_, const Tensor& orders_, const Tensor& class_first_,
               const Tensor& class_orbits_, const Tensor& orbits_, const Tensor& like) {
    check_table(op, "lookup", lookup_, ScalarType::Int, like);
    check_table(op, "orders", orders_, ScalarType::Char, like);
    check_table(op, "class_first", class_first_, ScalarType::Int, like);
    check_table(op, "class_orbits", class_orbits_, ScalarType::Int, like);
    check_table(op, "orbits", orbits_, ScalarType::Int, like);
    check_shape(op, "lookup", lookup_, {kLookupSize});
    check_shape(op, "orders", orders_, {kOrders, kMaxOperations});
    check_shape(op, "class_first", class_first_, {kClasses});
    check_shape(op, "class_orbits", class_orbits_, {kClasses});
    check_shape(op, "orbits", orbits_, {kOrbits});
    lookup = lookup_, orders = orders_, class_first = class_first_, class_orbits = class_orbits_, orbits = orbits_;
  }

  CellTables tables() const {
    return {static_cast<const int32_t*>(lookup.data_ptr()), static_cast<const int8_t*>(orders.data_ptr()),
            static_cast<const int32_t*>(class_first.data_ptr()), static_cast<const int32_t*>(class_orbits.data_ptr()),
            static_cast<const int32_t*>(orbits.data_ptr())};
  }

  // The error for tables on the CPU that lead the cell of a row to no index: the first number that cannot be one of
  // theirs.
  [[noreturn]] void fail_at(const char* op, int64_t row) const {
    const CellTables t = tables();
    for (int64_t i = 0; i < kLookupSize; ++i)
      if (t.lookup[i] < 0 || t.lookup[i] > 128 * kClasses || (t.lookup[i] - 1) % 128 >= kOrders)
        fail(op, "lookup: expected 0 or 1 + 128 class + order, got ", t.lookup[i], " at ", i);
    check_contents(op, "orders", t.orders, orders.numel(), 1, kMaxOperations);
    check_contents(op, "class_first", t.class_first, kClasses, 0, kCells - 1);
    check_contents(op, "class_orbits", t.class_orbits, kClasses, -1, kOrbits - 1);
    check_contents(op, "orbits", t.orbits, kOrbits, 0, 242);
    fail(op, "lookup, orders, class_first, class_orbits, orbits: expected the tables of zcfast._tables.nasbench101(), ",
         "got others, which lead the cell in row ", row, " to no index");
  }

 private:
  template <class T>
  static void check_contents(const char* op, const char* name, const T* table, int64_t size, int64_t smallest,
                             int64_t largest) {
    for (int64_t i = 0; i < size; ++i)
      if (table[i] < smallest || table[i] > largest)
        fail(op, name, ": expected ", smallest, " to ", largest, ", got ", int64_t(table[i]), " at ", i);
  }

  static void check_table(const char* op, const char* name, const Tensor& table, ScalarType dtype, const Tensor& like) {
    check_dtype(op, name, table, dtype);
    check_same_device(op, name, table, like);
    if (!table.is_contiguous()) fail(op, name, ": expected a contiguous tensor");
  }
};

}  // namespace zcfast

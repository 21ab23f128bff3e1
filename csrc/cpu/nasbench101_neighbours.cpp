#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "cells.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_neighbours";

std::tuple<Tensor, Tensor> neighbours(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                      const Tensor& lookup, const Tensor& orders, const Tensor& class_first,
                                      const Tensor& class_orbits, const Tensor& orbits, int64_t relation) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const TableTensors tensors(kOp, lookup, orders, class_first, class_orbits, orbits, vertices);
  check_range(kOp, "relation", relation, 0, kRelations - 1);
  const CellBatch batch = cells.batch();
  const CellTables tables = tensors.tables();
  Tensor ids = torch::stable::new_empty(cells.vertices, {cells.size(), kMaxNeighbours}, ScalarType::Int);
  Tensor counts = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  auto* ids_out = static_cast<int32_t*>(ids.data_ptr());
  auto* counts_out = static_cast<int64_t*>(counts.data_ptr());
  FirstBad bad;
  torch::stable::parallel_for(0, cells.size(), 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Cell cell = batch[i];
      int32_t* row = ids_out + i * kMaxNeighbours;
      const bool valid = validate(cell) == kValid;
      counts_out[i] = valid ? neighbours_of(cell, tables, relation, row) : -1;
      if (valid && counts_out[i] < 0) bad.note(i);
      std::fill(row + std::max(counts_out[i], int64_t(0)), row + kMaxNeighbours, -1);
    }
  });
  if (bad.found()) tensors.fail_at(kOp, bad.row());
  return {ids, counts};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_neighbours", TORCH_BOX(&neighbours)); }

}  // namespace zcfast

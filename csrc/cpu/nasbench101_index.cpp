#include <torch/csrc/stable/library.h>

#include "cells.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_index";

std::tuple<Tensor, Tensor> index(const Tensor& vertices, const Tensor& edges, const Tensor& operations,
                                 const Tensor& lookup, const Tensor& orders, const Tensor& class_first,
                                 const Tensor& class_orbits, const Tensor& orbits) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const TableTensors tensors(kOp, lookup, orders, class_first, class_orbits, orbits, vertices);
  const CellBatch batch = cells.batch();
  const CellTables tables = tensors.tables();
  Tensor index = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Long);
  Tensor validity = torch::stable::new_empty(cells.vertices, {cells.size()}, ScalarType::Char);
  auto* index_out = static_cast<int64_t*>(index.data_ptr());
  auto* validity_out = static_cast<int8_t*>(validity.data_ptr());
  FirstBad bad;
  torch::stable::parallel_for(0, cells.size(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Cell cell = batch[i];
      validity_out[i] = validate(cell);
      index_out[i] = validity_out[i] == kValid ? index_of(cell, tables) : -1;
      if (index_out[i] < 0 && validity_out[i] == kValid) bad.note(i);
    }
  });
  if (bad.found()) tensors.fail_at(kOp, bad.row());
  return {index, validity};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_index", TORCH_BOX(&index)); }

}  // namespace zcfast

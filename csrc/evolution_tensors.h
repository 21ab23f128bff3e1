// The arguments of evolve as its kernels take them: checked, contiguous, the pool a copy that they advance.
#pragma once
#include <torch/csrc/stable/ops.h>

#include <optional>
#include <string_view>

#include "check.h"
#include "evolution.h"

namespace zcfast {

struct EvolutionTensors {
  static constexpr const char* kOp = "evolve";

  Tensor keys, initial, rows, accuracies, offsets, ids, values, trained;
  std::optional<Tensor> moves;
  int64_t asked, steps, tournament;
  double ratio;

  EvolutionTensors(const Tensor& keys_, int64_t asked_, int64_t steps_, const Tensor& initial_, const Tensor& rows_,
                   const Tensor& accuracies_, int64_t tournament_, const Tensor& offsets_, const Tensor& ids_,
                   const std::optional<Tensor>& moves_, double ratio_, const Tensor& values_)
      : asked(asked_), steps(steps_), tournament(tournament_), ratio(ratio_) {
    keys = checked("keys", keys_, ScalarType::Long, {-1}, keys_);
    values = checked("values", values_, ScalarType::Double, {-1}, keys_);
    check_shape(kOp, "rows", rows_, {-1, -1});
    const int64_t runs = keys.size(0), pool = rows_.size(1), size = values.size(0);
    if (size == 0) fail(kOp, "values: expected one or more, got none");
    check_range(kOp, "tournament", tournament, 1, pool);
    check_range(kOp, "asked", asked, 0, int64_t(1) << 60);  // twice as many steps of the streams fit int64
    check_range(kOp, "steps", steps, 0, int64_t(1) << 31);
    checked_count(kOp, "steps", {runs, steps});
    if (!(ratio >= 0 && ratio <= 1)) fail(kOp, "ratio: expected 0 to 1, got ", ratio);
    initial = checked("initial", initial_, ScalarType::Long, {runs, pool}, keys_);
    offsets = checked("offsets", offsets_, ScalarType::Long, {size + 1}, keys_);
    ids = checked("ids", ids_, ScalarType::Long, {-1}, keys_);
    if (moves_) moves = checked("moves", *moves_, ScalarType::Long, {size}, keys_);
    rows = torch::stable::clone(checked("rows", rows_, ScalarType::Long, {runs, pool}, keys_));
    accuracies = torch::stable::clone(checked("accuracies", accuracies_, ScalarType::Double, {runs, pool}, keys_));
    trained = torch::stable::new_empty(keys, {runs, steps});
  }

  EvolutionSpace space() const {
    return {integers(offsets), integers(ids), moves ? integers(*moves) : nullptr, doubles(values), values.size(0),
            ids.size(0),       ratio};
  }

  [[noreturn]] void fail_with(const EvolutionFault& fault) const {
    const bool is_offset = fault.name == std::string_view("offsets");
    fail(kOp, fault.name, ": expected ", is_offset ? "rising places in ids, up to " : "rows of values, up to ",
         is_offset ? ids.size(0) : values.size(0) - 1, ", got ", fault.number, " at ", fault.place);
  }

  EvolutionRuns runs() const {
    return {integers(keys),    integers(initial), integers(rows), doubles(accuracies),
            integers(trained), keys.size(0),      asked,          steps,
            rows.size(1),      tournament};
  }

 private:
  static int64_t* integers(const Tensor& tensor) { return static_cast<int64_t*>(tensor.data_ptr()); }
  static double* doubles(const Tensor& tensor) { return static_cast<double*>(tensor.data_ptr()); }

  static Tensor checked(const char* name, const Tensor& tensor, ScalarType dtype, std::initializer_list<int64_t> shape,
                        const Tensor& like) {
    check_dtype(kOp, name, tensor, dtype);
    check_shape(kOp, name, tensor, shape);
    check_same_device(kOp, name, tensor, like);
    return torch::stable::contiguous(tensor);
  }
};

}  // namespace zcfast

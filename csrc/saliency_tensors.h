// The arguments of saliency_reduce as its kernels take them: checked, each layer a pair of dense tensors.
#pragma once
#include <string>
#include <vector>

#include "dense.h"
#include "dtype.h"
#include "saliency.h"

namespace zcfast {

struct SaliencyTensors {
  static constexpr const char* kOp = "saliency_reduce";

  std::vector<int> rows;  // the SaliencyKind of every row of the result
  bool with_weights;      // whether any of them reads weights
  std::vector<DensePair> layers;

  SaliencyTensors(const std::vector<Tensor>& weights, const std::vector<Tensor>& grads,
                  const std::vector<std::string>& kinds) {
    if (weights.size() != grads.size())
      fail(kOp, "grads: expected as many tensors as weights (", weights.size(), "), got ", grads.size());
    if (grads.empty()) fail(kOp, "grads: expected one or more tensors, got none");
    checked_count(kOp, "kinds", {int64_t(kinds.size()), int64_t(grads.size())});
    for (const std::string& name : kinds) rows.push_back(kind_of(name));
    with_weights = std::any_of(rows.begin(), rows.end(), [](int kind) { return kind != kSquare; });
    layers.reserve(weights.size());
    for (size_t l = 0; l < weights.size(); ++l) {
      check_layer(weights[l], grads[l], grads[0], l);
      layers.emplace_back(with_weights ? weights[l] : grads[l], grads[l]);
    }
  }

 private:
  static int kind_of(const std::string& name) {
    if (name == AbsProduct::kName) return kAbsProduct;
    if (name == Product::kName) return kProduct;
    if (name == Square::kName) return kSquare;
    fail(kOp, "kinds: expected abs_product, product or square, got ", name);
  }

  static void check_layer(const Tensor& weight, const Tensor& grad, const Tensor& first, size_t index) {
    const std::string weight_name = "weights[" + std::to_string(index) + "]";
    const std::string grad_name = "grads[" + std::to_string(index) + "]";
    check_floating(kOp, weight_name.c_str(), weight);
    check_dtype(kOp, grad_name.c_str(), grad, weight.scalar_type());
    check_same_shape(kOp, grad_name.c_str(), grad, weight);
    check_same_device(kOp, grad_name.c_str(), grad, weight);
    check_same_device(kOp, grad_name.c_str(), grad, first);
  }
};

}  // namespace zcfast

// The schema of every operator; kernels register for their dispatch key in csrc/cpu and csrc/cuda.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(zcfast, m) {
  // Index in enumeration order (-1 where invalid) and validity (csrc/cell.h) of NAS-Bench-101 cells.
  m.def(
      "nasbench101_index(Tensor vertices, Tensor edges, Tensor operations, Tensor lookup, Tensor orders, "
      "Tensor class_first, Tensor class_orbits, Tensor orbits) -> (Tensor index, Tensor validity)");
  // Sums of saliencies (csrc/saliency.h) over each layer: [kinds, layers] float64.
  m.def("saliency_reduce(Tensor[] weights, Tensor[] grads, str[] kinds) -> Tensor");
  // Fisher saliency of the channels of one layer's output: [channels] float64.
  m.def("fisher_reduce(Tensor activation, Tensor gradient, int channel_dim, bool elementwise=False) -> Tensor");
  // jacob_cov of the rows of a Jacobian: scalar float64.
  m.def("jacobian_correlation(Tensor jacobian, float k=1e-05) -> Tensor");
}

// The schema of every operator; kernels register for their dispatch key in csrc/cpu and csrc/cuda.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(zcfast, m) {
  // Index in enumeration order (-1 where invalid) and validity (csrc/cell.h) of NAS-Bench-101 cells.
  m.def(
      "nasbench101_index(Tensor vertices, Tensor edges, Tensor operations, Tensor lookup, Tensor orders, "
      "Tensor class_first, Tensor class_orbits, Tensor orbits) -> (Tensor index, Tensor validity)");
}

#include <torch/csrc/stable/library.h>

#include <string>

#include "simd.h"

namespace zcfast {
namespace {

std::string simd_level_op() { return simd_level(); }

bool cuda_built() {
#ifdef ZCFAST_WITH_CUDA
  return true;
#else
  return false;
#endif
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CompositeExplicitAutograd, m) {
  m.impl("simd_level", TORCH_BOX(&simd_level_op));
  m.impl("cuda_built", TORCH_BOX(&cuda_built));
}

}  // namespace zcfast

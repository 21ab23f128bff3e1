// jacob_cov of a Jacobian J [N, D] without eigenvalues: with C the correlation matrix of its rows and C + kI = L L^T,
//     - sum_i [ log(v_i + k) + 1 / (v_i + k) ] = - ( 2 sum_i log L_ii + ||L^-1||_F^2 ).
//
// The rows are centred while a block of columns is packed, so that the Gram matrix does not cancel and J is never
// copied whole: beyond the input there are one N x N matrix and one N x kDepth block. All arithmetic is float64
// whatever the input, as eigenvalues near k decide the value. One thread makes each number, in one order: the result
// does not depend on the number of threads.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <cmath>
#include <vector>

#include "cpu/panels.h"
#include "dtype.h"
#include "simd.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "jacobian_correlation";
constexpr int64_t kDepth = 256;  // columns packed at once: a panel of them stays in the first-level cache
constexpr int64_t kStrips = 16;  // tasks of the inverse, each a mix of long and short panels
// The least work of a task, about 150 microseconds: threads meet after every block, so a smaller one does not pay.
constexpr int64_t kGrainElements = 1 << 18;
constexpr int64_t kGrainProducts = 1 << 22;

int64_t grain(int64_t least_work, int64_t work_of_one) {
  return std::max<int64_t>(1, least_work / std::max<int64_t>(1, work_of_one));
}

// Zeros, each panel on a cache line.
class AlignedDoubles {
 public:
  explicit AlignedDoubles(int64_t size) : lines_((size + kPanel - 1) / kPanel) {}
  double* data() { return reinterpret_cast<double*>(lines_.data()); }
  double& operator[](int64_t i) { return data()[i]; }

 private:
  struct alignas(64) Line {
    double values[kPanel] = {};
  };
  std::vector<Line> lines_;
};

template <class T>
struct Rows {
  const T* data;
  int64_t rows, columns, row_stride, column_stride;

  const T* row(int64_t i) const { return data + i * row_stride; }
};

// Relative to the first element, so that a constant row is centred to exact zeros.
template <class T>
ZCFAST_INLINE double mean_of(const T* x, int64_t stride, int64_t count) {
  if (count == 0) return 0;
  const double first = widen(x[0]);
  double sum = 0;
  if (stride == 1) {
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < count; ++k) sum += double(widen(x[k])) - first;
  } else {
    for (int64_t k = 0; k < count; ++k) sum += double(widen(x[k * stride])) - first;
  }
  return first + sum / double(count);
}

ZCFAST_CLONES double mean(const double* x, int64_t stride, int64_t count) { return mean_of(x, stride, count); }
ZCFAST_CLONES double mean(const float* x, int64_t stride, int64_t count) { return mean_of(x, stride, count); }
ZCFAST_CLONES double mean(const BFloat16* x, int64_t stride, int64_t count) { return mean_of(x, stride, count); }
ZCFAST_CLONES double mean(const Float16* x, int64_t stride, int64_t count) { return mean_of(x, stride, count); }

// Columns begin to begin + depth of the rows of one panel, centred; rows past the last are zero.
template <class T>
void pack(const Rows<T>& jacobian, const double* means, int64_t panel, int64_t begin, int64_t depth, double* out) {
  for (int64_t r = 0; r < kPanel; ++r) {
    const int64_t i = panel * kPanel + r;
    if (i >= jacobian.rows) {
      for (int64_t k = 0; k < depth; ++k) out[k * kPanel + r] = 0;
      continue;
    }
    const T* x = jacobian.row(i) + begin * jacobian.column_stride;
    for (int64_t k = 0; k < depth; ++k) out[k * kPanel + r] = double(widen(x[k * jacobian.column_stride])) - means[i];
  }
}

// Tile t of the lower triangle of panels, row by row.
struct TileIndex {
  int64_t row, column;

  explicit TileIndex(int64_t t) : row(int64_t((std::sqrt(8.0 * double(t) + 1) - 1) / 2)) {
    while (row * (row + 1) / 2 > t) --row;  // against rounding of the root
    while ((row + 1) * (row + 2) / 2 <= t) ++row;
    column = t - row * (row + 1) / 2;
  }
};

// The lower triangle of the centred rows' products into matrix [padded, padded].
template <class T>
void gram(const Rows<T>& jacobian, double* matrix, int64_t padded) {
  const int64_t panels = padded / kPanel;
  AlignedDoubles means(padded), packed(padded * kDepth);
  torch::stable::parallel_for(0, jacobian.rows, grain(kGrainElements, jacobian.columns),
                              [&](int64_t begin, int64_t end) {
                                for (int64_t i = begin; i < end; ++i)
                                  means[i] = mean(jacobian.row(i), jacobian.column_stride, jacobian.columns);
                              });
  for (int64_t first = 0; first < jacobian.columns; first += kDepth) {
    const int64_t depth = std::min(kDepth, jacobian.columns - first);
    torch::stable::parallel_for(0, panels, grain(kGrainElements, kPanel * depth), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        pack(jacobian, means.data(), p, first, depth, packed.data() + p * kPanel * kDepth);
    });
    const int64_t tiles = panels * (panels + 1) / 2, tile_products = kPanel * kPanel * depth;
    torch::stable::parallel_for(0, tiles, grain(kGrainProducts, tile_products), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const TileIndex tile(t);
        gram_tile(packed.data() + tile.row * kPanel * kDepth, packed.data() + tile.column * kPanel * kDepth, depth,
                  matrix + tile.row * kPanel * padded + tile.column * kPanel, padded);
      }
    });
  }
}

// Products of centred rows to correlations, plus k on the diagonal. A row without variance becomes NaN (0 / 0). Rows of
// padding become those of the identity, which changes neither L nor L^-1 of the others.
void normalise(double* matrix, int64_t size, int64_t padded, double k) {
  std::vector<double> inverse_norm(size);
  for (int64_t i = 0; i < size; ++i) inverse_norm[i] = 1 / std::sqrt(matrix[i * padded + i]);
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j <= i; ++j) matrix[i * padded + j] *= inverse_norm[i] * inverse_norm[j];
    matrix[i * padded + i] += k;
  }
  for (int64_t i = size; i < padded; ++i) matrix[i * padded + i] = 1;
}

// The lower triangle of a positive definite matrix to its Cholesky factor, a panel of columns after the other.
void factorise(double* matrix, int64_t padded) {
  AlignedDoubles packed(padded * kPanel);
  for (int64_t column = 0; column < padded; column += kPanel) {
    pack_rows(matrix + column * padded, padded, column, packed.data());
    const auto update = [&](int64_t row) {
      return subtract_products(matrix + row * padded, padded, packed.data(), column);
    };
    update(column);
    factorise_diagonal(matrix + column * padded + column, padded);
    const int64_t next = column / kPanel + 1;
    const int64_t panel_products = kPanel * kPanel * column;
    torch::stable::parallel_for(
        next, padded / kPanel, grain(kGrainProducts, panel_products), [&](int64_t begin, int64_t end) {
          for (int64_t p = begin; p < end; ++p) {
            update(p * kPanel);
            solve_diagonal(matrix + column * padded + column, matrix + p * kPanel * padded + column, padded);
          }
        });
  }
}

// ||L^-1||_F^2 of the leading size x size part, a panel of columns of the inverse after the other.
double inverse_norm_squared(const double* factor, int64_t size, int64_t padded) {
  const int64_t panels = padded / kPanel;
  std::vector<double> partial(panels);
  const int64_t strip_products = padded * padded * padded / (6 * kStrips);
  torch::stable::parallel_for(0, kStrips, grain(kGrainProducts, strip_products), [&](int64_t begin, int64_t end) {
    AlignedDoubles inverse(padded * kPanel);
    for (int64_t strip = begin; strip < end; ++strip)
      for (int64_t p = strip; p < panels; p += kStrips)
        partial[p] = inverse_panel_norm(factor, p * kPanel, size, padded, inverse.data());
  });
  double total = 0;
  for (const double sum : partial) total += sum;
  return total;
}

Tensor jacobian_correlation(const Tensor& jacobian, double k) {
  check_floating(kOp, "jacobian", jacobian);
  check_shape(kOp, "jacobian", jacobian, {-1, -1});
  checked_count(kOp, "jacobian", {jacobian.size(0), jacobian.size(0)});
  if (!(k >= 0) || std::isinf(k)) fail(kOp, "k: expected a finite number of at least 0, got ", k);

  const int64_t size = jacobian.size(0), padded = (size + kPanel - 1) / kPanel * kPanel;
  AlignedDoubles matrix(padded * padded);
  dispatch_floating(jacobian.scalar_type(), [&]<class T>(const T*) {
    gram(Rows<T>{static_cast<const T*>(jacobian.data_ptr()), size, jacobian.size(1), jacobian.stride(0),
                 jacobian.stride(1)},
         matrix.data(), padded);
  });
  normalise(matrix.data(), size, padded, k);
  factorise(matrix.data(), padded);
  double log_diagonal = 0;
  for (int64_t i = 0; i < size; ++i) log_diagonal += std::log(matrix[i * padded + i]);

  Tensor out = torch::stable::new_empty(jacobian, {}, ScalarType::Double);
  *static_cast<double*>(out.data_ptr()) = -(2 * log_diagonal + inverse_norm_squared(matrix.data(), size, padded));
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("jacobian_correlation", TORCH_BOX(&jacobian_correlation)); }

}  // namespace zcfast

#include "cpu/panels.h"

#include <cmath>
#include <cstring>

#include "simd.h"

namespace zcfast {
namespace {

constexpr int64_t kTile = 4;  // 4 x 8 sums, with their operands, fit in 16 vector registers

// out[r][c] += sign * sum_k a[r * row_stride + k * depth_stride] * panel[k][c] for 4 rows r and 8 columns c. The sums
// have names because GCC keeps an array of them in memory.
ZCFAST_INLINE void add_products(const double* a, int64_t row_stride, int64_t depth_stride, const double* panel,
                                int64_t depth, double sign, double* out, int64_t out_stride) {
  Double4 low0 = {}, low1 = {}, low2 = {}, low3 = {}, high0 = {}, high1 = {}, high2 = {}, high3 = {};
  const double *a0 = a, *a1 = a + row_stride, *a2 = a + 2 * row_stride, *a3 = a + 3 * row_stride;
  for (int64_t k = 0; k < depth; ++k) {
    Double4 low, high;
    std::memcpy(&low, panel + k * kPanel, sizeof(low));
    std::memcpy(&high, panel + k * kPanel + 4, sizeof(high));
    const int64_t at = k * depth_stride;
    low0 += a0[at] * low, high0 += a0[at] * high;
    low1 += a1[at] * low, high1 += a1[at] * high;
    low2 += a2[at] * low, high2 += a2[at] * high;
    low3 += a3[at] * low, high3 += a3[at] * high;
  }
  add_to(out, sign, low0), add_to(out + 4, sign, high0), out += out_stride;
  add_to(out, sign, low1), add_to(out + 4, sign, high1), out += out_stride;
  add_to(out, sign, low2), add_to(out + 4, sign, high2), out += out_stride;
  add_to(out, sign, low3), add_to(out + 4, sign, high3);
}

}  // namespace

ZCFAST_CLONES void gram_tile(const double* rows, const double* columns, int64_t depth, double* out, int64_t stride) {
  for (int64_t half = 0; half < kPanel; half += kTile)
    add_products(rows + half, 1, kPanel, columns, depth, 1, out + half * stride, stride);
}

void pack_rows(const double* rows, int64_t stride, int64_t depth, double* panel) {
  for (int64_t r = 0; r < kPanel; ++r)
    for (int64_t k = 0; k < depth; ++k) panel[k * kPanel + r] = rows[r * stride + k];
}

ZCFAST_CLONES void subtract_products(double* rows, int64_t stride, const double* panel, int64_t depth) {
  for (int64_t half = 0; half < kPanel; half += kTile) {
    double* tile = rows + half * stride;
    add_products(tile, stride, 1, panel, depth, -1, tile + depth, stride);
  }
}

void factorise_diagonal(double* block, int64_t stride) {
  for (int64_t r = 0; r < kPanel; ++r) {
    double* row = block + r * stride;
    for (int64_t c = 0; c <= r; ++c) {
      const double* other = block + c * stride;
      double sum = row[c];
      for (int64_t d = 0; d < c; ++d) sum -= row[d] * other[d];
      row[c] = c == r ? std::sqrt(sum) : sum / other[c];
    }
  }
}

void solve_diagonal(const double* factor, double* rows, int64_t stride) {
  double inverse[kPanel];
  for (int64_t c = 0; c < kPanel; ++c) inverse[c] = 1 / factor[c * stride + c];
  for (int64_t r = 0; r < kPanel; ++r) {
    double* row = rows + r * stride;
    for (int64_t c = 0; c < kPanel; ++c) {
      double sum = row[c];
      for (int64_t d = 0; d < c; ++d) sum -= row[d] * factor[c * stride + d];
      row[c] = sum * inverse[c];
    }
  }
}

// Forward substitution for 8 columns of the identity at once: row i of the inverse is (e_i - sum_k L_ik X_k) / L_ii.
ZCFAST_CLONES double inverse_panel_norm(const double* factor, int64_t first, int64_t size, int64_t padded,
                                        double* inverse) {
  double squares[kPanel] = {};
  for (int64_t i = first; i < padded; i += kTile) {
    double* rows = inverse + (i - first) * kPanel;
    std::memset(rows, 0, kTile * kPanel * sizeof(double));
    for (int64_t r = 0; r < kTile && i + r < first + kPanel; ++r) rows[r * kPanel + i + r - first] = 1;
    add_products(factor + i * padded + first, padded, 1, inverse, i - first, -1, rows, kPanel);
    for (int64_t r = 0; r < kTile; ++r) {
      const double* row = factor + (i + r) * padded + i;
      const double scale = 1 / row[r];
      for (int64_t c = 0; c < kPanel; ++c) {
        double sum = rows[r * kPanel + c];
        for (int64_t s = 0; s < r; ++s) sum -= row[s] * rows[s * kPanel + c];
        rows[r * kPanel + c] = sum * scale;
        squares[c] += rows[r * kPanel + c] * rows[r * kPanel + c];
      }
    }
  }
  double total = 0;
  for (int64_t c = 0; c < kPanel && first + c < size; ++c) total += squares[c];
  return total;
}

}  // namespace zcfast

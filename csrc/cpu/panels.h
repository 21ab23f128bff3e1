// Blocked dense algebra of jacobian_correlation, on row-major float64 matrices whose sizes are multiples of kPanel. All
// of it comes down to one product: a tile of 4 rows times a panel, which is 8 rows stored column by column.
#pragma once
#include <cstdint>

namespace zcfast {

constexpr int64_t kPanel = 8;

// out[r][c] += sum_k rows[k][r] * columns[k][c] for two panels of 8.
void gram_tile(const double* rows, const double* columns, int64_t depth, double* out, int64_t stride);

// The first depth columns of 8 rows as a panel.
void pack_rows(const double* rows, int64_t stride, int64_t depth, double* panel);

// rows[r][depth + c] -= sum_{k < depth} rows[r][k] * panel[k][c] for 8 rows.
void subtract_products(double* rows, int64_t stride, const double* panel, int64_t depth);

// Cholesky factor of an 8 x 8 block, in its lower triangle.
void factorise_diagonal(double* block, int64_t stride);

// rows := rows * factor^-T for 8 x 8 blocks, factor lower triangular.
void solve_diagonal(const double* factor, double* rows, int64_t stride);

// The squared norm of columns first to first + 7 of the inverse of the lower triangular factor, of rows and columns
// below size alone. inverse holds padded x 8 numbers.
double inverse_panel_norm(const double* factor, int64_t first, int64_t size, int64_t padded, double* inverse);

}  // namespace zcfast

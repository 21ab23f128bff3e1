// jacob_cov without eigenvalues (csrc/cpu/jacobian_correlation.cpp): with C + kI = L L^T, the value is
// - (2 sum log L_ii + ||L^-1||_F^2), C the correlations of the rows.
//
// L and its inverse X are found together, in place. Step k turns column k of what is left of C into l = column k of L,
// and row k of what is found of X into u_j (j <= k), its final values. With u_j = l_j for j > k, every row i > k then
// becomes A_ij - l_i u_j, where A_ik counts as 0: left of k that is X, right of k the next C. Finished rows are not
// read again, so their squares are added up at once. A step is the same for numbers and for blocks of them: up to
// kSharedSize rows lie in shared memory and go one by one; more lie in global memory and go by kTile.
#pragma once
#include "block_reduce.cuh"
#include "launch.h"
#include "pack.cuh"

namespace zcfast {

constexpr int kCorrelationThreads = 256;
constexpr int kSharedSize = 96;  // the triangle and a row take 38 KB of the 48 KB that every device has
constexpr int kTile = 32;

// A lower triangle, packed row by row.
__device__ __forceinline__ int triangle_at(int row, int column) { return row * (row + 1) / 2 + column; }

template <class T>
__device__ __forceinline__ double sum_less(const T* row, int64_t columns, double less) {
  double sum = 0;
  const Split split = split_of(row, row, columns);
  for (int64_t i = threadIdx.x; i < split.head; i += blockDim.x) sum += double(widen(load_one(row + i))) - less;
  for (int64_t i = split.head + threadIdx.x * Pack<T>::kSize; i < split.tail; i += blockDim.x * Pack<T>::kSize) {
    const Pack<T> pack = load_pack(row + i);
#pragma unroll
    for (int c = 0; c < Pack<T>::kSize; ++c) sum += double(widen(pack.v[c])) - less;
  }
  for (int64_t i = split.tail + threadIdx.x; i < columns; i += blockDim.x)
    sum += double(widen(load_one(row + i))) - less;
  return sum;
}

// One block a row: the row less its mean, and 1 over its length. The mean is relative to the first element, so that a
// constant row becomes exact zeros, and its correlations NaN.
template <class T>
__global__ void __launch_bounds__(kCorrelationThreads)
    centre_rows_kernel(const T* jacobian, int64_t columns, double* centred, double* inverse_norm) {
  const T* row = jacobian + blockIdx.x * columns;
  double* out = centred + blockIdx.x * columns;
  const double first = columns > 0 ? double(widen(load_one(row))) : 0;
  double sum[1] = {sum_less(row, columns, first)};
  block_sum(sum);
  const double mean = first + sum[0] / double(columns > 0 ? columns : 1);
  double squares[1] = {0};
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const double value = double(widen(load_one(row + i))) - mean;
    out[i] = value;
    squares[0] += value * value;
  }
  block_sum(squares);
  if (threadIdx.x == 0) inverse_norm[blockIdx.x] = 1 / sqrt(squares[0]);
}

// Product (i, j) of centred rows to a correlation, plus k on the diagonal.
__device__ __forceinline__ double correlation(const double* products, const double* inverse_norm, int64_t size,
                                              int64_t i, int64_t j, double k) {
  return products[i * size + j] * inverse_norm[i] * inverse_norm[j] + (i == j ? k : 0);
}

// One block a matrix of up to kSharedSize rows. products [batch, size, size], inverse_norm [batch, size], out [batch].
__global__ void __launch_bounds__(kCorrelationThreads)
    small_correlation_kernel(const double* products, const double* inverse_norm, int size, double k, double* out) {
  ZCFAST_DYNAMIC_SHARED(double, matrix);  // the triangle, then u
  double* const u = matrix + triangle_at(size, 0);
  const int thread = threadIdx.x, threads = blockDim.x, warp = thread / kWarp, lane = thread % kWarp;
  const int warps = threads / kWarp;
  products += int64_t(blockIdx.x) * size * size, inverse_norm += int64_t(blockIdx.x) * size;
  for (int i = warp; i < size; i += warps)
    for (int j = lane; j <= i; j += kWarp)
      matrix[triangle_at(i, j)] = correlation(products, inverse_norm, size, i, j, k);
  __syncthreads();
  double value[1] = {0};
  for (int step = 0; step < size; ++step) {
    const double pivot = matrix[triangle_at(step, step)], inverse = 1 / sqrt(pivot);
    for (int j = thread; j < size; j += threads) {
      const double scaled = inverse * (j < step    ? matrix[triangle_at(step, j)]
                                       : j == step ? 1.0
                                                   : matrix[triangle_at(j, step)]);
      u[j] = scaled;
      if (j <= step) value[0] += scaled * scaled;
      if (j == step) value[0] += log(pivot);
    }
    __syncthreads();
    for (int i = step + 1 + warp; i < size; i += warps)
      for (int j = lane; j <= i; j += kWarp) {
        const int at = triangle_at(i, j);
        matrix[at] = (j == step ? 0.0 : matrix[at]) - u[i] * u[j];
      }
    __syncthreads();
  }
  block_sum(value);
  if (thread == 0) out[blockIdx.x] = -value[0];
}

// Products to correlations in the lower triangle, in place. Blocks are squares of kTile.
__global__ void __launch_bounds__(kCorrelationThreads)
    correlate_kernel(double* products, const double* inverse_norm, int64_t size, double k) {
  const int64_t row = int64_t(blockIdx.y) * kTile, column = int64_t(blockIdx.x) * kTile + threadIdx.x % kTile;
  for (int r = threadIdx.x / kTile; r < kTile; r += blockDim.x / kTile)
    if (row + r < size && column <= row + r)
      products[(row + r) * size + column] = correlation(products, inverse_norm, size, row + r, column, k);
}

// The diagonal tile in shared memory becomes X of its own factor: returns the sum of the logarithms of its pivots.
__device__ __forceinline__ double invert_tile(double (*tile)[kTile + 1], double* u) {
  double log_pivots = 0;
  for (int step = 0; step < kTile; ++step) {
    const double pivot = tile[step][step], inverse = 1 / sqrt(pivot);
    log_pivots += log(pivot);
    for (int j = threadIdx.x; j < kTile; j += blockDim.x)
      u[j] = inverse * (j < step ? tile[step][j] : j == step ? 1.0 : tile[j][step]);
    __syncthreads();
    for (int i = step + threadIdx.x / kTile; i < kTile; i += blockDim.x / kTile) {
      const int j = threadIdx.x % kTile;
      if (j <= i) tile[i][j] = i == step ? u[j] : (j == step ? 0.0 : tile[i][j]) - u[i] * u[j];
    }
    __syncthreads();
  }
  return log_pivots;
}

// Step `panel`, first part; one block a tile j of kTile rows or columns. U_j [kTile, kTile] of panel_rows [tiles, ...]:
// rows of L for j > panel, else the transposed rows of X. Its part of the value into partial[j].
__global__ void __launch_bounds__(kCorrelationThreads)
    panel_kernel(const double* matrix, int64_t size, int panel, double* panel_rows, double* partial) {
  ZCFAST_SHARED(double, diagonal_memory, kTile*(kTile + 1));
  ZCFAST_SHARED(double, other_memory, kTile*(kTile + 1));
  ZCFAST_SHARED(double, u, kTile);
  auto* const diagonal = reinterpret_cast<double (*)[kTile + 1]>(diagonal_memory);
  auto* const other = reinterpret_cast<double (*)[kTile + 1]>(other_memory);
  const int64_t first = int64_t(panel) * kTile, mine = int64_t(blockIdx.x) * kTile;
  const bool is_left = int(blockIdx.x) < panel, is_diagonal = int(blockIdx.x) == panel;
  const int column = threadIdx.x % kTile, rows_at_once = blockDim.x / kTile;
  // Rows past the last are those of the identity. The other tile lies so that its row r belongs to row `mine` + r.
  for (int r = threadIdx.x / kTile; r < kTile; r += rows_at_once) {
    const int64_t i = first + r, j = first + column;
    diagonal[r][column] = i < size && j <= i ? matrix[i * size + j] : i == j ? 1.0 : 0.0;
    if (is_left)
      other[column][r] = i < size ? matrix[i * size + mine + column] : 0.0;
    else if (!is_diagonal)
      other[r][column] = mine + r < size ? matrix[(mine + r) * size + j] : 0.0;
  }
  __syncthreads();
  const double log_pivots = invert_tile(diagonal, u);
  // U = other X^T, or X^T itself.
  double value[1] = {is_diagonal && threadIdx.x == 0 ? log_pivots : 0.0};
  double* out = panel_rows + mine * kTile;
  for (int r = threadIdx.x / kTile; r < kTile; r += rows_at_once) {
    double sum = 0;
    if (is_diagonal) {
      sum = r <= column ? diagonal[column][r] : 0.0;
    } else {
      for (int s = 0; s <= column; ++s) sum += other[r][s] * diagonal[column][s];
    }
    out[r * kTile + column] = sum;
    if ((is_left || is_diagonal) && first + column < size && mine + r < size) value[0] += sum * sum;
  }
  block_sum(value);
  if (threadIdx.x == 0) partial[blockIdx.x] = value[0];
}

// Step `panel`, second part: tile (i, j) of the rows below, less L_i U_j^T. Blocks right of the diagonal do nothing.
__global__ void __launch_bounds__(kCorrelationThreads)
    update_kernel(double* matrix, int64_t size, int panel, const double* panel_rows) {
  ZCFAST_SHARED(double, left_memory, kTile*(kTile + 1));
  ZCFAST_SHARED(double, right_memory, kTile*(kTile + 1));
  auto* const left = reinterpret_cast<double (*)[kTile + 1]>(left_memory);
  auto* const right = reinterpret_cast<double (*)[kTile + 1]>(right_memory);
  const int tile_row = panel + 1 + int(blockIdx.y), tile_column = blockIdx.x;
  if (tile_column > tile_row) return;
  const int column = threadIdx.x % kTile, rows_at_once = blockDim.x / kTile;
  for (int r = threadIdx.x / kTile; r < kTile; r += rows_at_once) {
    left[r][column] = panel_rows[(int64_t(tile_row) * kTile + r) * kTile + column];
    right[r][column] = panel_rows[(int64_t(tile_column) * kTile + r) * kTile + column];
  }
  __syncthreads();
  const int64_t j = int64_t(tile_column) * kTile + column;
  for (int r = threadIdx.x / kTile; r < kTile; r += rows_at_once) {
    const int64_t i = int64_t(tile_row) * kTile + r;
    if (i >= size || j > i) continue;
    double sum = tile_column == panel ? 0.0 : matrix[i * size + j];
#pragma unroll 8
    for (int s = 0; s < kTile; ++s) sum -= left[r][s] * right[column][s];
    matrix[i * size + j] = sum;
  }
}

// One block: minus the sum of `count` numbers.
__global__ void __launch_bounds__(kCorrelationThreads)
    negate_sum_kernel(const double* partial, int64_t count, double* out) {
  double sum[1] = {0};
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum[0] += partial[i];
  block_sum(sum);
  if (threadIdx.x == 0) *out = -sum[0];
}

}  // namespace zcfast

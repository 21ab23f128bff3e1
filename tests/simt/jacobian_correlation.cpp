// jacobian_correlation on the CPU against a textbook Cholesky factor in long double.
#include "cuda/jacobian_correlation.cuh"

#include "check.h"
#include "draw.h"

namespace {

using namespace zcfast;
using Matrix = std::vector<std::vector<long double>>;

template <class T>
Matrix correlations(const draw::Buffer<T>& jacobian, int64_t rows, int64_t columns) {
  Matrix centred(rows, std::vector<long double>(columns)), result(rows, std::vector<long double>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    long double mean = 0, squares = 0;
    for (int64_t j = 0; j < columns; ++j) mean += jacobian[i * columns + j] / static_cast<long double>(columns);
    for (int64_t j = 0; j < columns; ++j) {
      centred[i][j] = jacobian[i * columns + j] - mean;
      squares += centred[i][j] * centred[i][j];
    }
    for (long double& value : centred[i]) value /= std::sqrt(squares);
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < rows; ++j)
      for (int64_t c = 0; c < columns; ++c) result[i][j] += centred[i][c] * centred[j][c];
  return result;
}

double value_of(Matrix matrix, double k) {
  const auto size = int64_t(matrix.size());
  long double value = 0;
  for (int64_t j = 0; j < size; ++j) {
    long double pivot = matrix[j][j] + k;
    for (int64_t s = 0; s < j; ++s) pivot -= matrix[j][s] * matrix[j][s];
    matrix[j][j] = std::sqrt(pivot);
    value += 2 * std::log(matrix[j][j]);
    for (int64_t i = j + 1; i < size; ++i) {
      for (int64_t s = 0; s < j; ++s) matrix[i][j] -= matrix[i][s] * matrix[j][s];
      matrix[i][j] /= matrix[j][j];
    }
  }
  for (int64_t c = 0; c < size; ++c) {
    std::vector<long double> column(size);
    for (int64_t i = c; i < size; ++i) {
      long double sum = i == c;
      for (int64_t s = c; s < i; ++s) sum -= matrix[i][s] * column[s];
      column[i] = sum / matrix[i][i];
      value += column[i] * column[i];
    }
  }
  return double(-value);
}

// What the operator does, for any size by either way.
double launch_large(std::vector<double>& matrix, const std::vector<double>& inverse_norm, int64_t size, double k) {
  const auto tiles = unsigned((size + kTile - 1) / kTile);
  const unsigned threads = unsigned(kTile * draw::integer(1, 8));
  std::vector<double> panel_rows(size_t(tiles) * kTile * kTile, NAN), partial(size_t(tiles) * tiles, NAN);
  simt::launch({{tiles, tiles}, {threads}, 0, draw::schedule()}, correlate_kernel, matrix.data(), inverse_norm.data(),
               size, k);
  for (unsigned panel = 0; panel < tiles; ++panel) {
    simt::launch({{tiles}, {threads}, 0, draw::schedule()}, panel_kernel, static_cast<const double*>(matrix.data()),
                 size, int(panel), panel_rows.data(), partial.data() + panel * tiles);
    if (panel + 1 < tiles)
      simt::launch({{tiles, tiles - panel - 1}, {threads}, 0, draw::schedule()}, update_kernel, matrix.data(), size,
                   int(panel), static_cast<const double*>(panel_rows.data()));
  }
  double out = 0;
  simt::launch({{1}, {threads}, 0, draw::schedule()}, negate_sum_kernel, static_cast<const double*>(partial.data()),
               int64_t(tiles) * tiles, &out);
  return out;
}

template <class T>
struct Centred {
  std::vector<double> products, inverse_norm;

  Centred(const draw::Buffer<T>& jacobian, int64_t rows, int64_t columns)
      : products(size_t(rows * rows)), inverse_norm(size_t(rows), NAN) {
    std::vector<double> centred(size_t(rows * columns), NAN);
    simt::launch({{unsigned(rows)}, {draw::block_size(256)}, 0, draw::schedule()}, centre_rows_kernel<T>,
                 jacobian.data(), columns, centred.data(), inverse_norm.data());
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < rows; ++j)
        for (int64_t c = 0; c < columns; ++c)
          products[i * rows + j] += centred[i * columns + c] * centred[j * columns + c];
  }
};

double launch_small(const std::vector<double>& products, const std::vector<double>& inverse_norm, int64_t size,
                    double k, unsigned batch, std::vector<double>& out) {
  out.assign(batch, NAN);
  simt::launch({{batch}, {draw::block_size(256)}, size_t(size * (size + 1) / 2 + size) * 8, draw::schedule()},
               small_correlation_kernel, products.data(), inverse_norm.data(), int(size), k, out.data());
  return out[0];
}

void drawn_small() {
  for (int repeat = 0; repeat < 4; ++repeat)
    draw::for_every_type([&]<class T>(T*) {
      const int64_t rows = repeat == 0 ? 64 : draw::integer(1, 40), columns = draw::integer(rows + 20, 200);
      const draw::Buffer<T> jacobian(rows * columns, draw::integer(0, 7));
      const double k = draw::integer(0, 1) ? 1e-5 : 1.0;
      Centred<T> centred(jacobian, rows, columns);
      std::vector<double> out;
      const double expected = value_of(correlations(jacobian, rows, columns), k);
      check::close(launch_small(centred.products, centred.inverse_norm, rows, k, 1, out), expected,
                   1e-10 * std::abs(expected), "value");
      check::close(launch_large(centred.products, centred.inverse_norm, rows, k), expected, 1e-10 * std::abs(expected),
                   "by tiles");
    });
}

void drawn_large() {
  for (const int64_t rows : {31, 32, 33, 70, 129}) {
    const int64_t columns = rows + 50;
    const draw::Buffer<float> jacobian(rows * columns, 0);
    Centred<float> centred(jacobian, rows, columns);
    const double expected = value_of(correlations(jacobian, rows, columns), 1e-5);
    check::close(launch_large(centred.products, centred.inverse_norm, rows, 1e-5), expected, 1e-10 * std::abs(expected),
                 "value");
  }
}

// Fewer columns than rows: all but a few eigenvalues are k.
void singular() {
  const int64_t rows = 60, columns = 30;
  const draw::Buffer<double> jacobian(rows * columns, 0);
  Centred<double> centred(jacobian, rows, columns);
  std::vector<double> out;
  const double expected = value_of(correlations(jacobian, rows, columns), 1e-5);
  check::close(launch_small(centred.products, centred.inverse_norm, rows, 1e-5, 1, out), expected,
               1e-8 * std::abs(expected), "value");
  check::close(launch_large(centred.products, centred.inverse_norm, rows, 1e-5), expected, 1e-8 * std::abs(expected),
               "by tiles");
}

void a_batch() {
  constexpr int64_t kRows = 9, kColumns = 40;
  std::vector<double> products, inverse_norm, expected, out;
  for (int matrix = 0; matrix < 5; ++matrix) {
    const draw::Buffer<float> jacobian(kRows * kColumns, 0);
    const Centred<float> centred(jacobian, kRows, kColumns);
    products.insert(products.end(), centred.products.begin(), centred.products.end());
    inverse_norm.insert(inverse_norm.end(), centred.inverse_norm.begin(), centred.inverse_norm.end());
    expected.push_back(value_of(correlations(jacobian, kRows, kColumns), 1e-5));
  }
  launch_small(products, inverse_norm, kRows, 1e-5, 5, out);
  for (size_t i = 0; i < 5; ++i) check::close(out[i], expected[i], 1e-10 * std::abs(expected[i]), "matrix");
}

void a_row_without_correlations() {
  draw::for_every_type([]<class T>(T*) {
    for (const double value : {0.1, double(NAN), double(INFINITY)}) {
      draw::Buffer<T> jacobian(40 * 50, 0);
      for (int64_t c = 0; c < 50; ++c)
        if (value == 0.1 || c == 17) jacobian.put(35 * 50 + c, value);
      Centred<T> centred(jacobian, 40, 50);
      std::vector<double> out;
      check::close(launch_small(centred.products, centred.inverse_norm, 40, 1e-5, 1, out), NAN, 0, "value");
      check::close(launch_large(centred.products, centred.inverse_norm, 40, 1e-5), NAN, 0, "by tiles");
    }
  });
  const draw::Buffer<float> empty(0, 0);
  Centred<float> centred(empty, 3, 0);
  std::vector<double> out;
  check::close(launch_small(centred.products, centred.inverse_norm, 3, 1e-5, 1, out), NAN, 0, "no columns");
}

const check::Case kCases[] = {
    {"drawn_small", drawn_small},
    {"drawn_large", drawn_large},
    {"singular", singular},
    {"a_batch", a_batch},
    {"a_row_without_correlations", a_row_without_correlations},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

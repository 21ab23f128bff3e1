#include "dispatch.cuh"
#include "jacobian_correlation.cuh"
#include "launch.cuh"

namespace zcfast {
namespace {

int64_t tiles_of(int64_t size) { return (size + kTile - 1) / kTile; }

// scratch: the rows of a panel [tiles, kTile, kTile], then what every tile of every panel adds to the value.
int launch_large(double* matrix, const double* inverse_norm, int64_t size, double k, double* scratch, double* out,
                 cudaStream_t stream) {
  const auto tiles = unsigned(tiles_of(size));
  double *panel_rows = scratch, *partial = scratch + int64_t(tiles) * kTile * kTile;
  correlate_kernel<<<dim3(tiles, tiles), kCorrelationThreads, 0, stream>>>(matrix, inverse_norm, size, k);
  if (const int error = cudaGetLastError()) return error;
  for (unsigned panel = 0; panel < tiles; ++panel) {
    panel_kernel<<<tiles, kCorrelationThreads, 0, stream>>>(matrix, size, int(panel), panel_rows,
                                                            partial + int64_t(panel) * tiles);
    if (const int error = cudaGetLastError()) return error;
    if (panel + 1 == tiles) break;
    update_kernel<<<dim3(tiles, tiles - panel - 1), kCorrelationThreads, 0, stream>>>(matrix, size, int(panel),
                                                                                      panel_rows);
    if (const int error = cudaGetLastError()) return error;
  }
  negate_sum_kernel<<<1, kCorrelationThreads, 0, stream>>>(partial, int64_t(tiles) * tiles, out);
  return cudaGetLastError();
}

}  // namespace

int launch_centre_rows(const void* jacobian, Element element, int64_t rows, int64_t columns, double* centred,
                       double* inverse_norm, void* stream) {
  if (rows == 0) return cudaSuccess;
  return with_element(element, [&]<class T>(T) -> int {
    centre_rows_kernel<<<unsigned(rows), kCorrelationThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        static_cast<const T*>(jacobian), columns, centred, inverse_norm);
    return cudaGetLastError();
  });
}

int64_t correlation_scratch(int64_t size) {
  const int64_t tiles = tiles_of(size);
  return size <= kSharedSize ? 0 : tiles * kTile * kTile + tiles * tiles;
}

int launch_correlation_value(double* products, const double* inverse_norm, int64_t size, double k, double* scratch,
                             double* out, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  if (size > kSharedSize) return launch_large(products, inverse_norm, size, k, scratch, out, on);
  const size_t shared = size_t(size * (size + 1) / 2 + size) * sizeof(double);
  small_correlation_kernel<<<1, kCorrelationThreads, shared, on>>>(products, inverse_norm, int(size), k, out);
  return cudaGetLastError();
}

}  // namespace zcfast

#include "launch.cuh"
#include "nasbench101_expected_synflow.cuh"

namespace zcfast {
namespace {

constexpr int64_t kSharedBytes = 47 << 10;  // of the 48 KB that every device has; cells take the rest

template <class T>
int launch(const SynflowNetwork& network, CellBatch cells, int64_t count, double* log_scores, cudaStream_t stream) {
  int warps = kSynflowWarps;
  while (warps > 1 && synflow_bytes<T>(network.quadrant, warps) > kSharedBytes) --warps;
  const int64_t blocks = std::min((count + warps - 1) / warps, int64_t(1) << 20);
  nasbench101_expected_synflow_kernel<T>
      <<<unsigned(blocks), warps * kWarp, synflow_bytes<T>(network.quadrant, warps), stream>>>(network, cells, count,
                                                                                               log_scores);
  return cudaGetLastError();
}

template <class T>
int largest_quadrant() {
  int quadrant = 1;
  while (synflow_bytes<T>(quadrant + 1, 1) <= kSharedBytes) ++quadrant;
  return quadrant;
}

}  // namespace

int largest_synflow_quadrant(bool double_precision) {
  return double_precision ? largest_quadrant<double>() : largest_quadrant<float>();
}

int launch_nasbench101_expected_synflow(const SynflowNetwork& network, CellBatch cells, int64_t count,
                                        bool double_precision, double* log_scores, void* stream) {
  if (count == 0) return cudaSuccess;
  const auto on = static_cast<cudaStream_t>(stream);
  return double_precision ? launch<double>(network, cells, count, log_scores, on)
                          : launch<float>(network, cells, count, log_scores, on);
}

}  // namespace zcfast

#include "launch.cuh"
#include "saliency_reduce.cuh"

namespace zcfast {

int launch_saliency_reduce(const SaliencyTable& table, const SaliencyRows& rows, bool with_weights, double* partial,
                           double* out, int64_t row_stride, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  if (table.chunks > 0) {
    const auto kernel = with_weights ? saliency_chunks_kernel<true> : saliency_chunks_kernel<false>;
    kernel<<<table.chunks, kThreads, 0, on>>>(table, partial);
    if (const int error = cudaGetLastError()) return error;
  }
  saliency_combine_kernel<<<table.layers, kThreads, 0, on>>>(table, rows, partial, out, row_stride);
  return cudaGetLastError();
}

}  // namespace zcfast

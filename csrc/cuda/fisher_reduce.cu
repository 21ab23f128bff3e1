#include "dispatch.cuh"
#include "fisher_reduce.cuh"
#include "launch.cuh"

namespace zcfast {
namespace {

template <bool elementwise, class T>
int sum_rows(const FisherView& view, double* partial, cudaStream_t stream) {
  constexpr int kWarps = kFisherThreads / kWarp;
  const int64_t blocks = std::min((view.images * view.channels + kWarps - 1) / kWarps, int64_t(1) << 20);
  fisher_rows_kernel<elementwise, T><<<unsigned(blocks), kFisherThreads, 0, stream>>>(view, partial);
  return cudaGetLastError();
}

template <bool elementwise, int kWidth, class T>
int sum_positions(const FisherView& view, double* partial, cudaStream_t stream) {
  const int64_t columns = (view.channels + kWidth - 1) / kWidth;
  const unsigned x = unsigned(std::min<int64_t>(columns, kFisherThreads)), y = kFisherThreads / x;
  const dim3 grid(unsigned(view.images * view.chunks), unsigned((columns + x - 1) / x));
  fisher_positions_kernel<elementwise, kWidth, T>
      <<<grid, dim3(x, y), x * y * kWidth * sizeof(double), stream>>>(view, partial);
  return cudaGetLastError();
}

template <bool elementwise, class T>
int sum_view(const FisherView& view, double* partial, cudaStream_t stream) {
  if (view.inner != 1) return sum_rows<elementwise, T>(view, partial, stream);
  constexpr int kWidth = Pack<T>::kSize;
  const bool aligned = view.channels % kWidth == 0 && reinterpret_cast<uintptr_t>(view.activation) % kPackBytes == 0 &&
                       reinterpret_cast<uintptr_t>(view.gradient) % kPackBytes == 0;
  return aligned ? sum_positions<elementwise, kWidth, T>(view, partial, stream)
                 : sum_positions<elementwise, 1, T>(view, partial, stream);
}

}  // namespace

int launch_fisher_reduce(const FisherView& view, Element element, bool elementwise, double* partial, double* out,
                         void* stream) {
  if (view.channels == 0) return cudaSuccess;
  const auto on = static_cast<cudaStream_t>(stream);
  if (view.images > 0 && view.chunks > 0) {
    const int error = with_element(element, [&]<class T>(T) {
      return elementwise ? sum_view<true, T>(view, partial, on) : sum_view<false, T>(view, partial, on);
    });
    if (error) return error;
  }
  const unsigned blocks = unsigned((view.channels + kWarp - 1) / kWarp);
  fisher_combine_kernel<<<blocks, dim3(kWarp, kFisherImageSlices), 0, on>>>(view, elementwise, partial, out);
  return cudaGetLastError();
}

}  // namespace zcfast

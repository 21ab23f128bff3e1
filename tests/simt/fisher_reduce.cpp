// fisher_reduce on the CPU against sums in long double.
#include "cuda/fisher_reduce.cuh"

#include "check.h"
#include "draw.h"

namespace {

using namespace zcfast;

// Of every channel: the value and the same of the magnitudes, which is what a signed sum is as exact as.
struct Expected {
  std::vector<double> value, scale;
};

template <class T>
Expected expected_of(const draw::Buffer<T>& a, const draw::Buffer<T>& g, const FisherView& view, bool elementwise) {
  Expected expected;
  for (int64_t c = 0; c < view.channels; ++c) {
    long double total = 0, total_scale = 0;
    for (int64_t image = 0; image < view.images; ++image) {
      long double sum = 0, scale = 0;
      for (int64_t o = 0; o < view.outer; ++o)
        for (int64_t i = 0; i < view.inner; ++i) {
          const int64_t at = ((image * view.outer + o) * view.channels + c) * view.inner + i;
          const long double product = static_cast<long double>(a[at]) * g[at];
          sum += elementwise ? product * product : product;
          scale += elementwise ? product * product : std::fabs(product);
        }
      total += elementwise ? sum : sum * sum;
      total_scale += elementwise ? scale : scale * scale;
    }
    expected.value.push_back(double(total / 2 / view.images));
    expected.scale.push_back(double(total_scale / 2 / view.images));
  }
  return expected;
}

template <bool elementwise, class T>
void sum_view(const FisherView& view, bool packs, std::vector<double>& partial) {
  if (view.inner != 1) {
    const unsigned threads = draw::block_size(256), blocks = unsigned(draw::integer(1, 3));
    return simt::launch({{blocks}, {threads}, 0, draw::schedule()}, fisher_rows_kernel<elementwise, T>, view,
                        partial.data());
  }
  const auto launch = [&]<int kWidth>() {
    const auto columns = unsigned((view.channels + kWidth - 1) / kWidth);
    const unsigned x = std::min(columns, unsigned(draw::integer(1, 32))), y = unsigned(draw::integer(1, 7));
    simt::launch({{unsigned(view.images * view.chunks), (columns + x - 1) / x},
                  {x, y},
                  x * y * kWidth * sizeof(double),
                  draw::schedule()},
                 fisher_positions_kernel<elementwise, kWidth, T>, view, partial.data());
  };
  packs ? launch.template operator()<Pack<T>::kSize>() : launch.template operator()<1>();
}

template <class T>
void check_view(FisherView view, const draw::Buffer<T>& a, const draw::Buffer<T>& g, bool elementwise, bool packs) {
  view.activation = a.data(), view.gradient = g.data();
  std::vector<double> partial(size_t(view.images * view.chunks * view.channels), NAN);
  if (view.images * view.chunks > 0)
    elementwise ? sum_view<true, T>(view, packs, partial) : sum_view<false, T>(view, packs, partial);
  std::vector<double> out(size_t(view.channels), -1);
  simt::launch({{unsigned((view.channels + kWarp - 1) / kWarp)}, {kWarp, kFisherImageSlices}, 0, draw::schedule()},
               fisher_combine_kernel, view, elementwise, static_cast<const double*>(partial.data()), out.data());
  const Expected expected = expected_of(a, g, view, elementwise);
  const double tolerance = sizeof(T) == 2 && !elementwise ? 2e-6 : 1e-13;
  for (size_t c = 0; c < out.size(); ++c)
    check::close(out[c], expected.value[c], tolerance * expected.scale[c], "channel " + std::to_string(c));
}

FisherView view_of(int64_t images, int64_t outer, int64_t channels, int64_t inner) {
  FisherView view{nullptr, nullptr, images, outer, channels, inner, 1, 1};
  if (inner == 1) {
    view.chunk = draw::integer(1, 20);
    view.chunks = (outer + view.chunk - 1) / view.chunk;
  }
  return view;
}

void drawn_rows() {
  for (int repeat = 0; repeat < 10; ++repeat)
    draw::for_every_type([]<class T>(T*) {
      const int64_t side = draw::integer(1, 20);
      const FisherView view =
          view_of(draw::integer(1, 4), draw::integer(1, 2), draw::integer(1, 9), 2 + side * side + draw::integer(0, 1));
      const int64_t size = view.images * view.outer * view.channels * view.inner;
      const int64_t offset = draw::integer(0, 7), other = draw::integer(0, 3) ? offset : draw::integer(0, 7);
      const draw::Buffer<T> a(size, offset), g(size, other);
      check_view<T>(view, a, g, draw::integer(0, 1), false);
    });
}

void drawn_positions() {
  for (int repeat = 0; repeat < 10; ++repeat)
    draw::for_every_type([]<class T>(T*) {
      const bool packs = draw::integer(0, 1);
      const int64_t channels = packs ? Pack<T>::kSize * draw::integer(1, 12) : draw::integer(1, 50);
      const FisherView view = view_of(draw::integer(1, 4), draw::integer(1, 60), channels, 1);
      const int64_t size = view.images * view.outer * channels;
      const draw::Buffer<T> a(size, packs ? 0 : draw::integer(0, 7)), g(size, packs ? 0 : draw::integer(0, 7));
      check_view<T>(view, a, g, draw::integer(0, 1), packs);
    });
}

// No positions give 0, no images NaN.
void nothing() {
  const draw::Buffer<float> empty(0, 0);
  check_view<float>({nullptr, nullptr, 3, 1, 5, 0, 1, 1}, empty, empty, false, false);
  check_view<float>({nullptr, nullptr, 3, 0, 5, 1, 1, 0}, empty, empty, false, false);
  check_view<float>({nullptr, nullptr, 0, 1, 5, 4, 1, 1}, empty, empty, false, false);
}

void nan_inf_and_overflow() {
  draw::for_every_type([]<class T>(T*) {
    for (const double value : {double(NAN), double(INFINITY), double(-INFINITY)})
      for (const bool rows : {false, true}) {
        const FisherView view = rows ? view_of(2, 1, 16, 81) : view_of(2, 81, 16, 1);
        draw::Buffer<T> a(2 * 16 * 81, 0), g(2 * 16 * 81, 0);
        a.put(draw::integer(0, a.size() - 1), value);
        check_view<T>(view, a, g, false, true);
      }
  });
  for (const bool rows : {false, true}) {
    const FisherView view = rows ? view_of(2, 1, 16, 81) : view_of(2, 81, 16, 1);
    const draw::Buffer<BFloat16> a(2 * 16 * 81, 0, 1e30), g(2 * 16 * 81, 0, 1e30);
    check_view<BFloat16>(view, a, g, false, true);
  }
}

const check::Case kCases[] = {
    {"drawn_rows", drawn_rows},
    {"drawn_positions", drawn_positions},
    {"nothing", nothing},
    {"nan_inf_and_overflow", nan_inf_and_overflow},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

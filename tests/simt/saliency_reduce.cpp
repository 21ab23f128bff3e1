// saliency_reduce on the CPU against sums in long double.
#include "cuda/saliency_reduce.cuh"

#include <any>

#include "check.h"
#include "draw.h"

namespace {

using namespace zcfast;

// Layers of mixed types, what they should sum to and the sums of their magnitudes.
class Net {
 public:
  template <class T>
  void add(draw::Buffer<T> weights, draw::Buffer<T> grads) {
    const int64_t numel = grads.size();
    long double sums[kSaliencyKinds] = {};
    for (int64_t i = 0; i < numel; ++i) {
      const long double product = static_cast<long double>(weights[i]) * grads[i];
      sums[kAbsProduct] += std::fabs(product);
      sums[kProduct] += product;
      sums[kSquare] += static_cast<long double>(grads[i]) * grads[i];
    }
    for (const long double sum : sums) expected.push_back(double(sum));
    tolerance.push_back(sizeof(T) == 2 ? 1e-6 : 1e-13);
    table.layer[table.layers++] = {weights.data(), grads.data(), numel, table.chunks, draw::kElement<T>};
    table.chunks += int32_t((numel + kSaliencyChunk - 1) / kSaliencyChunk);
    held_.emplace_back(std::make_shared<draw::Buffer<T>>(std::move(weights)));
    held_.emplace_back(std::make_shared<draw::Buffer<T>>(std::move(grads)));
  }

  SaliencyTable table = {};
  std::vector<double> expected, tolerance;

 private:
  std::vector<std::any> held_;
};

void check_sums(const Net& net, std::vector<int> kinds, bool with_weights, unsigned threads, simt::Schedule schedule) {
  SaliencyRows rows = {int32_t(kinds.size()), {}};
  std::copy(kinds.begin(), kinds.end(), rows.kind);
  const int layers = net.table.layers;
  const int64_t stride = layers + 2;  // of a net of more layers than the table's
  std::vector<double> partial(size_t(net.table.chunks) * kSaliencyKinds, NAN), out(kinds.size() * size_t(stride), -1);
  if (net.table.chunks > 0)
    simt::launch({{unsigned(net.table.chunks)}, {threads}, 0, schedule},
                 with_weights ? saliency_chunks_kernel<true> : saliency_chunks_kernel<false>, net.table,
                 partial.data());
  simt::launch({{unsigned(layers)}, {threads}, 0, schedule}, saliency_combine_kernel, net.table, rows,
               static_cast<const double*>(partial.data()), out.data(), stride);
  for (size_t row = 0; row < kinds.size(); ++row)
    for (int64_t l = 0; l < stride; ++l) {
      const double got = out[row * size_t(stride) + size_t(l)];
      if (l >= layers) {
        check::equal(got, -1.0, "beyond the layers");
        continue;
      }
      const double* of = &net.expected[size_t(l) * kSaliencyKinds];
      const double magnitude = kinds[row] == kSquare ? of[kSquare] : of[kAbsProduct];
      check::close(got, of[kinds[row]], net.tolerance[size_t(l)] * magnitude, "kind " + std::to_string(kinds[row]));
    }
}

void drawn_nets() {
  for (int repeat = 0; repeat < 6; ++repeat) {
    Net net;
    for (const int64_t numel : {int64_t(0), int64_t(1), kSaliencyChunk, kSaliencyChunk + 1, draw::integer(2, 60),
                                draw::integer(61, 3000), draw::integer(8000, 20000), int64_t(0)})
      draw::for_every_type([&]<class T>(T*) {
        const int64_t offset = draw::integer(0, 7);
        const int64_t other = draw::integer(0, 1) ? offset : draw::integer(0, 7);
        net.add<T>({numel, offset}, {numel, other});
      });
    const unsigned threads = draw::block_size(256);
    check_sums(net, {kProduct, kAbsProduct, kSquare, kProduct}, true, threads, draw::schedule());
    for (int l = 0; l < net.table.layers; ++l) net.table.layer[l].weights = nullptr;
    check_sums(net, {kSquare}, false, threads, draw::schedule());
  }
}

void a_full_table() {
  Net net;
  while (net.table.layers < kSaliencyLayers) {
    const int64_t numel = draw::integer(0, 40);
    net.add<float>({numel, 0}, {numel, 0});
  }
  check_sums(net, {kAbsProduct, kProduct, kSquare}, true, 64, draw::schedule());
}

void nan_and_inf() {
  draw::for_every_type([]<class T>(T*) {
    for (const double value : {double(NAN), double(INFINITY), double(-INFINITY)}) {
      Net net;
      draw::Buffer<T> weights(500, 0), grads(500, 0);
      for (int64_t i = 0; i < 500; ++i) weights.put(i, 1);
      grads.put(draw::integer(0, 499), value);
      net.add(std::move(weights), std::move(grads));
      check_sums(net, {kAbsProduct, kProduct, kSquare}, true, 64, draw::schedule());
    }
  });
}

// Products of float32 and bfloat16 that float32 cannot hold.
void products_out_of_range() {
  for (const int exponent : {-130, -100, -64, 60, 100, 120}) {
    Net net;
    const double scale = std::ldexp(1.0, exponent);
    net.add<float>({1500, 1, scale}, {1500, 1, scale});
    net.add<BFloat16>({1500, 0, scale}, {1500, 0, scale});
    check_sums(net, {kAbsProduct, kProduct, kSquare}, true, 128, draw::schedule());
  }
}

const check::Case kCases[] = {
    {"drawn_nets", drawn_nets},
    {"a_full_table", a_full_table},
    {"nan_and_inf", nan_and_inf},
    {"products_out_of_range", products_out_of_range},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

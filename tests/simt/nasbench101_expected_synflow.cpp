// nasbench101_expected_synflow on the CPU against whole feature maps in long double.
#include "cuda/nasbench101_expected_synflow.cuh"

#include <random>

#include "check.h"
#include "enumeration.h"

namespace {

using namespace zcfast;

// A feature map of the whole image and its derivative along the weights.
struct Image {
  int size;
  std::vector<long double> value, tangent;

  explicit Image(int side) : size(side), value(side * side), tangent(side * side) {}
};

using Window = std::vector<int>;  // places of the pixels under a filter

template <class F>
Image over_windows(const Image& in, int kernel, int stride, const F& f) {
  Image out(in.size / stride);
  const int reach = kernel == 3 ? 1 : 0;
  for (int row = 0; row < out.size; ++row)
    for (int column = 0; column < out.size; ++column) {
      Window window;
      for (int r = row * stride - reach; r < row * stride - reach + kernel; ++r)
        for (int c = column * stride - reach; c < column * stride - reach + kernel; ++c)
          if (r >= 0 && c >= 0 && r < in.size && c < in.size) window.push_back(r * in.size + c);
      f(window, out, row * out.size + column);
    }
  return out;
}

Image convolve(const Image& in, int kernel, long double gain) {
  return over_windows(in, kernel, 1, [&](const Window& window, Image& out, int at) {
    for (const int i : window) out.value[at] += gain * in.value[i], out.tangent[at] += gain * in.tangent[i];
    out.tangent[at] += out.value[at];
  });
}

Image pool(const Image& in, int kernel, int stride) {
  return over_windows(in, kernel, stride, [&](const Window& window, Image& out, int at) {
    int best = window[0];
    for (const int i : window)
      if (in.value[i] > in.value[best]) best = i;
    out.value[at] = in.value[best], out.tangent[at] = in.tangent[best];
  });
}

void add(Image& to, const Image& from, long double weight) {
  for (size_t i = 0; i < to.value.size(); ++i)
    to.value[i] += weight * from.value[i], to.tangent[i] += weight * from.tangent[i];
}

Image run_module(const Cell& cell, const Image& input, int inputs, int channels, const Initialisation& init) {
  int of[kMaxVertices];
  vertex_channels(cell.vertices, cell.edges, channels, of);
  std::vector<Image> maps{input};
  for (int v = 1; v < cell.vertices; ++v) {
    const bool last = v == cell.vertices - 1;
    Image sum(input.size);
    for (int u = 0; u < v; ++u) {
      if (!(sources(cell.edges, v) >> u & 1)) continue;
      if (u == 0)
        add(sum, convolve(input, 1, (last ? channels : 1) * init.convolution(inputs, of[v], 1)), 1);
      else
        add(sum, maps[u], last ? of[u] : 1);
    }
    if (last) return sum;
    const int operation = cell.operations[v - 1], kernel = operation == kConv3x3 ? 3 : 1;
    maps.push_back(operation == kMaxPool3x3 ? pool(sum, 3, 1)
                                            : convolve(sum, kernel, of[v] * init.convolution(of[v], of[v], kernel)));
  }
  return input;
}

double log_score(const Cell& cell, const SynflowNetwork& network) {
  Image ones(2 * network.quadrant);
  std::fill(ones.value.begin(), ones.value.end(), 1);
  int channels = network.stem_channels;
  Image x = convolve(ones, 3,
                     static_cast<long double>(channels) * network.image_channels *
                         network.initialisation.convolution(network.image_channels, channels, 3));
  for (int stack = 0; stack < network.stacks; ++stack) {
    int inputs = channels;
    if (stack > 0) x = pool(x, 2, 2), channels *= 2;
    for (int repeat = 0; repeat < network.modules; ++repeat, inputs = channels)
      x = run_module(cell, x, inputs, channels, network.initialisation);
  }
  long double sum = 0;
  for (size_t i = 0; i < x.value.size(); ++i) sum += x.value[i] + x.tangent[i];
  return double(std::log(sum * network.classes * network.initialisation.linear(channels) / (x.size * x.size)));
}

template <class T>
void check_cells(const SynflowNetwork& network, int count, double tolerance) {
  static const Enumeration all = enumerate_cells();
  std::mt19937 random(3);
  std::vector<int8_t> vertices, operations;
  std::vector<int32_t> edges;
  for (int i = 0; i < count; ++i) {
    const size_t at = random() % all.vertices.size();
    vertices.push_back(i == 1 ? int8_t(9) : all.vertices[at]);  // one is invalid
    edges.push_back(all.edges[at]);
    operations.insert(operations.end(), all.operations[at].begin(), all.operations[at].end());
  }
  const CellBatch batch{vertices.data(), edges.data(), operations.data()};
  for (const simt::Schedule schedule : {simt::Schedule{simt::Order::kRandom, 7}, {simt::Order::kFarAhead, 8}}) {
    const unsigned warps = 1 + unsigned(schedule.seed % 3);
    std::vector<double> scores(size_t(count), -1);
    simt::launch({{2}, {warps * kWarp}, size_t(synflow_bytes<T>(network.quadrant, int(warps))), schedule},
                 nasbench101_expected_synflow_kernel<T>, network, batch, int64_t(count), scores.data());
    for (int i = 0; i < count; ++i) {
      const double expected = i == 1 ? NAN : log_score(batch[i], network);
      check::close(scores[i], expected, tolerance * std::max(1.0, std::abs(expected)), "cell " + std::to_string(i));
    }
  }
}

void the_benchmarks_network() {
  const SynflowNetwork network{128, 3, 3, 10, 16, 3, {std::sqrt(2 / M_PI), false, 0, 0}};
  check_cells<double>(network, 4, 1e-13);
  check_cells<float>(network, 4, 1e-6);
}

void other_networks() {
  check_cells<double>({17, 2, 2, 100, 8, 1, {0.5, true, 0.02, 0}}, 10, 1e-13);
  check_cells<float>({16, 3, 1, 10, 4, 3, {3.0, false, 0, 0}}, 12, 1e-6);
  check_cells<float>({16, 1, 2, 10, 1, 3, {3.0, false, 0, 0}}, 12, 1e-6);
}

const check::Case kCases[] = {
    {"the_benchmarks_network", the_benchmarks_network},
    {"other_networks", other_networks},
};

}  // namespace

int main(int count, char** arguments) { return check::main(kCases, count, arguments); }

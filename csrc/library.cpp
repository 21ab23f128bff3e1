// The schema of every operator; kernels register for their dispatch key in csrc/cpu and csrc/cuda.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(zcfast, m) {
  // Contents that lead out of a table are an error on the CPU, which CUDA would have to wait for: there the index is
  // -1, the count of neighbours -1, and a run of evolve ends in rows of -1.
  //
  // Index in enumeration order (-1 where invalid) and validity (csrc/cell.h) of NAS-Bench-101 cells.
  m.def(
      "nasbench101_index(Tensor vertices, Tensor edges, Tensor operations, Tensor lookup, Tensor orders, "
      "Tensor class_first, Tensor class_orbits, Tensor orbits) -> (Tensor index, Tensor validity)");
  // Indices of the cells one edit away (csrc/cell.h: Relation), int32 [N, 31] from the left, then -1; and how many,
  // int64 [N], -1 where the cell is invalid.
  m.def(
      "nasbench101_neighbours(Tensor vertices, Tensor edges, Tensor operations, Tensor lookup, Tensor orders, "
      "Tensor class_first, Tensor class_orbits, Tensor orbits, int relation) -> (Tensor ids, Tensor counts)");
  // Natural logarithm of expected synflow, float64 [N]; the networks' and the initialisation's numbers as in
  // csrc/initialisation.h and zcfast/spaces. An invalid cell is an error on the CPU, which CUDA would have to wait
  // for: there its score is NaN.
  m.def(
      "nasbench101_expected_synflow(Tensor vertices, Tensor edges, Tensor operations, int stem_channels, int stacks, "
      "int modules, int classes, int resolution, int image_channels, float init_scale, bool init_fan_out, "
      "float init_linear_mean, bool double_precision) -> Tensor");
  m.def(
      "nasbench201_expected_synflow(Tensor operations, int stem_channels, int modules, int classes, int resolution, "
      "int image_channels, float init_scale, bool init_fan_out, float init_linear_mean, float init_bias_scale, "
      "bool double_precision) -> Tensor");
  // Trainable parameters and multiply-adds of one image, int64 [N]; -1 where the cell is invalid.
  m.def(
      "nasbench101_size(Tensor vertices, Tensor edges, Tensor operations, int stem_channels, int stacks, int modules, "
      "int classes, int resolution, int image_channels) -> (Tensor params, Tensor flops)");
  // The official MD5 graph hash, uint8 [N, 16].
  m.def("nasbench101_keys(Tensor vertices, Tensor edges, Tensor operations) -> Tensor");
  // Random bits of runs with a key each, int64 [R, draws] (csrc/streams.h).
  m.def("stream_bits(Tensor keys, int step, int draws) -> Tensor");
  // `steps` trainings of ageing evolution by look-up of values [N]: the rows trained, int64 [R, steps], and the pool's
  // rows and accuracies [R, P]; neighbours as offsets [N + 1] and ids, the proposed move of each architecture [N].
  m.def(
      "evolve(Tensor keys, int asked, int steps, Tensor initial, Tensor rows, Tensor accuracies, int tournament, "
      "Tensor offsets, Tensor ids, Tensor? moves, float ratio, Tensor values) -> (Tensor trained, Tensor rows_out, "
      "Tensor accuracies_out)");
  // The level of SIMD that this machine's kernels use; whether CUDA kernels are built in.
  m.def("simd_level() -> str");
  m.def("cuda_built() -> bool");
  // Sums of saliencies (csrc/saliency.h) over each layer: [kinds, layers] float64.
  m.def("saliency_reduce(Tensor[] weights, Tensor[] grads, str[] kinds) -> Tensor");
  // Fisher saliency of the channels of one layer's output: [channels] float64.
  m.def("fisher_reduce(Tensor activation, Tensor gradient, int channel_dim, bool elementwise=False) -> Tensor");
  // BatchNorm in training of float32 channels_last images: output, mean and inverse standard deviation of the channels.
  m.def(
      "batch_norm(Tensor input, Tensor weight, Tensor bias, float eps) "
      "-> (Tensor output, Tensor mean, Tensor inverse_deviation)");
  // The derivative by its input, and the sums over positions of gradient times normalised value and of the gradient.
  m.def(
      "batch_norm_backward(Tensor gradient, Tensor input, Tensor weight, Tensor mean, Tensor inverse_deviation) "
      "-> (Tensor by_input, Tensor along, Tensor total)");
  // synflow's pairs [2, B, C, H, W], float64, through a convolution by |weight| of stride 1; `count` of the new values
  // are added to the new tangents.
  m.def(
      "flow_convolution(Tensor input, Tensor weight, int count, int stride_height, int stride_width, int pad_height, "
      "int pad_width) -> Tensor");
  // jacob_cov of the rows of a Jacobian: scalar float64.
  m.def("jacobian_correlation(Tensor jacobian, float k=1e-05) -> Tensor");
}

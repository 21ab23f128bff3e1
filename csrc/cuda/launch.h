// What the kernel files offer to the operators: launches on a stream. No torch and no CUDA headers.
#pragma once
#include <cstdint>

#include "../cell.h"
#include "../evolution.h"
#include "../initialisation.h"

namespace zcfast {

// Every launch returns 0 or a cudaError_t; `stream` is a cudaStream_t.
const char* cuda_error_text(int error);

int launch_nasbench101_index(CellBatch cells, CellTables tables, int64_t count, int64_t* index, int8_t* validity,
                             void* stream);
int launch_nasbench101_neighbours(CellBatch cells, CellTables tables, int64_t count, int64_t relation, int32_t* ids,
                                  int64_t* counts, void* stream);

enum class Element : int8_t { kDouble, kFloat, kBFloat16, kFloat16 };

constexpr int64_t kSaliencyChunk = 8192;  // elements a block; whole packs of 16 bytes of every type
constexpr int kSaliencyLayers = 120;      // the table fits in the 4 KiB of arguments that every driver takes
constexpr int kSaliencyRows = 64;

struct SaliencyLayer {
  const void *weights, *grads;  // weights are null where no row reads them
  int64_t numel;
  int32_t first_chunk;
  Element element;
};
struct SaliencyTable {
  SaliencyLayer layer[kSaliencyLayers];
  int32_t layers, chunks;
};
struct SaliencyRows {
  int32_t count;
  int8_t kind[kSaliencyRows];
};

// partial: [chunks, kinds] float64 of scratch. out: as many columns as the table has layers.
int launch_saliency_reduce(const SaliencyTable& table, const SaliencyRows& rows, bool with_weights, double* partial,
                           double* out, int64_t row_stride, void* stream);

// Two tensors as they lie in memory: [images, outer, channels, inner], outer and inner the positions. With inner == 1
// the positions of an image are cut into chunks of `chunk`.
struct FisherView {
  const void *activation, *gradient;
  int64_t images, outer, channels, inner, chunk, chunks;
};

// partial: [images, chunks, channels] float64 of scratch; chunks is 1 where inner > 1.
int launch_fisher_reduce(const FisherView& view, Element element, bool elementwise, double* partial, double* out,
                         void* stream);

// centred [rows, columns]: the rows less their means; inverse_norm [rows]: 1 over their length.
int launch_centre_rows(const void* jacobian, Element element, int64_t rows, int64_t columns, double* centred,
                       double* inverse_norm, void* stream);

// The value from products [size, size] of the centred rows, which it overwrites. scratch: correlation_scratch(size).
int64_t correlation_scratch(int64_t size);
int launch_correlation_value(double* products, const double* inverse_norm, int64_t size, double k, double* scratch,
                             double* out, void* stream);

// The networks of nasbench101_expected_synflow.
struct SynflowNetwork {
  int stem_channels, stacks, modules, classes, quadrant, image_channels;
  Initialisation initialisation;
};

// The largest quadrant whose maps fit in shared memory.
int largest_synflow_quadrant(bool double_precision);
// log_scores [count]: NaN where the cell is invalid.
int launch_nasbench101_expected_synflow(const SynflowNetwork& network, CellBatch cells, int64_t count,
                                        bool double_precision, double* log_scores, void* stream);

// Random bits [count] of keys [count / draws].
int launch_stream_bits(const int64_t* keys, int64_t step, int64_t draws, int64_t count, int64_t* bits, void* stream);

// drawn [runs, tournament] and taken [runs, pool] are scratch.
int launch_evolve(const EvolutionSpace& space, const EvolutionRuns& runs, int64_t* drawn, int8_t* taken, void* stream);

}  // namespace zcfast

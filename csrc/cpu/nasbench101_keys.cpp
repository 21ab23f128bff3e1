// The official graph hash of NAS-Bench-101 cells (Ying et al. 2019; graph_util.hash_module of the released code): each
// vertex starts with the MD5 of "(out-degree, in-degree, label)"; as many times as there are vertices it is replaced by
// the MD5 of its sorted in-neighbours' hashes, its sorted out-neighbours' and its own; the key is the MD5 of the sorted
// list. Cells of one graph have messages of equal length, so several are hashed at once.
#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "cells.h"
#include "md5.h"

namespace zcfast {
namespace {

constexpr const char* kOp = "nasbench101_keys";
constexpr int kHex = 32;                       // characters of a hash
constexpr int kStride = 8 * (kHex + 4) + 128;  // the longest message is the final list, and its padding

// A digest as hexadecimal text and as numbers that sort like it.
struct Hash {
  char hex[kHex];
  uint64_t high, low;

  ZCFAST_INLINE void set(const uint8_t* digest) {
    typedef uint8_t Bytes __attribute__((vector_size(16)));
    Bytes bytes;
    std::memcpy(&bytes, digest, 16);
    const auto text = [](Bytes nibbles) { return nibbles + uint8_t('0') + ((nibbles > 9) & uint8_t('a' - '0' - 10)); };
    const Bytes first = text(bytes >> 4), second = text(bytes & 15);
    for (int i = 0; i < 16; ++i) hex[2 * i] = char(first[i]), hex[2 * i + 1] = char(second[i]);
    std::memcpy(&high, digest, 8);
    std::memcpy(&low, digest + 8, 8);
    high = __builtin_bswap64(high), low = __builtin_bswap64(low);
  }
  ZCFAST_INLINE bool operator<(const Hash& other) const {
    return high != other.high ? high < other.high : low < other.low;
  }
  ZCFAST_INLINE char* write(char* to) const {
    std::memcpy(to, hex, kHex);
    return to + kHex;
  }
};

// The hashes of a set of vertices in sorted order.
struct Sorted {
  const Hash* hashes[kMaxVertices];
  int count = 0;

  ZCFAST_INLINE Sorted(uint32_t vertices, const Hash* all) {
    for (; vertices; vertices &= vertices - 1) {
      const Hash* hash = all + __builtin_ctz(vertices);
      int at = count++;
      for (; at > 0 && *hash < *hashes[at - 1]; --at) hashes[at] = hashes[at - 1];
      hashes[at] = hash;
    }
  }
};

// Keys of kMessages cells with the same graph.
class GraphHasher {
 public:
  ZCFAST_INLINE void run(const Cell* cells, uint8_t* const* keys) {
    vertices_ = cells[0].vertices;
    for (int v = 0; v < vertices_; ++v) {
      into_[v] = sources(cells[0].edges, v), out_of_[v] = 0;
      for (int u = 0; u < v; ++u) out_of_[u] |= (into_[v] >> u & 1) << v;
    }
    for (int v = 0; v < vertices_; ++v) hash_label(cells, v);
    for (int round = 0; round < vertices_; ++round) {
      for (int v = 0; v < vertices_; ++v) hash_neighbours(v);
      std::swap(hashes_, next_);
    }
    hash_list(keys);
  }

 private:
  ZCFAST_INLINE void hash_messages(int64_t length, int v, Hash (*to)[kMaxVertices]) {
    uint8_t digests[kMessages][16];
    md5(messages_, kStride, length, digests);
    for (int lane = 0; lane < kMessages; ++lane) to[lane][v].set(digests[lane]);
  }

  // "(out-degree, in-degree, label)": operations are one digit, the input is -1 and the output -2.
  ZCFAST_INLINE void hash_label(const Cell* cells, int v) {
    int64_t length = 0;
    for (int lane = 0; lane < kMessages; ++lane) {
      char *const start = messages_ + lane * kStride, *to = start;
      const auto write = [&to](const char* text, int digit) {
        while (*text) *to++ = *text++;
        *to++ = char('0' + digit);
      };
      write("(", count_bits(out_of_[v]));
      write(", ", count_bits(into_[v]));
      if (v == 0)
        write(", -", 1);
      else if (v == vertices_ - 1)
        write(", -", 2);
      else
        write(", ", cells[lane].operations[v - 1]);
      *to++ = ')';
      length = to - start;
    }
    hash_messages(length, v, hashes_);
  }

  ZCFAST_INLINE void hash_neighbours(int v) {
    int64_t length = 0;
    for (int lane = 0; lane < kMessages; ++lane) {
      char *const start = messages_ + lane * kStride, *to = start;
      for (const uint32_t neighbours : {into_[v], out_of_[v]}) {
        const Sorted sorted(neighbours, hashes_[lane]);
        for (int i = 0; i < sorted.count; ++i) to = sorted.hashes[i]->write(to);
        *to++ = '|';
      }
      length = hashes_[lane][v].write(to) - start;
    }
    hash_messages(length, v, next_);
  }

  // "['...', '...']", as Python prints a list
  ZCFAST_INLINE void hash_list(uint8_t* const* keys) {
    int64_t length = 0;
    for (int lane = 0; lane < kMessages; ++lane) {
      char *const start = messages_ + lane * kStride, *to = start;
      const Sorted sorted((1u << vertices_) - 1, hashes_[lane]);
      for (int i = 0; i < sorted.count; ++i) {
        std::memcpy(to, i == 0 ? "['" : ", '", 3);
        to = sorted.hashes[i]->write(to + (i == 0 ? 2 : 3));
        *to++ = '\'';
      }
      *to++ = ']';
      length = to - start;
    }
    uint8_t digests[kMessages][16];
    md5(messages_, kStride, length, digests);
    for (int lane = 0; lane < kMessages; ++lane) std::memcpy(keys[lane], digests[lane], 16);
  }

  int vertices_ = 0;
  uint32_t into_[kMaxVertices], out_of_[kMaxVertices];
  Hash hashes_[kMessages][kMaxVertices], next_[kMessages][kMaxVertices];
  char messages_[kMessages * kStride];
};

// Takes up to kMessages neighbouring cells of the same graph at a time.
ZCFAST_CLONES
void hash_rows(CellBatch batch, int64_t begin, int64_t end, uint8_t* keys, FirstBad* invalid) {
  GraphHasher hasher;
  for (int64_t row = begin; row < end;) {
    Cell cells[kMessages] = {};
    uint8_t* outputs[kMessages] = {};
    int count = 0;
    for (; count < kMessages && row + count < end; ++count) {
      Cell cell = batch[row + count];
      if (validate(cell) != kValid) {
        invalid->note(row + count);
        return;
      }
      if (count > 0 && (cell.vertices != cells[0].vertices || cell.edges != cells[0].edges)) break;
      cells[count] = cell;
      outputs[count] = keys + (row + count) * 16;
    }
    for (int lane = count; lane < kMessages; ++lane) cells[lane] = cells[0], outputs[lane] = outputs[0];
    hasher.run(cells, outputs);
    row += count;
  }
}

Tensor keys(const Tensor& vertices, const Tensor& edges, const Tensor& operations) {
  const CellTensors cells(kOp, vertices, edges, operations);
  const CellBatch batch = cells.batch();
  Tensor keys = torch::stable::new_empty(cells.vertices, {cells.size(), 16}, ScalarType::Byte);
  auto* out = static_cast<uint8_t*>(keys.data_ptr());
  FirstBad invalid;
  torch::stable::parallel_for(0, cells.size(), 512,
                              [&](int64_t begin, int64_t end) { hash_rows(batch, begin, end, out, &invalid); });
  if (invalid.found())
    fail(kOp, "vertices, edges, operations: expected valid cells, got an invalid one in row ", invalid.row());
  return keys;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(zcfast, CPU, m) { m.impl("nasbench101_keys", TORCH_BOX(&keys)); }

}  // namespace zcfast

// MD5 (RFC 1321) of several messages of equal length at once, a message a lane.
#pragma once
#include <cstdint>
#include <cstring>

#include "simd.h"

namespace zcfast {

// Two vectors side by side: a step waits for the one before, the second vector fills the gaps.
constexpr int kMd5Vectors = 2;
struct Words {
  Vector<uint32_t> v[kMd5Vectors];
};
constexpr int kMessages = kMd5Vectors * kLanes<uint32_t>;

constexpr uint32_t kMd5Sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr int kMd5Shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

constexpr uint32_t kMd5Start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

ZCFAST_INLINE void md5_block(Words* state, const Words* block) {
  Words a = state[0], b = state[1], c = state[2], d = state[3];
#pragma GCC unroll 64
  for (int step = 0; step < 64; ++step) {
    const int round = step / 16;
    const int word = (round == 0 ? step : round == 1 ? 5 * step + 1 : round == 2 ? 3 * step + 5 : 7 * step) % 16;
    const int shift = kMd5Shifts[round][step % 4];
#pragma GCC unroll 2
    for (int i = 0; i < kMd5Vectors; ++i) {
      const auto x = b.v[i], y = c.v[i], z = d.v[i];
      const auto mixed = round == 0   ? z ^ (x & (y ^ z))
                         : round == 1 ? y ^ (z & (x ^ y))
                         : round == 2 ? x ^ y ^ z
                                      : y ^ (x | ~z);
      const auto sum = a.v[i] + mixed + kMd5Sines[step] + block[word].v[i];
      a.v[i] = z, d.v[i] = y, c.v[i] = x;
      b.v[i] = x + (sum << shift | sum >> (32 - shift));
    }
  }
  for (int i = 0; i < kMd5Vectors; ++i)
    state[0].v[i] += a.v[i], state[1].v[i] += b.v[i], state[2].v[i] += c.v[i], state[3].v[i] += d.v[i];
}

// Digests [kMessages][16] of `messages`, each in a buffer of `stride` bytes with 72 bytes of room behind its `length`
// bytes for the padding.
ZCFAST_INLINE void md5(char* messages, int64_t stride, int64_t length, uint8_t (*digests)[16]) {
  const int64_t blocks = (length + 8) / 64 + 1;
  for (int lane = 0; lane < kMessages; ++lane) {
    char* message = messages + lane * stride;
    std::memset(message + length, 0, 72);  // at least up to the end of the last block
    message[length] = char(0x80);
    const uint64_t bits = uint64_t(length) * 8;
    std::memcpy(message + 64 * blocks - 8, &bits, 8);
  }
  Words state[4] = {};
  for (int i = 0; i < 4; ++i)
    for (auto& vector : state[i].v) vector += kMd5Start[i];
  for (int64_t block = 0; block < blocks; ++block) {
    Words words[16];
    for (int word = 0; word < 16; ++word) {
      for (int lane = 0; lane < kMessages; ++lane) {
        uint32_t value;
        std::memcpy(&value, messages + lane * stride + 64 * block + 4 * word, 4);
        words[word].v[lane / kLanes<uint32_t>][lane % kLanes<uint32_t>] = value;
      }
    }
    md5_block(state, words);
  }
  for (int lane = 0; lane < kMessages; ++lane)
    for (int i = 0; i < 4; ++i) {
      const uint32_t word = state[i].v[lane / kLanes<uint32_t>][lane % kLanes<uint32_t>];
      std::memcpy(digests[lane] + 4 * i, &word, 4);
    }
}

}  // namespace zcfast

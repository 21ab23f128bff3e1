// Runs CUDA kernels on the CPU: compile their source with g++ and `-include simt.h`.
//
// Each CUDA thread is a fiber; one block runs at a time, and a schedule decides which of its threads goes on wherever
// one waits. Shared memory is a heap block of exactly the declared size, filled with 0xff (NaN, -1), so
// AddressSanitizer sees every access beyond it and reads before writes give wrong results. ThreadSanitizer sees fibers
// as threads that only __syncthreads and __syncwarp order: not shuffles, which order no memory on a device either, and
// not blocks.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
constexpr int warpSize = 32;

namespace simt {

// A kernel broke a rule of CUDA's: the message says which, where and in which block.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Order {
  kInOrder,   // every thread as far as it can, by turns
  kReversed,  // the same from the last block and thread
  kRandom,    // the next thread is drawn
  kFarAhead,  // mostly the thread that was woken last: some run far ahead of the others
};

struct Schedule {
  Order order = Order::kInOrder;
  uint64_t seed = 0;
};

struct Launch {
  dim3 grid, block;
  size_t shared_bytes = 0;  // of dynamic shared memory
  Schedule schedule;
};

struct Thread {
  dim3 index;
  unsigned lane;
};

extern const Thread* running;
extern dim3 grid_size, block_size, block_index;

// Runs every block to its end; throws Violation.
void run(const Launch& launch, std::function<void()> kernel);

template <class... Parameters, class... Arguments>
void launch(const Launch& launch, void (*kernel)(Parameters...), Arguments... arguments) {
  run(launch, [&] { kernel(arguments...); });
}

void* shared_memory(const void* declaration, size_t bytes);
void* dynamic_shared_memory();
void barrier(const char* where);
void warp_barrier(uint32_t mask, const char* where);
uint64_t exchange(uint32_t mask, uint64_t value, unsigned source_lane, const char* where);

template <class T>
T shuffle(uint32_t mask, T value, unsigned source_lane, const char* where) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, source_lane, where);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// As CUDA defines them for a width of 32: a source outside the warp means the own lane.
inline unsigned lane_down(unsigned delta) { return running->lane + delta < 32 ? running->lane + delta : running->lane; }

}  // namespace simt

#define SIMT_TEXT(x) #x
#define SIMT_LINE(line) SIMT_TEXT(line)
#define SIMT_WHERE(what) what " at " __FILE__ ":" SIMT_LINE(__LINE__)

#define threadIdx (simt::running->index)
#define blockIdx (simt::block_index)
#define blockDim (simt::block_size)
#define gridDim (simt::grid_size)
#define __syncthreads() simt::barrier(SIMT_WHERE("__syncthreads"))
#define __syncwarp() simt::warp_barrier(0xffffffffu, SIMT_WHERE("__syncwarp"))
#define __shfl_sync(mask, value, lane) simt::shuffle(mask, value, unsigned(lane) & 31, SIMT_WHERE("__shfl_sync"))
#define __shfl_xor_sync(mask, value, lanes) \
  simt::shuffle(mask, value, simt::running->lane ^ unsigned(lanes), SIMT_WHERE("__shfl_xor_sync"))
#define __shfl_down_sync(mask, value, delta) \
  simt::shuffle(mask, value, simt::lane_down(delta), SIMT_WHERE("__shfl_down_sync"))

template <class T>
T __ldg(const T* address) {
  return *address;
}

// What csrc/cuda/shared.cuh declares for the device. A declaration is known by the address of its own static.
#define ZCFAST_SHARED(T, name, count)       \
  static const char name##_declaration = 0; \
  T* const name = static_cast<T*>(simt::shared_memory(&name##_declaration, sizeof(T) * (count)))
#define ZCFAST_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(simt::dynamic_shared_memory())

// The machine behind simt.h. Compiled without sanitizers, which thus see the kernels' own accesses alone.
#include "simt.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "fiber.h"

namespace simt {

const Thread* running = nullptr;
dim3 grid_size, block_size, block_index;

namespace {

constexpr unsigned kWarp = 32;
constexpr unsigned kMostThreads = 1024;
// Fibers of ThreadSanitizer cost a millisecond each: blocks share them by turns, so that of two blocks in a row no
// thread is ordered with any of the other.
constexpr unsigned kTsanFibers = 512;

// The machine's own new, delete and memset are intercepted: a scope whose accesses ThreadSanitizer leaves out.
struct Unseen {
#ifdef SIMT_TSAN
  Unseen() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unseen() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  Unseen() {}
#endif
};

bool same_place(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

// Addresses that order threads for ThreadSanitizer. Two, used by turns: threads that arrive at the next barrier must
// not order those that have yet to leave this one.
class Synchronisation {
 public:
  void arrive() { release(turn_); }
  void leave(unsigned turn) { acquire(turn); }
  unsigned turn() const { return turn_; }
  void next() { turn_ ^= 1; }

 private:
  void release([[maybe_unused]] unsigned turn) {
#ifdef SIMT_TSAN
    __tsan_release(&address_[turn]);
#endif
  }
  void acquire([[maybe_unused]] unsigned turn) {
#ifdef SIMT_TSAN
    __tsan_acquire(&address_[turn]);
#endif
  }
  uint64_t address_[2] = {};
  unsigned turn_ = 0;
};

// Lanes that meet under one mask.
struct Meeting {
  uint32_t mask = 0, arrived = 0;
  const char* where = nullptr;
  uint64_t values[2][kWarp] = {};
  Synchronisation synchronisation;
};

struct Warp {
  uint32_t exited = 0;
  std::deque<Meeting> meetings;

  Meeting& meeting(uint32_t mask) {
    for (Meeting& m : meetings)
      if (m.mask == mask) return m;
    meetings.emplace_back().mask = mask;
    return meetings.back();
  }
};

enum class State { kReady, kWaits, kExited };

struct Member : Thread {
  Fiber* fiber = nullptr;
  Warp* warp = nullptr;
  State state = State::kReady;
  const char* waits_at = nullptr;
};

struct SharedBlock {
  const void* declaration;
  std::unique_ptr<char[]> memory;
};

struct Machine {
  std::function<void()> kernel;
  Schedule schedule;
  std::mt19937_64 random;
  std::deque<Fiber> fibers;
  std::vector<Member> members;
  std::vector<Member*> ready;
  std::vector<Warp> warps;
  unsigned threads = 0, alive = 0, at_barrier = 0;
  const char* barrier_at = nullptr;
  // A new one for every block, as one in common would order the blocks.
  std::deque<Synchronisation> barriers;
  Synchronisation launch_begin, launch_end;
  std::vector<SharedBlock> shared;
  std::vector<std::unique_ptr<char[]>> former_shared;  // of blocks before this one: freed when all blocks are ordered
  size_t dynamic_bytes = 0;
  std::string violation;
};

Machine machine;

Member& self() { return *static_cast<Member*>(const_cast<Thread*>(running)); }

std::string thread_name(const Member& member) {
  return "thread " + std::to_string(member.index.x + block_size.x * (member.index.y + block_size.y * member.index.z));
}

[[noreturn]] void violate(const std::string& text) {
  if (machine.violation.empty()) machine.violation = text;
  for (;;) self().fiber->leave();
}

void wait(const char* where) {
  self().state = State::kWaits;
  self().waits_at = where;
  self().fiber->leave();
}

void wake(Member& member) {
  member.state = State::kReady;
  machine.ready.push_back(&member);
}

// Counts the calling lane in; true if it was the last.
bool arrive(Meeting& meeting, const char* where) {
  const Member& me = self();
  const uint32_t bit = 1u << me.lane;
  if (!(meeting.mask & bit)) violate(std::string(where) + ": its mask leaves out the calling lane");
  if (me.warp->exited & meeting.mask) violate(std::string(where) + ": its mask names a lane that has exited");
  if (meeting.arrived && !same_place(meeting.where, where))
    violate(std::string("lanes of one warp meet at different places: ") + meeting.where + " and " + where);
  meeting.where = where;
  meeting.arrived |= bit;
  return meeting.arrived == meeting.mask;
}

// Blocks until every lane of the mask is here.
void meet(Meeting& meeting, const char* where) {
  if (!arrive(meeting, where)) return wait(where);
  const uint32_t lanes = meeting.arrived & ~(1u << self().lane);
  meeting.arrived = 0;
  meeting.synchronisation.next();
  for (Member& other : machine.members)
    if (other.warp == self().warp && (lanes >> other.lane & 1)) wake(other);
}

void exit_thread() {
  const Unseen unseen;
  Member& me = self();
  me.state = State::kExited;
  me.warp->exited |= 1u << me.lane;
  --machine.alive;
  if (machine.at_barrier) violate(thread_name(me) + " exits while others wait in " + machine.barrier_at);
  for (const Meeting& meeting : me.warp->meetings)
    if (meeting.arrived && (meeting.mask >> me.lane & 1))
      violate(thread_name(me) + " exits while its warp waits in " + meeting.where);
}

void thread_body() {
  machine.launch_begin.leave(0);
  machine.kernel();
  machine.launch_end.arrive();
  exit_thread();
  self().fiber->leave(true);
  std::abort();
}

Fiber& fiber_of([[maybe_unused]] unsigned block, unsigned thread) {
#ifdef SIMT_TSAN
  const unsigned sets = std::max(2u, kTsanFibers / machine.threads);
#else
  const unsigned sets = 1;
#endif
  const size_t at = size_t(block % sets) * machine.threads + thread;
  while (machine.fibers.size() <= at) machine.fibers.emplace_back();
  return machine.fibers[at];
}

void start_block(unsigned position) {
  for (SharedBlock& block : machine.shared) machine.former_shared.push_back(std::move(block.memory));
  machine.shared.clear();
  machine.barriers.emplace_back();
  machine.ready.clear();
  machine.warps = std::vector<Warp>((machine.threads + kWarp - 1) / kWarp);
  machine.alive = machine.threads;
  machine.at_barrier = 0;
  for (unsigned i = 0; i < machine.threads; ++i) {
    Member& member = machine.members[i];
    member.index = {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
    member.lane = i % kWarp;
    member.warp = &machine.warps[i / kWarp];
    // A last warp of fewer threads: the others have exited before they began.
    if (i + 1 == machine.threads && member.lane < kWarp - 1) member.warp->exited = ~0u << (member.lane + 1);
    member.fiber = &fiber_of(position, i);
    member.fiber->restart(&thread_body);
    wake(member);
  }
  if (machine.schedule.order == Order::kReversed) std::reverse(machine.ready.begin(), machine.ready.end());
  if (machine.schedule.order >= Order::kRandom)
    std::shuffle(machine.ready.begin(), machine.ready.end(), machine.random);
}

Member* next_thread() {
  size_t at = 0;
  if (machine.schedule.order == Order::kRandom) at = machine.random() % machine.ready.size();
  if (machine.schedule.order == Order::kFarAhead)
    at = machine.random() % 16 ? machine.ready.size() - 1 : machine.random() % machine.ready.size();
  Member* next = machine.ready[at];
  if (machine.schedule.order >= Order::kRandom) {
    machine.ready[at] = machine.ready.back();
    machine.ready.pop_back();
  }
  return next;
}

// In-order schedules go through the list of ready threads round by round.
void run_block() {
  const bool drawn = machine.schedule.order >= Order::kRandom;
  std::vector<Member*> round;
  while (!machine.ready.empty()) {
    round.clear();
    if (drawn)
      round.push_back(next_thread());
    else
      round.swap(machine.ready);
    for (Member* member : round) {
      running = member;
      member->fiber->enter();
      if (!machine.violation.empty()) return;
    }
  }
  for (const Member& member : machine.members)
    if (member.state == State::kWaits) {
      machine.violation = "deadlock: " + thread_name(member) + " waits for ever in " + member.waits_at;
      return;
    }
}

}  // namespace

void run(const Launch& launch, std::function<void()> kernel) {
  const Unseen unseen;
  grid_size = launch.grid, block_size = launch.block;
  const unsigned blocks = grid_size.x * grid_size.y * grid_size.z;
  const unsigned threads = block_size.x * block_size.y * block_size.z;
  if (threads == 0 || threads > kMostThreads || blocks == 0) throw Violation("a grid or block of an impossible size");
  machine.kernel = std::move(kernel);
  machine.schedule = launch.schedule;
  machine.random.seed(launch.schedule.seed);
  machine.threads = threads;
  machine.dynamic_bytes = launch.shared_bytes;
  machine.violation.clear();
  machine.members = std::vector<Member>(threads);

  std::vector<unsigned> order(blocks);
  for (unsigned b = 0; b < blocks; ++b) order[b] = b;
  if (launch.schedule.order == Order::kReversed) std::reverse(order.begin(), order.end());
  if (launch.schedule.order >= Order::kRandom) std::shuffle(order.begin(), order.end(), machine.random);
  machine.launch_begin.arrive();
  for (unsigned position = 0; position < blocks; ++position) {
    const unsigned b = order[position];
    block_index = {b % grid_size.x, b / grid_size.x % grid_size.y, b / grid_size.x / grid_size.y};
    start_block(position);
    run_block();
    if (machine.violation.empty()) continue;
    machine.shared.clear();
    throw Violation(machine.violation + " [block " + std::to_string(b) + "]");
  }
  machine.launch_end.leave(0);
  machine.barriers.clear();
  machine.former_shared.clear();
  machine.shared.clear();
}

void* shared_memory(const void* declaration, size_t bytes) {
  const Unseen unseen;
  for (const SharedBlock& block : machine.shared)
    if (block.declaration == declaration) return block.memory.get();
  char* memory = new char[bytes];
  std::memset(memory, 0xff, bytes);
  machine.shared.push_back({declaration, std::unique_ptr<char[]>(memory)});
  return memory;
}

void* dynamic_shared_memory() {
  if (!machine.dynamic_bytes) violate("dynamic shared memory is used but the launch gave none");
  return shared_memory(&machine.dynamic_bytes, machine.dynamic_bytes);
}

void barrier(const char* where) {
  const Unseen unseen;
  if (machine.alive != machine.threads) violate(std::string(where) + ": a thread of the block has exited");
  if (machine.at_barrier && !same_place(machine.barrier_at, where))
    violate(std::string("threads of one block meet at different places: ") + machine.barrier_at + " and " + where);
  machine.barrier_at = where;
  Synchronisation& synchronisation = machine.barriers.back();
  const unsigned turn = synchronisation.turn();
  synchronisation.arrive();
  if (++machine.at_barrier < machine.threads) {
    wait(where);
  } else {
    machine.at_barrier = 0;
    synchronisation.next();
    for (Member& other : machine.members)
      if (&other != &self()) wake(other);
  }
  synchronisation.leave(turn);
}

void warp_barrier(uint32_t mask, const char* where) {
  const Unseen unseen;
  Meeting& meeting = self().warp->meeting(mask);
  const unsigned turn = meeting.synchronisation.turn();
  meeting.synchronisation.arrive();
  meet(meeting, where);
  meeting.synchronisation.leave(turn);
}

uint64_t exchange(uint32_t mask, uint64_t value, unsigned source_lane, const char* where) {
  const Unseen unseen;
  if (!(mask >> source_lane & 1)) violate(std::string(where) + ": it reads a lane outside its mask");
  Meeting& meeting = self().warp->meeting(mask);
  uint64_t (&values)[kWarp] = meeting.values[meeting.synchronisation.turn()];
  values[self().lane] = value;
  meet(meeting, where);
  return values[source_lane];
}

}  // namespace simt

// Walks a pickle without building anything, so that a hostile one is refused before Python's machine sees it.
//
// Python builds a tuple of a tuple of ... in no time and then needs exponential time (or its whole stack) to hash it as
// a key; an index of the memo or a length near 2^31 makes it allocate gigabytes. The walk keeps of each object only the
// number of objects that hashing it would visit.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "formats.h"

namespace py = pybind11;

namespace {

constexpr uint32_t kLargestKey = 64;  // objects in a tuple, itself included
// Numbers whose hash their writer chooses: 64 bits of it make tuples of one hash, any more make numbers of one hash.
constexpr uint32_t kKeyAlone = kLargestKey, kNoKey = kLargestKey + 1;

class Walk {
 public:
  Walk(std::string_view pickle, uint64_t memory) : pickle_(pickle), memory_(memory) {}

  // The number of bytes up to and with the end of the pickle.
  size_t run() {
    while (true) {
      const auto opcode = uint8_t(take(1)[0]);
      if (opcode == '.') {
        pop();
        return at_;
      }
      ++steps_;
      if (!(constant(opcode) || container(opcode) || memo(opcode) || call(opcode))) {
        fail("an opcode that plain data does not need: " + std::to_string(opcode));
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& reason) {
    throw std::invalid_argument("one that is broken at byte " + std::to_string(at_) + ": " + reason);
  }

  std::string_view take(uint64_t size) {
    if (size > pickle_.size() - at_) fail("it ends too early");
    const std::string_view taken = pickle_.substr(at_, size);
    at_ += size;
    return taken;
  }

  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, take(bytes).data(), bytes);  // little endian, as a pickle is
    return value;
  }

  void line() {
    const size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) fail("it ends too early");
    at_ = end + 1;
  }

  void push(uint32_t size = 1) { stack_.push_back(size); }

  uint32_t pop() {
    if (stack_.size() <= floor()) fail("it takes more objects than there are");
    const uint32_t size = stack_.back();
    stack_.pop_back();
    return size;
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  void unmark() {
    if (marks_.empty()) fail("it ends a collection that it never began");
    stack_.resize(marks_.back());
    marks_.pop_back();
  }

  void tuple(size_t items) {
    uint64_t size = 1;
    bool key = true;
    spend(40 + 8 * items);
    for (; items; --items) {
      const uint32_t item = pop();
      key &= item < kKeyAlone;
      size += item < kKeyAlone ? item : 1;
    }
    if (size > kLargestKey) fail("a tuple of more than " + std::to_string(kLargestKey) + " objects");
    push(key ? uint32_t(size) : kNoKey);
  }

  // What Python's machine will allocate, in bytes, never less than it does.
  void spend(uint64_t bytes) {
    if (bytes > memory_) fail("it needs more memory than ZCFAST_READ_MEMORY allows");
    memory_ -= bytes;
  }

  void skip_and_push(uint64_t size, uint64_t bytes_each = 1) {
    take(size);
    spend(64 + bytes_each * size);
    push();
  }

  void integer(uint64_t size) {
    take(size);
    spend(32 + 2 * size);
    push(size > 8 ? kNoKey : size > 4 ? kKeyAlone : 1);
  }

  // The objects on the stack from the last mark on, of which each `step`-th is hashed.
  void hashed(size_t step) {
    if (marks_.empty()) return;
    for (size_t at = marks_.back(); at < stack_.size(); at += step) require_key(stack_[at]);
  }

  void require_key(uint32_t size) {
    if (size >= kNoKey) fail("a key whose hash its writer chose");
  }

  bool constant(uint8_t opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        take(1);
        return true;
      case 0x95:  // FRAME
        if (number(8) > pickle_.size() - at_) fail("a frame longer than the file");
        return true;
      case 'N':
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push();
        return true;
      case 'K':
        return skip_and_push(1), true;
      case 'M':
        return skip_and_push(2), true;
      case 'J':
        return skip_and_push(4), true;
      case 'G':
        spend(32);
        take(8);
        return push(kKeyAlone), true;
      case 0x8a:  // LONG1
        return integer(number(1)), true;
      case 'C':
      case 'U':   // SHORT_BINSTRING and BINSTRING, text of Python 2
        return skip_and_push(number(1)), true;
      case 0x8c:  // SHORT_BINUNICODE; four bytes a letter where one of them needs it
        return skip_and_push(number(1), 4), true;
      case 'B':
      case 'T':
        return skip_and_push(number(4)), true;
      case 'X':
        return skip_and_push(number(4), 4), true;
      case 0x8d:  // BINUNICODE8
        return skip_and_push(number(8), 4), true;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        return skip_and_push(number(8)), true;
    }
    return false;
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case ']':
      case '}':
      case ')':
      case 0x8f:  // EMPTY_SET
        spend(opcode == 0x8f ? 232 : 96);
        push();
        return true;
      case 't':
        if (marks_.empty()) fail("it ends a collection that it never began");
        {
          const size_t items = stack_.size() - marks_.back();
          tuple(items);
          const uint32_t size = pop();
          unmark();
          push(size);
        }
        return true;
      case 0x85:  // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        tuple(opcode - 0x84u);
        return true;
      case 'a':
        spend(64);
        pop();
        require_object();
        return true;
      case 's':
        spend(256);
        pop();
        require_key(pop());
        require_object();
        return true;
      case 'e':
      case 'u':
      case 0x90:  // ADDITEMS
        if (opcode != 'e') hashed(opcode == 'u' ? 2 : 1);
        if (!marks_.empty()) spend(256 + (opcode == 'e' ? 16 : 128) * (stack_.size() - marks_.back()));
        unmark();
        require_object();
        return true;
    }
    return false;
  }

  bool memo(uint8_t opcode) {
    switch (opcode) {
      case 0x94:  // MEMOIZE
        return put(memo_.size()), true;
      case 'q':
        return put(number(1)), true;
      case 'r':
        return put(number(4)), true;
      case 'h':
        return get(number(1)), true;
      case 'j':
        return get(number(4)), true;
    }
    return false;
  }

  void put(uint64_t index) {
    require_object();
    spend(32);
    if (index > steps_) fail("an index of the memo beyond the number of objects");
    if (index >= memo_.size()) memo_.resize(index + 1, 0);
    memo_[index] = stack_.back();
  }

  void get(uint64_t index) {
    if (index >= memo_.size() || memo_[index] == 0) fail("an object of the memo that was never put there");
    push(memo_[index]);
  }

  bool call(uint8_t opcode) {
    switch (opcode) {
      case 'c':
        spend(256);
        line();
        line();
        push();
        return true;
      case 0x93:  // STACK_GLOBAL
        pop();
        pop();
        push();
        return true;
      case 'R':
      case 0x81:  // NEWOBJ
        spend(256);
        pop();
        pop();
        push(kKeyAlone);
        return true;
      case 0x92:  // NEWOBJ_EX
        spend(256);
        pop();
        pop();
        pop();
        push(kKeyAlone);
        return true;
      case 'Q':
        pop();
        push(kKeyAlone);
        return true;
      case 'b':
        pop();
        require_object();
        return true;
    }
    return false;
  }

  void require_object() {
    if (stack_.size() <= floor()) fail("it takes more objects than there are");
  }

  std::string_view pickle_;
  size_t at_ = 0;
  uint64_t memory_, steps_ = 0;
  std::vector<uint32_t> stack_, memo_;  // objects that hashing visits; 0 in the memo: nothing there
  std::vector<size_t> marks_;
};

size_t pickle_size(const py::buffer& buffer, size_t start, uint64_t memory) {
  const py::buffer_info info = buffer.request();
  const std::string_view bytes = zcfast::bytes_of(info);
  py::gil_scoped_release release;
  return Walk(bytes.substr(std::min(start, bytes.size())), memory).run();
}

}  // namespace

void zcfast::register_pickle(py::module_& module) {
  module.def("pickle_size", &pickle_size, py::arg("buffer"), py::arg("start") = 0,
             py::arg("memory") = UINT64_MAX,
             "Bytes of the pickle that begins at `start`; a ValueError for one that is broken or costs more memory or "
             "time to load than its size, or more memory than `memory` bytes.");
}

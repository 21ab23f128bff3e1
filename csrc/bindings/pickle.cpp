// Walks a pickle without building anything, so that a hostile one is refused before Python's machine sees it.
//
// Python builds a tuple of a tuple of ... in no time and then needs exponential time (or its whole stack) to hash it as
// a key; integers of many digits are slow to read and can be chosen to collide in a dictionary; an index of the memo or
// a length near 2^31 makes it allocate gigabytes, and so do a few million empty sets, one byte each. The walk keeps of
// each object the number of objects that hashing it would visit, and of all together the memory that Python takes for
// them.
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
// Numbers whose hash their writer chooses: with 64 bits of them tuples of one hash, with more numbers of one hash.
constexpr uint32_t kKeyAlone = 1u << 30, kNoKey = 1u << 31, kObjects = kKeyAlone - 1;

// Bytes that CPython takes.
constexpr uint64_t kObject = 32, kText = 56, kList = 64, kDictionary = 64, kSet = 216, kTuple = 48, kItem = 16,
                   kPair = 104;

class Walk {
 public:
  Walk(std::string_view pickle, uint64_t budget) : pickle_(pickle), budget_(budget) {}

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

  void push(uint32_t size = 1) {
    spend(kItem);
    stack_.push_back(size);
  }

  void spend(uint64_t bytes) {
    if (bytes > budget_) fail("its objects take more memory than ZCFAST_MEMORY allows");
    budget_ -= bytes;
  }

  void make(uint64_t bytes) {
    spend(bytes);
    push();
  }

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
    spend(kTuple + 8 * items);
    for (; items; --items) {
      const uint32_t item = pop();
      key &= item == (item & kObjects);
      size += item & kObjects;
    }
    if (size > kLargestKey) fail("a tuple of more than " + std::to_string(kLargestKey) + " objects");
    push(uint32_t(size) | (key ? 0 : kNoKey));
  }

  void integer(uint64_t size) {
    take(size);
    spend(kObject + 2 * size);
    push(1 | (size > 8 ? kNoKey : size > 4 ? kKeyAlone : 0));
  }

  // The objects on the stack from the last mark on, of which Python hashes each `step`-th.
  void hashed(size_t step) {
    if (marks_.empty()) return;
    for (size_t at = marks_.back(); at < stack_.size(); at += step) require_key(stack_[at]);
  }

  void require_key(uint32_t size) {
    if (size & kNoKey) fail("a key whose hash its writer chose");
  }

  void skip_and_push(uint64_t size) {
    take(size);
    make(kObject);
  }

  void text(uint64_t size, uint64_t each = 1) {
    take(size);
    make(kText + each * size);
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
        take(8);
        spend(kObject);
        return push(1 | kKeyAlone), true;
      case 0x8a:  // LONG1
        return integer(number(1)), true;
      case 'C':
      case 'U':  // SHORT_BINSTRING and BINSTRING, text of Python 2
        return text(number(1)), true;
      case 0x8c:  // SHORT_BINUNICODE: where one letter needs four bytes, all take them
        return text(number(1), 4), true;
      case 'B':
      case 'T':
        return text(number(4)), true;
      case 'X':
        return text(number(4), 4), true;
      case 0x8d:  // BINUNICODE8
        return text(number(8), 4), true;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        return text(number(8)), true;
    }
    return false;
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case '(':
        spend(kItem);
        marks_.push_back(stack_.size());
        return true;
      case ']':
        return make(kList), true;
      case '}':
        return make(kDictionary), true;
      case ')':
        push();
        return true;
      case 0x8f:  // EMPTY_SET
        return make(kSet), true;
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
        spend(kItem);
        pop();
        require_object();
        return true;
      case 's':
        spend(2 * kPair);
        pop();
        require_key(pop());
        require_object();
        return true;
      case 'e':
      case 'u':
      case 0x90:  // ADDITEMS
        if (opcode != 'e') hashed(opcode == 'u' ? 2 : 1);
        spend((opcode == 'e' ? kItem : kPair) * (stack_.size() - floor()));
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
    spend(kObject);
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
        spend(2 * kPair);
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
        spend(2 * kPair);
        pop();
        pop();
        push(1 | kKeyAlone);
        return true;
      case 0x92:  // NEWOBJ_EX
        spend(2 * kPair);
        pop();
        pop();
        pop();
        push(1 | kKeyAlone);
        return true;
      case 'Q':
        pop();
        push(1 | kKeyAlone);
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
  uint64_t budget_;
  size_t at_ = 0;
  uint64_t steps_ = 0;
  std::vector<uint32_t> stack_, memo_;  // objects that hashing visits; 0 in the memo: nothing there
  std::vector<size_t> marks_;
};

size_t pickle_size(const py::buffer& buffer, size_t start, uint64_t budget) {
  const py::buffer_info info = buffer.request();
  const std::string_view bytes = zcfast::bytes_of(info);
  py::gil_scoped_release release;
  return Walk(bytes.substr(std::min(start, bytes.size())), budget).run();
}

}  // namespace

void zcfast::register_pickle(py::module_& module) {
  module.def(
      "pickle_size", &pickle_size, py::arg("buffer"), py::arg("start"), py::arg("budget"),
      "Bytes of the pickle that begins at `start`; a ValueError for one that is broken, whose objects would take "
      "more than `budget` bytes, or that costs more time to load than its size.");
}

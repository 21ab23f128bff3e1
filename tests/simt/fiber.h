// Stacks to switch between on one operating-system thread, known to AddressSanitizer and ThreadSanitizer. For simt.cpp.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

#if !defined(__x86_64__) || defined(SIMT_UCONTEXT)
#define SIMT_PORTABLE_SWITCH
#include <ucontext.h>
#endif

// simt.cpp itself is compiled without sanitizers, so it is told which of them the program has.
#ifdef SIMT_ASAN
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, size_t* size);
void __asan_unpoison_memory_region(const volatile void* address, size_t size);
}
#endif
#ifdef SIMT_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
constexpr unsigned kTsanSwitchWithoutOrder = 1;
#endif

#ifndef SIMT_PORTABLE_SWITCH
extern "C" void simt_switch_stacks(void** save, void* load);
asm(R"(.text
.type simt_switch_stacks,@function
simt_switch_stacks:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
#endif

namespace simt {

// Whoever calls `enter` is suspended until the fiber calls `leave`.
class Fiber {
 public:
  Fiber() {
    void* memory =
        mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuard, PROT_NONE);
    stack_ = static_cast<char*>(memory) + kGuard;
#ifdef SIMT_TSAN
    tsan_ = __tsan_create_fiber(0);
#endif
  }
  ~Fiber() { munmap(stack_ - kGuard, kGuard + kStack); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next `enter` starts `body`, which never returns. What ran before is dropped.
  void restart(void (*body)()) {
    body_ = body;
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(stack_, kStack);
    fake_ = nullptr;
#endif
#ifdef SIMT_PORTABLE_SWITCH
    getcontext(&here_);
    here_.uc_stack.ss_sp = stack_;
    here_.uc_stack.ss_size = kStack;
    here_.uc_link = nullptr;
    makecontext(&here_, &start, 0);
#else
    void** top = reinterpret_cast<void**>(stack_ + kStack) - 8;
    *--top = nullptr;  // where `start` would return to
    *--top = reinterpret_cast<void*>(&start);
    for (int reg = 0; reg < 6; ++reg) *--top = nullptr;
    here_ = top;
#endif
  }

  void enter() {
    current_ = this;
#ifdef SIMT_TSAN
    caller_tsan_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_, kTsanSwitchWithoutOrder);
#endif
#ifdef SIMT_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_, kStack);
#endif
#ifdef SIMT_PORTABLE_SWITCH
    swapcontext(&caller_, &here_);
#else
    simt_switch_stacks(&caller_, here_);
#endif
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

  void leave([[maybe_unused]] bool for_ever = false) {
#ifdef SIMT_TSAN
    __tsan_switch_to_fiber(caller_tsan_, kTsanSwitchWithoutOrder);
#endif
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_, caller_stack_, caller_stack_size_);
#endif
#ifdef SIMT_PORTABLE_SWITCH
    swapcontext(&here_, &caller_);
#else
    simt_switch_stacks(&here_, caller_);
#endif
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(fake_, &caller_stack_, &caller_stack_size_);
#endif
  }

 private:
  static constexpr size_t kStack = 256 << 10, kGuard = 64 << 10;

  static void start() {
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &current_->caller_stack_, &current_->caller_stack_size_);
#endif
    current_->body_();
  }

  static inline Fiber* current_ = nullptr;
  char* stack_;
  void (*body_)() = nullptr;
#ifdef SIMT_PORTABLE_SWITCH
  ucontext_t here_, caller_;
#else
  void *here_ = nullptr, *caller_ = nullptr;
#endif
#ifdef SIMT_ASAN
  void* fake_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_stack_size_ = 0;
#endif
#ifdef SIMT_TSAN
  void *tsan_ = nullptr, *caller_tsan_ = nullptr;
#endif
};

}  // namespace simt

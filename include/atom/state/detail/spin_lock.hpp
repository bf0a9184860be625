// A lock for what takes some nanoseconds: a byte, and two instructions where nobody else has it.
#pragma once

#include <atom/config.hpp>

#include <atomic>
#include <thread>

namespace atom::inline v0_1::detail {

/// Waits a moment, longer each time.
class Backoff {
 public:
  void wait() noexcept {
    if (spins_ > 64) return std::this_thread::yield();
    for (unsigned i = 0; i < spins_; ++i) {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("yield");
#endif
    }
    spins_ *= 2;
  }

 private:
  unsigned spins_ = 1;
};

class SpinLock {
 public:
  void lock() noexcept {
    if (is_locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      wait();
  }
  void unlock() noexcept { is_locked_.store(false, std::memory_order_release); }

 private:
  void wait() noexcept {
    Backoff backoff;
    do {
      while (is_locked_.load(std::memory_order_relaxed)) backoff.wait();
    } while (is_locked_.exchange(true, std::memory_order_acquire));
  }
  std::atomic<bool> is_locked_{false};
};

}  // namespace atom::inline v0_1::detail

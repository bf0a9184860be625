// Threads that sleep until somebody wakes them, one of them or all at once: what a condition variable is for, but that
// all are woken in one call of the system, and none of them then waits for a mutex.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>

#if defined(__linux__) && defined(__LP64__)
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace atom::inline v0_1::detail {

/// A thread asks for `wakes()`, makes sure that it is to sleep, and sleeps. It is not to be woken before that: who
/// wakes it must know that it is there. May be destroyed when nobody is in it.
class Sleepers {
 public:
  unsigned wakes() const noexcept { return wakes_.load(std::memory_order_acquire); }

#if defined(__linux__) && defined(__LP64__)
  /// Until somebody was woken since there were so many `wakes`, which may be another one; false: or until the deadline.
  bool sleep(unsigned wakes, Deadline deadline) noexcept {
    // Of the clock that the system has here, too.
    const auto since_start = std::max(deadline, Deadline()).time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_start);
    const timespec until{seconds.count(), std::chrono::nanoseconds(since_start - seconds).count()};
    while (this->wakes() == wakes) {
      // Interrupted, or woken once before; or whoever wakes was faster.
      if (call(wait_bitset, wakes, &until) == 0 || Clock::now() < deadline) continue;
      return this->wakes() != wakes;
    }
    return true;
  }
  void wake_one() noexcept { wake(1); }
  void wake_all() noexcept { wake(INT_MAX); }

 private:
  using Clock = Deadline::clock;
  // Of <linux/futex.h>, which not every system has that has them: FUTEX_WAKE_PRIVATE, FUTEX_WAIT_BITSET_PRIVATE and
  // FUTEX_BITSET_MATCH_ANY.
  static constexpr int wake_some = 129, wait_bitset = 137;
  static constexpr unsigned any_bit = 0xFFFFFFFF;

  void wake(unsigned count) noexcept {
    wakes_.fetch_add(1, std::memory_order_release);
    call(wake_some, count, nullptr);
  }
  long call(int what, unsigned value, const timespec* until) noexcept {
    static_assert(sizeof wakes_ == sizeof(unsigned));
    return ::syscall(SYS_futex, &wakes_, what, value, until, nullptr, any_bit);
  }
#else
  bool sleep(unsigned wakes, Deadline deadline) noexcept {
    std::unique_lock lock(mutex_);
    return woken_.wait_until(lock, deadline, [&] { return this->wakes() != wakes; });
  }
  void wake_one() noexcept {
    count();
    woken_.notify_one();
  }
  void wake_all() noexcept {
    count();
    woken_.notify_all();
  }

 private:
  void count() noexcept {
    const std::lock_guard lock(mutex_);
    wakes_.fetch_add(1, std::memory_order_release);
  }
  std::mutex mutex_;
  std::condition_variable woken_;
#endif

  std::atomic<unsigned> wakes_{0};
};

}  // namespace atom::inline v0_1::detail

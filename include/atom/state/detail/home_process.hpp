// Whether a process is still the one in which something was made, or was forked from it: then what it shares with the
// other one, such as a connection, is not its own to use.
#pragma once

#include <atom/config.hpp>
#include <atom/state/error.hpp>

#include <pthread.h>

#include <atomic>
#include <cstdint>

namespace atom::inline v0_1::detail {

class HomeProcess {
 public:
  HomeProcess() noexcept : generation_(generation().load(std::memory_order_relaxed)) {}
  /// Costs a load, where getpid() may cost as much as a read from a database.
  bool is_here() const noexcept { return generation().load(std::memory_order_relaxed) == generation_; }

 private:
  static std::atomic<std::uint32_t>& generation() noexcept {
    static std::atomic<std::uint32_t> forks = 0;
    [[maybe_unused]] static const int registered = ::pthread_atfork(nullptr, nullptr, [] { ++forks; });
    return forks;
  }
  const std::uint32_t generation_;
};

/// What whoever uses a store elsewhere is told.
inline StateError store_is_anothers(Effect effect = Effect::none) {
  return {StateErrorCode::closed,
          "the store belongs to the process that this one was forked from: open one after fork()", effect};
}

}  // namespace atom::inline v0_1::detail

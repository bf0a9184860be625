// Notices two threads inside one store, where ATOM_CHECKS is set (misuse.hpp). Not all of them: what is checked is
// `use`, whatever runs code of the user's, what a session does, and whether another thread is there when an atom is
// written.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/definition.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/misuse.hpp>

#include <atomic>
#include <string>

namespace atom::inline v0_1::detail {

inline const void* this_thread() noexcept {
  static thread_local const char here = 0;
  return &here;
}

ATOM_COLD inline void two_threads(const Definition* atom) {
  report_misuse("a store is used by two threads at once" + (atom ? ", near its atom \"" + atom->key + "\"" : ""));
}

/// Looks whether another thread is inside.
inline void check_thread([[maybe_unused]] Delivery& delivery, [[maybe_unused]] const Definition* atom) {
#if ATOM_CHECKS
  const void* const other = std::atomic_ref(delivery.thread_inside).load(std::memory_order_relaxed);
  if (other && other != this_thread()) [[unlikely]]
    two_threads(atom);
#endif
}

/// This thread is inside until the block ends. Where the store may go meanwhile, `hold` knows. (Relaxed, so that it
/// does not hide from ThreadSanitizer what it is about.)
class ThreadInside {
 public:
  ThreadInside(Delivery& delivery, const Definition* atom, const Hold* hold = nullptr)
      : inside_(delivery.thread_inside),
        hold_(hold),
        before_(inside_.exchange(this_thread(), std::memory_order_relaxed)) {
    if (before_ && before_ != this_thread()) [[unlikely]] {
      before_ = nullptr;
      two_threads(atom);
    }
  }
  ThreadInside(const ThreadInside&) = delete;
  ThreadInside& operator=(const ThreadInside&) = delete;
  ~ThreadInside() {
    if (!hold_ || hold_->alive()) inside_.store(before_, std::memory_order_relaxed);
  }

 private:
  std::atomic_ref<const void*> inside_;
  const Hold* hold_;
  const void* before_;
};
class NoThreadInside {
 public:
  NoThreadInside(Delivery&, const Definition*, const Hold* = nullptr) noexcept {}
  ~NoThreadInside() {}  // not trivial: or it would be an unused variable
};

// Two classes with a name each: objects with and without checks may be linked together.
#if ATOM_CHECKS
using ThreadCheck = ThreadInside;
#else
using ThreadCheck = NoThreadInside;
#endif

}  // namespace atom::inline v0_1::detail

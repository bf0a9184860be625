// For threads that run an asynchronous server's loop: says, while a program is developed, where one waits for a
// database after all, as `session.use(atom)` does that was not loaded before. A database that is near answers so soon
// that it would not be noticed until the first time it does not.
//
//   std::thread([&] {
//     const atom::MustNotBlock here;
//     io.run();
//   });
#pragma once

#include <atom/config.hpp>
#include <atom/misuse.hpp>

namespace atom::inline v0_1 {

/// While one is there, what waits for a database in this thread is reported as misuse where ATOM_CHECKS is set
/// (misuse.hpp); it waits all the same. `states.events` counts as waiting, also if it finds what it needs, and so
/// does a store's first `on_change`. They may be nested, and belong to the thread: not into a coroutine, which another
/// one may resume.
class [[nodiscard]] MustNotBlock {
 public:
  MustNotBlock() noexcept { ++depth(); }
  MustNotBlock(const MustNotBlock&) = delete;
  MustNotBlock& operator=(const MustNotBlock&) = delete;
  ~MustNotBlock() { --depth(); }

  /// Whether this thread must not.
  static bool here() noexcept { return depth() > 0; }

 private:
  static unsigned& depth() noexcept {
    static thread_local unsigned depth = 0;
    return depth;
  }
};

namespace detail {

/// Before this thread waits for a database.
inline void about_to_block() {
#if ATOM_CHECKS
  if (MustNotBlock::here()) [[unlikely]] {
    report_misuse(
        "a database is waited for in a thread that must not block: co_await what ends in _async instead, and "
        "load_async(atoms...) before atoms of a session are used");
  }
#endif
}

}  // namespace detail
}  // namespace atom::inline v0_1

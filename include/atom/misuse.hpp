// Mistakes that C++ lets through, reported while a program is being developed: where ATOM_CHECKS is 1, which it is
// unless NDEBUG is defined. No layout depends on it, so objects with and without it may be linked together.
//
//   atom "user" is read as a template while a store is current: take its clone, store.use(atom)
//   a store is used by two threads at once, near its atom "cart"
//   atom "user" is used after its store has dropped or destroyed it
#pragma once

#include <atom/config.hpp>

#include <atomic>
#include <cstdio>
#include <string>
#include <string_view>

#if !defined(ATOM_CHECKS)
#if defined(NDEBUG)
#define ATOM_CHECKS 0
#else
#define ATOM_CHECKS 1
#endif
#endif

namespace atom::inline v0_1 {

/// Is told of each misuse, by the thread that commits it. It may throw where that helps to find it, or end the program.
using MisuseHandler = void (*)(std::string_view message);

namespace detail {

inline void print_misuse(std::string_view message) {
  std::fprintf(stderr, "atom: %.*s\n", static_cast<int>(message.size()), message.data());
}
ATOM_API inline std::atomic<MisuseHandler>& misuse_handler() noexcept {
  static constinit std::atomic<MisuseHandler> handler{&print_misuse};
  return handler;
}
ATOM_COLD inline void report_misuse(const std::string& message) {
  misuse_handler().load()(message);
}

}  // namespace detail

/// Sets what is told of misuse, and returns what was told before; null: it is printed on stderr. Thread-safe.
inline MisuseHandler set_misuse_handler(MisuseHandler handler) noexcept {
  return detail::misuse_handler().exchange(handler ? handler : &detail::print_misuse);
}

}  // namespace atom::inline v0_1

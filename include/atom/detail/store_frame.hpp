// Which store is current in a thread: a list of scopes. context.hpp opens them.
#pragma once

#include <atom/config.hpp>
#include <atom/fwd.hpp>

namespace atom::inline v0_1::detail {

/// A store that is current, and what was so before. Those of one thread are a list, the innermost first.
struct StoreFrame {
  AtomStore* store;  // null: none is current
  StoreFrame* outer = nullptr;
};

ATOM_API inline StoreFrame*& innermost_frame() noexcept {
  static constinit thread_local StoreFrame* innermost = nullptr;
  return innermost;
}

}  // namespace atom::inline v0_1::detail

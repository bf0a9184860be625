// How values come from elsewhere just before a store needs them: what persists, and what a session loads.
#pragma once

#include <atom/fwd.hpp>

namespace atom::inline v0_1::detail {

/// Takes part in the first use of each atom: whoever loads values from elsewhere. A store has at most one, and owns it.
class UseHook {
 public:
  UseHook() = default;
  UseHook(const UseHook&) = delete;
  UseHook& operator=(const UseHook&) = delete;
  /// The store is about to make a clone; it may be hydrated first.
  virtual void before_use(AtomStore& store, const AtomBase& atom) = 0;
  virtual void after_use(AtomStore& store, AtomBase& clone) = 0;
  virtual void free() noexcept = 0;

 protected:
  ~UseHook() = default;
};

}  // namespace atom::inline v0_1::detail

// What any StateStore does, whatever lies behind it: the tests in this folder, which know of a kind of store only what
// is declared here. A kind is one more file that defines it; the tests are compiled once for all of them.
//
// The numbers in their tags are those of the cases that they show.
#pragma once

#include <atom/state/state_store.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace contract {

// ---- What a kind of store defines

/// A word for messages.
std::string_view name();
/// A store in which nothing is, by itself or with others: no other test sees it.
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options = {});
/// Whether what is written can be read by another store.
bool persistent();
/// Another store on what the last `open` gave, as another process has it. Only if `persistent()`.
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options = {});

// ---- What the tests share

/// Waits until it is so, far longer than that takes. Whether it is.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// The code of the StateError that it throws, which had no effect.
template <class F>
atom::StateErrorCode code_thrown_by(F f) {
  try {
    (void)f();
  } catch (const atom::StateError& error) {
    CHECK(error.effect() == atom::Effect::none);
    return error.code();
  }
  FAIL("it should have thrown");
  return {};
}

/// An integer in the scope `global`.
inline atom::State<std::int64_t> number(atom::StateStore& states, std::string key = "number") {
  return states.get_state<std::int64_t>(0, {.key = std::move(key), .scope = atom::Scope::global()});
}

}  // namespace contract

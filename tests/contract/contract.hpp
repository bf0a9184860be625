// What any StateStore does, whatever lies behind it: the tests in this folder, which know of a kind of store only what
// is declared here. A kind is one more file, with a class that is registered. The environment variable ATOM_CONTRACT
// names the kind that a run is about.
//
// The numbers in their tags are those of the cases that they show.
#pragma once

#include <atom/state/backend.hpp>
#include <atom/state/state_store.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace contract {

// ---- A kind of store

class Kind {
 public:
  virtual ~Kind() = default;
  /// A store in which nothing is, by itself or with others: no other test sees it.
  virtual std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) = 0;
  /// Whether what is written can be read by another store.
  virtual bool persistent() const { return true; }
  /// Another store on what the last `open` gave, as another process has it. Only if `persistent()`.
  virtual std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) = 0;
  /// What such a store has behind it, for one of the test's own making; null: nothing.
  virtual std::shared_ptr<atom::Backend> backend() { return nullptr; }
};
void add_kind(const char* name, std::unique_ptr<Kind> (*make)());
/// Makes a kind known under its name; at namespace scope.
template <class OneKind>
struct Registered {
  explicit Registered(const char* name) {
    add_kind(name, []() -> std::unique_ptr<Kind> { return std::make_unique<OneKind>(); });
  }
};

// ---- What the tests have of the kind that they are about

std::string_view name();
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options = {});
bool persistent();
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options = {});
std::shared_ptr<atom::Backend> backend();

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

/// What a listener was told, one after the other. With a database another thread may do the telling, and later: what is
/// not yet as it should be is waited for.
template <class T>
class Heard {
 public:
  void push_back(T what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    all_.clear();
  }
  /// Does not wait.
  bool empty() const { return now().empty(); }
  friend bool operator==(const Heard& heard, const std::vector<T>& wanted) {
    return eventually([&] { return heard.now() == wanted || heard.now().size() > wanted.size(); }) &&
           heard.now() == wanted;
  }
  friend std::ostream& operator<<(std::ostream& out, const Heard& heard) {
    for (const T& what : heard.now()) out << what << ' ';
    return out;
  }

 private:
  std::vector<T> now() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  mutable std::mutex mutex_;
  std::vector<T> all_;
};

/// How often, likewise.
class Count {
 public:
  void operator++() { ++count_; }
  friend bool operator==(const Count& count, int wanted) {
    return eventually([&] { return count.count_ >= wanted; }) && count.count_ == wanted;
  }
  friend std::ostream& operator<<(std::ostream& out, const Count& count) { return out << count.count_; }

 private:
  std::atomic<int> count_{0};
};

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

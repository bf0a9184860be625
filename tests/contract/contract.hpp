// What any StateStore does, whatever lies behind it: the tests in this folder, which know of a kind of store (kind.hpp)
// only what is declared here. The environment variable ATOM_CONTRACT names the kind that a run is about.
//
// The numbers in their tags are those of the cases that they show.
#pragma once

#include <atom/state/backend.hpp>
#include <atom/state/state_store.hpp>

#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <numeric>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace contract {

// ---- What the tests have of the kind that they are about

/// A store in which nothing is, by itself or with others: no other test sees it.
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options = {});
/// Whether what is written can be read by another store.
bool persistent();
/// Another store on what the last `open` gave, as another process has it. Only if `persistent()`.
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options = {});
/// What a store has behind it, in which nothing is, for one of the test's own making; null, unless `persistent()`.
std::shared_ptr<atom::Backend> open_backend();

/// Of what a test repeats in the hope to meet a rare moment: so many; where ATOM_SOAK is set four times as many, else
/// with a server a quarter.
int rounds(int count);

// ---- What the tests share

using support::eventually;

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

/// That it throws, as others were first until the deadline. A batch may be under way just then, of which the store does
/// not know that it comes to nothing, too.
template <class F>
void check_is_overtaken(F f) {
  try {
    f();
  } catch (const atom::StateError& error) {
    const bool is_late =
        error.code() == atom::StateErrorCode::conflict || error.code() == atom::StateErrorCode::timed_out;
    CHECK((is_late || error.effect() == atom::Effect::unknown));
    return;
  }
  FAIL("it should have thrown");
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

/// 1 to `last`.
template <class T>
std::vector<T> one_to(T last) {
  std::vector<T> all(static_cast<std::size_t>(last));
  std::iota(all.begin(), all.end(), T{1});
  return all;
}

/// An integer in the scope `global`.
inline atom::State<std::int64_t> number(atom::StateStore& states, std::string key = "number") {
  return states.get_state<std::int64_t>(0, {.key = std::move(key), .scope = atom::Scope::global()});
}

/// Four threads, each with one of the stores, call `add` so often, which adds 1 to `number` and gives what came of it:
/// each is counted once, and every caller gets its own result.
template <class Add>
void check_counting(std::initializer_list<atom::StateStore*> stores, std::int64_t each, Add add) {
  std::vector<std::vector<std::int64_t>> results(4);
  support::in_threads(results.size(), [&](std::size_t thread) {
    atom::State<std::int64_t> state = number(*stores.begin()[thread % stores.size()]);
    for (std::int64_t i = 0; i < each; ++i) results[thread].push_back(add(state));
  });
  std::vector<std::int64_t> all;
  for (const std::vector<std::int64_t>& of_thread : results) {
    CHECK(std::is_sorted(of_thread.begin(), of_thread.end()));
    all.insert(all.end(), of_thread.begin(), of_thread.end());
  }
  std::sort(all.begin(), all.end());
  CHECK(all == one_to(4 * each));
  for (atom::StateStore* const states : stores) CHECK(number(*states).load() == 4 * each);
}

}  // namespace contract

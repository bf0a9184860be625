// The checker of histories: it takes those that can be, and finds what a state does that is broken.
#include "support/linearizability.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

namespace linearizability_test {
namespace {

using support::Call;
using support::Calls;
using support::is_linearizable;
using Kind = Call::Kind;

Call get(std::int64_t result, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::get, .result = result, .begin = begin, .end = end};
}
Call load(std::int64_t result, std::int64_t version, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::load, .result = result, .version = version, .begin = begin, .end = end};
}
Call set(std::int64_t value, std::int64_t version, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::set, .argument = value, .version = version, .begin = begin, .end = end};
}
Call add(std::int64_t n, std::int64_t result, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::add, .argument = n, .result = result, .begin = begin, .end = end};
}
Call set_if(std::int64_t value, std::int64_t version, bool result, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::set_if, .argument = value, .expected = version, .result = result, .begin = begin, .end = end};
}
Call erase(bool result, std::uint64_t begin, std::uint64_t end) {
  return {.kind = Kind::erase, .result = result, .begin = begin, .end = end};
}

TEST_CASE("calls one after the other are checked like a program") {
  CHECK(is_linearizable({}));
  CHECK(is_linearizable({get(0, 1, 2), add(2, 2, 3, 4), add(3, 5, 5, 6), get(5, 7, 8)}));
  CHECK_FALSE(is_linearizable({add(2, 2, 3, 4), add(3, 3, 5, 6)}));
  CHECK_FALSE(is_linearizable({get(1, 1, 2)}));
}

TEST_CASE("calls at the same time may have happened in any order, others in their own") {
  CHECK(is_linearizable({add(1, 2, 1, 4), add(1, 1, 2, 3)}));
  CHECK_FALSE(is_linearizable({add(1, 2, 1, 2), add(1, 1, 3, 4)}));
  CHECK(is_linearizable({set(5, 10, 1, 6), get(5, 2, 3), get(5, 4, 5)}));
  // Once somebody has seen the new value, nobody sees the old one any more.
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 6), get(5, 2, 3), get(0, 4, 5)}));
}

TEST_CASE("an update that is lost is found") {
  CHECK_FALSE(is_linearizable({add(1, 1, 1, 4), add(1, 1, 2, 3)}));
}

TEST_CASE("a version is one more with each write, and never comes again") {
  CHECK(is_linearizable({set(5, 10, 1, 2), load(5, 10, 3, 4), add(1, 6, 5, 6), load(6, 11, 7, 8)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), load(5, 11, 3, 4)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), set(5, 12, 3, 4)}));
  CHECK(is_linearizable({set(5, 10, 1, 2), erase(true, 3, 4), load(0, 0, 5, 6), set(6, 17, 7, 8)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), erase(true, 3, 4), set(6, 10, 5, 6)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), erase(true, 3, 4), erase(true, 5, 6)}));
  // That of a first add is not told; the first one who sees it knows it.
  CHECK(is_linearizable({add(1, 1, 1, 2), load(1, 10, 3, 4), add(1, 2, 5, 6), load(2, 11, 7, 8)}));
  CHECK_FALSE(is_linearizable({add(1, 1, 1, 2), load(1, 10, 3, 4), load(1, 11, 5, 6)}));
}

TEST_CASE("where writes are combined a version grows, and is that of the last of them") {
  const auto is_combined = [](const Calls& calls) { return is_linearizable<support::CombinedState>(calls); };
  CHECK(is_combined({set(5, 9, 1, 6), set(6, 10, 2, 5), load(6, 10, 7, 8), set(7, 14, 9, 10), load(7, 14, 11, 12)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), load(5, 10, 3, 4), set(6, 11, 5, 6), load(6, 10, 7, 8)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), load(5, 10, 3, 4), load(5, 11, 5, 6)}));
  CHECK(is_combined({set(5, 9, 1, 6), set(6, 10, 2, 5), set_if(7, 9, false, 7, 8), set_if(8, 10, true, 9, 10)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), load(5, 10, 3, 4), set_if(7, 9, true, 5, 6)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), load(5, 10, 3, 4), set_if(7, 10, false, 5, 6)}));
  CHECK_FALSE(is_combined({add(1, 1, 1, 4), add(1, 1, 2, 3)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), erase(false, 3, 4)}));
  CHECK_FALSE(is_combined({set(5, 10, 1, 2), get(0, 3, 4)}));
  CHECK(is_combined({set(5, 0, 1, Call::never), get(0, 2, 3), get(5, 4, 5)}));
}

TEST_CASE("set_if writes if the version is the one that was expected, and only then") {
  CHECK(is_linearizable({set_if(5, 0, true, 1, 2), load(5, 10, 3, 4)}));
  CHECK_FALSE(is_linearizable({set_if(5, 0, false, 1, 2)}));
  CHECK(is_linearizable({set(5, 10, 1, 2), set_if(6, 10, true, 3, 4), set_if(7, 10, false, 5, 6), load(6, 11, 7, 8)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), set_if(6, 10, true, 3, 4), set_if(7, 10, true, 5, 6)}));
  // Two that expect the same: one of them only.
  CHECK(is_linearizable({set(5, 10, 1, 2), set_if(6, 10, true, 3, 6), set_if(7, 10, false, 4, 5)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), set_if(6, 10, true, 3, 6), set_if(7, 10, true, 4, 5)}));
  CHECK_FALSE(is_linearizable({set(5, 10, 1, 2), set_if(6, 10, false, 3, 6), set_if(7, 10, false, 4, 5)}));
}

TEST_CASE("a call whose end nobody saw may have happened, at any time or never") {
  const Call lost = add(1, 0, 1, Call::never);
  CHECK(is_linearizable({lost, get(0, 2, 3)}));
  CHECK(is_linearizable({lost, get(1, 2, 3)}));
  CHECK(is_linearizable({lost, get(0, 2, 3), get(1, 4, 5)}));
  CHECK_FALSE(is_linearizable({lost, get(1, 2, 3), get(0, 4, 5)}));
  CHECK_FALSE(is_linearizable({lost, get(2, 2, 3)}));
  const Call lost_set_if = set_if(5, 10, false, 3, Call::never);
  CHECK(is_linearizable({set(4, 10, 1, 2), lost_set_if, get(4, 4, 5), get(5, 6, 7)}));
  CHECK_FALSE(is_linearizable({set(4, 11, 1, 2), lost_set_if, get(5, 6, 7)}));
}

/// A state whose parts are each safe from any thread.
class Broken {
 public:
  enum class Bug : std::uint8_t { none, add_is_load_and_store, get_is_cached, set_if_looks_first };
  explicit Broken(Bug bug) : bug_(bug) {}

  std::int64_t get() {
    if (bug_ != Bug::get_is_cached) return load().first;
    thread_local std::uint64_t calls = 0;
    if (++calls % 2 == 0) cached_.store(load().first);
    return cached_.load();
  }
  std::pair<std::int64_t, std::int64_t> load() {
    const std::lock_guard lock(mutex_);
    return {value_, present_ ? version_ : 0};
  }
  std::int64_t set(std::int64_t value) {
    const std::lock_guard lock(mutex_);
    return write(value);
  }
  std::int64_t add(std::int64_t n) {
    std::unique_lock lock(mutex_);
    const std::int64_t sum = value_ + n;
    if (bug_ == Bug::add_is_load_and_store) let_others(lock);
    write(sum);
    return sum;
  }
  bool set_if(std::int64_t value, std::int64_t version) {
    std::unique_lock lock(mutex_);
    if ((present_ ? version_ : 0) != version) return false;
    if (bug_ == Bug::set_if_looks_first) let_others(lock);
    write(value);
    return true;
  }
  bool erase() {
    const std::lock_guard lock(mutex_);
    value_ = 0;
    return std::exchange(present_, false);
  }

 private:
  std::int64_t write(std::int64_t value) {
    value_ = value;
    present_ = true;
    return ++version_;
  }
  static void let_others(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }

  const Bug bug_;
  std::mutex mutex_;
  std::int64_t value_ = 0;
  std::int64_t version_ = 0;
  bool present_ = false;
  std::atomic<std::int64_t> cached_{0};
};

/// After how many histories the bug was seen; 0: never.
std::size_t found_after(Broken::Bug bug, std::size_t rounds) {
  for (std::size_t round = 1; round <= rounds; ++round) {
    Broken state(bug);
    if (!is_linearizable(support::record_calls(state, 4, 3, round))) return round;
  }
  return 0;
}

TEST_CASE("what a correct state does is taken") {
  CHECK(found_after(Broken::Bug::none, 300) == 0);
}

TEST_CASE("a planted bug is found") {
  CHECK(found_after(Broken::Bug::add_is_load_and_store, 20'000) > 0);
  CHECK(found_after(Broken::Bug::set_if_looks_first, 20'000) > 0);
  CHECK(found_after(Broken::Bug::get_is_cached, 20'000) > 0);
}

}  // namespace
}  // namespace linearizability_test

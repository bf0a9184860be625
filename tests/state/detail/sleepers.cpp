// Threads that sleep until they are woken.
#include <atom/state/backend.hpp>
#include <atom/state/detail/sleepers.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace sleepers_test {
namespace {

using namespace std::chrono_literals;
using atom::Deadline;
using atom::detail::Sleepers;

/// Threads that sleep until they are woken once.
class Threads {
 public:
  Threads(Sleepers& sleepers, std::size_t count) {
    const unsigned wakes = sleepers.wakes();
    for (std::size_t i = 0; i < count; ++i) {
      all_.emplace_back([&sleepers, wakes, this] {
        if (sleepers.sleep(wakes, Deadline::max())) ++woken_;
      });
    }
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { join(); }
  void join() {
    for (std::thread& thread : all_) thread.join();
    all_.clear();
  }
  std::size_t woken() const { return woken_; }

 private:
  std::atomic<std::size_t> woken_{0};
  std::vector<std::thread> all_;
};

TEST_CASE("all who sleep are woken at once") {
  Sleepers sleepers;
  Threads threads(sleepers, 8);
  std::this_thread::sleep_for(20ms);  // some sleep by now, and some do not yet
  CHECK(threads.woken() == 0);
  sleepers.wake_all();
  threads.join();
  CHECK(threads.woken() == 8);
}

TEST_CASE("one who sleeps is woken, and the others sleep on") {
  Sleepers sleepers;
  Threads threads(sleepers, 3);
  std::this_thread::sleep_for(100ms);
  sleepers.wake_one();
  while (threads.woken() == 0) std::this_thread::yield();
  sleepers.wake_all();
  threads.join();
  CHECK(threads.woken() == 3);
}

TEST_CASE("who was woken before it sleeps does not") {
  Sleepers sleepers;
  const unsigned wakes = sleepers.wakes();
  sleepers.wake_one();
  CHECK(sleepers.sleep(wakes, Deadline::max()));
  CHECK(sleepers.sleep(wakes, Deadline()));
  CHECK(sleepers.wakes() != wakes);
}

TEST_CASE("nobody sleeps beyond the deadline") {
  Sleepers sleepers;
  const Deadline deadline = Deadline::clock::now() + 20ms;
  CHECK_FALSE(sleepers.sleep(sleepers.wakes(), deadline));
  CHECK(Deadline::clock::now() >= deadline);
  CHECK_FALSE(sleepers.sleep(sleepers.wakes(), Deadline()));
}

TEST_CASE("threads that wake each other in turn lose no wake") {
  Sleepers ping, pong;
  std::atomic<int> turns{0};
  constexpr int most = 20'000;
  const auto play = [&](Sleepers& mine, Sleepers& other, int parity) {
    for (;;) {
      const unsigned wakes = mine.wakes();
      const int turn = turns.load();
      if (turn >= most) break;
      if (turn % 2 == parity) {
        turns.store(turn + 1);
        other.wake_one();
      } else if (!mine.sleep(wakes, Deadline::clock::now() + 30s)) {
        break;
      }
    }
    other.wake_all();
  };
  std::thread second([&] { play(pong, ping, 1); });
  play(ping, pong, 0);
  second.join();
  CHECK(turns.load() == most);
}

}  // namespace
}  // namespace sleepers_test

#include <atom/state/detail/spin_lock.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <thread>

namespace spin_lock_test {
namespace {

TEST_CASE("what a spin lock guards is changed by one thread at a time") {
  atom::detail::SpinLock mutex;
  int count = 0;
  support::in_threads(4, [&](std::size_t) {
    for (int i = 0; i < 10'000; ++i) {
      const std::lock_guard lock(mutex);
      ++count;
    }
  });
  CHECK(count == 40'000);
}

TEST_CASE("who wants a spin lock that another thread has waits until it is unlocked") {
  atom::detail::SpinLock mutex;
  std::atomic<bool> is_in = false;
  mutex.lock();
  std::thread other([&] {
    const std::lock_guard lock(mutex);
    is_in = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(is_in);
  mutex.unlock();
  other.join();
  CHECK(is_in);
}

}  // namespace
}  // namespace spin_lock_test

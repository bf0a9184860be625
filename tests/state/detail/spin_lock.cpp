#include <atom/state/detail/spin_lock.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

#include <cstddef>
#include <mutex>

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

}  // namespace
}  // namespace spin_lock_test

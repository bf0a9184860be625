#include <atom/state/detail/job.hpp>

#include <atom/backend/memory.hpp>
#include <atom/state/state_store.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace job_test {
namespace {

TEST_CASE("Work that blocks is done by as many threads at once as the store is told, and by no more", "[case93]") {
  for (const std::size_t threads : {0u, 1u, 3u, 8u}) {
    const std::size_t at_once = threads == 0 ? 1 : threads;
    atom::StateStore states{std::make_shared<atom::Memory>(),
                            {.deadline = std::chrono::minutes(1), .threads = threads}};
    std::atomic<std::size_t> running = 0, most = 0;
    const auto work = [&] {
      const std::size_t now = ++running;
      std::size_t before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      while (most < at_once) std::this_thread::yield();           // until all are there
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // and any that should not be
      --running;
    };
    std::vector<atom::StateTask<void>> tasks;
    for (std::size_t i = 0; i < 3 * at_once; ++i) tasks.push_back(states.async(work));
    for (atom::StateTask<void>& task : tasks) {
      while (!task.is_ready()) std::this_thread::yield();  // who waits for it would do it itself
      task.wait();
    }
    CHECK(most == at_once);
  }
}

}  // namespace
}  // namespace job_test

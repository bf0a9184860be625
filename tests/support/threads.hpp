// Several threads that do something at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace support {

/// Runs `work(0)` to `work(count - 1)`, each in a thread of its own, which begin together. Returns when all have ended;
/// throws what the first of them has thrown. (Catch2 checks nothing in several threads at once, so what they find is
/// checked afterwards.)
template <class Work>
void in_threads(std::size_t count, Work work) {
  std::atomic<std::size_t> missing{count};
  std::vector<std::exception_ptr> thrown(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      missing.fetch_sub(1);
      while (missing.load() > 0) std::this_thread::yield();
      try {
        work(i);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace support

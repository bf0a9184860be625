#include <atom/backend/detail/pool.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace pool_test {
namespace {

using IntPool = atom::detail::Pool<int>;

auto in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

TEST_CASE("pool: what is lent is nobody else's, and comes back when its lease ends") {
  IntPool pool;
  CHECK_FALSE(pool.take(in(0ms)));
  pool.add(std::make_unique<int>(1));
  pool.add(std::make_unique<int>(2));
  {
    const IntPool::Lease two = pool.take(in(0ms));
    IntPool::Lease first = pool.take(in(0ms));
    const IntPool::Lease one = std::move(first);
    CHECK(*one + *two == 3);
    CHECK_FALSE(pool.take(in(5ms)));
  }
  CHECK(pool.take(in(0ms)));
}

TEST_CASE("pool: the one that was used last is lent first") {
  IntPool pool;
  for (int i = 0; i < 3; ++i) pool.add(std::make_unique<int>(i));
  const int last = *pool.take(in(0ms));
  for (int i = 0; i < 3; ++i) CHECK(*pool.take(in(0ms)) == last);
}

TEST_CASE("pool: who waits for one gets it when it is given back, or when there is another one") {
  IntPool pool;
  const auto wait_while = [&](auto something_happens) {
    bool got = false;
    std::thread other([&] { got = static_cast<bool>(pool.take(in(1h))); });
    std::this_thread::sleep_for(20ms);
    something_happens();
    other.join();
    CHECK(got);
  };
  wait_while([&] { pool.add(std::make_unique<int>(1)); });
  std::optional<IntPool::Lease> lease(pool.take(in(0ms)));
  wait_while([&] { lease.reset(); });
}

TEST_CASE("pool: threads share what there is") {
  IntPool pool;
  pool.add(std::make_unique<int>(0));
  pool.add(std::make_unique<int>(0));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) ++*pool.take(in(60s));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const IntPool::Lease a = pool.take(in(0ms));
  const IntPool::Lease b = pool.take(in(0ms));
  CHECK(*a + *b == 4000);
}

}  // namespace
}  // namespace pool_test

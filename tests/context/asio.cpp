// The current store in the coroutines of Boost.Asio, on two threads and on a pool of eight.
#include <atom/context.hpp>
#include <atom/store.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"

namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using atom::AtomStore;
using atom::carry;
using atom::current_store;
using atom::StoreScope;

std::atomic<int> wrong{0};
void expect_current(const AtomStore* store) {
  if (current_store() != store) ++wrong;
}

const atom::Atom<int> hops{"asio.hops", 0};
constexpr int hops_each = 200;

/// Waits, and goes on in whichever thread is free.
asio::awaitable<void> hop() {
  co_await asio::post(co_await asio::this_coro::executor, use_awaitable);
}
/// Sees the store of the one that awaits it without `carry`, and carries it itself.
asio::awaitable<int> hop_with(const AtomStore& store) {
  expect_current(&store);
  co_await carry(hop());
  expect_current(&store);
  co_return 1;
}
asio::awaitable<int> hop_in_another(const AtomStore*& seen) {
  AtomStore store;
  const StoreScope scope{store};
  co_await carry(hop());
  expect_current(&store);
  seen = &store;
  co_return 1;
}
asio::awaitable<void> fail() {
  co_await hop();
  throw std::runtime_error("no");
}

asio::awaitable<void> request(std::atomic<int>& done) {
  expect_current(nullptr);
  AtomStore store;
  const StoreScope scope{store};
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const AtomStore* other = nullptr;
  for (int i = 0; i < hops_each; ++i) {
    int n = co_await carry(hop_in_another(other));
    if (other == &store) ++wrong;
    expect_current(&store);
    n += co_await hop_with(store);
    expect_current(&store);
    atom::require_store().use(hops).update([n](const int& before) { return before + n; });
    try {
      co_await carry(fail());
      ++wrong;
    } catch (const std::runtime_error&) {
      expect_current(&store);
    }
  }
  timer.expires_after(std::chrono::milliseconds(1));
  co_await carry(timer.async_wait(use_awaitable));
  expect_current(&store);
  if (store.use(hops).value() != 2 * hops_each) ++wrong;
  ++done;
}
/// What else runs in these threads, when no request does.
asio::awaitable<void> look(const std::atomic<int>& done, int until) {
  while (done < until) {
    expect_current(nullptr);
    co_await hop();
  }
}

TEST_CASE("requests in Asio's coroutines on two threads see their own store, and what runs between them sees none") {
  constexpr int requests = 40;
  wrong = 0;
  std::atomic<int> done{0};
  asio::io_context context;
  for (int i = 0; i < requests; ++i) asio::co_spawn(context, request(done), asio::detached);
  for (int i = 0; i < 2; ++i) asio::co_spawn(context, look(done, requests), asio::detached);
  const auto run = [&] {
    while (context.run_one() > 0) expect_current(nullptr);
  };
  std::thread one(run), other(run);
  one.join();
  other.join();
  CHECK(done == requests);
  CHECK(wrong == 0);
}

/// Waits at `gate`, which the last one to come opens for all. A timer is one thread's at a time: its strand's.
asio::awaitable<void> wait_for_all(std::size_t count, std::atomic<std::size_t>& came, asio::steady_timer& gate) {
  co_await asio::dispatch(gate.get_executor(), use_awaitable);
  if (++came == count) {
    gate.cancel();
  } else {
    co_await gate.async_wait(asio::as_tuple(use_awaitable));
  }
}
/// A request that goes on only when all are there.
asio::awaitable<void> request_among(std::size_t count, std::atomic<std::size_t>& came, asio::steady_timer& gate,
                                    std::atomic<std::size_t>& done) {
  expect_current(nullptr);
  AtomStore store;
  const StoreScope scope{store};
  co_await carry(wait_for_all(count, came, gate));
  expect_current(&store);
  if (came != count) ++wrong;
  for (int i = 0; i < 5; ++i) {
    co_await carry(hop());
    expect_current(&store);
    const int n = co_await hop_with(store);
    expect_current(&store);
    atom::require_store().use(hops).update([n](const int& before) { return before + n; });
  }
  if (store.use(hops).value() != 5) ++wrong;
  ++done;
}

TEST_CASE("a thousand requests at once on a pool of eight threads see their own store, and what runs there sees none") {
  constexpr std::size_t requests = 1000;
  wrong = 0;
  std::atomic<std::size_t> came{0}, done{0};
  asio::thread_pool pool(8);
  asio::steady_timer gate(asio::make_strand(pool), asio::steady_timer::time_point::max());
  for (std::size_t i = 0; i < requests; ++i) {
    asio::co_spawn(pool, request_among(requests, came, gate, done), asio::detached);
    asio::post(pool, [] { expect_current(nullptr); });
  }
  pool.join();
  CHECK(done == requests);
  CHECK(wrong == 0);
}

TEST_CASE("a coroutine of Asio that is cancelled has its store for what it still does") {
  AtomStore store;
  bool cancelled = false, right = false;
  asio::io_context context;
  asio::steady_timer timer(context, std::chrono::hours(1));
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        const StoreScope scope{store};
        try {
          co_await carry(timer.async_wait(use_awaitable));
        } catch (const std::exception&) {
          cancelled = true;
          right = current_store() == &store;
        }
      },
      asio::detached);
  context.poll();
  CHECK(current_store() == nullptr);
  timer.cancel();
  context.run();
  CHECK(cancelled);
  CHECK(right);
  CHECK(current_store() == nullptr);
}

TEST_CASE("a coroutine of Asio that ends with its context leaves the thread with what it had") {
  struct SeesAtEnd {
    AtomStore*& seen;
    ~SeesAtEnd() { seen = current_store(); }
  };
  AtomStore store, threads;
  AtomStore* seen = nullptr;
  const StoreScope scope{threads};
  {
    asio::io_context context;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
          const StoreScope own{store};
          const SeesAtEnd sees{seen};
          asio::steady_timer timer(context, std::chrono::hours(1));
          co_await carry(timer.async_wait(use_awaitable));
        },
        asio::detached);
    context.poll();
    CHECK(seen == nullptr);
    CHECK(current_store() == &threads);
  }
  CHECK(seen == &store);
  CHECK(current_store() == &threads);
}

TEST_CASE("what is bound and posted runs with the store of the one who posted it") {
  AtomStore store;
  AtomStore* seen = nullptr;
  asio::io_context context;
  {
    const StoreScope scope{store};
    asio::post(context, atom::bind([&] { seen = current_store(); }));
  }
  std::thread([&] { context.run(); }).join();
  CHECK(seen == &store);
}

}  // namespace

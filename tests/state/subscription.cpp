// What is called when a state changes: by one thread at a time, and not any more when it has ended.
#include <atom/state/subscription.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

namespace state_subscription_test {
namespace {

using atom::StateSubscription;
using atom::detail::Listening;
using atom::detail::StateListener;
using atom::detail::StateListenerOf;
using atom::detail::StateNews;

static_assert(std::is_nothrow_default_constructible_v<StateSubscription>);
static_assert(std::is_nothrow_move_constructible_v<StateSubscription>);
static_assert(!std::is_copy_constructible_v<StateSubscription>);

template <class F>
StateListenerOf<int, F> listener(F f) {
  return StateListenerOf<int, F>(std::move(f));
}

TEST_CASE("a listener that has ended is not called") {
  int heard = 0;
  auto hears = listener([&](int now) { heard += now; });
  const StateNews news{std::make_shared<const int>(5), 1};
  hears.tell(news);
  hears.end();
  hears.end();
  hears.tell(news);
  CHECK(heard == 5);
  CHECK(hears.ended());
}

TEST_CASE("a listener that throws may be called again, and ended") {
  int heard = 0;
  auto hears = listener([&] {
    ++heard;
    throw std::runtime_error("no");
  });
  CHECK_THROWS_AS(hears.tell({}), std::runtime_error);
  CHECK_THROWS_AS(hears.tell({}), std::runtime_error);
  hears.end();
  CHECK(heard == 2);
}

TEST_CASE("a listener that ends itself runs to its end") {
  bool ran = false;
  StateListener* own = nullptr;
  auto hears = listener([&] {
    own->end();
    ran = true;
  });
  own = &hears;
  hears.tell({});
  CHECK(ran);
  CHECK(hears.ended());
}

TEST_CASE("who ends a listener waits until it has run") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> begun{false};
    std::atomic<bool> over{false};
    std::atomic<bool> ended{false};
    bool late = false;
    auto hears = listener([&] {
      begun = true;
      for (int i = 0; i < 3; ++i) std::this_thread::yield();
      late = late || ended;
      over = true;
    });
    bool waited = true;
    support::in_threads(2, [&](std::size_t thread) {
      if (thread == 0) return hears.tell({});
      if (round % 2) {
        while (!begun) std::this_thread::yield();
      }
      hears.end();
      ended = true;
      waited = !begun || over;
    });
    REQUIRE(waited);
    REQUIRE_FALSE(late);
  }
}

struct Ends final : Listening {
  int& count;
  explicit Ends(int& c) : count(c) {}
  void end() noexcept override { ++count; }
};

TEST_CASE("a subscription ends what it is of, once") {
  int ended = 0;
  {
    StateSubscription a(std::make_unique<Ends>(ended));
    StateSubscription b = std::move(a);
    CHECK_FALSE(a.active());
    CHECK(b.active());
    CHECK(ended == 0);
    b = StateSubscription(std::make_unique<Ends>(ended));
    CHECK(ended == 1);
    StateSubscription& same = b;
    b = std::move(same);
    CHECK(b.active());
    CHECK(ended == 1);
    b.unsubscribe();
    b.unsubscribe();
    CHECK(ended == 2);
    a = StateSubscription(std::make_unique<Ends>(ended));
  }
  CHECK(ended == 3);
}

}  // namespace
}  // namespace state_subscription_test

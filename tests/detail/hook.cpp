#include <atom/detail/hook.hpp>

#include "support/catch.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

using atom::detail::Hook;

namespace hook_test {
namespace {

TEST_CASE("A hook holds nothing until it is given something") {
  Hook<int(int)> hook;
  CHECK_FALSE(hook);
  hook = Hook<int(int)>([](int n) { return n + 1; });
  CHECK(hook);
  CHECK(hook(1) == 2);
}

TEST_CASE("A hook is called with what it was given, by value, by reference and to move from") {
  const Hook<std::string(std::string && a, const std::string& b, int& c)> hook(
      [](std::string&& a, const std::string& b, int& c) {
        ++c;
        return std::move(a) + b;
      });
  std::string first = "one, and too long for the small buffer, ";
  int calls = 0;
  CHECK(hook(std::move(first), "two", calls) == "one, and too long for the small buffer, two");
  CHECK(calls == 1);
}

TEST_CASE("What a hook's callable returns converts to what the hook returns") {
  const Hook<std::string()> hook([] { return "text"; });
  CHECK(hook() == "text");
  const Hook<long(int)> widening([](int n) { return n; });
  CHECK(widening(1) == 1L);
}

TEST_CASE("What a hook's callable returns is ignored where the hook returns nothing") {
  int calls = 0;
  const atom::detail::Hook<void(int)> ignoring([&](int n) { return calls += n; });
  ignoring(2);
  CHECK(calls == 2);
}

TEST_CASE("A hook may hold a function, a lvalue or what cannot be copied") {
  struct Functions {
    static int twice(int n) { return 2 * n; }
  };
  const Hook<int(int)> function(Functions::twice);
  CHECK(function(4) == 8);
  const auto lambda = [](int n) { return n + 1; };
  const Hook<int(int)> lvalue(lambda);
  CHECK(lvalue(4) == 5);
  const Hook<int(int)> owning([owned = std::make_unique<int>(3)](int n) { return n + *owned; });
  CHECK(owning(4) == 7);
}

TEST_CASE("A hook may return what cannot be moved") {
  const Hook<std::mutex()> hook([] { return std::mutex(); });
  std::mutex mutex(hook());
  CHECK(mutex.try_lock());
  mutex.unlock();
}

TEST_CASE("A hook is called as const") {
  struct Both {
    int operator()() { return 1; }
    int operator()() const { return 2; }
  };
  const Hook<int()> hook{Both()};
  CHECK(hook() == 2);
}

TEST_CASE("A hook takes what can be called with what its arguments convert to") {
  const Hook<int(short)> widening([](long n) { return static_cast<int>(n) + 1; });
  CHECK(widening(1) == 2);
  const Hook<int(int, int)> generic([](auto... all) { return static_cast<int>(sizeof...(all)); });
  CHECK(generic(5, 6) == 2);
}

TEST_CASE("A hook can be moved, not copied") {
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Hook<int()>>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<Hook<int()>>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Hook<int()>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<Hook<int()>>);
  Hook<int()> first([] { return 1; });
  Hook<int()> second(std::move(first));
  CHECK_FALSE(first);  // NOLINT: that is what a moved-from hook is
  CHECK(second() == 1);
  first = std::move(second);
  CHECK(first() == 1);
}

TEST_CASE("A hook destroys its callable once") {
  const auto alive = std::make_shared<int>(1);
  {
    Hook<int()> hook([alive] { return *alive; });
    CHECK(alive.use_count() == 2);
    Hook<int()> moved(std::move(hook));
    CHECK(alive.use_count() == 2);
    moved = Hook<int()>([] { return 2; });
    CHECK(alive.use_count() == 1);
    CHECK(moved() == 2);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("What a hook's callable throws comes out") {
  const Hook<int()> hook([]() -> int { throw std::domain_error("no"); });
  CHECK_THROWS_AS(hook(), std::domain_error);
}

}  // namespace
}  // namespace hook_test

#include <atom/detail/callables.hpp>

#include "support/catch.hpp"

#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace detail = atom::detail;

namespace callables_test {
namespace {

struct User {
  std::string name;
};
struct Source {};  // stands for an atom

using ToInt = decltype([](const int& n) { return n + 1; });
using ByValue = decltype([](int n) { return n + 1; });
using Nothing = decltype([] { return 1; });
using Generic = decltype([](auto n) { return n; });
using ToUser = decltype([](const User& user) { return user; });
using ChangesUser = decltype([](User& user) { return user; });
using ToVoid = decltype([](const int&) {});
using ToText = decltype([](const User& user) { return user.name; });

TEST_CASE("An updater takes the value and returns what converts to the next") {
  STATIC_REQUIRE(detail::updater<ToInt, int>);
  STATIC_REQUIRE(detail::updater<const ToInt&, int>);
  STATIC_REQUIRE(detail::updater<ByValue, int>);
  STATIC_REQUIRE(detail::updater<Generic, int>);
  STATIC_REQUIRE(detail::updater<Generic, User>);
  STATIC_REQUIRE(detail::updater<ToUser, User>);
  STATIC_REQUIRE(detail::updater<int (*)(int), int>);
  STATIC_REQUIRE(detail::updater<int (&)(int), int>);
  STATIC_REQUIRE(detail::updater<std::function<int(int)>, int>);
  STATIC_REQUIRE_FALSE(detail::updater<Nothing, int>);
  STATIC_REQUIRE_FALSE(detail::updater<ToVoid, int>);
  STATIC_REQUIRE_FALSE(detail::updater<ChangesUser, User>);
  STATIC_REQUIRE_FALSE(detail::updater<ToText, User>);
  STATIC_REQUIRE_FALSE(detail::updater<int, int>);
}

TEST_CASE("For a number a callable is never a value, though a lambda converts to bool") {
  using IsPositive = decltype([](bool) { return true; });
  STATIC_REQUIRE(std::is_convertible_v<Nothing, bool>);
  STATIC_REQUIRE(detail::updater<IsPositive, bool>);
  STATIC_REQUIRE(detail::not_an_updater<Nothing, bool>);
  STATIC_REQUIRE(detail::not_an_updater<int (*)(), bool>);
  STATIC_REQUIRE(detail::not_an_updater<int (&)(), bool>);
}

TEST_CASE("For a type made from callables a callable is a value") {
  using Action = std::function<int()>;
  STATIC_REQUIRE_FALSE(detail::updater<Nothing, Action>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<Nothing, Action>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<Action, Action>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<const Action&, Action>);
  using Pointer = int (*)(int);
  STATIC_REQUIRE_FALSE(detail::updater<Pointer, Pointer>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<Pointer, Pointer>);
}

TEST_CASE("A callable that an update could only misunderstand is told from a value") {
  STATIC_REQUIRE(detail::not_an_updater<Nothing, int>);
  STATIC_REQUIRE(detail::not_an_updater<Nothing, User>);
  STATIC_REQUIRE(detail::not_an_updater<ToVoid, int>);
  STATIC_REQUIRE(detail::not_an_updater<ChangesUser, User>);
  STATIC_REQUIRE(detail::not_an_updater<ToText, User>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<ToInt, int>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<int, int>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<User, User>);
  STATIC_REQUIRE_FALSE(detail::not_an_updater<std::string, int>);
}

TEST_CASE("A listener takes (now, old, source), (now, old), (now) or ()") {
  STATIC_REQUIRE(detail::listener<void (*)(const int&, const int&, Source&), int, Source>);
  STATIC_REQUIRE(detail::listener<void (*)(int, int), int, Source>);
  STATIC_REQUIRE(detail::listener<void (*)(int), int, Source>);
  STATIC_REQUIRE(detail::listener<bool (*)(), int, Source>);
  STATIC_REQUIRE(detail::listener<Generic, int, Source>);
  STATIC_REQUIRE_FALSE(detail::listener<void (*)(int&), int, Source>);
  STATIC_REQUIRE_FALSE(detail::listener<void (*)(const std::string&), int, Source>);
  STATIC_REQUIRE_FALSE(detail::listener<void (*)(int, Source&), int, Source>);
  STATIC_REQUIRE_FALSE(detail::listener<void (*)(int, int, Source&, int), int, Source>);
  STATIC_REQUIRE_FALSE(detail::listener<int, int, Source>);
}

TEST_CASE("Only a listener of two or three wants the value before") {
  STATIC_REQUIRE(detail::takes_old<void (*)(int, int, Source&), int, Source>);
  STATIC_REQUIRE(detail::takes_old<void (*)(int, int), int, Source>);
  STATIC_REQUIRE_FALSE(detail::takes_old<void (*)(int), int, Source>);
  STATIC_REQUIRE_FALSE(detail::takes_old<void (*)(), int, Source>);
}

TEST_CASE("An event listener takes (source) or ()") {
  STATIC_REQUIRE(detail::event_listener<void (*)(Source&), Source>);
  STATIC_REQUIRE(detail::event_listener<void (*)(const Source&), Source>);
  STATIC_REQUIRE(detail::event_listener<void (*)(), Source>);
  STATIC_REQUIRE_FALSE(detail::event_listener<void (*)(int), Source>);
}

TEST_CASE("A listener is told as much as it takes") {
  std::vector<std::string> log;
  Source source;
  const int now = 1;
  const int old = 2;
  auto three = [&](int n, int o, Source& s) {
    log.push_back(std::to_string(n) + std::to_string(o) + (&s == &source ? "s" : ""));
  };
  auto two = [&](int n, int o) { log.push_back(std::to_string(n) + std::to_string(o)); };
  auto one = [&](int n) { log.push_back(std::to_string(n)); };
  auto none = [&] { log.push_back("-"); };
  auto most = [&](auto&&... all) { log.push_back(std::to_string(sizeof...(all))); };
  detail::tell<int>(three, now, &old, source);
  detail::tell<int>(two, now, &old, source);
  detail::tell<int>(one, now, &old, source);
  detail::tell<int>(none, now, &old, source);
  detail::tell<int>(most, now, &old, source);
  CHECK(log == std::vector<std::string>{"12s", "12", "1", "-", "3"});
}

TEST_CASE("A listener that takes no old value is told without one") {
  int seen = 0;
  Source source;
  auto one = [&](int n) { seen = n; };
  detail::tell<int>(one, 5, nullptr, source);
  CHECK(seen == 5);
}

}  // namespace
}  // namespace callables_test

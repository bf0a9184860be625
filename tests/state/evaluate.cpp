#include <atom/state/evaluate.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/described.hpp"

#include <atom/fields.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace evaluate_test {
namespace {

using atom::apply_to;
using atom::at;
using atom::current;
using atom::evaluate;
using atom::StateErrorCode;

enum class Mood { calm, cross };

struct Line {
  std::string text;
  int count = 0;
  bool operator==(const Line&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("text", &Line::text), atom::field("count", &Line::count));
  }
};
struct Order {
  std::int64_t sum = 0;
  std::int32_t price = 0;
  std::uint8_t discount = 0;
  double rate = 0;
  float part = 0;
  bool paid = false;
  Mood mood = Mood::calm;
  std::string note = {};
  std::optional<int> table = {};
  std::vector<Line> lines = {};
  std::vector<std::string> tags = {};
  Line first = {};
  bool operator==(const Order&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(
        atom::field("sum", &Order::sum), atom::field("price", &Order::price), atom::field("discount", &Order::discount),
        atom::field("rate", &Order::rate), atom::field("part", &Order::part), atom::field("paid", &Order::paid),
        atom::field("mood", &Order::mood), atom::field("note", &Order::note), atom::field("table", &Order::table),
        atom::field("lines", &Order::lines), atom::field("tags", &Order::tags), atom::field("first", &Order::first));
  }
};

constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr double largest = std::numeric_limits<double>::max();

/// What an equation gives, where that is something; or else why it is not, where the value must be as before.
template <class T, class E>
T given(const E& equation, const T& old) {
  T value = old;
  const std::optional<StateErrorCode> problem = apply_to(equation, value);
  REQUIRE_FALSE(problem);
  CHECK(evaluate(equation, old).value() == value);
  return value;
}
template <class T, class E>
StateErrorCode problem(const E& equation, const T& old) {
  T value = old;
  const std::optional<StateErrorCode> found = apply_to(equation, value);
  REQUIRE(found);
  CHECK(value == old);
  const auto result = evaluate(equation, old);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == *found);
  CHECK(result.error().effect() == atom::Effect::none);
  CHECK_FALSE(result.error().retryable());
  return *found;
}

TEST_CASE("A number becomes what is calculated of it") {
  CHECK(given(current + 1, 5) == 6);
  CHECK(given(5 - current, 2) == 3);
  CHECK(given(current * 2 - 1, 21) == 41);
  CHECK(given(current / 2, -7) == -3);
  CHECK(given(current % 7, -8) == -1);
  CHECK(given(-current, 5) == -5);
  CHECK(given(max(current, 5), 3) == 5);
  CHECK(given(min(5, current), 3) == 3);
  CHECK(given(clamp(current - 1, 0, 10), 0) == 0);
  CHECK(given(clamp(current + 5, 0, 10), 8) == 10);
  CHECK(given(clamp(current, 10, 0), 5) == 0);
  CHECK(given(current * current + current, 6) == 42);
  CHECK(given(current + 0, 7) == 7);
}

TEST_CASE("Only the result has to fit its type") {
  CHECK(given(current * current / current, most) == most);
  CHECK(given(current + most - most, most) == most);
  CHECK(given(min(current * 1000, 50), std::int8_t{100}) == 50);
  CHECK(given(current - 1000 + 1000, std::uint8_t{3}) == 3);
  CHECK(given(max(current - std::uint64_t{5}, 0), std::uint64_t{3}) == 0);
  CHECK(given(current * UINT64_MAX / UINT64_MAX, least) == least);
}

TEST_CASE("A result that does not fit is an error and changes nothing") {
  CHECK(problem(current + 1, most) == StateErrorCode::overflow);
  CHECK(problem(current - 1, least) == StateErrorCode::overflow);
  CHECK(problem(-current, least) == StateErrorCode::overflow);
  CHECK(problem(current / -1, least) == StateErrorCode::overflow);
  CHECK(problem(current - 1, 0u) == StateErrorCode::overflow);
  CHECK(problem(current + 1, UINT64_MAX) == StateErrorCode::overflow);
  CHECK(problem(current + 1, std::int8_t{127}) == StateErrorCode::overflow);
  CHECK(problem(current * 2, std::uint8_t{128}) == StateErrorCode::overflow);
  CHECK(problem(max(current, 300), std::uint8_t{0}) == StateErrorCode::overflow);
  CHECK(given(current % -1, least) == 0);
}

TEST_CASE("A division by zero is an error, wherever it stands") {
  CHECK(problem(current / 0, 1) == StateErrorCode::division_by_zero);
  CHECK(problem(current % 0, 1) == StateErrorCode::division_by_zero);
  CHECK(problem(7 / current + most, std::int64_t{0}) == StateErrorCode::division_by_zero);
  CHECK(problem(min(7 / current, 1), 0) == StateErrorCode::division_by_zero);
  CHECK(problem(current / 0, 1.0) == StateErrorCode::division_by_zero);
  CHECK(problem(current / -0.0, 1.0) == StateErrorCode::division_by_zero);
  CHECK(problem(0 / current, 0.0) == StateErrorCode::division_by_zero);
  CHECK(problem(min(7 / current, 1), 0.0f) == StateErrorCode::division_by_zero);
}

TEST_CASE("Doubles are calculated with as IEEE 754 says, one rounding per operation") {
  CHECK(given(current + 0.2, 0.1) == 0.1 + 0.2);
  CHECK(given(current / 2, 7.0) == 3.5);
  CHECK(given(current * 2, 0.75) == 1.5);
  CHECK(given(current + 1, 0x1p53) == 0x1p53);
  CHECK(given(max(current, 5), 3.5) == 5);
  const double a = 1 + 0x1p-30;
  CHECK(given(current * current - (1 + 0x1p-29), a) == 0);
}

TEST_CASE("A result that is not finite is an error") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(problem(current * 2, largest) == StateErrorCode::not_finite);
  CHECK(problem(current * infinity, 1.0) == StateErrorCode::not_finite);
  CHECK(problem(current * infinity, 0.0) == StateErrorCode::not_finite);
  CHECK(problem(max(current * infinity * 0, 5), 1.0) == StateErrorCode::not_finite);
  CHECK(problem(current + 1e39, 0.0f) == StateErrorCode::not_finite);
  CHECK(given(min(current * 2, 100), largest) == 100);
}

TEST_CASE("A zero has no sign") {
  CHECK_FALSE(std::signbit(given(current * -1.0, 0.0)));
  CHECK_FALSE(std::signbit(given(current + -0.0, -0.0)));
  CHECK_FALSE(std::signbit(given(-current, 0.0f)));
  CHECK_FALSE(std::signbit(given(current * -1e-200, 1e-40f)));
}

TEST_CASE("A float is calculated with as a double, and rounded once more") {
  CHECK(given(current * 3, 0.1f) == static_cast<float>(static_cast<double>(0.1f) * 3));
  CHECK(given(current * 1e30 / 1e30, 1e30f) == 1e30f);
}

TEST_CASE("A field becomes what is calculated of it, and the others stay") {
  const Order order{.sum = 10, .price = 3, .rate = 1.5, .note = "n"};
  Order expected = order;
  expected.sum = 11;
  CHECK(given(at(&Order::sum) + 1, order) == expected);
  CHECK(given(clamp(at(&Order::price) - 5, 0, 10), order).price == 0);
  CHECK(given(at(&Order::rate) * 2, order).rate == 3);
  CHECK(given(at(&Order::first, &Line::count) + 2, order).first.count == 2);
  CHECK(problem(at(&Order::discount) - 1, order) == StateErrorCode::overflow);
}

TEST_CASE("A field becomes what is calculated of others") {
  const Order order{.sum = 10, .price = 3, .discount = 2, .rate = 1.5};
  CHECK(given(at(&Order::sum) = at(&Order::price) * 4 - at(&Order::discount), order).sum == 10);
  CHECK(given(at(&Order::sum) = at(&Order::sum) + at(&Order::price), order).sum == 13);
  CHECK(given(at(&Order::discount) = at(&Order::price), order).discount == 3);
  CHECK(problem(at(&Order::discount) = at(&Order::price) * 100, order) == StateErrorCode::overflow);
}

TEST_CASE("With a double as the result every operand is a double first") {
  const Order order{.sum = 7, .price = 2, .rate = 1.5};
  CHECK(given(at(&Order::rate) = at(&Order::sum) / at(&Order::price), order).rate == 3.5);
  CHECK(given(at(&Order::rate) = at(&Order::sum), order).rate == 7);
  CHECK(given(at(&Order::part) = at(&Order::rate) / 3, order).part == 0.5f);
  CHECK(given(at(&Order::rate) = most, order).rate == 0x1p63);
}

TEST_CASE("A field is assigned a constant") {
  const Order order;
  CHECK(given(at(&Order::sum) = 3, order).sum == 3);
  CHECK(given(at(&Order::rate) = 3, order).rate == 3);
  CHECK(problem(at(&Order::discount) = 256, order) == StateErrorCode::overflow);
  CHECK(problem(at(&Order::discount) = -1, order) == StateErrorCode::overflow);
  CHECK(problem(at(&Order::rate) = std::nan(""), order) == StateErrorCode::not_finite);
  CHECK(given(at(&Order::paid) = true, order).paid);
  CHECK(given(at(&Order::mood) = Mood::cross, order).mood == Mood::cross);
  CHECK(given(at(&Order::note) = "paid", order).note == "paid");
  CHECK(given(at(&Order::table) = 5, order).table == 5);
  CHECK(given(at(&Order::table) = std::nullopt, Order{.table = 5}).table == std::nullopt);
  CHECK(given(at(&Order::first) = Line{"a", 1}, order).first == Line{"a", 1});
  CHECK(given(at(&Order::first, &Line::text) = "b", order).first.text == "b");
  CHECK(given(at(&Order::lines) = std::vector<Line>(2), order).lines.size() == 2);
}

TEST_CASE("A list gets another element") {
  CHECK(given(atom::append(3), std::vector<int>{1, 2}) == std::vector<int>{1, 2, 3});
  CHECK(given(atom::append("c"), std::list<std::string>{"a"}) == std::list<std::string>{"a", "c"});
  CHECK(given(atom::append(true), std::vector<bool>{false}) == std::vector<bool>{false, true});
  CHECK(given(atom::append(2), std::deque<double>{}) == std::deque<double>{2});
  CHECK(given(at(&Order::tags).append("new"), Order{}).tags == std::vector<std::string>{"new"});
  CHECK(given(at(&Order::lines).append(Line{"x", 1}), Order{}).lines == std::vector{Line{"x", 1}});
}

TEST_CASE("All fields are calculated from the old value") {
  const Order order{.sum = 10, .price = 3};
  const Order next = given(all(at(&Order::sum) = at(&Order::price), at(&Order::price) = at(&Order::sum),
                               at(&Order::discount) + 1, at(&Order::tags).append("t"), at(&Order::note) = "n"),
                           order);
  CHECK(next == Order{.sum = 3, .price = 10, .discount = 1, .note = "n", .tags = {"t"}});
}

TEST_CASE("If one field has no result none changes") {
  const Order order{.sum = 10, .price = 3, .discount = 255};
  CHECK(problem(all(at(&Order::sum) + 1, at(&Order::discount) + 1, at(&Order::price) / 0), order) ==
        StateErrorCode::overflow);
  CHECK(problem(all(at(&Order::tags).append("t"), at(&Order::price) / 0, at(&Order::sum) + 1), order) ==
        StateErrorCode::division_by_zero);
}

TEST_CASE("With numbers nothing is allocated, and nothing throws") {
  std::int64_t number = 5;
  Order order;
  STATIC_REQUIRE(noexcept(apply_to(current + 1, number)));
  const auto two = all(at(&Order::sum) + 1, at(&Order::paid) = true);
  STATIC_REQUIRE(noexcept(apply_to(two, order)));
  const auto text = (at(&Order::note) = "text");
  STATIC_REQUIRE_FALSE(noexcept(apply_to(text, order)));
  const support::Allocations allocations;
  const bool failed = apply_to(clamp(current * 3 / 2, 0, 10), number) ||
                      apply_to(all(at(&Order::sum) + 1, at(&Order::rate) = at(&Order::sum) / 3), order);
  CHECK(allocations.count() == 0);
  CHECK_FALSE(failed);
}

using Item = support::Counted<struct EvaluateItem>;

TEST_CASE("To apply an equation copies its item once") {
  const auto equation = atom::append(Item(7));
  std::vector<Item> items;
  items.reserve(2);
  Item::forget();
  CHECK_FALSE(apply_to(equation, items));
  CHECK(Item::counts().copies == 1);
  CHECK(Item::counts().moves == 0);
  CHECK_FALSE(apply_to(equation, items));
  CHECK(items[1].value == 7);
}

/// Cannot be copied when it is told so.
struct Fragile {
  bool breaks = false;
  Fragile() = default;
  explicit Fragile(bool b) : breaks(b) {}
  Fragile(const Fragile& other) : breaks(other.breaks) {
    if (armed && breaks) throw std::runtime_error("broken");
  }
  Fragile(Fragile&&) noexcept = default;
  Fragile& operator=(const Fragile&) = default;
  Fragile& operator=(Fragile&&) noexcept = default;
  inline static bool armed = false;
};
struct Holder {
  int count = 0;
  Fragile fragile;
  std::vector<int> list;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("count", &Holder::count), atom::field("fragile", &Holder::fragile),
                          atom::field("list", &Holder::list));
  }
};

TEST_CASE("If a constant cannot be copied the value stays as it was") {
  Holder holder;
  const auto equation = all(at(&Holder::count) + 1, at(&Holder::list).append(1), at(&Holder::fragile) = Fragile(true));
  Fragile::armed = true;
  CHECK_THROWS_AS(apply_to(equation, holder), std::runtime_error);
  Fragile::armed = false;
  CHECK(holder.count == 0);
  CHECK(holder.list.empty());
  CHECK_FALSE(apply_to(equation, holder));
  CHECK(holder.count == 1);
}

TEST_CASE("A message says what is wrong, and nothing of values") {
  CHECK(evaluate(current + 1, most).error().message() ==
        "the result of an equation does not fit its type (without effect)");
  CHECK(evaluate(current / 0, 1).error().message() == "an equation divides by zero (without effect)");
  CHECK(evaluate(current * 2, largest).error().message() == "the result of an equation is not finite (without effect)");
}

TEST_CASE("It is known whether something is an equation for a type") {
  using atom::equation_for;
  STATIC_REQUIRE(equation_for<decltype(current + 1), int>);
  STATIC_REQUIRE(equation_for<decltype(current + 1), float>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current + 1), bool>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current + 1), char>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current + 1), std::string>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current + 1), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current + 1.0), int>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current % 2), double>);
  STATIC_REQUIRE(equation_for<decltype(at(&Order::sum) + 1), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) + 1), Line>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) + 1), int>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::note) + 1), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) + at(&Order::price)), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) + current), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) = current), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) = at(&Order::rate)), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) = 1.5), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::sum) = true), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::paid) = 1), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::note) = 1), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(at(&Order::note).append("x")), Order>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(atom::append('x')), std::string>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(atom::append(1)), std::array<int, 3>>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(atom::append(1)), std::vector<std::int8_t>>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(atom::append(1L)), std::vector<double>>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(atom::append(1.5)), std::vector<int>>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(all(at(&Order::sum) + 1, at(&Order::price) + 1.5)), Order>);
}

TEST_CASE("Results that could pass 127 bits are no equation") {
  using atom::equation_for;
  STATIC_REQUIRE(equation_for<decltype(current * current * current), std::int32_t>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current * current * current), std::int64_t>);
  STATIC_REQUIRE(equation_for<decltype(current * current + current), std::int64_t>);
  STATIC_REQUIRE(equation_for<decltype(current * std::size_t{2}), std::int64_t>);
  STATIC_REQUIRE(equation_for<decltype(current * std::int64_t{2}), std::uint64_t>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(current * std::uint64_t{2}), std::uint64_t>);
  STATIC_REQUIRE(equation_for<decltype(current * current * current), double>);
}

TEST_CASE("An equation has a bounded number of operands") {
  using atom::equation_for;
  const auto eight = [](auto e) { return e + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8; };
  STATIC_REQUIRE(equation_for<decltype(eight(current)), int>);
  STATIC_REQUIRE_FALSE(equation_for<decltype(eight(current) + 9), int>);
  const auto four = at(&Order::sum) = at(&Order::sum) + at(&Order::price) + at(&Order::discount);
  STATIC_REQUIRE(equation_for<std::remove_const_t<decltype(four)>, Order>);
  const auto five = at(&Order::sum) = at(&Order::sum) + at(&Order::price) + at(&Order::discount) + at(&Order::sum);
  STATIC_REQUIRE_FALSE(equation_for<std::remove_const_t<decltype(five)>, Order>);
}

}  // namespace
}  // namespace evaluate_test

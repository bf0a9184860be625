#include <atom/state/equation.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/described.hpp"

#include <atom/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace equation_test {
namespace {

namespace equations = atom::equations;
using atom::Operator;
using support::Address;
using support::User;

struct Votes {
  std::int64_t up = 0;
  std::int64_t down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("downVotes", &Votes::down));
  }
};
struct Poll : Votes {
  Votes old;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("upHere", &Poll::up), atom::field("old", &Poll::old));
  }
};
struct Nested {
  Poll poll;
  static constexpr auto atom_fields() { return atom::describe(atom::field("poll", &Nested::poll)); }
};

template <class... Name>
bool leads_along(const atom::FieldPath& path, Name... names) {
  const std::vector<std::string_view> expected{names...};
  return std::vector<std::string_view>(path.begin(), path.end()) == expected;
}

template <class E, class K>
inline constexpr bool has_constant = false;
template <Operator op, class A, class K>
inline constexpr bool has_constant<equations::Operation<op, A, equations::Constant<K>>, K> = true;

TEST_CASE("The functions of an equation are found without a using") {
  using Sum = equations::Operation<Operator::add, equations::Current, equations::Constant<std::int32_t>>;
  STATIC_REQUIRE(std::is_same_v<decltype(atom::current + 1), Sum>);
  constexpr auto bounded = min(max(atom::current, 5), 10);
  constexpr auto between = clamp(atom::current, 5, 10);
  STATIC_REQUIRE(std::is_same_v<decltype(bounded), decltype(between)>);
  CHECK(between.b.value == 10);
  CHECK(between.a.b.value == 5);
  STATIC_REQUIRE(atom::equation<decltype(all(atom::at(&Votes::up) = 1))>);
}

TEST_CASE("The functions of the standard library are not in the way") {
  using namespace std;  // NOLINT
  const auto larger = max(atom::at(&Votes::up), atom::at(&Votes::down));
  const auto smaller = min(atom::current, atom::current);
  const auto between = clamp(atom::current, 1, 2);
  CHECK(leads_along(larger.b.path(), "downVotes"));
  STATIC_REQUIRE(atom::equation<remove_const_t<decltype(smaller)>>);
  STATIC_REQUIRE(atom::equation<remove_const_t<decltype(between)>>);
}

TEST_CASE("Every operator takes a term on either side") {
  using atom::current;
  STATIC_REQUIRE(atom::equation<decltype(current + current)>);
  STATIC_REQUIRE(atom::equation<decltype(5 - current)>);
  STATIC_REQUIRE(atom::equation<decltype(5 * current / 2 % 7)>);
  STATIC_REQUIRE(atom::equation<decltype(max(5, current))>);
  STATIC_REQUIRE(atom::equation<decltype(atom::at(&Votes::up) - atom::at(&Votes::down))>);
  constexpr auto negative = -current;
  CHECK(negative.a.value == 0);
  STATIC_REQUIRE(std::is_same_v<decltype(negative), const decltype(0 - current)>);
}

TEST_CASE("What says nothing of a change is no equation") {
  STATIC_REQUIRE_FALSE(atom::equation<equations::Current>);
  STATIC_REQUIRE_FALSE(atom::equation<decltype(atom::at(&Votes::up))>);
  STATIC_REQUIRE_FALSE(atom::equation<int>);
}

TEST_CASE("Constants are kept in few types, which hold all of their values") {
  using atom::current;
  STATIC_REQUIRE(has_constant<decltype(current + std::int8_t{1}), std::int32_t>);
  STATIC_REQUIRE(has_constant<decltype(current + std::uint16_t{1}), std::int32_t>);
  STATIC_REQUIRE(has_constant<decltype(current + 1u), std::uint32_t>);
  STATIC_REQUIRE(has_constant<decltype(current + 1L), std::int64_t>);
  STATIC_REQUIRE(has_constant<decltype(current + 1LL), std::int64_t>);
  STATIC_REQUIRE(has_constant<decltype(current + 1ULL), std::uint64_t>);
  STATIC_REQUIRE(has_constant<decltype(current + std::size_t{1}), std::uint64_t>);
  STATIC_REQUIRE(has_constant<decltype(current + 1.0f), double>);
  CHECK((current + 0.1f).b.value == static_cast<double>(0.1f));
}

TEST_CASE("A bool, a character and text are no operands") {
  const auto adds = [](auto v) { return requires { atom::current + v; }; };
  CHECK(adds(1));
  CHECK_FALSE(adds(true));
  CHECK_FALSE(adds('a'));
  CHECK_FALSE(adds("1"));
  CHECK_FALSE(adds(1.0L));
  CHECK_FALSE(adds(std::string("1")));
}

TEST_CASE("A field is known by the names in the description") {
  CHECK(leads_along(atom::at(&Votes::up).path().path(), "up"));
  CHECK(leads_along(atom::at(&Votes::down).path().path(), "downVotes"));
  CHECK(leads_along(atom::at(&User::address, &Address::city).path().path(), "address", "city"));
  STATIC_REQUIRE(atom::at(&Nested::poll, &Poll::old, &Votes::up).path().path().size() == 3);
}

TEST_CASE("An inherited member has the name that the derived class gives it") {
  CHECK(leads_along(atom::at<Poll>(&Poll::up).path().path(), "upHere"));
  CHECK(leads_along(atom::at(&Poll::up).path().path(), "up"));  // of a Votes
  CHECK(leads_along(atom::at(&Nested::poll, &Poll::up).path().path(), "poll", "upHere"));
}

TEST_CASE("One path overlaps with another one if it leads to it or into it") {
  const auto old = atom::at(&Poll::old).path().path();
  const auto old_up = atom::at(&Poll::old, &Votes::up).path().path();
  const auto old_down = atom::at(&Poll::old, &Votes::down).path().path();
  CHECK(old.overlaps(old));
  CHECK(old.overlaps(old_up));
  CHECK(old_up.overlaps(old));
  CHECK_FALSE(old_up.overlaps(old_down));
  CHECK(old_up == old_up);
  CHECK_FALSE(old == old_up);
  CHECK(atom::FieldPath().overlaps(old));
}

TEST_CASE("To assign one field to another makes an equation, also if they have one type") {
  const auto to = atom::at(&Votes::up);
  const auto from = atom::at(&Votes::down);
  const auto assignment = (to = from);
  STATIC_REQUIRE(atom::equation<std::remove_const_t<decltype(assignment)>>);
  CHECK(leads_along(assignment.target.path(), "up"));
  CHECK(leads_along(assignment.value.path(), "downVotes"));
  CHECK(leads_along(to.path().path(), "up"));
}

TEST_CASE("An equation can be assigned another one of its type") {
  auto equation = atom::at(&Votes::up) + 1;
  equation = atom::at(&Votes::down) + 2;
  CHECK(leads_along(equation.a.path(), "downVotes"));
  CHECK(equation.b.value == 2);
}

TEST_CASE("An equation owns the text that it holds") {
  std::string name = "Ada";
  const auto view = (atom::at(&User::name) = std::string_view(name));
  const auto array = (atom::at(&User::name) = "Ada");
  const auto pointer = atom::append(name.c_str());
  name = "Bob";
  CHECK(view.value.value == "Ada");
  CHECK(array.value.value == "Ada");
  CHECK(pointer.item.value == "Ada");
  STATIC_REQUIRE(std::is_same_v<decltype(array.value.value), std::string>);
}

TEST_CASE("An equation copies an item once, or moves it") {
  using Item = support::Counted<struct EquationItem>;
  Item item(1);
  Item::forget();
  const auto copied = atom::append(item);
  CHECK(Item::counts().copies == 1);
  Item::forget();
  const auto moved = atom::append(std::move(item));
  CHECK(Item::counts().copies == 0);
  CHECK(copied.item.value.value == 1);
  CHECK(moved.item.value.value == 1);
}

TEST_CASE("No field is assigned twice") {
  using atom::at;
  using support::ContainsSubstring;
  CHECK_THROWS_AS(all(at(&Votes::up) = 1, at(&Votes::up) + 1), atom::Error);
  CHECK_THROWS_WITH(all(at(&Votes::down) = 1, at(&Votes::up) + 1, at(&Votes::down) - 1),
                    ContainsSubstring("downVotes"));
  CHECK_THROWS_AS(all(at(&Poll::old) = Votes(), at(&Poll::old, &Votes::up) + 1), atom::Error);
  CHECK_NOTHROW(all(at(&Votes::up) = at(&Votes::down), at(&Votes::down) = at(&Votes::up)));
  constexpr auto both = all(at(&Votes::up) + 1, at(&Votes::down) - 1);  // or the compiler would say so
  CHECK(std::get<1>(both.parts).b.value == 1);
}

TEST_CASE("What is calculated with one field is for that field") {
  const auto one = equations::targeted(max(5, atom::at(&Votes::up) * 2 - 1));
  CHECK(leads_along(one.target.path(), "up"));
  STATIC_REQUIRE(equations::has_current<decltype(one.calculation)>);
  const auto whole = equations::targeted(atom::current + 1);
  CHECK(leads_along(whole.target.path()));
}

}  // namespace
}  // namespace equation_test

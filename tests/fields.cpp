#include <atom/fields.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <array>
#include <string>
#include <string_view>

namespace fields_test {
namespace {

/// Of somebody else.
struct Point {
  int x = 0;
  int y = 0;
};
struct Plain {
  int x = 0;
};
/// Both in the class and, wrongly, outside.
struct Twice {
  int inside = 0;
  int outside = 0;
  static constexpr auto atom_fields() { return atom::describe(atom::field("inside", &Twice::inside)); }
};
struct Empty {
  static constexpr auto atom_fields() { return atom::describe(); }
};
enum class Plane : unsigned char { flat = 7, steep = 200 };
enum class Undescribed { one };

template <class T>
std::string all_names() {
  std::string all;
  for (const std::string_view name : atom::detail::names_of<T>) all += std::string(name) + " ";
  return all;
}

}  // namespace
}  // namespace fields_test

template <>
inline constexpr auto atom::fields<fields_test::Point> =
    atom::describe(atom::field("x", &fields_test::Point::x), atom::field("the y", &fields_test::Point::y));
template <>
inline constexpr auto atom::fields<fields_test::Twice> =
    atom::describe(atom::field("outside", &fields_test::Twice::outside));
template <>
inline constexpr auto atom::fields<fields_test::Plane> = atom::describe(
    atom::enumerator("flat", fields_test::Plane::flat), atom::enumerator("steep", fields_test::Plane::steep));

namespace fields_test {
namespace {

TEST_CASE("A type is described by itself or from outside, or is not") {
  STATIC_REQUIRE(atom::described<support::User>);
  STATIC_REQUIRE(atom::described<Point>);
  STATIC_REQUIRE(atom::described<Plane>);
  STATIC_REQUIRE(atom::described<Empty>);
  STATIC_REQUIRE_FALSE(atom::described<Plain>);
  STATIC_REQUIRE_FALSE(atom::described<Undescribed>);
  STATIC_REQUIRE_FALSE(atom::described<int>);
  STATIC_REQUIRE_FALSE(atom::described<std::string>);
}

TEST_CASE("Names come in the order of the description, and are known when it is compiled") {
  CHECK(all_names<support::User>() == "name age address prices ");
  CHECK(all_names<Point>() == "x the y ");
  CHECK(all_names<Plane>() == "flat steep ");
  CHECK(all_names<Empty>().empty());
  STATIC_REQUIRE(atom::detail::names_of<Point>[1] == "the y");
}

TEST_CASE("What a type says of itself counts more than what is said from outside") {
  CHECK(all_names<Twice>() == "inside ");
  CHECK(atom::fields<Twice>.names()[0] == "outside");
}

TEST_CASE("Fields are visited in order, until one is the right one") {
  Point point;
  int visited = 0;
  const bool found = atom::detail::any_field<Point>([&](const auto& field) {
    point.*field.member = ++visited;
    return field.name.name() == "x";
  });
  CHECK(found);
  CHECK(point.x == 1);
  CHECK(point.y == 0);
  CHECK_FALSE(atom::detail::any_field<Point>([&](const auto&) {
    ++visited;
    return false;
  }));
  CHECK(visited == 3);
  CHECK_FALSE(atom::detail::any_field<Empty>([](const auto&) { return true; }));
}

TEST_CASE("The name of a field is kept quoted, as text has it") {
  constexpr auto field = atom::field("the y", &Point::y);
  CHECK(std::string_view(field.name.text, decltype(field.name)::quoted_size) == "\"the y\":");
  CHECK(field.name.name() == "the y");
  constexpr auto longest = atom::field("a name of 58 characters, which is the longest there can be", &Point::y);
  CHECK(longest.name.name().size() == 58);
  CHECK(atom::enumerator("steep", Plane::steep).value == Plane::steep);
}

}  // namespace
}  // namespace fields_test

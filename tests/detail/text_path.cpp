#include <atom/detail/text_path.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <array>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using atom::detail::follow_path;
using atom::detail::Place;

namespace text_path_test {
namespace {

/// What lies at the path, or null if that is nothing or no V.
template <class V, class T>
const V* at(const T& value, std::string_view path) {
  const Place place = follow_path(value, path);
  if (!place.type || !place.type->same_type(atom::detail::type_ops<V>)) return nullptr;
  return static_cast<const V*>(place.object);
}
template <class T>
bool is_nothing(const T& value, std::string_view path) {
  const Place place = follow_path(value, path);
  return !place.type && !place.object;
}

TEST_CASE("The empty path is the value itself") {
  const int number = 7;
  CHECK(at<int>(number, "") == &number);
  const support::User user;
  CHECK(at<support::User>(user, "") == &user);
  CHECK(is_nothing(number, "x"));
  CHECK(is_nothing(number, "0"));
}

TEST_CASE("A path leads to the place in the value, and to no copy") {
  const support::User user{"Ada", 36, {"Rome", "Via"}, {1, 2.5}};
  CHECK(at<std::string>(user, "name") == &user.name);
  CHECK(at<support::Address>(user, "address") == &user.address);
  CHECK(at<std::string>(user, "address.city") == &user.address.city);
  CHECK(at<double>(user, "prices.1") == &user.prices[1]);
}

TEST_CASE("An index is plain digits") {
  std::size_t index = 99;
  for (const std::string_view text : {"", "-1", "+1", "01", "00", " 1", "1 ", "1x", "x", "0x1", "1.0", "1e0",
                                      "18446744073709551616", "99999999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(atom::detail::read_index(text, index));
  }
  CHECK(atom::detail::read_index("0", index));
  CHECK(index == 0);
  CHECK(atom::detail::read_index("10", index));
  CHECK(index == 10);
  CHECK(atom::detail::read_index("18446744073709551615", index));
  CHECK(index == 18446744073709551615u);
}

TEST_CASE("An index ends where its path does, whatever stands behind it") {
  const std::vector<int> list{1, 2, 3};
  CHECK(at<int>(list, std::string_view("12").substr(0, 1)) == &list[1]);
}

TEST_CASE("An index counts from zero to the last element, in sequences of every kind") {
  const std::vector<int> numbers{5, 6};
  CHECK(at<int>(numbers, "0") == &numbers[0]);
  CHECK(at<int>(numbers, "1") == &numbers[1]);
  CHECK(is_nothing(numbers, "2"));
  CHECK(is_nothing(numbers, "18446744073709551615"));
  CHECK(is_nothing(std::vector<int>(), "0"));
  const std::list<std::string> list{"x", "y"};
  CHECK(at<std::string>(list, "1") == &list.back());
  const std::array<int, 2> pair{1, 2};
  CHECK(at<int>(pair, "1") == &pair[1]);
  CHECK(is_nothing(pair, "2"));
  const std::vector<std::vector<int>> nested{{}, {1, 2}};
  CHECK(at<int>(nested, "1.1") == &nested[1][1]);
  CHECK(is_nothing(nested, "0.0"));
}

TEST_CASE("An element of a vector of bool is found, too") {
  const std::vector<bool> bits{true, false};
  REQUIRE(at<bool>(bits, "0"));
  CHECK(*at<bool>(bits, "0"));
  REQUIRE(at<bool>(bits, "1"));
  CHECK_FALSE(*at<bool>(bits, "1"));
  CHECK(is_nothing(bits, "2"));
  CHECK(is_nothing(bits, "0.x"));
}

TEST_CASE("A map is walked by key, which may look like anything but hold no dot") {
  const std::map<std::string, std::map<std::string, int>> map{{"a", {{"0", 1}, {"b c", 2}}}, {"a.b", {{"x", 3}}}};
  CHECK(at<int>(map, "a.0") == &map.at("a").at("0"));
  CHECK(at<int>(map, "a.b c") == &map.at("a").at("b c"));
  CHECK(is_nothing(map, "a.b"));
  CHECK(is_nothing(map, "a.b.x"));
  CHECK(is_nothing(map, "A"));
  CHECK(is_nothing(map, "a."));
  CHECK(is_nothing(map, ".a"));
}

TEST_CASE("An optional is what it holds, and nothing when it is empty") {
  const std::optional<support::Address> address{{"Rome", std::nullopt}};
  CHECK(at<std::string>(address, "city") == &address->city);
  CHECK(at<support::Address>(address, "") == &*address);
  CHECK(is_nothing(address, "street"));
  CHECK(is_nothing(std::optional<support::Address>(), "city"));
  CHECK(is_nothing(std::optional<int>(), ""));
  const std::vector<std::optional<int>> some{std::nullopt, 0};
  CHECK(is_nothing(some, "0"));
  CHECK(at<int>(some, "1") == &*some[1]);
}

TEST_CASE("A path into a struct that contains itself ends where the value does") {
  const support::Tree tree{1, {{2, {}}, {3, {{4, {}}}}}};
  CHECK(at<int>(tree, "children.1.children.0.value") == &tree.children[1].children[0].value);
  CHECK(is_nothing(tree, "children.1.children.0.children.0.value"));
  std::string deep = "value";
  for (int i = 0; i < 10'000; ++i) deep.insert(0, "children.0.");
  CHECK(is_nothing(tree, deep));
}

TEST_CASE("No path leads into what has no parts with names or indices") {
  CHECK(is_nothing(std::string("text"), "0"));
  CHECK(is_nothing(std::set<int>{1}, "0"));
  CHECK(is_nothing(std::pair<int, int>{1, 2}, "0"));
  CHECK(is_nothing(support::Shape(support::Circle{1}), "Circle"));
  CHECK(is_nothing(support::Color::red, "red"));
  CHECK(is_nothing(support::Opaque{}, "n"));
  STATIC_REQUIRE_FALSE(atom::detail::has_paths<std::string>);
  STATIC_REQUIRE_FALSE(atom::detail::has_paths<int>);
  STATIC_REQUIRE_FALSE(atom::detail::has_paths<support::Opaque>);
  STATIC_REQUIRE(atom::detail::has_paths<support::User>);
  STATIC_REQUIRE(atom::detail::has_paths<std::optional<support::User>>);
  STATIC_REQUIRE(atom::detail::has_paths<std::vector<int>>);
}

}  // namespace
}  // namespace text_path_test

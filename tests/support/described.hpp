// Types with codecs of all kinds, for the tests of text.
#pragma once

#include <atom/codec.hpp>
#include <atom/fields.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace support {

struct Address {
  std::string city;
  std::optional<std::string> street;
  bool operator==(const Address&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("city", &Address::city), atom::field("street", &Address::street));
  }
};

struct User {
  std::string name = "Anon";
  int age = 0;
  Address address;
  std::vector<double> prices;
  bool operator==(const User&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &User::name), atom::field("age", &User::age),
                          atom::field("address", &User::address), atom::field("prices", &User::prices));
  }
};

struct Circle {
  double radius = 1;
  bool operator==(const Circle&) const = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("radius", &Circle::radius)); }
};

/// Contains itself.
struct Tree {
  int value = 0;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("value", &Tree::value), atom::field("children", &Tree::children));
  }
};

enum class Color { red, green, undescribed };

/// Has a codec of its own: a text.
struct Money {
  std::int64_t cents = 0;
  bool operator==(const Money&) const = default;
};

using Shape = std::variant<std::monostate, int, std::string, Circle>;

/// One member for each kind of type.
struct Everything {
  bool flag = true;
  std::int8_t tiny = -128;
  std::uint8_t small = 255;
  std::int64_t least = INT64_MIN;
  std::uint64_t most = UINT64_MAX;
  float third = 1.0f / 3.0f;
  double tenth = 0.1;
  std::string text = "a\"b\\c\n\t\x01<>&' \xe2\x82\xac \xe2\x80\xa8";
  std::optional<int> none;
  std::optional<int> some = 0;
  std::vector<bool> bits{true, false};
  std::list<std::string> list{"x", ""};
  std::set<int> set{3, 1, 2};
  std::map<std::string, std::vector<int>> map{{"a'b", {1}}, {"", {}}};
  std::array<int, 2> pair_of{1, 2};
  std::pair<int, std::string> pair{1, "one"};
  std::tuple<bool, int, double> tuple{true, 2, 2.5};
  Shape shape = Circle{2.5};
  Shape nothing;
  Color color = Color::green;
  std::chrono::milliseconds wait{1500};
  Tree tree{1, {{2, {}}, {3, {{4, {}}}}}};
  Money money{1234};
  bool operator==(const Everything&) const = default;
  static constexpr auto atom_fields() {
    using E = Everything;
    using atom::field;
    return atom::describe(
        field("flag", &E::flag), field("tiny", &E::tiny), field("small", &E::small), field("least", &E::least),
        field("most", &E::most), field("third", &E::third), field("tenth", &E::tenth), field("text", &E::text),
        field("none", &E::none), field("some", &E::some), field("bits", &E::bits), field("list", &E::list),
        field("set", &E::set), field("map", &E::map), field("pairOf", &E::pair_of), field("pair", &E::pair),
        field("tuple", &E::tuple), field("shape", &E::shape), field("nothing", &E::nothing), field("color", &E::color),
        field("wait", &E::wait), field("tree", &E::tree), field("money", &E::money));
  }
};

/// Has no codec.
struct Opaque {
  int n = 0;
  bool operator==(const Opaque&) const = default;
};

}  // namespace support

template <>
inline constexpr auto atom::fields<support::Color> =
    atom::describe(atom::enumerator("red", support::Color::red), atom::enumerator("green", support::Color::green));

template <>
struct atom::codec<support::Money> {
  static void write(auto& writer, const support::Money& money) {
    atom::codec<std::string>::write(writer, std::to_string(money.cents) + " cents");
  }
  static bool read(atom::Reader& reader, support::Money& money) {
    std::string text;
    if (!atom::codec<std::string>::read(reader, text)) return false;
    const char* const end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, money.cents);
    return (problem == std::errc() && std::string_view(rest, end) == " cents") || reader.fail("an amount of cents");
  }
};

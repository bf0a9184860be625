#include <atom/value.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace value_test {
namespace {

using atom::Value;

struct Big {
  std::array<int, 64> numbers{};
  bool operator==(const Big&) const = default;
};
struct alignas(64) OverAligned {
  int number = 0;
  bool operator==(const OverAligned&) const = default;
};
struct NoEqual {
  int number = 0;
};
/// Throws at the copy that is due.
struct Throwing {
  static inline int copies_left = 1000;
  static inline int alive = 0;
  explicit Throwing(int n) : number(n) { ++alive; }
  Throwing(const Throwing& other) : number(other.number) {
    if (copies_left-- == 0) throw std::runtime_error("cannot be copied now");
    ++alive;
  }
  Throwing& operator=(const Throwing&) = default;
  ~Throwing() { --alive; }
  bool operator==(const Throwing&) const = default;
  int number;
};

template <class T>
bool is_aligned(const T* object) {
  return reinterpret_cast<std::uintptr_t>(object) % alignof(T) == 0;
}

TEST_CASE("a default value holds nothing") {
  const Value value;
  CHECK_FALSE(value.has_value());
  CHECK(value.type_name() == "nothing");
  CHECK(value.try_get<int>() == nullptr);
  CHECK_THROWS_AS(value.get<int>(), atom::TypeMismatch);
  CHECK_FALSE(value.to<int>());
  CHECK_FALSE(value.to<std::string>());
}

TEST_CASE("a value gives out what it holds, by its exact type alone") {
  const Value value(42);
  CHECK(value.has_value());
  CHECK(value.get<int>() == 42);
  CHECK(value.type_name() == "int");
  CHECK(value.try_get<long>() == nullptr);
  CHECK(value.try_get<unsigned>() == nullptr);
  CHECK_THROWS_AS(value.get<double>(), atom::TypeMismatch);
}

TEST_CASE("an array of characters is held as a string") {
  char letters[] = "mutable";
  const char* pointer = "pointer";
  CHECK(Value("literal").get<std::string>() == "literal");
  CHECK(Value(letters).get<std::string>() == "mutable");
  CHECK(Value(pointer).get<std::string>() == "pointer");
  CHECK(Value("literal").type_name() == "std::string");
}

TEST_CASE("a value is copied and moved wherever it lies") {
  SECTION("inside") {
    const Value value(std::string("a short text"));
    Value copy(value);
    const Value moved(std::move(copy));
    CHECK(moved.get<std::string>() == "a short text");
    CHECK_FALSE(copy.has_value());
    CHECK(value.get<std::string>() == "a short text");
    const std::string* const place = moved.try_get<std::string>();
    CHECK(place != value.try_get<std::string>());
  }
  SECTION("on the heap") {
    Big big;
    big.numbers[63] = 7;
    const Value value(big);
    Value copy(value);
    const Big* const place = copy.try_get<Big>();
    CHECK(place != value.try_get<Big>());
    const Value moved(std::move(copy));
    CHECK(moved.try_get<Big>() == place);
    CHECK(moved.get<Big>() == big);
    CHECK_FALSE(copy.has_value());
  }
  SECTION("holding nothing") {
    Value nothing;
    const Value copy(nothing);
    const Value moved(std::move(nothing));
    CHECK_FALSE(copy.has_value());
    CHECK_FALSE(moved.has_value());
  }
}

TEST_CASE("a moved value moves what it holds, and what it was made from") {
  using Held = support::Counted<struct MovedValue>;
  Held::forget();
  Value value(Held(3));
  CHECK(Held::counts().copies == 0);
  const Value moved(std::move(value));
  CHECK(Held::counts().copies == 0);
  CHECK(moved.get<Held>().value == 3);
  CHECK(Held::counts().alive == 1);
}

TEST_CASE("assigning replaces what was held and destroys it") {
  using Held = support::Counted<struct AssignedValue>;
  {
    Value value{Held(1)};
    value = Value(std::string("text"));
    CHECK(Held::counts().alive == 0);
    CHECK(value.get<std::string>() == "text");
    value = Big{};
    CHECK(value.get<Big>() == Big{});
    value = Held(2);
    CHECK(Held::counts().alive == 1);
    value = Value();
    CHECK(Held::counts().alive == 0);
    CHECK_FALSE(value.has_value());
    value = Held(3);
  }
  CHECK(Held::counts().alive == 0);
}

TEST_CASE("a value survives being assigned to itself") {
  const auto check = [](Value value, const auto& expected) {
    using T = std::decay_t<decltype(expected)>;
    Value& alias = value;
    value = alias;
    CHECK(value.get<T>() == expected);
    value = std::move(alias);
    CHECK(value.get<T>() == expected);
  };
  check(Value(5), 5);
  check(Value(std::string(100, 'x')), std::string(100, 'x'));
  check(Value(Big{}), Big{});
  Value nothing;
  Value& alias = nothing;
  nothing = std::move(alias);
  CHECK_FALSE(nothing.has_value());
}

TEST_CASE("values live exactly as long as their holders, inside and on the heap") {
  using Held = support::Counted<struct LivesInside>;
  struct Bulky {
    Held held{1};
    std::array<int, 64> padding{};
  };
  {
    std::vector<Value> values;
    for (int i = 0; i < 20; ++i) values.emplace_back(Held(i));
    for (int i = 0; i < 20; ++i) values.emplace_back(Bulky{});
    const std::vector<Value> copies = values;
    CHECK(Held::counts().alive == 80);
    CHECK(copies[7].get<Held>().value == 7);
    values.clear();
    CHECK(Held::counts().alive == 40);
  }
  CHECK(Held::counts().alive == 0);
}

TEST_CASE("an over-aligned object is aligned, also after copies and moves") {
  const Value value(OverAligned{9});
  Value copy(value);
  Value moved(std::move(copy));
  CHECK(is_aligned(&value.get<OverAligned>()));
  CHECK(is_aligned(&moved.get<OverAligned>()));
  CHECK(moved.get<OverAligned>().number == 9);
  const Value wide(1.5L);
  CHECK(is_aligned(&wide.get<long double>()));
  CHECK(wide.get<long double>() == 1.5L);
}

TEST_CASE("a copy that throws leaves both values as they were, and nothing behind") {
  Throwing::copies_left = 1000;
  {
    const Value value{Throwing(4)};
    Value other(std::string("before"));
    const int alive = Throwing::alive;
    Throwing::copies_left = 0;
    CHECK_THROWS_AS(other = value, std::runtime_error);
    Throwing::copies_left = 0;
    CHECK_THROWS_AS(Value(value), std::runtime_error);
    Throwing::copies_left = 1000;
    CHECK(Throwing::alive == alive);
    CHECK(other.get<std::string>() == "before");
    CHECK(value.get<Throwing>().number == 4);
  }
  CHECK(Throwing::alive == 0);
}

TEST_CASE("a value of a type whose move may throw is moved without touching the object") {
  Throwing::copies_left = 1000;
  {
    Value value{Throwing(4)};
    Throwing::copies_left = 0;
    const Value moved(std::move(value));
    Throwing::copies_left = 1000;
    CHECK(moved.get<Throwing>().number == 4);
  }
  CHECK(Throwing::alive == 0);
}

TEST_CASE("values are equal when both the type and the value are, or when both hold nothing") {
  CHECK(Value(1) == Value(1));
  CHECK_FALSE(Value(1) == Value(2));
  CHECK_FALSE(Value(1) == Value(1L));
  CHECK_FALSE(Value(1) == Value(true));
  CHECK(Value("a") == Value(std::string("a")));
  CHECK(Value() == Value());
  CHECK_FALSE(Value() == Value(0));
  CHECK_FALSE(Value(0) == Value());
  CHECK(Value(Big{}) == Value(Big{}));
}

TEST_CASE("values of a type without == are not equal, not even to themselves") {
  const Value value(NoEqual{1});
  const Value copy(value);
  CHECK_FALSE(value == copy);
  CHECK_FALSE(value == value);
}

TEST_CASE("a NaN equals nothing") {
  const Value value(std::numeric_limits<double>::quiet_NaN());
  CHECK_FALSE(value == value);
}

TEST_CASE("a value is not made from what cannot be copied without leaving a trace in overload resolution") {
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Value>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<Value>);
  STATIC_REQUIRE(std::is_nothrow_default_constructible_v<Value>);
  STATIC_REQUIRE(std::is_copy_constructible_v<Value>);
}

// ---- Conversions

TEST_CASE("to() gives the value itself where the type is right") {
  CHECK(Value(5).to<int>() == 5);
  CHECK(Value(1.5).to<double>() == 1.5);
  CHECK(Value(true).to<bool>() == true);
  CHECK(Value('c').to<char>() == 'c');
  CHECK(Value("text").to<std::string>() == "text");
  CHECK(Value(Big{}).to<Big>() == Big{});
}

TEMPLATE_TEST_CASE("an integer converts where it fits, up to the limits of the other type", "", std::int8_t,
                   std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t,
                   signed char, long, unsigned long, long long, unsigned long long) {
  using Limits = std::numeric_limits<TestType>;
  const auto check = [](auto from) {
    const bool fits = std::in_range<TestType>(from);
    const auto result = Value(from).template to<TestType>();
    CHECK(result.has_value() == fits);
    if (fits) {
      CHECK(result == static_cast<TestType>(from));
    }
  };
  const auto check_around = [&]<class From>(From) {
    using FromLimits = std::numeric_limits<From>;
    check(FromLimits::min());
    check(FromLimits::max());
    check(From{0});
    check(From{1});
    if constexpr (std::is_signed_v<From>) check(static_cast<From>(-1));
    for (const auto edge : {Limits::min(), Limits::max()}) {
      if (!std::in_range<From>(edge)) continue;
      check(static_cast<From>(edge));
      if (static_cast<From>(edge) > FromLimits::min()) check(static_cast<From>(static_cast<From>(edge) - 1));
      if (static_cast<From>(edge) < FromLimits::max()) check(static_cast<From>(static_cast<From>(edge) + 1));
    }
  };
  check_around(std::int8_t{});
  check_around(std::uint8_t{});
  check_around(std::int16_t{});
  check_around(std::uint16_t{});
  check_around(std::int32_t{});
  check_around(std::uint32_t{});
  check_around(std::int64_t{});
  check_around(std::uint64_t{});
  check_around(long{});
  check_around(static_cast<long long>(0));
}

TEST_CASE("an integer out of range converts to nothing") {
  CHECK_FALSE(Value(300).to<std::uint8_t>());
  CHECK_FALSE(Value(-1).to<unsigned>());
  CHECK_FALSE(Value(-1).to<std::uint64_t>());
  CHECK_FALSE(Value(std::uint64_t{1} << 63).to<std::int64_t>());
  CHECK_FALSE(Value(std::int64_t{3'000'000'000}).to<int>());
  CHECK(Value(std::int64_t{2'147'483'647}).to<int>() == 2'147'483'647);
  CHECK(Value(255).to<std::uint8_t>() == std::uint8_t{255});
}

TEST_CASE("nothing but integers converts to an integer") {
  CHECK_FALSE(Value(true).to<int>());
  CHECK_FALSE(Value('a').to<int>());
  CHECK_FALSE(Value(L'a').to<int>());
  CHECK_FALSE(Value(u8'a').to<int>());
  CHECK_FALSE(Value(u'a').to<int>());
  CHECK_FALSE(Value(U'a').to<int>());
  CHECK_FALSE(Value(1.0).to<int>());
  CHECK_FALSE(Value(1.5).to<int>());
  CHECK_FALSE(Value(1.0F).to<int>());
  CHECK_FALSE(Value("1").to<int>());
  CHECK_FALSE(Value(nullptr).to<int>());
}

TEST_CASE("an integer converts to nothing but integers") {
  CHECK_FALSE(Value(1).to<bool>());
  CHECK_FALSE(Value(1).to<double>());
  CHECK_FALSE(Value(1).to<float>());
  CHECK_FALSE(Value(65).to<char>());
  CHECK_FALSE(Value(65).to<wchar_t>());
  CHECK_FALSE(Value(65).to<char8_t>());
  CHECK_FALSE(Value(65).to<char16_t>());
  CHECK_FALSE(Value(65).to<char32_t>());
  CHECK_FALSE(Value(1).to<std::string>());
  CHECK_FALSE(Value(1.5).to<float>());
  CHECK_FALSE(Value(1.5F).to<double>());
}

TEST_CASE("text converts to any string of char, and to nothing else") {
  CHECK(Value("text").to<std::pmr::string>() == std::pmr::string("text"));
  CHECK(Value(std::string("with\0zero", 9)).to<std::pmr::string>() == std::pmr::string("with\0zero", 9));
  CHECK_FALSE(Value("text").to<std::wstring>());
  CHECK_FALSE(Value("text").to<std::u8string>());
  CHECK_FALSE(Value("text").to<std::vector<char>>());
  CHECK_FALSE(Value("true").to<bool>());
  CHECK_FALSE(Value("t").to<char>());
  CHECK_FALSE(Value("text").to<std::string_view>());
}

TEST_CASE("what a conversion gives is a value of its own") {
  Value value(std::string(100, 'x'));
  const auto text = value.to<std::string>();
  value = Value();
  CHECK(text == std::string(100, 'x'));
}

}  // namespace
}  // namespace value_test

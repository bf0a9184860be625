#include <atom/state/number.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>

namespace number_test {
namespace {

namespace detail = atom::detail;
using atom::Number;
using atom::NumberKind;
using atom::Operator;
using atom::StateErrorCode;

using detail::Int128;
using detail::Interval;
constexpr Interval i64 = detail::interval_of(NumberKind::i64);
constexpr Interval u64 = detail::interval_of(NumberKind::u64);

constexpr bool is(const Interval& interval, Int128 least, Int128 most) {
  return !interval.is_too_wide && interval.least == least && interval.most == most;
}

TEST_CASE("The kind of a number is its type") {
  STATIC_REQUIRE(detail::kind_of<std::int8_t> == NumberKind::i8);
  STATIC_REQUIRE(detail::kind_of<long long> == NumberKind::i64);
  STATIC_REQUIRE(detail::kind_of<unsigned short> == NumberKind::u16);
  STATIC_REQUIRE(detail::kind_of<std::uint64_t> == NumberKind::u64);
  STATIC_REQUIRE(detail::kind_of<float> == NumberKind::f32);
  STATIC_REQUIRE(detail::kind_of<double> == NumberKind::f64);
  STATIC_REQUIRE(to_string(NumberKind::u32) == "u32");
  STATIC_REQUIRE(to_string(Operator::remainder) == "%");
  STATIC_REQUIRE(is_integer(NumberKind::u64));
  STATIC_REQUIRE_FALSE(is_integer(NumberKind::f32));
}

TEST_CASE("No bool, no character and no long double is a number to calculate with") {
  STATIC_REQUIRE(detail::number<signed char>);
  STATIC_REQUIRE_FALSE(detail::number<bool>);
  STATIC_REQUIRE_FALSE(detail::number<char>);
  STATIC_REQUIRE_FALSE(detail::number<char32_t>);
  STATIC_REQUIRE_FALSE(detail::number<long double>);
  STATIC_REQUIRE_FALSE(detail::number<const int&>);
}

TEST_CASE("The values of every integer type are known as an interval") {
  STATIC_REQUIRE(is(detail::interval_of(NumberKind::i8), -128, 127));
  STATIC_REQUIRE(is(detail::interval_of(NumberKind::u16), 0, 65535));
  STATIC_REQUIRE(is(i64, INT64_MIN, INT64_MAX));
  STATIC_REQUIRE(is(u64, 0, UINT64_MAX));
}

TEST_CASE("It is known between which integers a result lies") {
  using detail::interval_after;
  constexpr Interval few{-3, 5};
  constexpr Interval more{-7, 2};
  STATIC_REQUIRE(is(interval_after(Operator::add, few, more), -10, 7));
  STATIC_REQUIRE(is(interval_after(Operator::subtract, few, more), -5, 12));
  STATIC_REQUIRE(is(interval_after(Operator::multiply, few, more), -35, 21));
  STATIC_REQUIRE(is(interval_after(Operator::divide, few, more), -5, 5));
  STATIC_REQUIRE(is(interval_after(Operator::divide, few, {1, 9}), -3, 5));
  STATIC_REQUIRE(is(interval_after(Operator::divide, {2, 3}, {1, 9}), 0, 3));
  STATIC_REQUIRE(is(interval_after(Operator::remainder, few, more), -3, 5));
  STATIC_REQUIRE(is(interval_after(Operator::remainder, i64, more), -6, 6));
  STATIC_REQUIRE(is(interval_after(Operator::remainder, {2, 100}, {3, 4}), 0, 3));
  STATIC_REQUIRE(is(interval_after(Operator::min, few, more), -7, 2));
  STATIC_REQUIRE(is(interval_after(Operator::max, few, more), -3, 5));
  STATIC_REQUIRE(is(interval_after(Operator::divide, i64, i64), INT64_MIN, -Int128(INT64_MIN)));
}

TEST_CASE("A result that could pass 127 bits is too wide, and so is what is made of it") {
  using detail::interval_after;
  constexpr Interval square = interval_after(Operator::multiply, i64, i64);
  STATIC_REQUIRE_FALSE(square.is_too_wide);
  STATIC_REQUIRE_FALSE(interval_after(Operator::multiply, i64, u64).is_too_wide);
  STATIC_REQUIRE(interval_after(Operator::add, square, square).is_too_wide);
  STATIC_REQUIRE_FALSE(interval_after(Operator::add, square, i64).is_too_wide);
  constexpr Interval cube = interval_after(Operator::multiply, square, i64);
  STATIC_REQUIRE(cube.is_too_wide);
  STATIC_REQUIRE(interval_after(Operator::multiply, u64, u64).is_too_wide);
  STATIC_REQUIRE(interval_after(Operator::min, cube, i64).is_too_wide);
  STATIC_REQUIRE(interval_after(Operator::subtract, i64, cube).is_too_wide);
}

TEST_CASE("Division truncates toward zero, and the remainder has the sign of the dividend") {
  bool divides_by_zero = false;
  const auto divided = [&](std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(detail::exactly<Operator::divide, Int128>(a, b, divides_by_zero));
  };
  const auto remainder = [&](std::int64_t a, std::int64_t b) {
    return detail::exactly<Operator::remainder, std::int64_t>(a, b, divides_by_zero);
  };
  CHECK(divided(7, 2) == 3);
  CHECK(divided(-7, 2) == -3);
  CHECK(divided(7, -2) == -3);
  CHECK(remainder(7, 2) == 1);
  CHECK(remainder(-7, 2) == -1);
  CHECK(remainder(7, -2) == 1);
  CHECK(remainder(INT64_MIN, -1) == 0);
  CHECK(detail::exactly<Operator::divide, Int128>(INT64_MIN, -1, divides_by_zero) == -Int128(INT64_MIN));
  CHECK(detail::exactly<Operator::divide, Int128>(UINT64_MAX, 2, divides_by_zero) == INT64_MAX);
  CHECK_FALSE(divides_by_zero);
  divided(1, 0);
  CHECK(divides_by_zero);
}

TEST_CASE("Integers of different signs are calculated with as they are") {
  bool divides_by_zero = false;
  CHECK(detail::exactly<Operator::subtract, Int128>(0u, UINT64_MAX, divides_by_zero) == -Int128(UINT64_MAX));
  CHECK(detail::exactly<Operator::min, Int128>(-1, UINT64_MAX, divides_by_zero) == -1);
  CHECK(detail::exactly<Operator::max, Int128>(UINT64_MAX, -1, divides_by_zero) == UINT64_MAX);
  CHECK(detail::exactly<Operator::multiply, Int128>(INT64_MIN, UINT64_MAX, divides_by_zero) ==
        Int128(INT64_MIN) * UINT64_MAX);
}

TEST_CASE("A product is rounded before it is added to") {
  bool divides_by_zero = false;
  const double a = 1 + 0x1p-30;
  const double square = detail::rounded<Operator::multiply>(a, a, divides_by_zero);
  CHECK(detail::rounded<Operator::subtract>(square, 1 + 0x1p-29, divides_by_zero) == 0);
}

TEST_CASE("What is not a number stays so in min and max") {
  bool divides_by_zero = false;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(detail::is_nan(detail::rounded<Operator::min>(nan, 1, divides_by_zero)));
  CHECK(detail::is_nan(detail::rounded<Operator::min>(1, nan, divides_by_zero)));
  CHECK(detail::is_nan(detail::rounded<Operator::max>(nan, 1, divides_by_zero)));
  CHECK(detail::is_nan(detail::rounded<Operator::max>(1, nan, divides_by_zero)));
  CHECK(detail::rounded<Operator::max>(1, 2, divides_by_zero) == 2);
  CHECK(detail::rounded<Operator::min>(1, 2, divides_by_zero) == 1);
}

TEST_CASE("Doubles are told apart by their bits") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double least = std::numeric_limits<double>::denorm_min();
  const double most = std::numeric_limits<double>::max();
  for (const double x : {infinity, -infinity, nan, -nan}) CHECK_FALSE(detail::is_finite(x));
  for (const double x : {0.0, -0.0, least, -least, most, -most}) CHECK(detail::is_finite(x));
  for (const double x : {infinity, -infinity, 0.0, most}) CHECK_FALSE(detail::is_nan(x));
  for (const double x : {nan, -nan}) CHECK(detail::is_nan(x));
  for (const double x : {0.0, -0.0}) CHECK(detail::is_zero(x));
  for (const double x : {least, -least, nan, infinity}) CHECK_FALSE(detail::is_zero(x));
}

TEST_CASE("A result fits its type, or is an error") {
  CHECK(*detail::as_result<std::int8_t>(Int128(127), false) == 127);
  CHECK(detail::as_result<std::int8_t>(Int128(128), false).problem() == StateErrorCode::overflow);
  CHECK(detail::as_result<std::uint64_t>(Int128(-1), false).problem() == StateErrorCode::overflow);
  CHECK(detail::as_result<int>(5, true).problem() == StateErrorCode::division_by_zero);
  CHECK(detail::as_result<float>(1e39, false).problem() == StateErrorCode::not_finite);
  CHECK(*detail::as_result<float>(1e38, false) == 1e38f);
  CHECK(detail::as_result<double>(1e39, true).problem() == StateErrorCode::division_by_zero);
}

TEST_CASE("A result of zero has no sign") {
  CHECK(std::to_string(*detail::as_result<double>(-0.0, false)) == "0.000000");
  CHECK(std::to_string(*detail::as_result<float>(-1e-60, false)) == "0.000000");
  CHECK(*detail::as_result<double>(-5e-324, false) < 0);
}

TEST_CASE("A number keeps an integer of 64 bits, or a double") {
  CHECK(Number().int64() == 0);
  CHECK(Number(-1).kind() == NumberKind::i64);
  CHECK(Number(-1).int64() == -1);
  CHECK(Number(std::int8_t{-5}).integer() == -5);
  CHECK(Number(5u) == Number(std::int64_t{5}));
  CHECK(Number(UINT64_MAX).kind() == NumberKind::u64);
  CHECK(Number(UINT64_MAX).integer() == UINT64_MAX);
  CHECK(Number(UINT64_MAX).real() == 0x1p64);
  CHECK(Number(INT64_MIN).real() == -0x1p63);
  CHECK(Number(0.1f).real() == static_cast<double>(0.1f));
  CHECK(Number(1.0).kind() == NumberKind::f64);
  CHECK_FALSE(Number(1.0) == Number(1));
}

}  // namespace
}  // namespace number_test

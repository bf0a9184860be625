#include <atom/state/clamped_sum.hpp>

#include "support/catch.hpp"
#include "support/equations.hpp"

#include <atom/state/any_equation.hpp>
#include <atom/state/equation.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace clamped_sum_test {
namespace {

using atom::AnyEquation;
using atom::at;
using atom::ClampedSum;
using atom::current;
using atom::EquationPart;
using atom::merge;
using atom::Number;
using support::Figures;

template <class T>
std::optional<ClampedSum> sum_of(const auto& equation) {
  return ClampedSum::of(AnyEquation::of<T>(equation)[0]);
}
/// "3", "3 [0", "3 10]", "3 [0 10]", or "no".
std::string text(const std::optional<ClampedSum>& sum) {
  if (!sum) return "no";
  const auto digits = [](const Number& n) {
    return n.kind() == atom::NumberKind::u64 ? std::to_string(n.uint64()) : std::to_string(n.int64());
  };
  std::string all = digits(sum->summand());
  if (sum->least()) all.append(" [").append(digits(*sum->least()));
  if (sum->most()) all.append(" ").append(digits(*sum->most())).append("]");
  return all;
}
/// What a part makes of an x, or nothing where that is an error.
template <class T>
std::optional<T> given(const EquationPart& part, T x) {
  const Number old[] = {Number(x)};
  const auto result = part.calculate(old);
  return result.has_value() ? std::optional(static_cast<T>((*result).integer())) : std::nullopt;
}

TEST_CASE("Sums, bounds and constants are clamped sums") {
  CHECK(text(sum_of<int>(current + 3)) == "3");
  CHECK(text(sum_of<int>(3 + current - 5)) == "-2");
  CHECK(text(sum_of<int>(max(current, 5))) == "0 [5");
  CHECK(text(sum_of<int>(min(5, current))) == "0 5]");
  CHECK(text(sum_of<int>(clamp(current - 1, 0, 10))) == "-1 [0 10]");
  CHECK(text(sum_of<int>(max(current, 3) + 2)) == "2 [5");
  CHECK(text(sum_of<int>(clamp(current, 0, 10) - 20)) == "-20 [-20 -10]");
  CHECK(text(sum_of<int>(clamp(current, 10, 0))) == "0 [0 0]");
  CHECK(text(sum_of<Figures>(at(&Figures::count) + 1)) == "1");
  CHECK(text(sum_of<Figures>(at(&Figures::count) = 7)) == "0 [7 7]");
  CHECK(text(sum_of<std::uint64_t>(current + UINT64_MAX)) == std::to_string(UINT64_MAX));
}

TEST_CASE("Anything else is none") {
  CHECK(text(sum_of<int>(current * 2)) == "no");
  CHECK(text(sum_of<int>(5 - current)) == "no");
  CHECK(text(sum_of<int>(current + current)) == "no");
  CHECK(text(sum_of<int>(max(current, current - 1))) == "no");
  CHECK(text(sum_of<int>(current % 5 + 1)) == "no");
  CHECK(text(sum_of<double>(current + 1)) == "no");
  CHECK(text(sum_of<Figures>(at(&Figures::count) = at(&Figures::small) + 1)) == "no");
  CHECK(text(sum_of<std::vector<int>>(atom::append(1))) == "no");
  CHECK(text(sum_of<std::int64_t>(current + UINT64_MAX + UINT64_MAX)) == "no");  // a constant of 65 bits
}

TEST_CASE("A bound that makes no difference is none") {
  CHECK(text(sum_of<std::int8_t>(max(current, -128))) == "0");
  CHECK(text(sum_of<std::int8_t>(max(current + 5, -123))) == "5");
  CHECK(text(sum_of<std::int8_t>(max(current + 5, -122))) == "5 [-122");
  CHECK(text(sum_of<std::int8_t>(clamp(current, -1000, 1000))) == "0");
  CHECK(text(sum_of<std::uint64_t>(max(current, -5))) == "0");
  CHECK(text(sum_of<std::uint8_t>(min(current - 5, 250))) == "-5");
}

TEST_CASE("Equations that can be one are one") {
  const auto merged = [](const auto& a, const auto& b) -> std::string {
    const auto part = merge(AnyEquation::of<std::int64_t>(a)[0], AnyEquation::of<std::int64_t>(b)[0]);
    return part ? std::string(part->shape->text()) + ": " + text(ClampedSum::of(*part)) : "no";
  };
  CHECK(merged(current + 1, current + 2) == "i64 = i64@0 k +: 3");
  CHECK(merged(current - 1, current - 2) == "i64 = i64@0 k +: -3");
  CHECK(merged(max(current, 5), max(current, 7)) == "i64 = i64@0 k + k max: 0 [7");
  CHECK(merged(min(current, 5), current - 1) == "i64 = i64@0 k + k min: -1 4]");
  CHECK(merged(clamp(current + 1, 0, 10), clamp(current + 1, 0, 10)) == "i64 = i64@0 k + k max k min: 2 [1 10]");
  CHECK(merged(clamp(current, 0, 10), clamp(current, 20, 30)) == "i64 = k: 0 [20 20]");
  CHECK(merged(current + 0, current + 1) == "i64 = i64@0 k +: 1");
  CHECK(merged(current * 2, current + 1) == "no");
  CHECK(merged(current + 1, current * 2) == "no");
}

TEST_CASE("Where the second could undo an error of the first they are not one") {
  CHECK_FALSE(sum_of<int>(current + 1)->then(*sum_of<int>(current - 1)));
  CHECK_FALSE(sum_of<int>(current - 1)->then(*sum_of<int>(current + 1)));
  CHECK_FALSE(sum_of<int>(current + 1)->then(*sum_of<int>(min(current, 5))));
  CHECK_FALSE(sum_of<int>(current + 1)->then(*sum_of<Figures>(at(&Figures::small) = 7)));
  CHECK(text(sum_of<unsigned>(current - 1)->then(*sum_of<unsigned>(max(current, 0)))) == "-1");  // an error of 0
  CHECK(sum_of<int>(min(current, 5))->then(*sum_of<int>(current + 1)));
  CHECK(sum_of<int>(max(current + 1, 0))->then(*sum_of<int>(max(current, 5))));
  CHECK(sum_of<int>(clamp(current - 1, 0, 10))->then(*sum_of<int>(clamp(current + 1, 0, 10))));
}

TEST_CASE("Equations of different fields are not one") {
  const auto part = [](const auto& equation) { return AnyEquation::of<Figures>(equation)[0]; };
  CHECK_FALSE(merge(part(at(&Figures::count) + 1), part(at(&Figures::small) + 1)));
  const auto both = merge(part(at(&Figures::small) + 1), part(at(&Figures::small) + 1));
  REQUIRE(both);
  CHECK(both->fields[0][0] == "small");
  CHECK(both->shape->text() == "i32 = i32@0 k +");
}

/// All clamped sums of a byte with constants at and around its ends, and inside.
template <class T>
std::vector<AnyEquation> equations_of_a_byte() {
  constexpr int least = std::numeric_limits<T>::min();
  constexpr int most = std::numeric_limits<T>::max();
  std::vector<AnyEquation> all;
  for (const int k :
       {least - 300, least - 1, least, least + 1, -5, -1, 0, 1, 7, most - 1, most, most + 1, most + 300}) {
    all.push_back(AnyEquation::of<T>(current + k));
    all.push_back(AnyEquation::of<T>(max(current, k)));
    all.push_back(AnyEquation::of<T>(min(current, k) - 3));
    all.push_back(AnyEquation::of<T>(clamp(current - 2, k, k + 9)));
    all.push_back(AnyEquation::of<T>(max(current + 4, k)));
    all.push_back(AnyEquation::of<T>(min(current + 4, k)));
  }
  return all;
}

template <class T>
void check_one_by_one() {
  for (const AnyEquation& equation : equations_of_a_byte<T>()) {
    const auto sum = ClampedSum::of(equation[0]);
    REQUIRE(sum);
    const EquationPart part = sum->part({});
    for (int x = std::numeric_limits<T>::min(); x <= std::numeric_limits<T>::max(); ++x) {
      if (given(part, static_cast<T>(x)) != given(equation[0], static_cast<T>(x))) FAIL(text(sum) << " of " << x);
    }
  }
}
TEST_CASE("A clamped sum gives what its equation gives, errors too") {
  check_one_by_one<std::int8_t>();
  check_one_by_one<std::uint8_t>();
}

/// The second of what the first gives, errors of the first aside.
template <class T>
std::optional<T> undone(const ClampedSum& a, const ClampedSum& b, int x) {
  const auto exactly = [](const ClampedSum& sum, int y) {
    y += static_cast<int>(sum.summand().int64());
    if (sum.least() && y < sum.least()->int64()) y = static_cast<int>(sum.least()->int64());
    if (sum.most() && y > sum.most()->int64()) y = static_cast<int>(sum.most()->int64());
    return y;
  };
  const int y = exactly(b, exactly(a, x));
  return y == static_cast<T>(y) ? std::optional(static_cast<T>(y)) : std::nullopt;
}
template <class T>
void check_pairs() {
  std::vector<ClampedSum> sums;
  for (const AnyEquation& equation : equations_of_a_byte<T>()) sums.push_back(*ClampedSum::of(equation[0]));
  int merged = 0;
  for (const ClampedSum& a : sums) {
    for (const ClampedSum& b : sums) {
      const EquationPart first = a.part({});
      const EquationPart second = b.part({});
      const auto both = a.then(b);
      merged += both.has_value();
      bool undoes = false;
      bool is_first_good = false;  // ever
      bool is_second_good = false;
      for (int x = std::numeric_limits<T>::min(); x <= std::numeric_limits<T>::max(); ++x) {
        const auto between = given(first, static_cast<T>(x));
        if (!between && undone<T>(a, b, x)) undoes = true;
        if (between) is_first_good = true;
        if (given(second, static_cast<T>(x))) is_second_good = true;
        if (!both) continue;
        const auto result = given(both->part({}), static_cast<T>(x));
        const bool is_right =
            result ? between && given(second, *between) == result : !between || !given(second, *between);
        if (!is_right) FAIL(text(a) << " and " << text(b) << " are not " << text(both) << " of " << x);
      }
      // None is refused without a reason.
      if (!both && !undoes && is_first_good && is_second_good) FAIL(text(a) << " and " << text(b) << " could be one");
    }
  }
  CHECK(merged > 1000);
}
TEST_CASE("Two functions of a byte are one exactly where no error is undone") {
  check_pairs<std::int8_t>();
  check_pairs<std::uint8_t>();
}

/// Random functions one after the other; those that can be are one.
template <class T>
void check_chains() {
  support::EdgeNumbers numbers(5);
  const auto any = [&] {
    const auto k = numbers.next<T>();
    const auto small = static_cast<std::int32_t>(numbers.below(9)) - 2;
    switch (numbers.below(5)) {
      case 0:
        return AnyEquation::of<T>(max(current + small, k));
      case 1:
        return AnyEquation::of<T>(clamp(current + small, 0, k));
      case 2:
        return AnyEquation::of<T>(min(current, k) + small);
      default:
        return AnyEquation::of<T>(current + small);
    }
  };
  int merges = 0;
  for (int i = 0; i < 5000; ++i) {
    const T start = numbers.next<T>();
    std::optional<EquationPart> all = any()[0];
    std::optional<T> one_by_one = given(*all, start);
    for (int n = 0; n < 6; ++n) {
      const AnyEquation next = any();
      const auto longer = merge(*all, next[0]);
      if (!longer) break;
      ++merges;
      all = longer;
      if (one_by_one) one_by_one = given(next[0], *one_by_one);
      REQUIRE(given(*all, start) == one_by_one);
    }
  }
  CHECK(merges > 1000);
}
TEST_CASE("A chain of functions is one, with an error if one of them is an error") {
  check_chains<std::int64_t>();
  check_chains<std::uint64_t>();
  check_chains<std::int16_t>();
}

}  // namespace
}  // namespace clamped_sum_test

// Equations of which two can be made one: x becomes min(most, max(least, x + summand)). That is what +, -, min, max and
// clamp with constants come to, and the assignment of a constant; one such function after another is one again. So a
// thousand increments that wait for a database at the same time reach it as one sum.
#pragma once

#include <atom/state/any_equation.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/number.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace atom::inline v0_1 {

/// min(most, max(least, x + summand)), of an integer x. Where that does not fit the type it is an error, and x stays.
class ClampedSum {
 public:
  /// What a part comes to, if it is such a function.
  static std::optional<ClampedSum> of(const EquationPart& part) noexcept;
  /// What an equation comes to, if it is one such function, of the value itself and not of a field.
  static std::optional<ClampedSum> of(const AnyEquation& equation) noexcept {
    if (equation.size() != 1) return std::nullopt;
    const EquationPart part = equation[0];
    return part.target().size() == 0 ? of(part) : std::nullopt;
  }

  /// This function and then `next`, as one: for every x for which that is no error, neither of the two is one, and they
  /// give the same. Nothing where there is no such function, which is where an error of this one could be undone by the
  /// next: of the largest x, `x + 1` is an error and `x - 1` then is none; their sum would be x, and no error.
  std::optional<ClampedSum> then(const ClampedSum& next) const noexcept;

  /// As a part of an equation, for that target.
  EquationPart part(const FieldPath& target) const noexcept;

  NumberKind kind() const noexcept { return kind_; }
  Number summand() const noexcept { return Number::of(summand_); }
  /// Nothing where there is no such bound. Where the two are equal the result is that.
  std::optional<Number> least() const noexcept {
    return has_least() ? std::optional(Number::of(least_)) : std::nullopt;
  }
  std::optional<Number> most() const noexcept { return has_most() ? std::optional(Number::of(most_)) : std::nullopt; }

 private:
  using Int128 = detail::Int128;

  ClampedSum(NumberKind kind, Int128 summand, Int128 least, Int128 most) noexcept
      : kind_(kind), summand_(summand), least_(least), most_(most) {}
  /// The same function, with no bound that makes no difference; if its constants are ones of a Number.
  static std::optional<ClampedSum> plain(NumberKind kind, Int128 summand, Int128 least, Int128 most) noexcept {
    const auto [smallest, largest, _] = detail::interval_of(kind);
    // A bound beyond the type, or beyond all that the sum can be, makes none.
    if (least <= smallest + greater(summand, -1)) least = smallest - 1;
    if (most >= largest + lesser(summand, 1)) most = largest + 1;
    least = lesser(least, largest + 1);
    most = greater(most, smallest - 1);
    const ClampedSum sum(kind, least == most ? 0 : summand, least, most);
    const auto fits = [](Int128 value) { return INT64_MIN <= value && value <= Int128(UINT64_MAX); };
    const bool all_fit = fits(sum.summand_) && (!sum.has_least() || fits(least)) && (!sum.has_most() || fits(most));
    return all_fit ? std::optional(sum) : std::nullopt;
  }
  static constexpr Int128 lesser(Int128 a, Int128 b) noexcept { return a < b ? a : b; }
  static constexpr Int128 greater(Int128 a, Int128 b) noexcept { return a > b ? a : b; }

  // Without a bound it is the nearest integer that does not fit.
  bool has_least() const noexcept { return least_ >= detail::interval_of(kind_).least; }
  bool has_most() const noexcept { return most_ <= detail::interval_of(kind_).most; }
  Int128 operator()(Int128 x) const noexcept { return lesser(most_, greater(least_, x + summand_)); }

  NumberKind kind_;
  Int128 summand_;
  Int128 least_;
  Int128 most_;
};

inline std::optional<ClampedSum> ClampedSum::of(const EquationPart& part) noexcept {
  if (part.shape->action() != EquationShape::Action::calculate || !is_integer(part.shape->kind())) return std::nullopt;
  constexpr Int128 beyond = Int128(1) << 100;  // any constant, and any sum of them
  Int128 summand = 0, least = -beyond, most = beyond;
  std::array<Int128, EquationShape::max_operands> stack;  // of constants; not set where x is, or what has become of it
  constexpr std::size_t nowhere = EquationShape::max_operands;
  std::size_t size = 0, place_of_x = nowhere;
  for (const Token& token : part.shape->tokens()) {
    if (token.kind == Token::Kind::field) {
      if (token.index != 0 || place_of_x != nowhere) return std::nullopt;  // another one than the target, or twice
      place_of_x = size++;
      continue;
    }
    if (token.kind == Token::Kind::constant) {
      stack[size++] = part.constants[token.index].integer();
      continue;
    }
    --size;
    const bool is_x_second = place_of_x == size;
    const bool is_of_x = is_x_second || place_of_x == size - 1;
    if (is_x_second && token.op == Operator::subtract) return std::nullopt;
    Int128& first = stack[size - 1];
    const Int128 constant = is_x_second ? first : stack[size];
    const auto each = [&](auto change) {
      if (is_of_x) {
        least = change(least);
        most = change(most);
      } else {
        first = change(first);
      }
    };
    switch (token.op) {
      case Operator::add:
      case Operator::subtract: {
        const Int128 added = token.op == Operator::add ? constant : -constant;
        if (is_of_x) summand += added;
        each([&](Int128 x) { return x + added; });
        break;
      }
      case Operator::min:
        each([&](Int128 x) { return lesser(x, constant); });
        break;
      case Operator::max:
        each([&](Int128 x) { return greater(x, constant); });
        break;
      default:
        return std::nullopt;
    }
    if (is_x_second) place_of_x = size - 1;
  }
  if (place_of_x == nowhere) least = most = stack[0];
  return plain(part.shape->kind(), summand, least, most);
}

inline std::optional<ClampedSum> ClampedSum::then(const ClampedSum& next) const noexcept {
  const auto [smallest, largest, _] = detail::interval_of(kind_);
  // Both functions never fall, so it is enough to look at the ends: what does not fit after this one must not fit after
  // the next one either, on the same side.
  if ((*this)(largest) > largest && next(largest + 1) <= largest) return std::nullopt;
  if ((*this)(smallest) < smallest && next(smallest - 1) >= smallest) return std::nullopt;
  return plain(kind_, summand_ + next.summand_, has_least() ? next(least_) : next.least_,
               has_most() ? next(most_) : next.most_);
}

namespace detail {

using Summand = equations::Constant<std::int64_t>;
using Sum = equations::Operation<Operator::add, equations::Current, Summand>;
using SumFromBelow = equations::Operation<Operator::max, Sum, Summand>;
using SumFromAbove = equations::Operation<Operator::min, Sum, Summand>;
using SumBetween = equations::Operation<Operator::min, SumFromBelow, Summand>;

template <class Calculation, class... T>
inline constexpr std::array<const EquationShape*, sizeof...(T)> shapes_of{
    &equation_shape<T, equations::Change<equations::Current, Calculation>>...};
/// In the order of NumberKind.
template <class Calculation>
inline constexpr const auto& integer_shapes =
    shapes_of<Calculation, std::int8_t, std::int16_t, std::int32_t, std::int64_t,  //
              std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;

}  // namespace detail

inline EquationPart ClampedSum::part(const FieldPath& target) const noexcept {
  const bool is_constant = least_ == most_;
  const auto& shapes = is_constant                 ? detail::integer_shapes<detail::Summand>
                       : has_least() && has_most() ? detail::integer_shapes<detail::SumBetween>
                       : has_least()               ? detail::integer_shapes<detail::SumFromBelow>
                       : has_most()                ? detail::integer_shapes<detail::SumFromAbove>
                                                   : detail::integer_shapes<detail::Sum>;
  EquationPart part;
  part.shape = shapes[static_cast<std::size_t>(kind_)];
  part.fields[0] = target;
  Number* constant = part.constants.data();
  if (is_constant) {
    *constant = Number::of(least_);
  } else {
    *constant++ = summand();
    if (has_least()) *constant++ = Number::of(least_);
    if (has_most()) *constant = Number::of(most_);
  }
  return part;
}

/// Two parts for one state, one after the other, as one part: with the guarantee of `ClampedSum::then`. Nothing if they
/// have different targets, or are none that can be made one.
inline std::optional<EquationPart> merge(const EquationPart& first, const EquationPart& next) noexcept {
  if (first.target() != next.target()) return std::nullopt;
  const std::optional<ClampedSum> a = ClampedSum::of(first);
  const std::optional<ClampedSum> b = ClampedSum::of(next);
  const std::optional<ClampedSum> both = a && b ? a->then(*b) : std::nullopt;
  return both ? std::optional(both->part(first.target())) : std::nullopt;
}

}  // namespace atom::inline v0_1

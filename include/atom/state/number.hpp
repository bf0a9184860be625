// The arithmetic of equations, which every database is held to. Integers are exact: no result on the way is cut or
// wrapped, only the last one has to fit its type. Floating-point numbers are IEEE 754 binary64, rounded once per
// operation, without fused multiply-add; that is beyond a program compiled with -ffast-math, which asks for less.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/traits.hpp>
#include <atom/state/error.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#if !defined(__SIZEOF_INT128__)
#error "equations need a compiler with integers of 128 bits, such as g++ or clang++ for a 64-bit machine"
#endif
#if __FLT_EVAL_METHOD__ == 2
#error "equations need doubles that are no wider on the way: compile with -mfpmath=sse"
#endif

namespace atom::inline v0_1 {

/// What an equation does with two numbers.
enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,     ///< Of integers: truncates toward zero.
  remainder,  ///< Of integers: what `divide` leaves, with the sign of the first.
  min,
  max,
};

constexpr std::string_view to_string(Operator op) noexcept {
  return std::array<std::string_view, 7>{"+", "-", "*", "/", "%", "min", "max"}[static_cast<std::size_t>(op)];
}

/// The type of a number: i64 is std::int64_t, f32 is float.
enum class NumberKind : std::uint8_t { i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 };

constexpr std::string_view to_string(NumberKind kind) noexcept {
  return std::array<std::string_view, 10>{
      "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64"}[static_cast<std::size_t>(kind)];
}
constexpr bool is_integer(NumberKind kind) noexcept {
  return kind < NumberKind::f32;
}

/// What a calculation gives, or why that is nothing: `overflow`, `division_by_zero` or `not_finite`.
template <class T>
class Calculated {
 public:
  constexpr Calculated(T value) noexcept : value_(value) {}
  constexpr Calculated(StateErrorCode problem) noexcept : problem_(static_cast<int>(problem)) {}

  constexpr bool has_value() const noexcept { return problem_ == none; }
  /// The value. There must be one.
  constexpr const T& operator*() const noexcept { return value_; }
  /// Why there is none. There must be none.
  constexpr StateErrorCode problem() const noexcept { return static_cast<StateErrorCode>(problem_); }

 private:
  static constexpr int none = -1;
  T value_{};
  int problem_ = none;  // one number, which g++ keeps better in a register than an optional or a flag beside it
};

namespace detail {

__extension__ typedef __int128 Int128;

/// What an equation can calculate with.
template <class T>
concept number = integer<T> || std::same_as<T, float> || std::same_as<T, double>;

template <number T>
inline constexpr NumberKind kind_of = [] {
  if constexpr (integer<T>) {
    constexpr int width = std::countr_zero(sizeof(T));
    return static_cast<NumberKind>(width + (std::is_signed_v<T> ? 0 : 4));
  } else {
    return std::same_as<T, float> ? NumberKind::f32 : NumberKind::f64;
  }
}();

/// Between which integers a result lies.
struct Interval {
  Int128 least = 0;
  Int128 most = 0;
  bool is_too_wide = false;  ///< It may lie beyond 127 bits and a sign.

  constexpr bool contains(Int128 value) const noexcept { return least <= value && value <= most; }
  constexpr bool contains(const Interval& other) const noexcept {
    return !other.is_too_wide && contains(other.least) && contains(other.most);
  }
};

constexpr Interval interval_of(NumberKind kind) noexcept {
  const auto index = static_cast<int>(kind);
  const Int128 values = Int128(1) << (8 << index % 4);
  return index < 4 ? Interval{-values / 2, values / 2 - 1} : Interval{0, values - 1};
}

/// Collects the corners of a result.
class Hull {
 public:
  consteval void include(Operator op, Int128 a, Int128 b) {
    Int128 result = 0;
    const bool overflows = op == Operator::add        ? __builtin_add_overflow(a, b, &result)
                           : op == Operator::subtract ? __builtin_sub_overflow(a, b, &result)
                                                      : __builtin_mul_overflow(a, b, &result);
    // Symmetric, so that every result has a negative.
    if (overflows || result < -~(Int128(1) << 127)) hull_.is_too_wide = true;
    include(result);
  }
  consteval void include(Int128 result) {
    if (is_empty_ || result < hull_.least) hull_.least = result;
    if (is_empty_ || result > hull_.most) hull_.most = result;
    is_empty_ = false;
  }
  consteval Interval interval() const { return hull_; }

 private:
  Interval hull_;
  bool is_empty_ = true;
};

/// Where `a op b` lies.
consteval Interval interval_after(Operator op, Interval a, Interval b) {
  if (a.is_too_wide || b.is_too_wide) return {0, 0, true};
  Hull hull;
  switch (op) {
    case Operator::add:
    case Operator::subtract:
    case Operator::multiply:
      for (const Int128 x : {a.least, a.most}) {
        for (const Int128 y : {b.least, b.most}) hull.include(op, x, y);
      }
      break;
    case Operator::divide:  // by 1 and -1, if not by more
      hull.include(0);
      for (const Int128 x : {a.least, a.most}) {
        if (b.most > 0) hull.include(x);
        if (b.least < 0) hull.include(-x);
      }
      break;
    case Operator::remainder: {
      const Int128 divisor = b.most > -b.least ? b.most : -b.least;
      for (const Int128 x : {Int128(0), a.least, a.most}) {
        hull.include(x <= -divisor ? 1 - divisor : x >= divisor ? divisor - 1 : x);
      }
      break;
    }
    case Operator::min:
      hull.include(a.least < b.least ? a.least : b.least);
      hull.include(a.most < b.most ? a.most : b.most);
      break;
    case Operator::max:
      hull.include(a.least > b.least ? a.least : b.least);
      hull.include(a.most > b.most ? a.most : b.most);
      break;
  }
  return hull.interval();
}

/// An integer type of 64 bits at most whose values are all std::int64_t.
template <class T>
inline constexpr bool is_narrow = sizeof(T) < 8 || std::same_as<T, std::int64_t>;

/// Exactly `a op b`, which is known to fit a Result. A division by zero is noted, and gives anything.
template <Operator op, class Result, class A, class B>
constexpr Result exactly(A a, B b, [[maybe_unused]] bool& divides_by_zero) noexcept {
  using Wide = std::conditional_t<is_narrow<A> && is_narrow<B> && is_narrow<Result>, std::int64_t, Int128>;
  const auto wide_a = static_cast<Wide>(a);
  const auto wide_b = static_cast<Wide>(b);
  if constexpr (op == Operator::add) {
    return static_cast<Result>(wide_a + wide_b);
  } else if constexpr (op == Operator::subtract) {
    return static_cast<Result>(wide_a - wide_b);
  } else if constexpr (op == Operator::multiply) {
    return static_cast<Result>(wide_a * wide_b);
  } else if constexpr (op == Operator::min) {
    return static_cast<Result>(wide_a < wide_b ? wide_a : wide_b);
  } else if constexpr (op == Operator::max) {
    return static_cast<Result>(wide_a > wide_b ? wide_a : wide_b);
  } else {
    // In 64 bits where that is possible: a division of 128 is a call.
    using Divided = std::conditional_t<is_narrow<A> && is_narrow<B>, std::int64_t, Int128>;
    if (wide_b == 0) {
      divides_by_zero = true;
      return 0;
    }
    if (wide_b == -1) return static_cast<Result>(op == Operator::divide ? -wide_a : 0);
    const auto dividend = static_cast<Divided>(a);
    const auto divisor = static_cast<Divided>(b);
    return static_cast<Result>(op == Operator::divide ? dividend / divisor : dividend % divisor);
  }
}

// By their bits, which -ffast-math does not argue away.
constexpr bool is_zero(double x) noexcept {
  return std::bit_cast<std::uint64_t>(x) << 1 == 0;
}
constexpr bool is_nan(double x) noexcept {
  return std::bit_cast<std::uint64_t>(x) << 1 > std::uint64_t{0x7ff} << 53;
}
constexpr bool is_finite(double x) noexcept {
  return std::bit_cast<std::uint64_t>(x) << 1 < std::uint64_t{0x7ff} << 53;
}

/// `a op b`, rounded once. What is not a number stays so, also in `min` and `max`.
template <Operator op>
double rounded(double a, double b, [[maybe_unused]] bool& divides_by_zero) noexcept {
  static_assert(op != Operator::remainder);
  if constexpr (op == Operator::add) {
    return a + b;
  } else if constexpr (op == Operator::subtract) {
    return a - b;
  } else if constexpr (op == Operator::multiply) {
    const volatile double product = a * b;  // so that no compiler makes a fused multiply-add of it and what follows
    return product;
  } else if constexpr (op == Operator::divide) {
    if (is_zero(b)) {
      divides_by_zero = true;
      return 0;
    }
    return a / b;
  } else {
    return is_nan(a) || (op == Operator::min ? a < b : a > b) ? a : b;
  }
}

/// The last step of a calculation.
template <integer T, class Exact>
constexpr Calculated<T> as_result(Exact exact, bool divides_by_zero) noexcept {
  if (divides_by_zero) return StateErrorCode::division_by_zero;
  if (!interval_of(kind_of<T>).contains(exact)) return StateErrorCode::overflow;
  return static_cast<T>(exact);
}
/// Zero has no sign then, since not every database keeps it.
template <std::floating_point T>
Calculated<T> as_result(double rounded, bool divides_by_zero) noexcept {
  if (divides_by_zero) return StateErrorCode::division_by_zero;
  const auto result = static_cast<T>(rounded);
  if (!is_finite(result)) return StateErrorCode::not_finite;
  return is_zero(result) ? T(0) : result;
}

}  // namespace detail

/// A number whose type the compiler has forgotten: an integer of 64 bits with or without a sign, or a double.
class Number {
 public:
  /// Zero.
  constexpr Number() noexcept = default;
  template <detail::number T>
  constexpr explicit Number(T value) noexcept {
    if constexpr (std::floating_point<T>) {
      kind_ = NumberKind::f64;
      bits_ = std::bit_cast<std::uint64_t>(static_cast<double>(value));
    } else {
      bits_ = static_cast<std::uint64_t>(value);
      if (std::is_unsigned_v<T> && bits_ >> 63) kind_ = NumberKind::u64;
    }
  }

  /// An integer that is one of std::int64_t or std::uint64_t.
  static constexpr Number of(detail::Int128 value) noexcept {
    return value < 0 ? Number(static_cast<std::int64_t>(value)) : Number(static_cast<std::uint64_t>(value));
  }

  /// i64 for every integer that is one; u64 for those beyond; or f64.
  constexpr NumberKind kind() const noexcept { return kind_; }
  /// Of an integer. Of one that is i64, or u64, itself:
  constexpr std::int64_t int64() const noexcept { return static_cast<std::int64_t>(bits_); }
  constexpr std::uint64_t uint64() const noexcept { return bits_; }
  /// Of any integer.
  constexpr detail::Int128 integer() const noexcept {
    return kind_ == NumberKind::u64 ? detail::Int128(uint64()) : detail::Int128(int64());
  }
  /// The double, or the one next to the integer.
  constexpr double real() const noexcept {
    return kind_ == NumberKind::f64   ? std::bit_cast<double>(bits_)
           : kind_ == NumberKind::u64 ? static_cast<double>(uint64())
                                      : static_cast<double>(int64());
  }

  /// Of one kind and, bit by bit, one value.
  friend constexpr bool operator==(const Number&, const Number&) noexcept = default;

 private:
  std::uint64_t bits_ = 0;
  NumberKind kind_ = NumberKind::i64;
};

}  // namespace atom::inline v0_1

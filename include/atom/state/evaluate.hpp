// What an equation gives: the reference that every database is held to. equation.hpp says what it means.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

// ------------------------------------------------------------------------------------------- what it is made of

/// The operands of a calculation, from left to right.
template <class... Operand>
struct Operands {
  static constexpr std::size_t size = sizeof...(Operand);
  static constexpr std::size_t constants = (std::size_t{equations::is_constant<Operand>} + ... + 0);
  template <class... More>
  Operands<Operand..., More...> operator+(Operands<More...>) const;
};
template <class E>
struct OperandsOf {
  using type = Operands<E>;
};
template <Operator op, class A, class B>
struct OperandsOf<equations::Operation<op, A, B>> {
  using type = decltype(typename OperandsOf<A>::type() + typename OperandsOf<B>::type());
};
template <class E>
using operands_of = typename OperandsOf<E>::type;

inline constexpr std::size_t max_operands = 16;
inline constexpr std::size_t max_constants = 8;
inline constexpr std::size_t max_fields = 4;  // with the target

/// The type of an operand or a target, in an equation for a T.
template <class E, class T>
struct ValueOf {
  using type = T;
};
template <class V, class T>
struct ValueOf<equations::Constant<V>, T> {
  using type = V;
};
template <class R, class... M, class T>
struct ValueOf<equations::Path<R, M...>, T> {
  using type = typename equations::Path<R, M...>::Value;
};
template <class E, class T>
using value_of = typename ValueOf<E, T>::type;

template <class E>
inline constexpr bool has_remainder = false;
template <Operator op, class A, class B>
inline constexpr bool has_remainder<equations::Operation<op, A, B>> =
    op == Operator::remainder || has_remainder<A> || has_remainder<B>;

/// Between which integers the result of a calculation lies.
template <class E, class T>
inline constexpr Interval interval = interval_of(kind_of<std::remove_const_t<value_of<E, T>>>);
template <Operator op, class A, class B, class T>
inline constexpr Interval interval<equations::Operation<op, A, B>, T> =
    interval_after(op, interval<A, T>, interval<B, T>);

/// Whether an M becomes what is calculated, rather than a constant as it is.
template <class Value, class M>
inline constexpr bool calculates = !equations::is_item<Value> && (number<M> || !equations::is_constant<Value>);

// ------------------------------------------------------------------------------------------- what is wrong with it

/// Why something is no equation for a type.
enum class Misuse : std::uint8_t {
  none,
  another_class,
  const_member,
  several_fields,
  not_a_number,
  fraction,
  remainder,
  too_long,
  too_wide,
  not_its_type,
  not_a_list,
  not_an_element,
};

/// Whether a constant becomes an M as it is, with no conversion that may lose something.
template <class V, class M>
inline constexpr bool becomes = std::is_class_v<M> ? std::convertible_to<const V&, M> : std::same_as<V, M>;
template <number V, integer M>
inline constexpr bool becomes<V, M> = false;
template <integer V, integer M>
inline constexpr bool becomes<V, M> = interval_of(kind_of<M>).contains(interval_of(kind_of<V>));
template <number V, std::floating_point M>
inline constexpr bool becomes<V, M> = std::numeric_limits<V>::digits <= std::numeric_limits<M>::digits;

template <class E, class T>
inline constexpr bool is_of_another_class = false;
template <class R, class... M, class T>
inline constexpr bool is_of_another_class<equations::Path<R, M...>, T> = !std::same_as<R, T>;

template <class T, class M, class E, class... Operand>
consteval Misuse misuse_of_calculation(Operands<Operand...> all) {
  if constexpr ((is_of_another_class<Operand, T> || ...)) {
    return Misuse::another_class;
  } else if constexpr (!number<M> || !(number<std::remove_const_t<value_of<Operand, T>>> && ...)) {
    return Misuse::not_a_number;
  } else if constexpr (all.size > max_operands || all.constants > max_constants ||
                       equations::paths_in<E> >= max_fields) {
    return Misuse::too_long;
  } else if constexpr (std::floating_point<M>) {
    return has_remainder<E> ? Misuse::remainder : Misuse::none;
  } else if constexpr (!(integer<std::remove_const_t<value_of<Operand, T>>> && ...)) {
    return Misuse::fraction;
  } else {
    return interval<E, T>.is_too_wide ? Misuse::too_wide : Misuse::none;
  }
}
template <class T, class Target>
consteval Misuse misuse_of_target() {
  if constexpr (is_of_another_class<Target, T>) {
    return Misuse::another_class;
  } else {
    return std::is_const_v<value_of<Target, T>> ? Misuse::const_member : Misuse::none;
  }
}
template <class T, class Target, class Calculation>
consteval Misuse misuse_of_part(const equations::Change<Target, Calculation>*) {
  using M = value_of<Target, T>;
  if constexpr (constexpr Misuse wrong = misuse_of_target<T, Target>(); wrong != Misuse::none) {
    return wrong;
  } else if constexpr (equations::paths_in<Calculation> > 0 && !equations::has_current<Calculation>) {
    return Misuse::several_fields;
  } else {
    return misuse_of_calculation<M, M, Calculation>(operands_of<Calculation>());
  }
}
template <class T, class Target, class Value>
consteval Misuse misuse_of_part(const equations::Assignment<Target, Value>*) {
  using M = value_of<Target, T>;
  if constexpr (constexpr Misuse wrong = misuse_of_target<T, Target>(); wrong != Misuse::none) {
    return wrong;
  } else if constexpr (calculates<Value, M>) {
    return misuse_of_calculation<T, M, Value>(operands_of<Value>());
  } else {
    return !number<M> && becomes<decltype(Value::value), M> ? Misuse::none : Misuse::not_its_type;
  }
}
template <class T, class Target, class V>
consteval Misuse misuse_of_part(const equations::Append<Target, V>*) {
  using List = value_of<Target, T>;
  if constexpr (constexpr Misuse wrong = misuse_of_target<T, Target>(); wrong != Misuse::none) {
    return wrong;
  } else if constexpr (!sequence_like<List> || text_like<List>) {
    return Misuse::not_a_list;
  } else if constexpr (equations::is_constant<V> || equations::is_item<V>) {
    return becomes<decltype(V::value), typename List::value_type> ? Misuse::none : Misuse::not_an_element;
  } else {
    return Misuse::not_an_element;
  }
}

/// A part of an equation, with its target.
template <class E>
using part_of = std::remove_cvref_t<decltype(equations::targeted(std::declval<const E&>()))>;

template <class T, class E>
inline constexpr Misuse misuse = misuse_of_part<T>(static_cast<const part_of<E>*>(nullptr));
template <class T, class... E>
inline constexpr Misuse misuse<T, equations::All<E...>> = [] {
  Misuse first = Misuse::none;
  ((first = first == Misuse::none ? misuse<T, E> : first), ...);
  return first;
}();

/// Compiles for what is an equation for a T; for anything else the compiler says why it is none.
template <class T, class E>
consteval void require_equation_for() {
  constexpr Misuse found = misuse<T, E>;
  static_assert(found != Misuse::another_class,
                "at(&T::member): the state is of another class (an inherited member is at<T>(&T::member))");
  static_assert(found != Misuse::const_member, "at(&T::member): a const member cannot change");
  static_assert(found != Misuse::several_fields,
                "an equation of several fields says for which of them it is: at(&T::a) = at(&T::b) + 1");
  static_assert(found != Misuse::not_a_number,
                "an equation calculates with integers, floats and doubles: name a field with at(&T::member); a field "
                "of another type is assigned a constant");
  static_assert(found != Misuse::fraction,
                "the result is an integer, so every constant and field of the equation must be one");
  static_assert(found != Misuse::remainder, "the remainder (%) is for integers only");
  static_assert(found != Misuse::too_long,
                "an equation has at most 16 operands, of which 8 may be constants, and 4 fields");
  static_assert(found != Misuse::too_wide,
                "a result on the way could pass 127 bits: multiply less, or with constants of a smaller type");
  static_assert(found != Misuse::not_its_type,
                "at(&T::member) = ...: a member that is no number becomes a value of its own type, or a class what "
                "converts to it; a number becomes a number");
  static_assert(found != Misuse::not_a_list, "append is for lists, such as a std::vector, and for no text");
  static_assert(found != Misuse::not_an_element,
                "append takes an element of the list, or what becomes one without a loss");
}

// ------------------------------------------------------------------------------------------- what it gives

template <class E, class T>
constexpr const auto& read(const E& operand, const T& old) noexcept {
  if constexpr (equations::is_constant<E>) {
    return operand.value;
  } else {
    return operand.in(old);
  }
}

template <class E, class T>
constexpr auto exact_value(const E& operand, const T& old, bool&) noexcept {
  return read(operand, old);
}
template <Operator op, class A, class B, class T>
constexpr auto exact_value(const equations::Operation<op, A, B>& e, const T& old, bool& divides_by_zero) noexcept {
  constexpr bool is_narrow_result = interval_of(NumberKind::i64).contains(interval<equations::Operation<op, A, B>, T>);
  using Result = std::conditional_t<is_narrow_result, std::int64_t, Int128>;
  const auto a = exact_value(e.a, old, divides_by_zero);
  const auto b = exact_value(e.b, old, divides_by_zero);
  return exactly<op, Result>(a, b, divides_by_zero);
}

template <class E, class T>
double rounded_value(const E& operand, const T& old, bool&) noexcept {
  return static_cast<double>(read(operand, old));
}
template <Operator op, class A, class B, class T>
double rounded_value(const equations::Operation<op, A, B>& e, const T& old, bool& divides_by_zero) noexcept {
  const double a = rounded_value(e.a, old, divides_by_zero);
  const double b = rounded_value(e.b, old, divides_by_zero);
  return rounded<op>(a, b, divides_by_zero);
}

template <class M, class E, class T>
Calculated<M> calculate(const E& e, const T& old) noexcept {
  bool divides_by_zero = false;
  if constexpr (std::floating_point<M>) {
    const double result = rounded_value(e, old, divides_by_zero);
    return as_result<M>(result, divides_by_zero);
  } else {
    const auto result = exact_value(e, old, divides_by_zero);
    return as_result<M>(result, divides_by_zero);
  }
}
/// A sum that is the result: the processor says whether it fits.
template <class M, Operator op, class A, class B, class T>
  requires(std::integral<M> && (op == Operator::add || op == Operator::subtract))
Calculated<M> calculate(const equations::Operation<op, A, B>& e, const T& old) noexcept {
  bool divides_by_zero = false;
  const auto a = exact_value(e.a, old, divides_by_zero);
  const auto b = exact_value(e.b, old, divides_by_zero);
  if (divides_by_zero) return StateErrorCode::division_by_zero;
  M result = 0;
  const bool overflows = op == Operator::add ? __builtin_add_overflow(a, b, &result)  //
                                             : __builtin_sub_overflow(a, b, &result);
  if (overflows) return StateErrorCode::overflow;
  return result;
}

/// Whether a part changes a T without an exception.
template <class P, class T>
inline constexpr bool is_nothrow = false;
template <class Target, class Calculation, class T>
inline constexpr bool is_nothrow<equations::Change<Target, Calculation>, T> = true;
template <class Target, class Value, class T>
inline constexpr bool is_nothrow<equations::Assignment<Target, Value>, T> = [] {
  using M = value_of<Target, T>;
  if constexpr (calculates<Value, M>) {
    return true;
  } else {
    return std::is_nothrow_constructible_v<M, decltype((std::declval<const Value&>().value))> &&
           std::is_nothrow_move_assignable_v<M>;
  }
}();

struct Nothing {};

/// First every part looks at the old value, ...
template <class T, class Part>
auto prepare(const Part&, const T&) noexcept {
  return Calculated<Nothing>(Nothing());
}
template <class T, class Target, class Value>
  requires calculates<Value, value_of<Target, T>>
auto prepare(const equations::Assignment<Target, Value>& part, const T& old) noexcept {
  return calculate<value_of<Target, T>>(part.value, old);
}
template <class T, class Target, class Calculation>
auto prepare(const equations::Change<Target, Calculation>& part, const T& old) noexcept {
  return calculate<value_of<Target, T>>(part.calculation, part.target.in(old));
}
/// ... then every part changes it.
template <class Target, class Calculation, class T, class Result>
void commit(const equations::Change<Target, Calculation>& part, const Result& result, T& value) noexcept {
  part.target.in(value) = *result;
}
template <class Target, class Value, class T, class Result>
void commit(const equations::Assignment<Target, Value>& part, const Result& result, T& value) {
  using M = value_of<Target, T>;
  if constexpr (calculates<Value, M>) {
    part.target.in(value) = *result;
  } else {
    part.target.in(value) = static_cast<M>(part.value.value);
  }
}
template <class Target, class V, class T>
void commit(const equations::Append<Target, V>& part, const Calculated<Nothing>&, T& value) {
  auto& list = part.target.in(value);
  using Element = typename value_of<Target, T>::value_type;
  if constexpr (std::same_as<decltype(part.item.value), Element>) {
    list.push_back(part.item.value);
  } else {
    list.push_back(static_cast<Element>(part.item.value));
  }
}

template <class T, class Part>
std::optional<StateErrorCode> change(T& value, const Part& part) noexcept(is_nothrow<Part, T>) {
  const auto result = prepare(part, std::as_const(value));
  if (!result.has_value()) return result.problem();
  commit(part, result, value);
  return std::nullopt;
}
/// If a commit throws, those before it stand.
template <class T, class... Part>
std::optional<StateErrorCode> change_all(T& value, const Part&... part) noexcept((is_nothrow<Part, T> && ...)) {
  return std::apply(
      [&](const auto&... result) {
        std::optional<StateErrorCode> first_problem;
        const bool has_problem = ((!result.has_value() && (first_problem = result.problem(), true)) || ...);
        if (!has_problem) (commit(part, result, value), ...);
        return first_problem;
      },
      std::tuple{prepare(part, std::as_const(value))...});
}
template <class E, class T>
std::optional<StateErrorCode> change_by(const E& equation, T& value) {
  if constexpr (misuse<T, E> != Misuse::none) {
    require_equation_for<T, E>();
    return std::nullopt;
  } else if constexpr (equations::is_all<E>) {
    return std::apply([&](const auto&... part) { return change_all(value, equations::targeted(part)...); },
                      equation.parts);
  } else {
    return change(value, equations::targeted(equation));
  }
}

template <class E, class T>
inline constexpr bool changes_nothrow = is_nothrow<part_of<E>, T>;
template <class... E, class T>
inline constexpr bool changes_nothrow<equations::All<E...>, T> = (is_nothrow<part_of<E>, T> && ...);

ATOM_COLD inline StateError equation_error(StateErrorCode code) {
  return StateError(code, code == StateErrorCode::overflow           ? "the result of an equation does not fit its type"
                          : code == StateErrorCode::division_by_zero ? "an equation divides by zero"
                                                                     : "the result of an equation is not finite");
}

}  // namespace detail

/// An equation for states of type T.
template <class E, class T>
concept equation_for = equation<E> && detail::misuse<T, E> == detail::Misuse::none;

/// Makes of `value` what the equation says, or returns why that is nothing and leaves `value` as it was: `overflow`,
/// `division_by_zero` or `not_finite`. Of numbers it throws and allocates nothing. An element that is appended, or a
/// constant that is assigned, is copied once; if that throws, `value` is as it was, too (where moving a T into place
/// does not throw).
template <equation E, class T>
[[nodiscard]] std::optional<StateErrorCode> apply_to(const E& equation,
                                                     T& value) noexcept(detail::changes_nothrow<E, T>) {
  if constexpr (equations::is_all<E> && !detail::changes_nothrow<E, T>) {
    T changed = value;
    const std::optional<StateErrorCode> problem = detail::change_by(equation, changed);
    if (!problem) value = std::move(changed);
    return problem;
  } else {
    return detail::change_by(equation, value);
  }
}

/// What the equation makes of `old`, or a StateError with one of the codes of `apply_to`.
template <equation E, class T>
[[nodiscard]] StateResult<T> evaluate(const E& equation, const T& old) {
  T value = old;
  if (const auto problem = detail::change_by(equation, value)) return detail::equation_error(*problem);
  return value;
}

}  // namespace atom::inline v0_1

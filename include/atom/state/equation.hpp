// What is to become of a state, said so that the database can do it itself, in one step, whatever anybody else does to
// the state meanwhile:
//
//   using atom::all, atom::append, atom::at, atom::current;
//   clicks.apply(current + 1);
//   stock.apply(max(current - 3, 0));            // also min, clamp, *, /, % and unary -
//   poll.apply(at(&Votes::up) + 1);              // that field becomes itself and one
//   user.apply(at(&User::address, &Address::city) = "Oslo");
//   order.apply(all(at(&Order::sum) = at(&Order::price) * 3, at(&Order::lines).append(line)));
//
// An equation means the same in every database. Integers are calculated with exactly, whatever their types; `/`
// truncates toward zero; only the result has to fit. With a double, or a float, as the result every operand is a double
// first, every operation is rounded once, and zero has no sign. What has no result is an error, and changes nothing:
// `overflow`, `division_by_zero` (with doubles too, wherever it stands), `not_finite`.
//
// Where windows.h defines min and max as macros, write `(atom::max)(current, 5)`, or clamp.
#pragma once

#include <atom/config.hpp>
#include <atom/error.hpp>
#include <atom/fields.hpp>
#include <atom/state/number.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

/// The names of the members that lead to a field, from the outside in. None: the value itself.
class FieldPath {
 public:
  static constexpr std::size_t max_size = 4;

  constexpr std::size_t size() const noexcept { return size_; }
  constexpr const std::string_view* begin() const noexcept { return names_.data(); }
  constexpr const std::string_view* end() const noexcept { return names_.data() + size_; }
  constexpr std::string_view operator[](std::size_t i) const noexcept { return names_[i]; }
  /// There is room for max_size.
  constexpr void push_back(std::string_view name) noexcept { names_[size_++] = name; }

  /// Whether one of the two leads to the other, or into it.
  constexpr bool overlaps(const FieldPath& other) const noexcept {
    const std::size_t common = size_ < other.size_ ? size_ : other.size_;
    for (std::size_t i = 0; i < common; ++i) {
      if (names_[i] != other.names_[i]) return false;
    }
    return true;
  }
  friend constexpr bool operator==(const FieldPath& a, const FieldPath& b) noexcept {
    return a.size_ == b.size_ && a.overlaps(b);
  }

 private:
  std::array<std::string_view, max_size> names_;
  std::uint8_t size_ = 0;
};

/// The types that equations are made of. They own what they hold, and are found by argument-dependent lookup.
namespace equations {

/// The state's value.
struct Current {
  static constexpr FieldPath path() noexcept { return {}; }
  template <class T>
  constexpr T& in(T& value) const noexcept {
    return value;
  }
};
template <detail::number V>
struct Constant {
  V value;
};
/// A constant that is not calculated with.
template <class V>
struct Item {
  V value;
};
/// A field of a Root, or of a field of it.
template <class Root, class... Member>
struct Path;
template <class R, class M, class C>
struct Path<R, M C::*> {
  using Root = R;
  using Value = M;
  std::string_view name;
  M C::* member;
  constexpr FieldPath path(FieldPath outer = {}) const noexcept {
    outer.push_back(name);
    return outer;
  }
  template <class T>
  constexpr auto& in(T& value) const noexcept {
    return value.*member;
  }
};
template <class R, class M, class C, class Next, class... More>
struct Path<R, M C::*, Next, More...> {
  using Root = R;
  using Value = typename Path<M, Next, More...>::Value;
  std::string_view name;
  M C::* member;
  Path<M, Next, More...> rest;
  constexpr FieldPath path(FieldPath outer = {}) const noexcept {
    outer.push_back(name);
    return rest.path(outer);
  }
  template <class T>
  constexpr auto& in(T& value) const noexcept {
    return rest.in(value.*member);
  }
};
template <Operator op, class A, class B>
struct [[nodiscard]] Operation {
  A a;
  B b;
};
/// The target, which is the value or a field of it, becomes what is calculated with its own old value, which is the
/// `Current` there.
template <class Target, class Calculation>
struct Change {
  Target target;
  Calculation calculation;
};
/// A field becomes a constant, or what is calculated with fields.
template <class Target, class Value>
struct [[nodiscard]] Assignment {
  Target target;
  Value value;
};
/// A list gets another element.
template <class Target, class V>
struct [[nodiscard]] Append {
  Target target;
  V item;
};
template <class... Part>
struct [[nodiscard]] All {
  std::tuple<Part...> parts;
};

template <class P>
class Field;

template <class E>
inline constexpr bool is_path = false;
template <class R, class... M>
inline constexpr bool is_path<Path<R, M...>> = true;
template <class E>
inline constexpr bool is_field = false;
template <class P>
inline constexpr bool is_field<Field<P>> = true;
template <class E>
inline constexpr bool is_constant = false;
template <class V>
inline constexpr bool is_constant<Constant<V>> = true;
template <class E>
inline constexpr bool is_item = false;
template <class V>
inline constexpr bool is_item<Item<V>> = true;
template <class E>
inline constexpr bool is_operation = false;
template <Operator op, class A, class B>
inline constexpr bool is_operation<Operation<op, A, B>> = true;
template <class E>
inline constexpr bool is_part = is_operation<E>;
template <class Target, class Value>
inline constexpr bool is_part<Assignment<Target, Value>> = true;
template <class Target, class V>
inline constexpr bool is_part<Append<Target, V>> = true;
template <class E>
inline constexpr bool is_all = false;
template <class... Part>
inline constexpr bool is_all<All<Part...>> = true;

/// Something to calculate with: `current`, a field, or what was made of them.
template <class E>
concept term = std::same_as<E, Current> || is_field<E> || is_operation<E>;
/// Two operands, at least one of them a term, and the other one a term or a number.
template <class A, class B>
concept operands = (term<A> && (term<B> || detail::number<B>)) || (detail::number<A> && term<B>);

/// A number, in one of few types, so that `1` and `1L` make no more shapes than they must.
template <detail::number V>
constexpr auto constant(V value) noexcept {
  if constexpr (std::floating_point<V>) {
    return Constant<double>{value};
  } else if constexpr (sizeof(V) < sizeof(std::int32_t)) {
    return Constant<std::int32_t>{value};
  } else if constexpr (sizeof(V) == sizeof(std::int32_t)) {
    return Constant<std::conditional_t<std::is_signed_v<V>, std::int32_t, std::uint32_t>>{value};
  } else {
    return Constant<std::conditional_t<std::is_signed_v<V>, std::int64_t, std::uint64_t>>{value};
  }
}
/// What stands in an equation for what a user writes. Text that belongs to somebody else is copied.
template <class V>
constexpr auto lifted(V&& value) {
  using Plain = std::remove_cvref_t<V>;
  using Decayed = std::decay_t<V>;
  if constexpr (is_field<Plain>) {
    return value.path();
  } else if constexpr (term<Plain>) {
    return Plain(value);
  } else if constexpr (detail::number<Plain>) {
    return constant(value);
  } else if constexpr (std::same_as<Decayed, const char*> || std::same_as<Decayed, char*> ||
                       std::same_as<Decayed, std::string_view>) {
    return Item<std::string>{std::string(value)};
  } else {
    return Item<Decayed>{std::forward<V>(value)};
  }
}
template <class V>
using Lifted = decltype(lifted(std::declval<V>()));

/// A field: what `at` returns.
template <class P>
class [[nodiscard]] Field {
 public:
  constexpr explicit Field(const P& path) noexcept : path_(path) {}
  constexpr Field(const Field&) noexcept = default;

  /// The field becomes that: a value of its own type, or what is calculated from the old values of fields.
  template <class V>
  constexpr auto operator=(V&& value) const {
    return Assignment<P, Lifted<V>>{path_, lifted(std::forward<V>(value))};
  }
  constexpr auto operator=(const Field& other) const { return Assignment<P, P>{path_, other.path_}; }
  /// The field is a list, such as a std::vector, and gets one more element.
  template <class V>
  constexpr auto append(V&& item) const {
    return Append<P, Lifted<V>>{path_, lifted(std::forward<V>(item))};
  }

  constexpr const P& path() const noexcept { return path_; }

 private:
  P path_;
};

template <Operator op, class A, class B>
constexpr auto operation(const A& a, const B& b) noexcept {
  return Operation<op, Lifted<const A&>, Lifted<const B&>>{lifted(a), lifted(b)};
}
template <class A, class B>
  requires operands<A, B>
constexpr auto operator+(const A& a, const B& b) noexcept {
  return operation<Operator::add>(a, b);
}
template <class A, class B>
  requires operands<A, B>
constexpr auto operator-(const A& a, const B& b) noexcept {
  return operation<Operator::subtract>(a, b);
}
template <class A, class B>
  requires operands<A, B>
constexpr auto operator*(const A& a, const B& b) noexcept {
  return operation<Operator::multiply>(a, b);
}
template <class A, class B>
  requires operands<A, B>
constexpr auto operator/(const A& a, const B& b) noexcept {
  return operation<Operator::divide>(a, b);
}
/// Of integers only.
template <class A, class B>
  requires operands<A, B>
constexpr auto operator%(const A& a, const B& b) noexcept {
  return operation<Operator::remainder>(a, b);
}
template <term A>
constexpr auto operator-(const A& a) noexcept {
  return 0 - a;
}
template <class A, class B>
  requires operands<A, B>
constexpr auto(min)(const A& a, const B& b) noexcept {
  return operation<Operator::min>(a, b);
}
template <class A, class B>
  requires operands<A, B>
constexpr auto(max)(const A& a, const B& b) noexcept {
  return operation<Operator::max>(a, b);
}
// Of one type: better than those of the standard library, where `using namespace std` shows them.
template <term A>
constexpr auto(min)(const A& a, const A& b) noexcept {
  return operation<Operator::min>(a, b);
}
template <term A>
constexpr auto(max)(const A& a, const A& b) noexcept {
  return operation<Operator::max>(a, b);
}
/// `min(max(a, least), most)`: where the bounds cross, `most`.
template <term A, class Least, class Most>
  requires(operands<A, Least> && operands<A, Most>)
constexpr auto clamp(const A& a, const Least& least, const Most& most) noexcept {
  return (min)((max)(a, least), most);
}

template <class R, class M, class C>
consteval std::string_view name_of(M C::* member) {
  std::string_view name;
  detail::any_field<R>([&](const auto& field) {
    if constexpr (std::same_as<decltype(field.member), M C::*>) {
      if (field.member != member) return false;
      name = field.name.name();
      return true;
    }
    return false;
  });
  if (name.empty()) throw "at(&T::member): the member is not among the fields of T, see atom/fields.hpp";
  return name;
}
template <class R, class M, class C, class... More>
consteval auto path_to(M C::* member, More... more) {
  static_assert(std::derived_from<R, C>, "at(&A::b, &B::c): what b is has no member c");
  static_assert(described<R>, "at(&T::member): T has no fields, describe it with atom_fields, see atom/fields.hpp");
  if constexpr (sizeof...(More) == 0) {
    return Path<R, M C::*>{name_of<R>(member), member};
  } else {
    return Path<R, M C::*, More...>{name_of<R>(member), member, path_to<M>(more...)};
  }
}

/// The state's value, in an equation.
inline constexpr Current current{};

/// A field of the state's value, in an equation: `at(&Votes::up)`; or of a field of it: `at(&User::address,
/// &Address::city)`. Each struct on the way is described (fields.hpp). For an inherited member the class is named:
/// `at<Derived>(&Derived::member)`.
template <class Root = void, class M, class C, class... More>
  requires std::is_object_v<M>
consteval auto at(M C::* member, More... more) {
  static_assert(sizeof...(More) < FieldPath::max_size, "at(...): a field lies at most 4 members deep");
  return Field(path_to<std::conditional_t<std::is_void_v<Root>, C, Root>>(member, more...));
}

/// The state is a list, such as a std::vector, and gets one more element.
template <class V>
constexpr auto append(V&& item) {
  return Append<Current, Lifted<V>>{{}, lifted(std::forward<V>(item))};
}

/// How many fields are calculated with.
template <class E>
inline constexpr std::size_t paths_in = is_path<E>;
template <Operator op, class A, class B>
inline constexpr std::size_t paths_in<Operation<op, A, B>> = paths_in<A> + paths_in<B>;

template <class E>
inline constexpr bool has_current = std::same_as<E, Current>;
template <Operator op, class A, class B>
inline constexpr bool has_current<Operation<op, A, B>> = has_current<A> || has_current<B>;

/// The one field that is calculated with.
template <class E>
constexpr const auto& only_path(const E& e) noexcept {
  if constexpr (is_path<E>) {
    return e;
  } else if constexpr (paths_in<decltype(e.a)> == 1) {
    return only_path(e.a);
  } else {
    return only_path(e.b);
  }
}
/// The same, but of the value of that field.
template <class E>
constexpr auto of_itself(const E& operand) noexcept {
  if constexpr (is_path<E>) {
    return Current();
  } else {
    return operand;
  }
}
template <Operator op, class A, class B>
constexpr auto of_itself(const Operation<op, A, B>& e) noexcept {
  return Operation<op, decltype(of_itself(e.a)), decltype(of_itself(e.b))>{of_itself(e.a), of_itself(e.b)};
}

/// A part with its target: what is calculated with one field is for that field.
template <class E>
constexpr const E& targeted(const E& part) noexcept {
  return part;  // NOLINT(bugprone-return-const-ref-from-parameter): for the length of a call
}
template <Operator op, class A, class B>
constexpr auto targeted(const Operation<op, A, B>& calculation) noexcept {
  using Calculation = Operation<op, A, B>;
  if constexpr (paths_in<Calculation> == 1 && !has_current<Calculation>) {
    const auto& target = only_path(calculation);
    return Change<std::remove_cvref_t<decltype(target)>, decltype(of_itself(calculation))>{target,
                                                                                           of_itself(calculation)};
  } else {
    return Change<Current, Calculation>{{}, calculation};
  }
}

ATOM_COLD inline void all_assigns_one_field_twice(const FieldPath& path) {
  std::string name;
  for (const std::string_view step : path) name.append(name.empty() ? "" : ".").append(step);
  throw Error("all(...) assigns one field twice, or with a part of it: " + name);
}

/// Several fields at once, each calculated from the old value. If one of them has no result, none changes. Throws an
/// Error if a field is assigned twice, or with a part of it; in a constant expression, the compiler reports it.
template <class... E>
  requires(sizeof...(E) > 0 && (is_part<E> && ...))
constexpr auto all(E... parts) {
  static_assert((is_path<std::remove_cvref_t<decltype(targeted(parts).target)>> && ...),
                "all(...): each part is for one field: at(&T::a) + 1, at(&T::b) = ..., at(&T::c).append(...)");
  const std::array<FieldPath, sizeof...(E)> targets{targeted(parts).target.path()...};
  for (std::size_t i = 0; i < sizeof...(E); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (targets[i].overlaps(targets[j])) all_assigns_one_field_twice(targets[i]);
    }
  }
  return All<E...>{{std::move(parts)...}};
}

}  // namespace equations

using equations::all;
using equations::append;
using equations::at;
using equations::clamp;
using equations::current;
using equations::max;
using equations::min;

/// What is to become of a state, in one step: what is calculated, an assignment to a field, `append`, or `all`.
template <class E>
concept equation = equations::is_part<E> || equations::is_all<E>;

}  // namespace atom::inline v0_1

// Pointers to members as typed paths into a value.
#pragma once

#include <atom/equal.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

template <class X>
concept optional_like = requires(const X& x) {
  typename X::value_type;
  { x.has_value() } -> std::same_as<bool>;
  { *x } -> std::convertible_to<const typename X::value_type&>;
};

/// Whether `&C::m` leads on from an X: X has it, or is an optional of something that has it.
template <class X, class C>
inline constexpr bool leads_on = std::derived_from<X, C>;
template <optional_like X, class C>
inline constexpr bool leads_on<X, C> = std::derived_from<typename X::value_type, C>;
/// Whether it is an optional's, where it leads on.
template <class X, class C>
inline constexpr bool through_optional = !std::derived_from<X, C>;

/// The member of `*x`, or null where an optional on the way is empty.
template <class X, class M, class C>
const M* follow(const X* x, M C::* member) {
  if (!x) return nullptr;
  if constexpr (std::derived_from<X, C>) {
    return &(x->*member);
  } else {
    return x->has_value() ? &((**x).*member) : nullptr;
  }
}

/// One member, and what it is to become.
template <class M, class C>
struct MemberChange {
  M C::* member;
  M value;
  template <class T>
  bool differs(const T& object) const {
    return !same_value<M>(object.*member, value);
  }
  template <class T>
  void apply(T& object) {
    object.*member = std::move(value);
  }
};
template <class Member, class V, class T>
struct IsChange : std::false_type {};
template <class M, class C, class V, class T>
struct IsChange<M C::*, V, T> : std::bool_constant<std::is_object_v<M> && std::derived_from<T, C> &&
                                                   std::convertible_to<V, M> && std::is_move_assignable_v<M>> {};
template <class T, class... Pairs>
struct AreChanges : std::false_type {};
template <class T>
struct AreChanges<T> : std::true_type {};
template <class T, class Member, class V, class... Rest>
struct AreChanges<T, Member, V, Rest...>
    : std::bool_constant<IsChange<std::decay_t<Member>, V, T>::value && AreChanges<T, Rest...>::value> {};

}  // namespace atom::inline v0_1::detail

// Questions about a T that the standard concepts answer too shallowly: `std::copy_constructible<vector<unique_ptr<X>>>`
// and `std::equality_comparable<vector<NoEq>>` are true, and then a hard error. Here a type is asked together with its
// parts: the elements of containers and optionals, of pairs and tuples, the alternatives of variants. They are
// recognised by shape, so that the core includes none of their headers.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

/// An integer that is a number: no bool, and no character.
template <class T>
concept integer =
    std::integral<T> && sizeof(T) <= 8 && !std::same_as<T, bool> && !std::same_as<T, char> &&
    !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// A container or an optional: something with elements of one type.
template <class T>
concept holder = requires { typename T::value_type; } && !std::same_as<std::remove_cv_t<typename T::value_type>, T>;

/// A pair or a tuple.
template <class T>
concept tuple_like = requires { std::tuple_size<T>::value; };

template <class T>
struct Alternatives {  // a class derived from a variant: what it holds cannot be seen
  template <template <class> class Check, template <template <class> class, class> class Every>
  static constexpr bool all = true;
};
template <template <class...> class V, class... A>
struct Alternatives<V<A...>> {
  template <template <class> class Check, template <template <class> class, class> class Every>
  static constexpr bool all = (Every<Check, A>::value && ...);
};

/// A variant.
template <class T>
concept variant_like = requires(const T& v) {
  { v.valueless_by_exception() } -> std::same_as<bool>;
  { v.index() } -> std::convertible_to<std::size_t>;
};

/// Whether Check<P>::value for T and for each of its parts P.
template <template <class> class Check, class T>
struct Every {
  static consteval bool ask() {
    if constexpr (!Check<T>::value) {
      return false;
    } else if constexpr (holder<T>) {
      return Every<Check, std::remove_cv_t<typename T::value_type>>::value;
    } else if constexpr (tuple_like<T>) {
      return []<std::size_t... I>(std::index_sequence<I...>) {
        return (Every<Check, std::remove_cv_t<std::tuple_element_t<I, T>>>::value && ...);
      }(std::make_index_sequence<std::tuple_size_v<T>>{});
    } else if constexpr (variant_like<T>) {
      return Alternatives<T>::template all<Check, Every>;
    } else {
      return true;
    }
  }
  static constexpr bool value = ask();
};

template <class T>
struct CopyCheck : std::bool_constant<std::is_reference_v<T> || std::copy_constructible<T>> {};
template <class T>
struct CompareCheck : std::bool_constant<std::equality_comparable<T>> {};

/// A raw or smart pointer, a span or a reference wrapper through which another object can be changed.
template <class T>
struct IsolationCheck : std::true_type {};
template <class T>
  requires std::is_pointer_v<T>
struct IsolationCheck<T>
    : std::bool_constant<std::is_const_v<std::remove_pointer_t<T>> || std::is_function_v<std::remove_pointer_t<T>>> {};
template <class T>
  requires requires { typename T::element_type; }
struct IsolationCheck<T> : std::is_const<typename T::element_type> {};
template <class T>
  requires requires(const T& r) {
    typename T::type;
    { r.get() } -> std::same_as<typename T::type&>;
  }
struct IsolationCheck<T> : std::is_const<typename T::type> {};

/// A T that can really be copied.
template <class T>
inline constexpr bool copyable = Every<CopyCheck, T>::value;

/// A T for which `==` really compiles.
template <class T>
inline constexpr bool comparable = Every<CompareCheck, T>::value;

/// A T whose copies share nothing that can be changed through them (as far as its type tells: what a struct holds
/// cannot be seen).
template <class T>
inline constexpr bool isolated = Every<IsolationCheck, T>::value;

/// How a T is passed on that is taken over in the end: in registers, where it fits.
template <class T>
using Sink = std::conditional_t<
    std::is_trivially_copyable_v<T> && std::is_move_constructible_v<T> && sizeof(T) <= 2 * sizeof(void*), T, T&&>;

}  // namespace atom::inline v0_1::detail

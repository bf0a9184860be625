// When has a value changed? When it is not `==` to the one before. A type without `==` always counts as changed.
// Customise `compare` or `equal` beside the type itself, before its first use in an atom.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/traits.hpp>

namespace atom::inline v0_1 {

/// Whether values of T are compared at all. Specialise as `false` where `==` costs more than telling listeners twice:
/// `template <> inline constexpr bool atom::compare<Image> = false;`
template <class T>
inline constexpr bool compare = detail::comparable<T>;

/// How two values of T are compared. Specialise to replace `==`. It may be called from several threads at once.
template <class T>
struct equal {
  bool operator()(const T& a, const T& b) const {
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wfloat-equal"  // exact on purpose: any other value is a change
#endif
    return static_cast<bool>(a == b);
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
  }
};

namespace detail {

template <class T>
bool same_value(const T& a, const T& b) {
  if constexpr (compare<T>) {
    return equal<T>{}(a, b);
  } else {
    return false;
  }
}

}  // namespace detail
}  // namespace atom::inline v0_1

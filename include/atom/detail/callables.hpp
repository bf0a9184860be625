// What `update` and the subscribing functions of an atom take.
#pragma once

#include <concepts>
#include <type_traits>

namespace atom::inline v0_1::detail {

template <class F>
concept callable_object = requires { &F::operator(); } || std::is_function_v<std::remove_pointer_t<F>>;

/// A function from the current value to the next one. (A lambda converts to a function pointer and that to bool: where
/// T is a number, a callable object is never taken for a value.)
template <class F, class T>
concept updater = std::invocable<F&, const T&> && std::convertible_to<std::invoke_result_t<F&, const T&>, T> &&
                  (!std::convertible_to<F, T> || std::is_scalar_v<T>) && !std::same_as<std::decay_t<F>, T>;

/// A callable that `update` could only misunderstand.
template <class F, class T>
concept not_an_updater = callable_object<std::decay_t<F>> && !updater<F, T> && !std::same_as<std::decay_t<F>, T> &&
                         (!std::convertible_to<F, T> || std::is_scalar_v<T>);

template <class F, class M, class A>
inline constexpr bool takes_old = std::invocable<F&, const M&, const M&, A&> || std::invocable<F&, const M&, const M&>;

/// (now, old, atom), (now, old), (now) or ().
template <class F, class M, class A>
concept listener = takes_old<F, M, A> || std::invocable<F&, const M&> || std::invocable<F&>;

template <class F, class A>
concept event_listener = std::invocable<F&, A&> || std::invocable<F&>;

template <class M, class F, class A>
void tell(F& listener, const M& now, const M* old, A& atom) {
  if constexpr (std::invocable<F&, const M&, const M&, A&>) {
    listener(now, *old, atom);
  } else if constexpr (std::invocable<F&, const M&, const M&>) {
    listener(now, *old);
  } else if constexpr (std::invocable<F&, const M&>) {
    listener(now);
  } else {
    listener();
  }
}

}  // namespace atom::inline v0_1::detail

// A callable that a template owns. All stores on all threads share it, so it is called as const: a `mutable` lambda
// does not compile.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

template <class Signature>
class Hook;

template <class R, class... Args>
class Hook<R(Args...)> {
 public:
  Hook() noexcept = default;
  /// Takes any callable, so that the message for one that does not fit can say what does.
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Hook>)
  Hook(F&& f)
      : callable_(new std::decay_t<F>(std::forward<F>(f))),
        call_(&call<std::decay_t<F>>),
        destroy_([](const void* callable) noexcept { delete static_cast<const std::decay_t<F>*>(callable); }) {}
  Hook(Hook&& other) noexcept
      : callable_(std::exchange(other.callable_, nullptr)), call_(other.call_), destroy_(other.destroy_) {}
  Hook& operator=(Hook&& other) noexcept {
    std::swap(callable_, other.callable_);
    std::swap(call_, other.call_);
    std::swap(destroy_, other.destroy_);
    return *this;
  }
  ~Hook() {
    if (callable_) destroy_(callable_);
  }

  explicit operator bool() const noexcept { return callable_; }
  R operator()(Args... args) const { return call_(callable_, static_cast<Args&&>(args)...); }

 private:
  template <class F>
  static R call(const void* callable, Args... args) {
    constexpr bool fits = std::is_invocable_r_v<R, const F&, Args...>;
    static_assert(
        fits,
        "this option takes another callable: before_update is T(T&& next, const T& current), on_update is "
        "void(const T& now, const T& old, Atom<T>&), get is optional<Value>(string_view path, const T& value); "
        "each is called as const, so a lambda must not be mutable");
    if constexpr (fits) {
      const F& function = *static_cast<const F*>(callable);
      if constexpr (std::is_void_v<R>) {
        static_cast<void>(function(static_cast<Args&&>(args)...));
      } else {
        return function(static_cast<Args&&>(args)...);
      }
    }
  }

  const void* callable_ = nullptr;
  R (*call_)(const void*, Args...) = nullptr;
  void (*destroy_)(const void*) noexcept = nullptr;
};

}  // namespace atom::inline v0_1::detail

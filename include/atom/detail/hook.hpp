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
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Hook> && std::is_invocable_r_v<R, const std::decay_t<F>&, Args...>)
  Hook(F&& f)
      : callable_(new std::decay_t<F>(std::forward<F>(f))),
        call_([](const void* callable, Args... args) -> R {
          const auto& function = *static_cast<const std::decay_t<F>*>(callable);
          if constexpr (std::is_void_v<R>) {
            static_cast<void>(function(static_cast<Args&&>(args)...));
          } else {
            return function(static_cast<Args&&>(args)...);
          }
        }),
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
  const void* callable_ = nullptr;
  R (*call_)(const void*, Args...) = nullptr;
  void (*destroy_)(const void*) noexcept = nullptr;
};

}  // namespace atom::inline v0_1::detail

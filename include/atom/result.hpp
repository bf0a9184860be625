// A T, or the reason why there is none: what reading text from outside gives.
#pragma once

#include <atom/config.hpp>
#include <atom/error.hpp>

#include <type_traits>
#include <utility>
#include <variant>

namespace atom::inline v0_1 {

/// `if (auto user = atom::from_json<User>(text)) use(*user); else log(user.error().message());`
template <class T, class E = DecodeError>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = E;

  Result(T value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) noexcept : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; throws Error with the error's message if there is none.
  const T& value() const& { return *checked(); }
  T& value() & { return *checked(); }
  T value() && { return std::move(*checked()); }  // no reference: `for (auto& x : f().value())` would dangle
  T value_or(T fallback) const& { return has_value() ? **this : std::move(fallback); }
  T value_or(T fallback) && { return has_value() ? *std::move(*this) : std::move(fallback); }

  /// The value. There must be one.
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return std::move(*std::get_if<0>(&state_)); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }

  /// Why there is no value. There must be none.
  const E& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  T* checked() {
    if (!has_value()) throw Error(error().message());
    return std::get_if<0>(&state_);
  }
  const T* checked() const { return const_cast<Result*>(this)->checked(); }

  std::variant<T, E> state_;
};

}  // namespace atom::inline v0_1

// What an operation on a state reports when it fails: what was wrong, and what the database holds now. The second is
// what a caller branches on: after `Effect::none` the call may simply be made again.
#pragma once

#include <atom/config.hpp>
#include <atom/error.hpp>
#include <atom/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace atom::inline v0_1 {

/// What is known of a write that failed.
enum class Effect : std::uint8_t {
  none,     ///< It did not take effect, and will not.
  applied,  ///< It took effect; what failed came after it.
  unknown,  ///< It may have taken effect, or may still.
};

/// Why an operation on a state failed.
enum class StateErrorCode : std::uint8_t {
  conflict,          ///< Somebody else has written the state meanwhile.
  overflow,          ///< The result does not fit the type.
  division_by_zero,  ///< An equation divides by zero.
  not_finite,        ///< The result is infinite or not a number.
  type_mismatch,     ///< The state is there with another type.
  undecodable,       ///< What is stored does not read as the type any more.
  invalid_name,      ///< A scope, an id or a key that cannot be one.
  too_large,         ///< A limit is passed: of a value, of a name, of the number of states in a scope.
  no_context,        ///< The scope needs a client, a user or a component, and there is none.
  refused,           ///< The database will not do it: a permission, a read-only server, a file that is not ours.
  unavailable,       ///< The database cannot be reached, or there was no memory to read what it has.
  timed_out,         ///< The deadline passed.
  history_lost,      ///< The database has lost writes that it had acknowledged.
  closed,            ///< The store has been closed, or belongs to the process that this one was forked from.
  session_ended,     ///< The client has signed in or out since the request began.
};

constexpr std::string_view to_string(Effect effect) noexcept {
  switch (effect) {
    case Effect::none:
      return "without effect";
    case Effect::applied:
      return "it took effect";
    case Effect::unknown:
      return "whether it took effect is unknown";
  }
  return "";
}

/// In a few words.
constexpr std::string_view to_string(StateErrorCode code) noexcept {
  using enum StateErrorCode;
  switch (code) {
    case conflict:
      return "somebody else has written it meanwhile";
    case overflow:
      return "the result does not fit the type";
    case division_by_zero:
      return "division by zero";
    case not_finite:
      return "the result is infinite or not a number";
    case type_mismatch:
      return "it is there with another type";
    case undecodable:
      return "what is stored does not read as the type";
    case invalid_name:
      return "the name cannot be one";
    case too_large:
      return "a limit is passed";
    case no_context:
      return "the scope is not known";
    case refused:
      return "the database will not do it";
    case unavailable:
      return "the database cannot be reached";
    case timed_out:
      return "the deadline has passed";
    case history_lost:
      return "the database has lost writes";
    case closed:
      return "the store is closed";
    case session_ended:
      return "the client has signed in or out meanwhile";
  }
  return "";
}

/// The status that a web server may answer with: 503 is one to try again, 500 what whoever runs it must mend. Of
/// `invalid_name` and `too_large` it is meant for what a request has brought: what the program chose itself is a 500.
constexpr int http_status(StateErrorCode code) noexcept {
  using enum StateErrorCode;
  switch (code) {
    case invalid_name:
      return 400;
    case no_context:
      return 401;
    case conflict:
    case session_ended:
      return 409;
    case too_large:
      return 413;
    case overflow:
    case division_by_zero:
    case not_finite:
      return 422;
    case unavailable:
    case timed_out:
    case closed:
      return 503;
    case type_mismatch:
    case undecodable:
    case refused:
    case history_lost:
      break;
  }
  return 500;
}

/// A failed operation on a state: thrown, or returned by the functions that begin with `try_`.
class ATOM_API StateError : public Error {
 public:
  StateError(StateErrorCode code, std::string_view message, Effect effect = Effect::none, bool retryable = false)
      : Error(std::string(message) + " (" + std::string(to_string(effect)) + ")"),
        code_(code),
        effect_(effect),
        retryable_(retryable) {}

  StateErrorCode code() const noexcept { return code_; }
  Effect effect() const noexcept { return effect_; }
  /// Whether the same call may succeed later.
  bool retryable() const noexcept { return retryable_; }
  std::string message() const { return what(); }

 private:
  StateErrorCode code_;
  Effect effect_;
  bool retryable_;
};

namespace detail {

/// What its message says before the effect.
inline std::string reason(const StateError& error) {
  std::string text = error.what();
  text.resize(text.size() - std::string_view(" ()").size() - to_string(error.effect()).size());
  return text;
}

}  // namespace detail

/// What the functions give that do not throw.
template <class T>
using StateResult = Result<T, StateError>;

}  // namespace atom::inline v0_1

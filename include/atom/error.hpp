// What the library throws. A broken contract is an exception; absence is a null pointer or an empty optional, and bad
// input from outside is a value (see hydrate.hpp). A message names keys, types and places, never a value; only a
// DecodeError's says what was found.
#pragma once

#include <atom/config.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace atom::inline v0_1 {

/// The base of all that the library throws.
class ATOM_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Two live atoms claim one key; the message names both places.
class ATOM_API KeyConflict : public Error {
 public:
  using Error::Error;
};

/// A value, or an atom, was asked for as a type that it does not have.
class ATOM_API TypeMismatch : public Error {
 public:
  using Error::Error;
};

/// Why a text, or a value in it, was not taken. A value and no exception: text comes from outside.
struct DecodeError {
  std::string path;      ///< of the value, such as "cart[2].price"; empty for the whole text
  std::string expected;  ///< such as "int32"
  std::string found;     ///< such as "\"x\"", shortened

  /// The same error, seen from one step further out: a member's name, or "[2]".
  void prepend(std::string_view step) {
    std::string whole(step);  // no insert at the front: g++ 12 warns of it, wrongly, where it optimises
    if (!path.empty() && path.front() != '[') whole += '.';
    whole += path;
    path = std::move(whole);
  }

  /// "cart[2].price: expected int32, found \"x\""
  std::string message() const {
    return path + (path.empty() ? "" : ": ") + "expected " + expected + (found.empty() ? "" : ", found ") + found;
  }
};

/// Listeners keep updating what they listen to, or a derived atom is computed from itself.
class ATOM_API CycleError : public Error {
 public:
  using Error::Error;
};

}  // namespace atom::inline v0_1

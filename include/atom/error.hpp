// What the library throws. A broken contract is an exception; absence is a null pointer or an empty optional, and bad
// input from outside is a value (see hydrate.hpp). A message names keys, types and places, never a value.
#pragma once

#include <atom/config.hpp>

#include <stdexcept>

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

/// Listeners keep updating what they listen to.
class ATOM_API CycleError : public Error {
 public:
  using Error::Error;
};

}  // namespace atom::inline v0_1

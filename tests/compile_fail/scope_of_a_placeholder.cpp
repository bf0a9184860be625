// A placeholder is no scope before a request's context has resolved it.
#include <atom/state/scope.hpp>

bool misuse(const atom::Scope& scope) {
  bool contains = false;
  contains = scope.contains(atom::Scope::client());  // error: ScopePlaceholder
  return contains;
}

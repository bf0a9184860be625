// flags: -std=c++20
// What needs a header of its own says which one.
#include <atom/state/state_store.hpp>

void misuse(atom::StateStore& states) {
  states.promote(atom::Scope::client("c"), atom::Scope::user("u"));  // error: <atom/state/promote.hpp>
}

// flags: -std=c++20
// What needs a header of its own says which one.
#include <atom/state/state_store.hpp>

void misuse(atom::StateStore& states) {
  atom::Visitor visitor(states, "");  // error: <atom/state/visitor.hpp> | incomplete type
}

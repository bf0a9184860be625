// A number alone does not say of what.
#include <atom/history.hpp>

void misuse(atom::AtomStore& store) {
  atom::History history(store, 50);  // error: say what the number is: {.steps = 50}
}

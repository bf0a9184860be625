// An atom is declared once, at namespace scope.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  store.use(atom::Atom<int>{"count", 0});  // error: this one is a temporary
}

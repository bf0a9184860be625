// A template that is not const could be written for all requests.
#include <atom/store.hpp>

atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& store) {
  store.use(count);  // error: declare the atom const: inline const atom::Atom<T> x{"x"};
}

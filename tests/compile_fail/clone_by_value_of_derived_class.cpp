// The same with a class that has verbs.
#include <atom/store.hpp>

struct Counter : atom::Atom<int> {
  using Atom::Atom;
};
const Counter counter{"counter"};

void misuse(atom::AtomStore& store) {
  auto x = store.use(counter);  // error: hold a clone by reference: `auto& x = store.use(atom);`
}

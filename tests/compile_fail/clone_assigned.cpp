// Atoms are not assigned; their values are updated.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& first, atom::AtomStore& second) {
  first.use(count) = second.use(count);  // error: operator=
}

// A clone cannot be made of an atom whose type is not known.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& store) {
  const atom::AtomBase& base = count;
  store.use(base);  // error: a store clones an atom as what it is
}

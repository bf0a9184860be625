// What a family gives is for a store to use.
#include <atom/family.hpp>

const atom::AtomFamily<int, int> counts{"counts"};

void misuse() {
  counts(42).update(3);  // error: it is read-only; take an atom: store.use(family(id))
}

// A const store makes no clones: `value` reads without one.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(const atom::AtomStore& store) {
  store.use(count);  // error: no matching
}

// A value is set with `update`.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& store) {
  store.use(count) = 5;  // error: no known conversion
}

// A template is read-only; it is a clone that is written.
#include <atom/collection.hpp>

const atom::AtomCollection<int> numbers{"numbers"};

void misuse() {
  numbers.remove_all(1);  // error: take a clone: store.use(atom)
}

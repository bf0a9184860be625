// A template is read-only; it is a clone that is written.
#include <atom/collection.hpp>

const atom::AtomCollection<int> numbers{"numbers"};

void misuse() {
  numbers.push(1, 2);  // error: take a clone: store.use(atom)
}

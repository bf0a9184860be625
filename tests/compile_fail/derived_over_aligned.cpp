// An over-aligned member belongs into the value.
#include <atom/store.hpp>

struct Counter : atom::Atom<int> {
  using Atom::Atom;
  alignas(64) int cache = 0;
};
const Counter counter{"counter"};

void misuse(atom::AtomStore& store) {
  store.use(counter);  // error: an over-aligned member belongs into the value, not the class
}

// `use` returns a reference; without the `&` an atom would be copied.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& store) {
  auto x = store.use(count);  // error: hold a clone by reference: `auto& x = store.use(atom);`
}

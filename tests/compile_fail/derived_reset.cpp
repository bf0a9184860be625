// A derived atom has no value of its own to go back to.
#include <atom/derived.hpp>

const atom::Atom<int> number{"number", 1};
const atom::Derived<int> total{"total", [](auto& get) { return get(number) + 1; }};

void misuse(atom::AtomStore& store) {
  store.use(total).reset();  // error: it is computed: write to the atoms that it reads
}

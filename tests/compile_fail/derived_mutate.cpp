// A derived atom is computed, not written.
#include <atom/derived.hpp>

const atom::Atom<int> number{"number", 1};
const atom::Derived<int> total{"total", [](auto& get) { return get(number) + 1; }};

void misuse(atom::AtomStore& store) {
  store.use(total).mutate([](int& n) { ++n; });  // error: it is computed: write to the atoms that it reads
}

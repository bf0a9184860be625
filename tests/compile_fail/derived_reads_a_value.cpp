// `get` reads an atom, not its value.
#include <atom/derived.hpp>

const atom::Atom<int> number{"number", 1};
const atom::Derived<int> total{"total", [](const atom::Getter& get) {
                                 get(number.value());  // error: get reads an atom: get(atom)
                                 return 1;
                               }};

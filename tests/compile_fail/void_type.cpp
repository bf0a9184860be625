// The type of a value is a plain object type.
#include <atom/store.hpp>

using Wrong = atom::Atom<void>;

void misuse(const Wrong& atom) {
  atom.key();  // error: T is a plain object type, without const, reference or array
}

// Atoms refer to their store, so it is not copied.
#include <atom/store.hpp>

void misuse([[maybe_unused]] atom::AtomStore& store) {
  atom::AtomStore copy(store);  // error: deleted
}

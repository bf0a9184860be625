// Atoms refer to their store, so it is not assigned.
#include <atom/store.hpp>

void misuse([[maybe_unused]] atom::AtomStore& store, [[maybe_unused]] atom::AtomStore& other) {
  store = other;  // error: deleted
}

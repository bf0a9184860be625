// Atoms refer to their store, so it is not moved.
#include <atom/store.hpp>

#include <utility>

void misuse([[maybe_unused]] atom::AtomStore& store) {
  atom::AtomStore other(std::move(store));  // error: deleted
}

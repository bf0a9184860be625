// Atoms refer to their store, so it is not move-assigned.
#include <atom/store.hpp>

#include <utility>

void misuse([[maybe_unused]] atom::AtomStore& store, [[maybe_unused]] atom::AtomStore& other) {
  store = std::move(other);  // error: deleted
}

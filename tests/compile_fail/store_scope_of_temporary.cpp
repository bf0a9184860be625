// The store must be there until the scope ends.
#include <atom/context.hpp>
#include <atom/store.hpp>

void misuse() {
  atom::StoreScope scope{atom::AtomStore()};  // error: this one is a temporary
}

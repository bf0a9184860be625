// A scope belongs to its block.
#include <atom/context.hpp>
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  atom::StoreScope scope{store};
  atom::StoreScope copy{scope};  // error: deleted
}

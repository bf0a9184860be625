// A scope belongs to its block.
#include <atom/context.hpp>
#include <atom/store.hpp>

#include <utility>

void misuse(atom::AtomStore& store) {
  atom::StoreScope scope{store};
  atom::StoreScope moved{std::move(scope)};  // error: deleted
}

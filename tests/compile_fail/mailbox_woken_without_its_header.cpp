// flags: -std=c++20
// The same, with who wakes the owner.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  store.mailbox([] {});  // error: <atom/mailbox.hpp>
}

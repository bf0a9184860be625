// flags: -std=c++20
// The same, where the store is drained.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  store.drain();  // error: <atom/mailbox.hpp>
}

// flags: -std=c++20
// Stands in a header of its own: a store that nobody posts to needs no mutex.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  store.mailbox();  // error: <atom/mailbox.hpp>
}

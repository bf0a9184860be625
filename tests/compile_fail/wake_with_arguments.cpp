// Who wakes the owner is in another thread, and gets nothing of the store.
#include <atom/mailbox.hpp>

void misuse(atom::AtomStore& store) {
  store.mailbox([](atom::AtomStore&) {});  // error: takes nothing
}

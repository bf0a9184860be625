// What runs later is given the store, not what it may want.
#include <atom/mailbox.hpp>

void misuse(const atom::Mailbox& mailbox) {
  mailbox.post([](atom::Atom<int>&) {});  // error: takes (atom::AtomStore&) or nothing
}

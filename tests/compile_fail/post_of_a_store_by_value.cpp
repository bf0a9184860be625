// The store stays where it is.
#include <atom/mailbox.hpp>

void misuse(const atom::Mailbox& mailbox) {
  mailbox.post([](atom::AtomStore) {});  // error: takes (atom::AtomStore&) or nothing
}

// The store would be gone at the end of the line.
#include <atom/history.hpp>

void misuse() {
  atom::History history{atom::AtomStore{}};  // error: the store is a temporary: name it
}

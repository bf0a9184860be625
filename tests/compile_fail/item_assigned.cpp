// Items are read in place and written by verbs, so that listeners hear of it.
#include <atom/collection.hpp>

void misuse(atom::AtomCollection<int>& numbers) {
  numbers[0] = 1;  // error: assignment of read-only location | returns a const value
}

// Items are read in place and written by verbs, so that listeners hear of it.
#include <atom/collection.hpp>

void misuse(atom::AtomCollection<int>& numbers) {
  for (int& number : numbers) number = 1;  // error: discards qualifiers | drops 'const' qualifier
}

// A predicate is called with an item.
#include <atom/collection.hpp>

void misuse(atom::AtomCollection<int>& numbers) {
  numbers.remove_if(1);  // error: a predicate takes an item
}

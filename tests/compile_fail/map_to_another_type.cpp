// An item is replaced by another of its type.
#include <atom/collection.hpp>

void misuse(atom::AtomCollection<int>& numbers) {
  numbers.map([](int) { return "one"; });  // error: map takes a function from an item
}

// Items are what the collection holds.
#include <atom/collection.hpp>

struct Item {
  int id = 0;
};

void misuse(atom::AtomCollection<int>& numbers) {
  numbers.push(1, Item{2});  // error: no matching function | no matching member function
}

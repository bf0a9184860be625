// The verbs move items about.
#include <atom/collection.hpp>

struct Item {
  const int id = 0;
};

void misuse(atom::AtomCollection<Item>& items) {
  items.push(Item{1});  // error: cannot be moved, so only `update` and `map` change it
}

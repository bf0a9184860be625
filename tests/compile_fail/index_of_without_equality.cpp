// Items are looked for by `==`.
#include <atom/collection.hpp>

struct Item {
  int id = 0;
};

void misuse(atom::AtomCollection<Item>& items) {
  items.index_of(Item{1});  // error: look for them by a predicate
}

// Items are looked for by `==`.
#include <atom/collection.hpp>

struct Item {
  int id = 0;
};

void misuse(atom::AtomCollection<Item>& items) {
  items.remove_item(Item{1});  // error: look for them by a predicate
}

// A member of another class.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
struct Item {
  std::string title;
  int price = 0;
  bool operator==(const Item&) const = default;
};
const atom::Atom<User> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).merge(&User::age, 5, &Item::price, 5);  // error: AreChanges
}

// Each member on the way belongs to the one before.
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
  store.use(an_atom).watch(&User::name, &Item::price, [](int) {});  // error: leads_on
}

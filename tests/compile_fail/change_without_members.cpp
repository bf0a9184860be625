// Only a type with members has members to change.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<int> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).change(&User::age, 5);  // error: IsChange
}

// A member takes a value of its own type.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).merge(&User::age, 5, &User::name, 5);  // error: AreChanges
}

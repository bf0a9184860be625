// A value is changed through its atom, never behind its back.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> user{"user"};

void misuse(atom::AtomStore& store) {
  store.use(user)->age = 5;  // error: read-only | const
}

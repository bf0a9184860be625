// A template is read-only; it is a clone that is written.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> user{"user"};

void misuse() {
  user.merge(&User::name, "Bob", &User::age, 1);  // error: take a clone: store.use(atom)
}

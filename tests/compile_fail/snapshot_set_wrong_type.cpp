// A snapshot takes a value of the atom's type.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> user{"user"};

void misuse(atom::Snapshot& snapshot) {
  snapshot.set(user, 5);  // error: no known conversion
}

// An updater takes the current value and returns the next.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).update([] { return User{}; });  // error: an updater takes the current value
}

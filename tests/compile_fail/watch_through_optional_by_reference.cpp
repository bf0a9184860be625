// Behind an optional the listener takes a pointer: there may be nothing.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<std::optional<User>> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).watch(&User::name, [](const std::string&) {});  // error: it takes (now, old, atom)
}

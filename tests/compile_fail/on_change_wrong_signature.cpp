// A listener takes (now, old, atom), (now, old), (now) or ().
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).on_change([](int, std::string, char) {});  // error: a listener takes (now, old, atom)
}

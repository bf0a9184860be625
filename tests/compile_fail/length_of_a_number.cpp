// Only containers and texts have a length.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<int> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).length();  // error: t.size()
}

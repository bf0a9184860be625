// An updater takes the current value and returns the next. (This lambda would convert to true.)
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<bool> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).silent_update([] { return false; });  // error: an updater takes the current value
}

// An updater takes the current value and returns the next. (`mutate` changes it in place.)
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).update([](User& now) { return now; });  // error: an updater takes the current value
}

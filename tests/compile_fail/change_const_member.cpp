// A const member cannot be changed.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
struct Fixed {
  const int id = 1;
  bool operator==(const Fixed&) const = default;
};
const atom::Atom<Fixed> an_atom{"an_atom"};

void misuse(atom::AtomStore& store) {
  store.use(an_atom).change(&Fixed::id, 5);  // error: IsChange
}

// A struct is no number.
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("down", &Votes::down));
  }
};

void misuse(Votes& value) {
  (void)atom::apply_to(atom::current + 1, value);  // error: name a field with at(&T::member)
}

// The state has other fields.
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("down", &Votes::down));
  }
};

void misuse(int& value) {
  (void)atom::apply_to(atom::at(&Votes::up) + 1, value);  // error: the state is of another class
}

// Which of the two would it be?
#include <atom/state/equation.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("down", &Votes::down));
  }
};

using atom::at;
constexpr auto equation = all(at(&Votes::up) = 1, at(&Votes::up) + 1);  // error: all_assigns_one_field_twice

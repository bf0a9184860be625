// An int has no members.
#include <atom/state/equation.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("down", &Votes::down));
  }
};

constexpr auto field = atom::at(&Votes::up, &Votes::down);  // error: what b is has no member c

// Which field is it for?
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Votes::up), atom::field("down", &Votes::down));
  }
};

void misuse(Votes& votes) {
  const auto sum = atom::at(&Votes::up) + atom::at(&Votes::down);
  (void)atom::apply_to(sum, votes);  // error: an equation of several fields says for which of them it is
}

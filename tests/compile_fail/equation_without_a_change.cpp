// What is to become of the field?
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0;
  static constexpr auto atom_fields() { return atom::describe(atom::field("up", &Votes::up)); }
};

void misuse(Votes& votes) {
  (void)atom::apply_to(atom::at(&Votes::up), votes);  // error: no matching function for call to
}

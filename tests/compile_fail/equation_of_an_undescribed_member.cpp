// A field has a name that a database knows it by.
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0, down = 0;
  static constexpr auto atom_fields() { return atom::describe(atom::field("up", &Votes::up)); }
};
void misuse(Votes& votes) {
  (void)atom::apply_to(atom::at(&Votes::down) + 1, votes);  // error: the member is not among the fields of T
}

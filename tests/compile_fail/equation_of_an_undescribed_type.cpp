// A field has a name that a database knows it by.
#include <atom/state/evaluate.hpp>

struct Votes {
  int up = 0;
};
void misuse(Votes& votes) {
  (void)atom::apply_to(atom::at(&Votes::up) + 1, votes);  // error: T has no fields, describe it with atom_fields
}

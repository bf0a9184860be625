// With the value, its fields are changed already.
#include <atom/state/evaluate.hpp>

void misuse(int& value) {
  (void)atom::apply_to(all(atom::current + 1, atom::current * 2), value);  // error: each part is for one field
}

// What would half a vote be?
#include <atom/state/evaluate.hpp>

void misuse(int& value) {
  (void)atom::apply_to(atom::current * 1.5, value);  // error: every constant and field of the equation must be one
}

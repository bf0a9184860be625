// A bool is no number.
#include <atom/state/evaluate.hpp>

void misuse(bool& value) {
  (void)atom::apply_to(atom::current + 1, value);  // error: an equation calculates with integers, floats and doubles
}

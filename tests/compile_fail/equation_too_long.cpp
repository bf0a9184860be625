// Databases have limits.
#include <atom/state/evaluate.hpp>

void misuse(int& value) {
  const auto sum = atom::current + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9;
  (void)atom::apply_to(sum, value);  // error: at most 16 operands, of which 8 may be constants
}

// A bool is no number.
#include <atom/state/evaluate.hpp>

void misuse() {
  (void)(atom::current + true);  // error: no match for 'operator+' | invalid operands to binary expression
}

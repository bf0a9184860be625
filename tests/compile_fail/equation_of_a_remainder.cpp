// The remainder is for integers.
#include <atom/state/evaluate.hpp>

void misuse(double& value) {
  (void)atom::apply_to(atom::current % 2, value);  // error: the remainder (%) is for integers only
}

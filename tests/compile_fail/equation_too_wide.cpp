// A cube of 64 bits has 192.
#include <atom/state/evaluate.hpp>

void misuse(long long& value) {
  (void)atom::apply_to(atom::current * atom::current * atom::current, value);  // error: could pass 127 bits
}

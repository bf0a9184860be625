// The text of a scope stands as the scope has it: a space is written %20, or comes in a segment of its own.
#include <atom/state/scope.hpp>

void misuse() {
  (void)atom::Scope{"shop.my cart"};  // error: operator / adds any other one
}

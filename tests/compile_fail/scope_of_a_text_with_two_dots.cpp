// No segment is empty.
#include <atom/state/scope.hpp>

void misuse() {
  (void)atom::Scope{"shop..cart"};  // error: a scope is segments joined by dots
}

// What is carried is awaited.
#include <atom/context.hpp>

void misuse() {
  (void)atom::carry(7);  // error: constraints not satisfied | constraint not satisfied | no matching function
}

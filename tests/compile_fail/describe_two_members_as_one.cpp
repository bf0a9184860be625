// Each member has a name of its own.
#include <atom/fields.hpp>

struct Point {
  int x, y;
};
void misuse() {
  (void)atom::describe(atom::field("x", &Point::x), atom::field("x", &Point::y));  // error: have the same name
}

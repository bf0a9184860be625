// Names stand in text as they are.
#include <atom/fields.hpp>

struct Point {
  int x;
};
void misuse() {
  (void)atom::field("<x>", &Point::x);  // error: the name of a field is plain ASCII
}

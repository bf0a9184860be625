// An id of a family becomes part of a key.
#include <atom/family.hpp>

struct Point {
  int x = 0, y = 0;
};

const atom::AtomFamily<Point, int> tiles{"tiles"};  // error: an Id becomes part of a key

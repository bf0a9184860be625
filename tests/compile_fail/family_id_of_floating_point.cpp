// Two floating-point numbers may be equal and have two texts.
#include <atom/family.hpp>

const atom::AtomFamily<double, int> prices{"prices"};  // error: an Id becomes part of a key

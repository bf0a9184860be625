// What a derived atom is made of is a function.
#include <atom/derived.hpp>

const atom::Derived<int> total{"total", 7};  // error: it is computed by [](auto& get)

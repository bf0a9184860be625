// flags: -std=c++17
// Concepts, among other things.
#include <atom/store.hpp>  // error: atom needs C++20: compile with -std=c++20 or later

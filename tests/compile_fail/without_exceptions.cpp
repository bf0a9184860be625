// flags: -fno-exceptions
// Errors are exceptions.
#include <atom/store.hpp>  // error: atom needs exceptions: compile without -fno-exceptions

// The default is a T.
#include <atom/store.hpp>

#include <string>

const atom::Atom<std::string> name{"name", 5};  // error: no known conversion

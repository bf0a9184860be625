// An atom has a key.
#include <atom/store.hpp>

const atom::Atom<int> count{};  // error: no matching

// Either a default or a factory.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 1, atom::Factory{[] { return 2; }}};  // error: AtomOptions

// All stores share a hook, so it is called as const.
#include <atom/store.hpp>

const auto hook = [calls = 0](const int&, const int&, atom::Atom<int>&) mutable { ++calls; };

const atom::Atom<int> count{"count", 0, {.on_update = hook}};  // error: must not be mutable

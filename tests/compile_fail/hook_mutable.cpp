// All stores share a hook, so it is called as const.
#include <atom/store.hpp>

const auto hook = [calls = 0](int&& next, const int&) mutable { return next + ++calls; };

const atom::Atom<int> count{"count", 0, {.before_update = hook}};  // error: must not be mutable

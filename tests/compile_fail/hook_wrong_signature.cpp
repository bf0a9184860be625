// `before_update` takes (next, current).
#include <atom/store.hpp>

const auto hook = [](int&& next) { return next; };

const atom::Atom<int> count{"count", 0, {.before_update = hook}};  // error: before_update is T(T&& next

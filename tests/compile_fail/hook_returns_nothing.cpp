// `before_update` returns what is stored.
#include <atom/store.hpp>

const auto hook = [](int&&, const int&) {};

const atom::Atom<int> count{"count", 0, {.before_update = hook}};  // error: before_update is T(T&& next

// `on_update` takes (now, old, atom).
#include <atom/store.hpp>

const auto hook = [](const int&) {};

const atom::Atom<int> count{"count", 0, {.on_update = hook}};  // error: on_update is void(const T& now

// `get` takes (path, value) and returns an optional Value.
#include <atom/store.hpp>

const auto hook = [](const int& value) { return value; };

const atom::Atom<int> count{"count", 0, {.get = hook}};  // error: get is optional<Value>

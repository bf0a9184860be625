// All stores share a factory, so it is called as const.
#include <atom/store.hpp>

const auto make = [calls = 0]() mutable { return ++calls; };

const atom::Atom<int> count{"count", atom::Factory{make}};  // error: invoke_result

// A default is shared by all stores.
#include <atom/family.hpp>

#include <memory>

const atom::AtomFamily<int, std::shared_ptr<int>> pointers{"pointers"};  // error: T points to something that can

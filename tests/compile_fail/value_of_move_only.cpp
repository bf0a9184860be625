// What cannot be copied cannot be in a snapshot.
#include <atom/store.hpp>

#include <memory>

void misuse() {
  atom::Value value(std::make_unique<const int>(1));  // error: atom::Value holds copyable types only
}

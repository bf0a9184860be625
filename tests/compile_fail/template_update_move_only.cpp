// A template is read-only; it is a clone that is written.
#include <atom/store.hpp>

#include <memory>

const atom::Atom<std::unique_ptr<const int>> number{"number"};

void misuse() {
  number.update(std::make_unique<const int>(1));  // error: take a clone: store.use(atom)
}

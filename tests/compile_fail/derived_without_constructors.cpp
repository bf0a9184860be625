// A store must be able to clone a class that is derived from Atom<T>.
#include <atom/store.hpp>

struct Counter : atom::Atom<int> {
  explicit Counter(const char* key) : Atom(key) {}
};
const Counter counter{"counter"};

void misuse(atom::AtomStore& store) {
  store.use(counter);  // error: needs `using Atom::Atom;`
}

// `use` takes the template; a key is for `get`.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store) {
  store.use("count");  // error: derived_from
}

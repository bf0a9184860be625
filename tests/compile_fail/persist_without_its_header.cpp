// What persists stands in a header of its own, because it needs another library.
#include <atom/store.hpp>

struct Cookies {};
void misuse(atom::AtomStore& store, Cookies& cookies) {
  store.persist_with(cookies);  // error: <atom/persist.hpp>
}

// Nobody would keep the snapshot alive.
#include <atom/store.hpp>

void misuse(atom::AtomStore& store, const atom::Snapshot& snapshot) {
  store.hydrate(&snapshot);  // error: snapshot_pointer
}

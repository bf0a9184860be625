// A vector of bool has bits.
#include <atom/collection.hpp>

void misuse(atom::AtomCollection<bool>& flags) {
  flags.find([](bool flag) { return flag; });  // error: use index_of
}

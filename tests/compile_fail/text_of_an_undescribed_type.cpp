// A type has to be described first.
#include <atom/json.hpp>

struct Opaque {};
std::string misuse() {
  return atom::to_json(Opaque());  // error: writable
}

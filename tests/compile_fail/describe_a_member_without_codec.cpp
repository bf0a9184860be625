// A described struct is text as a whole.
#include <atom/json.hpp>

struct Opaque {};
struct User {
  Opaque opaque;
  static constexpr auto atom_fields() { return atom::describe(atom::field("opaque", &User::opaque)); }
};
std::string misuse() {
  return atom::to_json(User());  // error: atom_fields names a member whose type has no codec
}

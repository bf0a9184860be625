// What is const does not change.
#include <atom/state/evaluate.hpp>

#include <string>
#include <vector>

struct User {
  const int id = 0;
  bool active = true;
  std::string name;
  std::vector<std::string> tags;
  std::vector<signed char> bytes;
  static constexpr auto atom_fields() {
    using atom::field;
    return atom::describe(field("id", &User::id), field("active", &User::active), field("name", &User::name),
                          field("tags", &User::tags), field("bytes", &User::bytes));
  }
};

void misuse(User& value) {
  (void)atom::apply_to(atom::at(&User::id) = 1, value);  // error: a const member cannot change
}

// A template never changes; it is a clone that is listened to.
#include <atom/store.hpp>

#include <string>

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
const atom::Atom<User> user{"user"};

void misuse() {
  user.on_destroy([] {});  // error: listen to a clone: store.use(atom)
}

// All stores would share what this points to.
#include <atom/store.hpp>

#include <memory>
#include <variant>

struct Db {
  int queries = 0;
};

const atom::Atom<std::variant<int, std::shared_ptr<Db>>> db{"db"};  // error: give the atom a Factory

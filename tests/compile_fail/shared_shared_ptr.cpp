// All stores would share what this points to.
#include <atom/store.hpp>

#include <memory>

struct Db {
  int queries = 0;
};

const atom::Atom<std::shared_ptr<Db>> db{"db", std::make_shared<Db>()};  // error: give the atom a Factory

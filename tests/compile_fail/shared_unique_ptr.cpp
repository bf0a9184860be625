// All stores would share what this points to.
#include <atom/store.hpp>

#include <memory>

struct Db {
  int queries = 0;
};

const atom::Atom<std::unique_ptr<Db>> db{"db"};  // error: give the atom a Factory

// All stores would share what this points to.
#include <atom/store.hpp>

#include <span>

struct Db {
  int queries = 0;
};

const atom::Atom<std::span<Db>> db{"db"};  // error: give the atom a Factory

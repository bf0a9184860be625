// All stores would share what this points to.
#include <atom/store.hpp>

#include <utility>

struct Db {
  int queries = 0;
};

const atom::Atom<std::pair<int, Db*>> db{"db"};  // error: give the atom a Factory

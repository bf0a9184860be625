// All stores would share what this points to.
#include <atom/store.hpp>

struct Db {
  int queries = 0;
};

const atom::Atom<Db*> db{"db", nullptr, {.server_only = true}};  // error: give the atom a Factory

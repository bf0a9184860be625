// All stores would share what this points to.
#include <atom/store.hpp>

#include <functional>

struct Db;
extern Db& the_db;

struct Db {
  int queries = 0;
};

const atom::Atom<std::reference_wrapper<Db>> db{"db", the_db};  // error: give the atom a Factory

// All stores would share what this points to.
#include <atom/store.hpp>

#include <memory>
#include <vector>

struct Db {
  int queries = 0;
};

const atom::Atom<std::vector<std::shared_ptr<Db>>> db{"db"};  // error: give the atom a Factory

// All stores would share what this points to.
#include <atom/store.hpp>

#include <map>
#include <memory>
#include <string>

struct Db {
  int queries = 0;
};

const atom::Atom<std::map<std::string, std::shared_ptr<Db>>> db{"db"};  // error: give the atom a Factory

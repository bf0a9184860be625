// A factory returns exactly what the atom holds.
#include <atom/store.hpp>

#include <memory>

struct Db {};

const atom::Atom<std::unique_ptr<Db>> db{"db", atom::Factory{[] { return new Db; }}};  // error: same_as

// A type without a default constructor needs a default or a factory.
#include <atom/store.hpp>

struct Port {
  explicit Port(int n) : number(n) {}
  int number;
};

const atom::Atom<Port> port{"port"};  // error: default_initializable

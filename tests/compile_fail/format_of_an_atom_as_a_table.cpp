// A table has a line for each atom: it is a form of stores and snapshots.
#include <atom/format.hpp>
#include <string>

const atom::Atom<int> x{"x"};
std::string misuse() {
  std::string text;
  text += fmt::format("{:t}", x);  // error: here the only one is {}
  return text;
}

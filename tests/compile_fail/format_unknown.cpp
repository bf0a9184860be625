// There is `{}`, and `{:t}` for a table.
#include <atom/format.hpp>
#include <string>

std::string misuse(const atom::AtomStore& store) {
  std::string text;
  text += fmt::format("{:>80}", store);  // error: here they are {} and {:t}
  return text;
}

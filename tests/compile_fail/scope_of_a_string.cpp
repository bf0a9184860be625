// A text that is made at run time may be bad, and parse says so.
#include <atom/state/scope.hpp>

#include <string>

void misuse(const std::string& text) {
  (void)atom::Scope{text};  // error: Scope::parse
}

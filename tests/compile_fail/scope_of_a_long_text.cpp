// A scope is no longer than an index of a database allows.
#include <atom/state/scope.hpp>

struct Text {
  char text[514] = {};
  constexpr Text() {
    for (char& c : text) c = 'a';
  }
};
constexpr Text long_text;

void misuse() {
  (void)atom::Scope{long_text.text};  // error: a scope has at most 512 bytes
}

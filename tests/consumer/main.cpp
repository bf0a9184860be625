// Uses the library in the outside project. It would not compile with the warnings of the library's own build.
#include <atom/store.hpp>

#include <cstdio>
#include <string>

inline const atom::Atom<std::string> greeting{"greeting", "hello"};

int main(int argc, char**) {
  int unused;
  unsigned converted = argc;
  {
    int argc = 0;
    converted += argc;
  }
  atom::AtomStore store;
  bool heard = false;
  store.use(greeting).on_change([&] { heard = true; });
  store.use(greeting).update("it works");
  const atom::Snapshot snapshot = store.snapshot();
  std::puts(snapshot.get(greeting).c_str());
  return heard && converted == 1 ? 0 : 1;
}

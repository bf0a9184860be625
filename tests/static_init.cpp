// Atoms and stores while static variables are initialised and destroyed: templates that an included header declares are
// ready, and a store at namespace scope works from beginning to end, whatever goes first.
#include <atom/store.hpp>

#include "static_init.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

using atom::AtomStore;
using atom::Snapshot;

/// Ends the program with an error, after main and without Catch, if something is wrong then.
void insist(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "static_init: %s\n", what);
  std::_Exit(3);
}

struct Early {
  // The initialisers of this file run from top to bottom; those of the other file run before or after them all.
  int told = 0;
  int last_count = 8;
  std::string last_text = "written before main, and long enough to lie on the heap";
  AtomStore store;
  int count = store.use(static_init::count).value();
  std::string text = store.use(static_init::text).value();
  bool found = atom::find("static_init.text") == &static_init::text;
  Snapshot snapshot = [this] {
    store.hydrate(Snapshot{{"static_init.count", 8}});
    store.use(static_init::text).update("written before main, and long enough to lie on the heap");
    return store.snapshot();
  }();

  Early() {
    store.use(static_init::text).on_change([this] { ++told; });
    store.use(static_init::text).on_destroy([this](const atom::Atom<std::string>& text_atom) {
      insist(text_atom.value() == last_text, "the value is gone before its store");
      insist(text_atom.key() == "static_init.text", "the key is gone before the store");
    });
  }
  ~Early() {
    insist(store.value(static_init::count) == last_count, "a static store forgot its value");
    insist(atom::AtomStore().use(static_init::late).value() == 5, "a store cannot be made at the end");
    insist(snapshot.get<std::string>("static_init.text").size() > 20, "a static snapshot forgot its value");
  }
};
Early early;

/// Constructed before its template, so destroyed after it.
struct Outlives {
  AtomStore store;
  Snapshot snapshot;
  ~Outlives() {
    insist(atom::find("static_init.outlived") == nullptr, "the template is still registered");
    insist(store.size() == 1, "the clone went with its template");
    insist(store.get<std::string>("static_init.outlived")->value().size() == 100, "the default went with its template");
    insist(store.get<std::string>("static_init.outlived")->default_value().size() == 100, "the default is gone");
    store.get<std::string>("static_init.outlived")->update("written after the end of the template");
    insist(snapshot.get<std::string>("static_init.outlived").size() == 100, "the snapshot lost a default");
    store.destroy();
  }
};
Outlives outlives;
const atom::Atom<std::string> outlived{"static_init.outlived", std::string(100, 'x')};
const bool is_used = [] {
  outlives.store.use(outlived);
  outlives.snapshot = outlives.store.snapshot();
  return true;
}();

TEST_CASE("atoms of an included header are ready for the static initialisers of a file") {
  CHECK(early.count == 3);
  CHECK(early.text == "default");
  CHECK(early.found);
  CHECK(early.snapshot.get<int>("static_init.count") == 8);
}

TEST_CASE("so they are in every file that includes the header, and they are the same atoms") {
  CHECK(static_init::other_count() == 3);
  CHECK(static_init::other_text() == "default");
  CHECK(static_init::other_template() == &static_init::text);
}

TEST_CASE("a store at namespace scope works in main, and each has its own values") {
  early.last_count = 9;
  early.store.use(static_init::count).update(9);
  early.last_text = "written in main";
  early.store.use(static_init::text).update("written in main");
  CHECK(early.told == 1);
  CHECK(static_init::other_text() == "default");
  CHECK(is_used);
  CHECK(outlives.snapshot.get(outlived).size() == 100);
}

TEST_CASE("a default may be used by the initialiser of another atom in the same file") {
  CHECK(static_init::late.value() == static_init::count.value() + 2);
}

}  // namespace

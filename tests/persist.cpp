#include <atom/persist.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

const atom::Atom<std::string> locale_atom{"persist.locale", "en", {.client_writable = true, .persist = true}};
const atom::Atom<int> role_atom{"persist.role", 0, {.persist = true}};
const atom::Atom<std::string> token_atom{"persist.token", "secret", {.server_only = true, .persist = true}};
const atom::Atom<support::Opaque> opaque_atom{"persist.opaque", support::Opaque{}, {.persist = true}};
const atom::Atom<int> plain_atom{"persist.plain", 0};

/// Keeps texts in a map, or fails.
struct Keeper {
  std::map<std::string, std::string, std::less<>> texts;
  bool fails = false;
  int gets = 0;

  std::optional<std::string> get(std::string_view key) {
    ++gets;
    if (fails) throw std::runtime_error("cannot get");
    const auto found = texts.find(key);
    return found == texts.end() ? std::nullopt : std::optional(found->second);
  }
  void set(std::string_view key, std::string_view text) {
    if (fails) throw std::runtime_error("cannot set");
    texts.insert_or_assign(std::string(key), std::string(text));
  }
  void remove(std::string_view key) {
    if (fails) throw 7;
    texts.erase(std::string(key));
  }
};
using Texts = decltype(Keeper::texts);

TEST_CASE("94. An atom marked persist is restored silently at first use, written when changed, removed at reset") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  CHECK(keeper.gets == 0);
  auto& locale = store.use(locale_atom);
  CHECK(locale.value() == "fr");
  CHECK_FALSE(locale.is_modified());
  store.use(plain_atom).update(1);
  CHECK(keeper.gets == 1);
  locale.update("de");
  CHECK(keeper.texts == Texts{{"persist.locale", "\"de\""}});
  locale.reset();
  CHECK(keeper.texts.empty());
  CHECK(locale.value() == "en");
  CHECK(failures.empty());
}

TEST_CASE("94. An adapter's failure is reported and never breaks an update") {
  Keeper keeper;
  keeper.fails = true;
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  CHECK(locale.update("de"));
  CHECK(locale.value() == "de");
  CHECK(locale.reset());
  using enum atom::PersistFailure::Operation;
  REQUIRE(failures.size() == 4);  // the reset is a change, too
  CHECK((failures[0].operation == get && failures[0].reason == "cannot get"));
  CHECK((failures[1].operation == set && failures[1].reason == "cannot set"));
  CHECK((failures[3].operation == remove && failures[3].key == "persist.locale"));
  for (int i = 0; i < 200; ++i) locale.update(std::to_string(i));
  CHECK(failures.size() == 100);
}

TEST_CASE("94. A late restore never overwrites a newer write") {
  Keeper keeper{{{"persist.locale", "\"fr\""}, {"persist.role", "3"}}};
  atom::AtomStore store;
  store.use(locale_atom).update("de");
  store.use(role_atom);
  store.hydrate(atom::Snapshot{{"persist.token", "hydrated"}});
  store.persist_with(keeper, {.trust = atom::Trust::server});
  CHECK(store.use(locale_atom).value() == "de");
  CHECK(store.use(role_atom).value() == 3);  // nobody wrote it
  keeper.texts["persist.token"] = "\"kept\"";
  CHECK(store.use(token_atom).value() == "hydrated");
  store.use(locale_atom).update("it");
  CHECK(keeper.texts["persist.locale"] == "\"it\"");
  store.destroy();
  CHECK(store.use(locale_atom).value() == "it");
}

TEST_CASE("What an adapter holds is a client's, unless it is said to be a server's") {
  Keeper keeper{{{"persist.role", "7"}, {"persist.locale", "[1]"}}};
  {
    atom::AtomStore store;
    const auto& failures = store.persist_with(keeper);
    CHECK(store.use(role_atom).value() == 0);
    CHECK(store.use(locale_atom).value() == "en");
    REQUIRE(failures.size() == 2);
    CHECK(failures[0].reason == "the atom is not client-writable");
    CHECK(failures[1].reason == "expected string, found an array");
    store.use(token_atom).update("new");
    CHECK(failures.back().reason == "the atom is server-only, and the adapter is a client's");
    CHECK_FALSE(keeper.texts.contains("persist.token"));
  }
  atom::AtomStore store;
  store.persist_with(keeper, {.trust = atom::Trust::server});
  CHECK(store.use(role_atom).value() == 7);
  store.use(token_atom).update("new");
  CHECK(keeper.texts["persist.token"] == "\"new\"");
}

TEST_CASE("Malformed text, and a type without a codec, are reported") {
  Keeper keeper{{{"persist.locale", "\"fr"}}};
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  CHECK(store.use(locale_atom).value() == "en");
  REQUIRE(failures.size() == 1);
  store.use(opaque_atom).update(support::Opaque{1});
  CHECK(failures.back().reason.ends_with("has no codec"));
}

TEST_CASE("A store has one adapter") {
  Keeper keeper;
  atom::AtomStore store;
  store.persist_with(keeper);
  CHECK_THROWS_AS(store.persist_with(keeper), atom::Error);
}

}  // namespace

#include <atom/persist.hpp>

#include <atom/family.hpp>
#include <atom/history.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace persist_test {
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

TEST_CASE("94. A failure does not tell what is in a server-only atom") {
  const atom::Atom<std::map<std::string, double>> secret{
      "persist.secret", {{"alice", std::numeric_limits<double>::infinity()}}, {.server_only = true, .persist = true}};
  Keeper keeper;
  SECTION("that is no value of it") {
    keeper.texts["persist.secret"] = R"({"alice":"s3cret"})";
  }
  SECTION("that is no JSON") {
    keeper.texts["persist.secret"] = R"({"alice":{"s3cret":1,"s3cret":2}})";
  }
  SECTION("that JSON does not have") {}
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper, {.trust = atom::Trust::server});
  store.use(secret).mutate([](auto& map) { map["bob"] = 1; });
  REQUIRE_FALSE(failures.empty());
  for (const auto& failure : failures) {
    CHECK_THAT(failure.reason, !support::ContainsSubstring("s3cret"));
    CHECK_THAT(failure.reason, !support::ContainsSubstring("alice"));
  }
}

/// Uses the atom that it is asked for.
struct Curious {
  atom::AtomStore& store;
  std::optional<std::string> get(std::string_view) { return store.use(locale_atom).value(); }
  void set(std::string_view, std::string_view) {}
  void remove(std::string_view) {}
};

TEST_CASE("94. An adapter that uses the atom that it restores has failed, and there is one clone") {
  atom::AtomStore store;
  Curious curious{store};
  const auto& failures = store.persist_with(curious);
  auto& locale = store.use(locale_atom);
  CHECK(&store.use(locale_atom) == &locale);
  CHECK(store.size() == 1);
  CHECK(locale.value() == "en");
  REQUIRE(failures.size() == 1);
  CHECK_THAT(failures[0].reason, support::ContainsSubstring("\"persist.locale\" is used while it is being made"));
}

TEST_CASE("94. A before_update that uses the atom which is restored has refused it") {
  atom::AtomStore store;
  const atom::Atom<int>* self = nullptr;
  const atom::Atom<int> circle{
      "persist.circle",
      1,
      {.before_update = [&](int&& next, const int&) { return next + store.use(*self).value(); },
       .client_writable = true,
       .persist = true}};
  self = &circle;
  Keeper keeper{{{"persist.circle", "5"}}};
  const auto& failures = store.persist_with(keeper);
  CHECK(store.use(circle).value() == 1);
  CHECK(failures.size() == 1);
  CHECK(store.use(circle).update(2));
  CHECK(keeper.texts == Texts{{"persist.circle", "3"}});
}

TEST_CASE("94. An atom that is first used in a transaction which fails stays restored") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  store.persist_with(keeper);
  const auto fail = [&](bool nested) {
    store.transaction([&] {
      store.hydrate(atom::Snapshot{{"persist.plain", 7}});
      const auto use = [&] { store.use(locale_atom).update("de"); };
      if (nested) {
        store.transaction(use);
      } else {
        use();
      }
      store.hydrate(atom::Snapshot{{"persist.plain", 8}});
      throw 1;
    });
  };
  SECTION("in it") {
    CHECK_THROWS_AS(fail(false), int);
  }
  SECTION("in one inside") {
    CHECK_THROWS_AS(fail(true), int);
  }
  CHECK(store.use(locale_atom).value() == "fr");
  CHECK_FALSE(store.use(locale_atom).is_modified());
  CHECK(store.use(plain_atom).value() == 0);
  CHECK(keeper.gets == 1);
  CHECK(keeper.texts == Texts{{"persist.locale", "\"fr\""}});
}

/// Asks for another atom before it answers, and counts what it is given.
struct Asking {
  atom::AtomStore& store;
  int sets = 0;
  std::optional<std::string> get(std::string_view key) {
    if (key != locale_atom.key()) store.use(locale_atom);
    return std::nullopt;
  }
  void set(std::string_view, std::string_view) { ++sets; }
  void remove(std::string_view) {}
};

TEST_CASE("94. An atom that the adapter uses while it starts is followed once") {
  atom::AtomStore store;
  store.use(role_atom);
  Asking asking{store};
  store.persist_with(asking);
  store.use(locale_atom).update("de");
  CHECK(asking.sets == 1);
}

/// Memory that can run out.
struct Tight : std::pmr::memory_resource {
  bool refuses = false;
  void* do_allocate(std::size_t size, std::size_t align) override {
    if (refuses) throw std::bad_alloc();
    return std::pmr::new_delete_resource()->allocate(size, align);
  }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override {
    std::pmr::new_delete_resource()->deallocate(place, size, align);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

TEST_CASE("94. An adapter that there is no memory for is not used, and another may come") {
  const atom::AtomFamily<int, int> many{"persist.many", 0, {.persist = true}};
  int refused = 0;
  for (int size = 1; size <= 60; ++size) {  // it runs out in different places
    Tight memory;
    Keeper second;
    atom::AtomStore store(&memory);
    for (int i = 0; i < size; ++i) store.use(many(i));
    {
      Keeper first;
      memory.refuses = true;
      try {
        store.persist_with(first);
        continue;
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      memory.refuses = false;
      store.use(many(0)).update(1);
      CHECK(first.texts.empty());
    }
    CHECK_NOTHROW(store.persist_with(second));
    store.use(many(0)).update(2);
    CHECK(second.texts == Texts{{"persist.many/0", "2"}});
  }
  CHECK(refused > 0);
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

/// Says in one text what it was asked to do, in order.
struct Logger {
  std::string log;
  std::string text;
  std::optional<std::string> get(std::string_view) {
    log += "get ";
    return text.empty() ? std::nullopt : std::optional(text);
  }
  void set(std::string_view, std::string_view value) { log += "set " + std::string(value) + " "; }
  void remove(std::string_view) { log += "remove "; }
  std::string take_log() { return std::exchange(log, {}); }
};

TEST_CASE("94. What is restored tells no listener, and leaves the default where it was") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  store.persist_with(keeper);
  int told = 0;
  auto& locale = store.use(locale_atom);
  locale.on_change([&] { ++told; });
  CHECK(told == 0);
  CHECK(locale.default_value() == "en");
  CHECK(locale_atom.value() == "en");
  CHECK(keeper.texts == Texts{{"persist.locale", "\"fr\""}});  // nor is it written again
}

TEST_CASE("94. A change is written once, and what changes nothing is not") {
  Logger logger;
  atom::AtomStore store;
  store.persist_with(logger);
  auto& locale = store.use(locale_atom);
  CHECK(logger.take_log() == "get ");
  locale.update("en");
  CHECK(logger.take_log().empty());
  locale.update("de");
  CHECK(logger.take_log() == "set \"de\" ");
  locale.silent_update("it");
  CHECK(logger.take_log().empty());
  locale.mutate([](std::string& text) { text += "</"; });
  CHECK(logger.take_log() == "set \"it\\u003c/\" ");
  store.batch([&] {
    locale.update("a");
    locale.update("b");
  });
  CHECK(logger.take_log() == "set \"b\" ");
}

TEST_CASE("94. After a batch the adapter has what the atom has, in whichever order it was written and reset") {
  Keeper keeper;
  atom::AtomStore store;
  store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  locale.update("fr");
  SECTION("reset, then written") {
    store.batch([&] {
      locale.reset();
      locale.update("it");
    });
    CHECK(keeper.texts == Texts{{"persist.locale", "\"it\""}});
  }
  SECTION("written, then reset") {
    store.batch([&] {
      locale.update("it");
      locale.reset();
    });
    CHECK(keeper.texts.empty());
  }
  SECTION("reset, then written as it was before") {
    store.batch([&] {
      locale.reset();
      locale.update("fr");
    });
    CHECK(keeper.texts == Texts{{"persist.locale", "\"fr\""}});
  }
  SECTION("reset alone") {
    store.batch([&] { locale.reset(); });
    CHECK(keeper.texts.empty());
  }
  atom::AtomStore next;
  next.persist_with(keeper);
  CHECK(next.use(locale_atom).value() == locale.value());
}

TEST_CASE("94. What an undo puts back is saved like any change, and what was restored is no step") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  atom::History history(store);
  store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  CHECK_FALSE(history.can_undo());
  locale.update("de");
  history.undo();
  CHECK(*locale == "fr");
  CHECK(keeper.texts == Texts{{"persist.locale", "\"fr\""}});
  history.redo();
  CHECK(keeper.texts == Texts{{"persist.locale", "\"de\""}});
}

TEST_CASE("94. What a listener of a reset writes is kept") {
  Keeper keeper;
  atom::AtomStore store;
  store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  locale.update("fr");
  locale.on_reset([&] { locale.update("it"); });
  locale.reset();
  CHECK(locale.value() == "it");
  CHECK(keeper.texts == Texts{{"persist.locale", "\"it\""}});
}

TEST_CASE("94. What a listener of a change resets is removed") {
  Keeper keeper;
  atom::AtomStore store;
  store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  locale.on_change([&](const std::string& now) {
    if (now == "wrong") locale.reset();
  });
  locale.update("wrong");
  CHECK(locale.value() == "en");
  CHECK(keeper.texts.empty());
}

TEST_CASE("94. A silent reset removes what was kept, too") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  store.persist_with(keeper);
  store.use(locale_atom).silent_reset();
  CHECK(keeper.texts.empty());
}

TEST_CASE("94. A hydrated value counts more than what is kept, whether it came before or after the adapter") {
  Keeper keeper{{{"persist.locale", "\"kept\""}}};
  atom::AtomStore store;
  SECTION("before") {
    store.hydrate(atom::Snapshot{{"persist.locale", "hydrated"}});
    store.persist_with(keeper);
  }
  SECTION("after") {
    store.persist_with(keeper);
    store.hydrate(atom::Snapshot{{"persist.locale", "hydrated"}});
  }
  CHECK(store.use(locale_atom).value() == "hydrated");
  CHECK(keeper.gets == 0);
}

TEST_CASE("94. A hydrated value of a used atom counts more than what an adapter has that comes later") {
  Keeper keeper{{{"persist.locale", "\"kept\""}}};
  atom::AtomStore store;
  store.use(locale_atom);
  store.hydrate(atom::Snapshot{{"persist.locale", "hydrated"}});
  store.persist_with(keeper);
  CHECK(store.use(locale_atom).value() == "hydrated");
}

TEST_CASE("94. An adapter that comes late restores what nobody wrote, silently, and saves from then on") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  auto& locale = store.use(locale_atom);
  int told = 0;
  locale.on_change([&] { ++told; });
  store.persist_with(keeper);
  CHECK(locale.value() == "fr");
  CHECK_FALSE(locale.is_modified());
  CHECK(told == 0);
  locale.update("de");
  CHECK(told == 1);
  CHECK(keeper.texts == Texts{{"persist.locale", "\"de\""}});
}

TEST_CASE("94. What is dropped, and what is used again after destroy, is restored, and saved again") {
  Keeper keeper;
  atom::AtomStore store;
  store.persist_with(keeper);
  store.use(locale_atom).update("fr");
  SECTION("drop") {
    store.drop(locale_atom);
  }
  SECTION("destroy") {
    store.destroy();
  }
  CHECK(keeper.texts == Texts{{"persist.locale", "\"fr\""}});  // the end of an atom is no reset
  auto& locale = store.use(locale_atom);
  CHECK(locale.value() == "fr");
  CHECK_FALSE(locale.is_modified());
  locale.update("de");
  CHECK(keeper.texts == Texts{{"persist.locale", "\"de\""}});
}

const atom::Atom<int> even_atom{"persist.even",
                                0,
                                {.before_update =
                                     [](int&& next, const int&) {
                                       if (next < 0) throw std::runtime_error("less than nothing");
                                       return next & ~1;
                                     },
                                 .client_writable = true,
                                 .persist = true}};

TEST_CASE("What a client's adapter holds goes through before_update, and a server's does not") {
  Keeper keeper{{{"persist.even", "7"}}};
  {
    atom::AtomStore store;
    store.persist_with(keeper);
    CHECK(store.use(even_atom).value() == 6);
  }
  {
    atom::AtomStore store;
    store.persist_with(keeper, {.trust = atom::Trust::server});
    CHECK(store.use(even_atom).value() == 7);
  }
  keeper.texts["persist.even"] = "-7";
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  CHECK(store.use(even_atom).value() == 0);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].key == "persist.even");
  CHECK(failures[0].operation == atom::PersistFailure::Operation::get);
  CHECK(failures[0].reason == "before_update refused it: less than nothing");
}

TEST_CASE("A text for one atom cannot reach another") {
  Keeper keeper{{{"persist.locale", R"({"persist.role":9})"}}};
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper, {.trust = atom::Trust::server});
  CHECK(store.use(locale_atom).value() == "en");
  CHECK(store.use(role_atom).value() == 0);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].reason == "expected string, found an object");
}

TEST_CASE("A text that is longer than the limit is reported, and not restored") {
  Keeper keeper{{{"persist.locale", "\"1234567\""}}};
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper, {.limits = {.max_bytes = 8}});
  CHECK(store.use(locale_atom).value() == "en");
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].reason == "expected at most 8 bytes, found 9");
}

TEST_CASE("Of many failures the newest hundred are kept, the oldest first") {
  Keeper keeper;
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  auto& even = store.use(even_atom);
  keeper.fails = true;
  locale.update("first");
  for (int i = 1; i <= 99; ++i) even.update(2 * i);
  CHECK(failures.size() == 100);
  CHECK(failures.front().key == "persist.locale");
  even.update(0);
  CHECK(failures.size() == 100);
  CHECK(failures.front().key == "persist.even");
  keeper.fails = false;
  even.update(2);
  CHECK(keeper.texts == Texts{{"persist.even", "2"}});
  CHECK(failures.size() == 100);
}

TEST_CASE("94. A failure of the adapter does not keep other listeners from being told") {
  Keeper keeper;
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  auto& locale = store.use(locale_atom);
  int told = 0;
  locale.on_change([&] { ++told; });
  locale.on_reset([&] { ++told; });
  keeper.fails = true;
  CHECK_NOTHROW(locale.update("de"));
  CHECK(told == 1);
  CHECK_NOTHROW(locale.reset());
  CHECK(told == 3);
  CHECK(failures.back().reason == "the adapter threw something that is no std::exception");
}

TEST_CASE("A second adapter is refused, and the first one goes on") {
  Keeper first{{{"persist.locale", "\"first\""}}};
  Keeper second{{{"persist.locale", "\"second\""}}};
  atom::AtomStore store;
  store.persist_with(first);
  CHECK_THROWS_WITH(store.persist_with(second), "the store has an adapter already");
  auto& locale = store.use(locale_atom);
  CHECK(locale.value() == "first");
  locale.update("de");
  CHECK(first.texts["persist.locale"] == "\"de\"");
  CHECK(second.texts["persist.locale"] == "\"second\"");
  CHECK(second.gets == 0);
}

TEST_CASE("Stores with adapters of their own do not meet") {
  Keeper one{{{"persist.locale", "\"one\""}}};
  Keeper two{{{"persist.locale", "\"two\""}}};
  atom::AtomStore first;
  atom::AtomStore second;
  first.persist_with(one);
  second.persist_with(two);
  CHECK(first.use(locale_atom).value() == "one");
  CHECK(second.use(locale_atom).value() == "two");
  first.use(locale_atom).update("new");
  CHECK(two.texts["persist.locale"] == "\"two\"");
}

const atom::Atom<std::vector<int>> built_atom{
    "persist.built", atom::Factory{[] { return std::vector<int>{1}; }}, {.client_writable = true, .persist = true}};

TEST_CASE("94. What a factory builds is restored, written and removed like a default") {
  Keeper keeper{{{"persist.built", "[2]"}}};
  atom::AtomStore store;
  SECTION("the adapter comes first") {
    store.persist_with(keeper);
    store.use(built_atom);
  }
  SECTION("the adapter comes late") {
    store.use(built_atom);
    store.persist_with(keeper);
  }
  auto& built = store.use(built_atom);
  CHECK(built.value() == std::vector<int>{2});
  built.mutate([](std::vector<int>& numbers) { numbers.push_back(3); });
  CHECK(keeper.texts == Texts{{"persist.built", "[2,3]"}});
  built.reset();
  CHECK(built.value() == std::vector<int>{1});
  CHECK(keeper.texts.empty());
}

TEST_CASE("94. What is no longer kept is not restored from what was restored before") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  store.persist_with(keeper);
  CHECK(store.use(locale_atom).value() == "fr");
  SECTION("removed by a reset, then dropped") {
    store.use(locale_atom).reset();
    store.drop(locale_atom);
  }
  SECTION("removed by somebody else, then dropped") {
    keeper.texts.clear();
    store.drop(locale_atom);
  }
  SECTION("removed by somebody else, then destroyed") {
    keeper.texts.clear();
    store.destroy();
  }
  CHECK(store.use(locale_atom).value() == "en");
}

TEST_CASE("94. What is first used and changed in one batch starts from what is kept") {
  Keeper keeper{{{"persist.locale", "\"fr\""}}};
  atom::AtomStore store;
  store.persist_with(keeper);
  store.batch([&] { store.use(locale_atom).update([](const std::string& now) { return now + "!"; }); });
  CHECK(keeper.texts == Texts{{"persist.locale", "\"fr!\""}});
}

const atom::Atom<std::vector<double>> numbers_atom{"persist.numbers", {}, {.client_writable = true, .persist = true}};

TEST_CASE("A number that JSON does not have is reported when it is to be kept") {
  Keeper keeper;
  atom::AtomStore store;
  const auto& failures = store.persist_with(keeper);
  store.use(numbers_atom).update({1, std::numeric_limits<double>::infinity()});
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].key == "persist.numbers");
  CHECK(failures[0].operation == atom::PersistFailure::Operation::set);
  CHECK(failures[0].reason == "[1]: a number that JSON does not have");
}

}  // namespace
}  // namespace persist_test

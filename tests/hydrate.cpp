#include <atom/hydrate.hpp>

#include <atom/family.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace hydrate_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::HydrateReport;
using atom::Rejection;
using atom::Snapshot;
using atom::Trust;
using atom::Value;

const Atom<int> count{"hydrate.count", 3};
const Atom<std::string> locale{"hydrate.locale", "en"};
const Atom<std::uint8_t> byte{"hydrate.byte", std::uint8_t{1}};
const Atom<double> ratio{"hydrate.ratio", 0.5};
const Atom<bool> flag{"hydrate.flag", false};
const Atom<char> letter{"hydrate.letter", 'a'};
const Atom<std::int64_t> wide{"hydrate.wide", 1};
const Atom<unsigned> natural{"hydrate.natural", 1u};
/// Each write doubles: restoring a value must not run it again.
const Atom<int> doubled{"hydrate.doubled", 1, {.before_update = [](int&& next, const int&) { return 2 * next; }}};
/// A client may write it, up to 100; what it was before is added to what is stored.
const Atom<int> open{"hydrate.open",
                     7,
                     {.before_update =
                          [](int&& next, const int& current) {
                            if (next > 100) throw std::runtime_error("too much");
                            return next + current;
                          },
                      .client_writable = true}};
const Atom<std::string> nickname{"hydrate.nickname", "none", {.client_writable = true}};
const Atom<std::string> secret{"hydrate.secret", "hidden", {.server_only = true}};
const Atom<std::unique_ptr<int>> unique{"hydrate.unique", atom::Factory{[] { return std::make_unique<int>(1); }}};
const Atom<std::shared_ptr<int>> shared{"hydrate.shared", atom::Factory{[] { return std::make_shared<int>(1); }}};
const Atom<std::shared_ptr<const int>> constant{"hydrate.constant", std::make_shared<const int>(1)};

using Keys = std::vector<std::string>;
Keys texts(const HydrateReport::Keys& keys) {
  return Keys(keys.begin(), keys.end());
}
Keys keys(const Snapshot& snapshot) {
  Keys all;
  for (const auto& entry : snapshot) all.emplace_back(entry.key);
  return all;
}
constexpr atom::HydrateOptions from_client{.trust = Trust::client};

// ---- Where values go

TEST_CASE("a value that is hydrated before the first use is there at the first use, and the atom is not before") {
  AtomStore store;
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.count", 8}});
  CHECK(texts(report.queued) == Keys{"hydrate.count"});
  CHECK(report.applied.empty());
  CHECK(report.ok());
  CHECK_FALSE(store.has("hydrate.count"));
  CHECK(store.get("hydrate.count") == nullptr);
  CHECK(store.get(count) == nullptr);
  CHECK(store.empty());
  CHECK(store.use(count).value() == 8);
  CHECK_FALSE(store.use(count).is_modified());
}

TEST_CASE("a value that is hydrated after the first use is applied at once") {
  AtomStore store;
  Atom<int>& clone = store.use(count);
  clone.update(5);
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.count", 8}});
  CHECK(clone.value() == 8);
  CHECK(texts(report.applied) == Keys{"hydrate.count"});
  CHECK(report.queued.empty());
  CHECK(report.ok());
  CHECK_FALSE(clone.is_modified());
}

TEST_CASE("a report names each key in its place") {
  AtomStore store;
  store.use(locale);
  const HydrateReport report = store.hydrate(
      Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}, {"hydrate.nobody", 1}, {"hydrate.flag", 1}});
  CHECK(texts(report.applied) == Keys{"hydrate.locale"});
  CHECK(texts(report.queued) == Keys{"hydrate.count"});
  CHECK(report.unknown == Keys{"hydrate.nobody"});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].key == "hydrate.flag");
  CHECK_FALSE(report.ok());
}

TEST_CASE("an empty snapshot changes nothing") {
  AtomStore store;
  store.use(count).update(4);
  const HydrateReport report = store.hydrate(Snapshot());
  CHECK(report.ok());
  CHECK(report.applied.empty());
  CHECK(report.queued.empty());
  CHECK(store.value(count) == 4);
}

TEST_CASE("the last hydrate wins, and what a map leaves out stays") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) {
    store.use(count);
    store.use(locale);
  }
  store.hydrate(Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}});
  store.hydrate(Snapshot{{"hydrate.count", 9}});
  CHECK(store.use(count).value() == 9);
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("a newer value that is rejected leaves the older one, queued or live") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) store.use(count);
  store.hydrate(Snapshot{{"hydrate.count", 8}});
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.count", "nine"}});
  CHECK(report.rejected.size() == 1);
  CHECK_FALSE(report.ok());
  CHECK(store.value(count) == 8);
  CHECK(store.use(count).value() == 8);
  CHECK(store.rejected().empty());
}

TEST_CASE("a snapshot may be copied, moved or shared into a store, with the same result") {
  const Snapshot given{{"hydrate.count", 8}, {"hydrate.locale", "fr"}};
  AtomStore store;
  store.use(locale);
  SECTION("copied") {
    CHECK(store.hydrate(given).ok());
    CHECK(given.size() == 2);
  }
  SECTION("moved") {
    Snapshot moved = given;
    CHECK(store.hydrate(std::move(moved)).ok());
  }
  SECTION("shared") {
    const auto pointer = std::make_shared<const Snapshot>(given);
    CHECK(store.hydrate(pointer).ok());
    CHECK(&store.value(locale) == pointer->try_get<std::string>("hydrate.locale"));
  }
  SECTION("owned") {
    CHECK(store.hydrate(std::make_unique<const Snapshot>(given)).ok());
  }
  CHECK(store.use(count).value() == 8);
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("a moved or shared snapshot is not copied, a copied one is copied once") {
  using Held = support::Counted<struct Hydrated>;
  static const Atom<Held> held{"hydrate.held", Held(0)};
  Snapshot snapshot{{"hydrate.held", Held(5)}};
  const auto pointer = std::make_shared<const Snapshot>(snapshot);
  AtomStore store;
  Held::forget();
  SECTION("copied") {
    store.hydrate(snapshot);
    CHECK(Held::counts().copies == 1);
  }
  SECTION("moved") {
    store.hydrate(std::move(snapshot));
    CHECK(Held::counts().copies == 0);
  }
  SECTION("shared") {
    store.hydrate(pointer);
    CHECK(Held::counts().copies == 0);
  }
  CHECK(store.use(held).value().value == 5);
  CHECK(Held::counts().copies <= 1);
}

TEST_CASE("changing the snapshot afterwards does not reach the store") {
  Snapshot snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}};
  AtomStore store;
  store.use(locale);
  store.hydrate(snapshot);
  snapshot.set("hydrate.count", 99).set("hydrate.locale", "xx");
  CHECK(store.use(count).value() == 8);
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("changing an atom does not reach the snapshot that it was hydrated from, nor another store") {
  const auto pointer = std::make_shared<const Snapshot>(Snapshot{{"hydrate.locale", "fr"}});
  AtomStore one;
  AtomStore two;
  one.hydrate(pointer);
  two.hydrate(pointer);
  one.use(locale).mutate([](std::string& text) { text += "!"; });
  CHECK(one.value(locale) == "fr!");
  CHECK(two.use(locale).value() == "fr");
  CHECK(pointer->get<std::string>("hydrate.locale") == "fr");
}

TEST_CASE("a shared snapshot is kept while the store needs it") {
  auto pointer = std::make_shared<const Snapshot>(Snapshot{{"hydrate.locale", std::string(100, 'x')}});
  const std::weak_ptr<const Snapshot> watch = pointer;
  {
    AtomStore store;
    store.hydrate(std::move(pointer));
    CHECK(store.use(locale).value() == std::string(100, 'x'));
    CHECK_FALSE(watch.expired());
    store.destroy();
    CHECK(watch.expired());
  }
}

TEST_CASE("reset after a hydrate gives the default, not the hydrated value") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.count", 8}});
  Atom<int>& clone = store.use(count);
  CHECK(clone.reset());
  CHECK(clone.value() == 3);
  store.hydrate(Snapshot{{"hydrate.count", 9}});
  CHECK(clone.reset());
  CHECK(clone.value() == 3);
}

TEST_CASE("reset of a hydrated atom with a factory builds a fresh value") {
  static const Atom<int> built{"hydrate.built", atom::Factory{[] { return 40; }}};
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.built", 8}});
  CHECK(store.use(built).value() == 8);
  store.use(built).reset();
  CHECK(store.use(built).value() == 40);
}

// ---- Who is told

TEST_CASE("a hydrate is silent by default") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([&] { ++told; });
  store.hydrate(Snapshot{{"hydrate.count", 8}});
  CHECK(told == 0);
  CHECK(store.value(count) == 8);
}

TEST_CASE("a hydrate that notifies sets everything before it tells anyone, with the value before") {
  AtomStore store;
  Keys log;
  store.use(count).on_change([&](const int& now, const int& old) {
    log.push_back(std::to_string(old) + ">" + std::to_string(now) + " " + store.value(locale));
  });
  store.use(locale).on_change([&](const std::string& now, const std::string& old) {
    log.push_back(old + ">" + now + " " + std::to_string(store.value(count)));
  });
  store.hydrate(Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}}, {.notify = true});
  CHECK(log == Keys{"3>8 fr", "en>fr 8"});
}

TEST_CASE("a hydrate that notifies tells nobody about a value that is equal") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([&] { ++told; });
  store.use(locale).on_change([&] { told += 10; });
  store.hydrate(Snapshot{{"hydrate.count", 3}, {"hydrate.locale", "fr"}}, {.notify = true});
  CHECK(told == 10);
}

TEST_CASE("a hydrate that notifies inside a batch tells after the batch") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([&](const int& now, const int& old) {
    ++told;
    CHECK(now == 9);
    CHECK(old == 3);
  });
  store.batch([&] {
    store.use(count).update(5);
    store.hydrate(Snapshot{{"hydrate.count", 9}}, {.notify = true});
    CHECK(told == 0);
  });
  CHECK(told == 1);
}

TEST_CASE("what listeners throw comes out of a hydrate that notifies, when all is set and told") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([] { throw std::runtime_error("no"); });
  store.use(locale).on_change([&] { ++told; });
  CHECK_THROWS_WITH(store.hydrate(Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}}, {.notify = true}), "no");
  CHECK(told == 1);
  CHECK(store.value(count) == 8);
}

TEST_CASE("a hydrate inside a listener leaves the values that it was shown alone") {
  AtomStore store;
  const std::string next(100, 'x');
  store.use(locale).on_change([&](const std::string& now, const std::string& old) {
    for (int i = 0; i < 40; ++i) store.hydrate(Snapshot{{"hydrate.locale", std::to_string(i)}});
    CHECK(now == next);
    CHECK(old == "en");
    CHECK(store.value(locale) == "39");
  });
  store.use(locale).update(next);
  CHECK(store.value(locale) == "39");
}

// ---- What fits

template <class T>
HydrateReport hydrate_one(AtomStore& store, const Atom<T>& atom, Value value) {
  Snapshot snapshot;
  snapshot.set(atom.key(), std::move(value));
  return store.hydrate(snapshot);
}

TEST_CASE("an integer that fits converts, live and queued") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) {
    store.use(byte);
    store.use(wide);
    store.use(natural);
    store.use(count);
  }
  CHECK(hydrate_one(store, byte, 255).ok());
  CHECK(hydrate_one(store, wide, 5).ok());
  CHECK(hydrate_one(store, natural, std::int64_t{4'000'000'000}).ok());
  CHECK(hydrate_one(store, count, 7u).ok());
  CHECK(store.use(byte).value() == 255);
  CHECK(store.use(wide).value() == 5);
  CHECK(store.use(natural).value() == 4'000'000'000u);
  CHECK(store.use(count).value() == 7);
}

TEST_CASE("a text literal converts to a string, live and queued") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) store.use(locale);
  CHECK(hydrate_one(store, locale, "fr").ok());
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("nothing else converts: the atom keeps its value, and the report names key, expected and found type") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  const auto rejects = [&](const auto& atom, Value value, const std::string& expected, const std::string& found) {
    if (live) store.use(atom);
    const HydrateReport report = hydrate_one(store, atom, std::move(value));
    REQUIRE(report.rejected.size() == 1);
    CHECK(report.applied.empty());
    CHECK(report.queued.empty());
    CHECK(report.rejected[0].key == atom.key());
    CHECK(report.rejected[0].cause == Rejection::Cause::type);
    CHECK(report.rejected[0].reason == "expected " + expected + ", found " + found);
    CHECK(store.use(atom).value() == atom.default_value());
  };
  rejects(count, true, "int", "bool");
  rejects(count, 1.5, "int", "double");
  rejects(count, 1.0, "int", "double");
  rejects(count, 'a', "int", "char");
  rejects(count, "1", "int", "std::string");
  rejects(count, std::int64_t{3'000'000'000}, "int", std::string(Value(std::int64_t{}).type_name()));
  rejects(count, Value(), "int", "nothing");
  rejects(byte, 256, "unsigned char", "int");
  rejects(byte, -1, "unsigned char", "int");
  rejects(natural, -1, "unsigned int", "int");
  rejects(flag, 1, "bool", "int");
  rejects(flag, "true", "bool", "std::string");
  rejects(letter, 65, "char", "int");
  rejects(letter, "b", "char", "std::string");
  rejects(ratio, 1, "double", "int");
  rejects(ratio, 1.5F, "double", "float");
  rejects(locale, 5, "std::string", "int");
  rejects(locale, 'x', "std::string", "char");
  CHECK(store.rejected().empty());
}

TEST_CASE("one value that is rejected does not keep the others away") {
  AtomStore store;
  store.use(locale);
  const HydrateReport report =
      store.hydrate(Snapshot{{"hydrate.count", "x"}, {"hydrate.locale", "fr"}, {"hydrate.byte", 9}});
  CHECK(report.rejected.size() == 1);
  CHECK(store.value(locale) == "fr");
  CHECK(store.use(byte).value() == 9);
  CHECK(store.use(count).value() == 3);
}

TEST_CASE("an atom inside its own mutate is not hydrated, and the report says so") {
  AtomStore store;
  Atom<int>& clone = store.use(count);
  HydrateReport report;
  clone.mutate([&](int& n) {
    n = 5;
    report = store.hydrate(Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}});
  });
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].key == "hydrate.count");
  CHECK(report.rejected[0].cause == Rejection::Cause::busy);
  CHECK(clone.value() == 5);
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("the value that an updater is given stays, however often other atoms are hydrated in it") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.locale", std::string(100, 'x')}});
  Atom<std::string>& clone = store.use(locale);
  clone.update([&](const std::string& now) {
    for (int i = 0; i < 40; ++i) store.hydrate(Snapshot{{"hydrate.count", i}});
    return now + "!";
  });
  CHECK(clone.value() == std::string(100, 'x') + "!");
}

TEST_CASE("a reference to a value is valid until that atom's next write, however often others are hydrated") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.locale", std::string(100, 'x')}});
  const bool used = GENERATE(true, false);
  const std::string& text = used ? store.use(locale).value() : store.value(locale);
  for (int i = 0; i < 40; ++i) store.hydrate(Snapshot{{"hydrate.count", i}});
  CHECK(text == std::string(100, 'x'));
}

// ---- Keys that no template has yet

TEST_CASE("a key that no template has is queued for one that comes later, and reported as unknown") {
  AtomStore store;
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.later", 8}});
  CHECK(report.unknown == Keys{"hydrate.later"});
  CHECK(report.queued.empty());
  CHECK(report.rejected.empty());
  CHECK_FALSE(report.ok());
  const Atom<int> later{"hydrate.later", 1};
  CHECK(store.value(later) == 8);
  CHECK(store.use(later).value() == 8);
  CHECK(store.rejected().empty());
}

TEST_CASE("a queued value of an unknown key converts at the first use as it would have at once") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.later_byte", 200}, {"hydrate.later_text", "literal"}});
  const Atom<std::uint8_t> later_byte{"hydrate.later_byte", std::uint8_t{1}};
  const Atom<std::string> later_text{"hydrate.later_text", "none"};
  CHECK(store.use(later_byte).value() == 200);
  CHECK(store.use(later_text).value() == "literal");
}

TEST_CASE("a queued value of an unknown key that turns out wrong gives the default, and is added to rejected()") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.late", "text"}, {"hydrate.fine", 5}});
  CHECK(store.rejected().empty());
  const Atom<int> late{"hydrate.late", 1};
  const Atom<int> fine{"hydrate.fine", 1};
  CHECK(store.use(late).value() == 1);
  CHECK(store.use(fine).value() == 5);
  REQUIRE(store.rejected().size() == 1);
  CHECK(store.rejected()[0].key == "hydrate.late");
  CHECK(store.rejected()[0].cause == Rejection::Cause::type);
  CHECK(store.rejected()[0].reason == "expected int, found std::string");
  store.drop(late);
  CHECK(store.use(late).value() == 1);
  CHECK(store.rejected().size() == 1);
  store.destroy();
  CHECK(store.rejected().empty());
}

TEST_CASE("where the newest of several queued values turns out wrong, the one before counts") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.late_pair", 4}});
  store.hydrate(Snapshot{{"hydrate.late_pair", 1.5}});
  const Atom<int> late{"hydrate.late_pair", 1};
  const bool looked_at = GENERATE(false, true);
  if (looked_at) {
    CHECK(store.value(late) == 4);
  }
  CHECK(store.use(late).value() == 4);
  CHECK(store.rejected().size() == 1);
}

// ---- Values from a client

TEST_CASE("a value from a client changes an atom that is client-writable, and no other") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) {
    store.use(nickname);
    store.use(locale);
  }
  const HydrateReport report =
      store.hydrate(Snapshot{{"hydrate.nickname", "Al"}, {"hydrate.locale", "fr"}}, from_client);
  CHECK(texts(live ? report.applied : report.queued) == Keys{"hydrate.nickname"});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].key == "hydrate.locale");
  CHECK(report.rejected[0].cause == Rejection::Cause::not_writable);
  CHECK(store.use(nickname).value() == "Al");
  CHECK(store.use(locale).value() == "en");
}

TEST_CASE("no atom is client-writable unless it says so") {
  CHECK_FALSE(count.is_client_writable());
  CHECK_FALSE(secret.is_client_writable());
  CHECK(open.is_client_writable());
}

TEST_CASE("a value from a client passes before_update, which is shown the value that it replaces") {
  AtomStore store;
  SECTION("live") {
    store.use(open).silent_update(10);  // 10 + 7
    CHECK(store.hydrate(Snapshot{{"hydrate.open", 5}}, from_client).ok());
    CHECK(store.use(open).value() == 22);
  }
  SECTION("queued") {
    CHECK(store.hydrate(Snapshot{{"hydrate.open", 5}}, from_client).ok());
    CHECK(store.use(open).value() == 12);
  }
  SECTION("from the server it does not") {
    CHECK(store.hydrate(Snapshot{{"hydrate.open", 5}}).ok());
    CHECK(store.use(open).value() == 5);
  }
}

TEST_CASE("a queued value of an unknown key keeps its origin until an atom asks for it") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.new_open", 5}, {"hydrate.new_closed", 5}, {"hydrate.new_strict", 5}}, from_client);
  store.hydrate(Snapshot{{"hydrate.count", 1}});
  const Atom<int> new_open{
      "hydrate.new_open", 7, {.before_update = [](int&& n, const int& c) { return n + c; }, .client_writable = true}};
  const Atom<int> new_closed{"hydrate.new_closed", 7};
  const Atom<int> new_strict{
      "hydrate.new_strict",
      7,
      {.before_update = [](int&&, const int&) -> int { throw std::runtime_error("never"); }, .client_writable = true}};
  CHECK(store.use(new_open).value() == 12);
  CHECK(store.use(new_closed).value() == 7);
  CHECK(store.use(new_strict).value() == 7);
  REQUIRE(store.rejected().size() == 2);
  CHECK(store.rejected()[0].key == "hydrate.new_closed");
  CHECK(store.rejected()[0].cause == Rejection::Cause::not_writable);
  CHECK(store.rejected()[1].key == "hydrate.new_strict");
  CHECK(store.rejected()[1].cause == Rejection::Cause::refused);
  CHECK_THAT(store.rejected()[1].reason, support::ContainsSubstring("never"));
}

TEST_CASE("before_update runs once for a queued value, however often it is looked at") {
  AtomStore store;
  int runs = 0;
  store.hydrate(Snapshot{{"hydrate.once", 5}}, from_client);
  const Atom<int> once{
      "hydrate.once", 7, {.before_update = [&](int&& n, const int&) { return ++runs, n; }, .client_writable = true}};
  CHECK(store.value(once) == 5);
  CHECK(store.value(once) == 5);
  CHECK(store.use(once).value() == 5);
  CHECK(runs == 1);
}

TEST_CASE("a value that before_update refuses is rejected with its reason, and the atom keeps what it had") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) store.use(open).silent_update(1);  // 1 + 7
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.open", 101}}, from_client);
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == Rejection::Cause::refused);
  CHECK(report.rejected[0].reason == "before_update refused it: too much");
  CHECK(store.use(open).value() == (live ? 8 : 7));
}

TEST_CASE("what before_update throws need not be a std::exception") {
  static const Atom<int> odd{
      "hydrate.odd", 7, {.before_update = [](int&&, const int&) -> int { throw 5; }, .client_writable = true}};
  AtomStore store;
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.odd", 1}}, from_client);
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == Rejection::Cause::refused);
  CHECK(store.use(odd).value() == 7);
}

TEST_CASE("a value from a client converts before it passes before_update") {
  AtomStore store;
  CHECK(store.hydrate(Snapshot{{"hydrate.open", std::int64_t{5}}}, from_client).ok());
  CHECK(store.use(open).value() == 12);
  CHECK(store.hydrate(Snapshot{{"hydrate.open", true}}, from_client).rejected.at(0).cause == Rejection::Cause::type);
}

TEST_CASE("a snapshot that a store made is trusted, and says so") {
  AtomStore source;
  source.use(locale).update("fr");
  const Snapshot snapshot = source.snapshot();
  CHECK(snapshot.trust() == Trust::server);
  AtomStore store;
  CHECK(store.hydrate(snapshot).ok());
  CHECK(store.use(locale).value() == "fr");
}

TEST_CASE("the options say whose values these are, whatever the snapshot says of itself") {
  AtomStore first;
  first.hydrate(Snapshot{{"hydrate.from_client", 5}}, from_client);
  const Snapshot passed_on = first.snapshot({.queued = true});
  CHECK(passed_on.trust() == Trust::client);
  Snapshot merged{{"hydrate.locale", "fr"}};
  merged.merge(passed_on);
  CHECK(merged.trust() == Trust::client);
  AtomStore store;
  CHECK(store.hydrate(merged).rejected.size() == 1);
  CHECK(store.value(locale) == "en");
  CHECK(store.hydrate(merged, {.trust = Trust::server}).rejected.empty());
  CHECK(store.value(locale) == "fr");
}

// ---- Round trips

TEST_CASE("hydrating a store with its own snapshot changes nothing, also where before_update is not idempotent") {
  AtomStore store;
  int told = 0;
  store.use(doubled).update(5);
  store.use(locale).update("fr");
  store.use(count);
  store.use(doubled).on_change([&] { ++told; });
  store.use(locale).on_change([&] { ++told; });
  const Snapshot before = store.snapshot();
  const bool notify = GENERATE(false, true);
  CHECK(store.hydrate(store.snapshot(), {.notify = notify}).ok());
  CHECK(store.value(doubled) == 10);
  CHECK(store.snapshot() == before);
  CHECK(told == 0);
}

TEST_CASE("a store that is hydrated with another's snapshot has the same values") {
  AtomStore source;
  source.use(doubled).update(5);
  source.use(secret).update("still hidden");
  source.use(constant);
  AtomStore store;
  CHECK(store.hydrate(source.snapshot()).ok());
  CHECK(store.use(doubled).value() == 10);
  CHECK(store.use(secret).value() == "still hidden");
  store.use(constant);
  CHECK(store.snapshot() == source.snapshot());
}

// ---- Types that would be shared

TEST_CASE("values that cannot be copied, or would be shared, are left out of a snapshot") {
  AtomStore store;
  store.use(unique);
  store.use(shared);
  store.use(constant);
  store.use(count);
  CHECK(keys(store.snapshot()) == Keys{"hydrate.constant", "hydrate.count"});
}

TEST_CASE("values that would be shared are rejected, live and queued") {
  AtomStore store;
  const bool live = GENERATE(false, true);
  if (live) store.use(shared);
  const auto pointer = std::make_shared<int>(5);
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.shared", pointer}});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == Rejection::Cause::shared);
  CHECK(*store.use(shared).value() == 1);
  CHECK(store.use(shared).value() != pointer);
  CHECK(store.hydrate(Snapshot{{"hydrate.unique", 5}}).rejected.at(0).cause == Rejection::Cause::shared);
}

TEST_CASE("a value that would be shared is rejected also where its template came after the hydrate") {
  const auto pointer = std::make_shared<int>(5);
  const Snapshot snapshot{{"hydrate.late_shared", pointer}};
  AtomStore one;
  AtomStore two;
  one.hydrate(snapshot);
  two.hydrate(snapshot);
  const Atom<std::shared_ptr<int>> late{"hydrate.late_shared", atom::Factory{[] { return std::make_shared<int>(1); }}};
  CHECK(one.use(late).value() != two.use(late).value());
  *one.use(late).value() = 9;
  CHECK(*two.use(late).value() == 1);
  REQUIRE(one.rejected().size() == 1);
  CHECK(one.rejected()[0].cause == Rejection::Cause::shared);
}

// ---- Snapshots of what waits

TEST_CASE("queued values are part of a snapshot only on request, after the used ones") {
  AtomStore store;
  store.use(count);
  store.hydrate(Snapshot{{"hydrate.locale", "fr"}, {"hydrate.stranger", 1}});
  CHECK(keys(store.snapshot()) == Keys{"hydrate.count"});
  const Snapshot all = store.snapshot({.queued = true});
  CHECK(keys(all) == Keys{"hydrate.count", "hydrate.locale", "hydrate.stranger"});
  CHECK(all.get(locale) == "fr");
  CHECK(all.get<int>("hydrate.stranger") == 1);
  CHECK(all.trust() == Trust::server);
}

TEST_CASE("a snapshot of what waits shows each key once, with the value that counts, and nothing that was dropped") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.locale", "fr"}, {"hydrate.count", 8}, {"hydrate.secret", "x"}});
  store.hydrate(Snapshot{{"hydrate.locale", "de"}});
  store.use(count).update(9);
  store.drop(count);
  const Snapshot all = store.snapshot({.queued = true});
  CHECK(all.size() == 2);
  CHECK(all.get(locale) == "de");
  CHECK_FALSE(all.contains("hydrate.count"));
}

TEST_CASE("a server-only value keeps its mark in a snapshot, used or queued") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.secret", "x"}, {"hydrate.locale", "fr"}});
  const bool used = GENERATE(false, true);
  if (used) {
    store.use(secret);
    store.use(locale);
  }
  const Snapshot all = store.snapshot({.queued = true});
  const Snapshot copy = all;
  REQUIRE(copy.size() == 2);
  for (const auto& entry : copy) CHECK(entry.server_only() == (entry.key == "hydrate.secret"));
}

// ---- A store that lives long

TEST_CASE("queued, live, dropped and untrusted values survive any number of later hydrates") {
  AtomStore store;
  store.use(count);
  store.hydrate(Snapshot{{"hydrate.count", 8}, {"hydrate.locale", "fr"}, {"hydrate.wide", 77}, {"hydrate.byte", 5}});
  store.hydrate(Snapshot{{"hydrate.survivor", 5}, {"hydrate.outsider", 6}}, from_client);
  store.use(byte);
  store.drop(byte);
  store.use(wide).update(78);
  for (int i = 0; i < 100; ++i) store.hydrate(Snapshot{{"hydrate.natural", i}});
  CHECK(store.value(count) == 8);
  CHECK(store.value(wide) == 78);
  CHECK(store.use(locale).value() == "fr");
  CHECK(store.use(byte).value() == 1);
  CHECK(store.use(natural).value() == 99);
  const Atom<int> survivor{"hydrate.survivor", 1, {.client_writable = true}};
  const Atom<int> outsider{"hydrate.outsider", 1};
  CHECK(store.use(survivor).value() == 5);
  CHECK(store.use(outsider).value() == 1);
  CHECK(store.rejected().size() == 1);
}

TEST_CASE("a store that is hydrated often keeps no more than what counts") {
  using Held = support::Counted<struct Kept>;
  static const Atom<Held> live{"hydrate.kept.live", Held(0)};
  static const Atom<Held> queued{"hydrate.kept.queued", Held(0)};
  const int before = Held::counts().alive;
  AtomStore store;
  store.use(live);
  int most = 0;
  const auto hydrate = [&](int i) {
    store.hydrate(Snapshot{{"hydrate.kept.live", Held(i)}, {"hydrate.kept.queued", Held(i)}});
    most = std::max(most, Held::counts().alive - before);
  };
  SECTION("one by one") {
    for (int i = 1; i <= 1000; ++i) hydrate(i);
  }
  SECTION("each in a batch") {
    for (int i = 1; i <= 1000; ++i) store.batch([&] { hydrate(i); });
  }
  SECTION("each in a listener") {
    store.use(count).on_change([&](const int& now) { hydrate(now); });
    store.use(count).silent_update(0);
    for (int i = 1; i <= 1000; ++i) store.use(count).update(i);
  }
  SECTION("with drops in between") {
    for (int i = 1; i <= 1000; ++i) {
      hydrate(i);
      store.drop(live);
      store.use(live);
      store.hydrate(Snapshot{{"hydrate.kept.live", Held(i)}});
    }
  }
  CHECK(most < 100);
  CHECK(store.use(live).value().value == 1000);
  CHECK(store.use(queued).value().value == 1000);
}

TEST_CASE("10. A before_update that comes back for the value it is asked about is refused, and the default stays") {
  AtomStore store;
  store.hydrate(Snapshot{{"hydrate.circle", 5}}, from_client);
  const Atom<int>* self = nullptr;
  bool by_use = false;
  const Atom<int> circle{
      "hydrate.circle",
      1,
      {.before_update = [&](int&& next,
                            const int&) { return next + (by_use ? store.use(*self).value() : store.value(*self)); },
       .client_writable = true}};
  self = &circle;
  SECTION("by use") {
    by_use = true;
    CHECK(store.use(circle).value() == 1);
    CHECK(store.size() == 1);
  }
  SECTION("by use, where only the value is asked for") {
    by_use = true;
    CHECK(store.value(circle) == 1);
    CHECK(store.empty());
  }
  SECTION("by value") {
    CHECK(store.use(circle).value() == 1);
  }
  SECTION("by value, where only that is asked for") {
    CHECK(store.value(circle) == 1);
  }
  REQUIRE(store.rejected().size() == 1);
  CHECK(store.rejected()[0].cause == Rejection::Cause::refused);
  CHECK(store.use(circle).value() == 1);
  store.use(circle).update(2);  // not by a client, and the atom is there
  CHECK(store.use(circle).value() == 3);
}

TEST_CASE("10. A before_update that a client's value is shown to can neither drop nor write the atom") {
  AtomStore store;
  const atom::AtomFamily<int, std::string>* family = nullptr;
  const std::string before = "a text that is too long to lie in the object itself";
  bool drops = false;
  const atom::AtomFamily<int, std::string> lines{"hydrate.judged",
                                                 "",
                                                 {.before_update =
                                                      [&](std::string&& next, const std::string& current) {
                                                        if (next.empty() && drops) store.drop((*family)(1));
                                                        if (next.empty()) store.use((*family)(1)).reset();
                                                        CHECK(current.size() + next.size() > 0);
                                                        return std::move(next);
                                                      },
                                                  .client_writable = true}};
  family = &lines;
  auto& line = store.use(lines(1));
  line.silent_update(before);
  SECTION("drop") {
    drops = true;
  }
  SECTION("write") {}
  const HydrateReport report = store.hydrate(Snapshot{{"hydrate.judged/1", ""}}, from_client);
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == Rejection::Cause::refused);
  CHECK(line.value() == before);
  CHECK(line.update("x"));  // it is free again
  store.drop(line);
  CHECK(store.empty());
}

}  // namespace
}  // namespace hydrate_test

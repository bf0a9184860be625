#include <atom/derived.hpp>
#include <atom/family.hpp>
#include <atom/format.hpp>
#include <atom/json.hpp>
#include <atom/json_reader.hpp>
#include <atom/persist.hpp>
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/colliding.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace family_test {
namespace {

using atom::AtomFamily;
using atom::AtomStore;
using atom::Snapshot;
using atom::Trust;
using support::ContainsSubstring;

struct Line {
  int quantity = 1;
  std::string note = "";
  bool operator==(const Line&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("quantity", &Line::quantity), atom::field("note", &Line::note));
  }
};
enum class Level : std::int8_t { low = -1, high = 1 };
struct Square {
  int row = 0;
  std::string column = "a";
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("row", &Square::row), atom::field("column", &Square::column));
  }
};

const AtomFamily<int, Line> lines{"family.line"};
const AtomFamily<std::string, std::string> documents{"family.doc", "empty"};
const AtomFamily<Level, int> levels{"family.level", 7};
const AtomFamily<Square, int> squares{"family.square"};
const AtomFamily<std::uint64_t, std::string> themes{"family.theme", "light", {.client_writable = true}};
const AtomFamily<int, std::string> secrets{"family.secret", "none", {.server_only = true}};

std::vector<std::string> texts(const atom::HydrateReport::Keys& keys) {
  return {keys.begin(), keys.end()};
}

TEST_CASE("An id has an atom of its own in each store, made when it is first used, with the default of the family") {
  AtomStore store;
  CHECK_FALSE(store.has(lines(42)));
  CHECK(store.get(lines(42)) == nullptr);
  auto& line = store.use(lines(42));
  CHECK(*line == Line());
  CHECK(&store.use(lines(42)) == &line);
  CHECK(store.get(lines(42)) == &line);
  CHECK(store.has(lines(42)));
  CHECK(&store.use(lines(43)) != &line);
  line.change(&Line::quantity, 3);
  CHECK(store.use(lines(42))->quantity == 3);
  CHECK(store.use(lines(43))->quantity == 1);
  CHECK(store.size() == 2);
  AtomStore other;
  CHECK(other.use(lines(42))->quantity == 1);
}

TEST_CASE("The key of an atom of a family is that of the family, a slash, and the id") {
  AtomStore store;
  CHECK(store.use(lines(42)).key() == "family.line/42");
  CHECK(store.use(lines(-7)).key() == "family.line/-7");
  CHECK(store.use(documents("notes")).key() == "family.doc/notes");
  CHECK(store.use(documents("")).key() == "family.doc/");
  CHECK(store.use(levels(Level::low)).key() == "family.level/-1");
  CHECK(store.use(squares({3, "c/d"})).key() == "family.square/{\"row\":3,\"column\":\"c%2Fd\"}");
  CHECK(store.use(themes(18446744073709551615u)).key() == "family.theme/18446744073709551615");
  CHECK(store.get("family.line/42") == store.get(lines(42)));
  CHECK(store.get<Line>("family.line/42") == store.get(lines(42)));
  CHECK(lines.key() == "family.line");
  CHECK(lines(42).key() == "family.line/42");
}

TEST_CASE("Two ids never have the same key, nor have two families, whatever is in them") {
  const AtomFamily<std::string, int> outer{"family.a"};
  const AtomFamily<std::string, int> inner{"family.a/b"};
  CHECK(outer("b/c").key() != inner("c").key());
  CHECK(outer("b/c").key() == "family.a/b%2Fc");
  const AtomFamily<std::string, int> other{"family.a%2Fb"};
  const AtomFamily<std::string, int>* const families[] = {&outer, &inner, &other};
  std::mt19937 random(20261126);
  std::map<std::string, std::pair<std::size_t, std::string>> seen;
  for (int i = 0; i < 20'000; ++i) {
    std::string id;
    for (auto left = random() % 6; left > 0; --left) id += "ab/%25F"[random() % 7];
    const std::size_t which = random() % 3;
    const auto [place, is_new] = seen.try_emplace(std::string((*families[which])(id).key()), which, id);
    INFO(id);
    CHECK(place->second == std::pair(which, id));
  }
}

TEST_CASE("An id is refused that text cannot tell from others") {
  const AtomFamily<std::pair<double, std::string>, int> places{"family.place"};
  CHECK(places({0.5, "\xc3\xa4"}).key() == "family.place/[0.5,\"\xc3\xa4\"]");
  CHECK_THROWS_WITH(places({0.5, "\xff"}), ContainsSubstring("family.place") && ContainsSubstring("not UTF-8"));
  CHECK_THROWS_AS(places({std::nan(""), ""}), atom::Error);
  CHECK_THROWS_AS(places({HUGE_VAL, ""}), atom::Error);
  CHECK(documents("\xff").key() != documents("\xfe").key());  // which is text as it is
}

TEST_CASE("A long id is no shorter in its key") {
  AtomStore store;
  for (std::size_t length = 60; length < 100; ++length) {
    const std::string id(length, 'x');
    CHECK(store.use(documents(id)).key() == "family.doc/" + id);
    const std::string slashes(length, '/');
    CHECK(store.use(documents(slashes)).key().size() == std::string("family.doc/").size() + 3 * length);
  }
}

TEST_CASE("An atom of a family is dropped like any, and starts from the default again") {
  AtomStore store;
  auto& line = store.use(lines(1));
  line.change(&Line::quantity, 9);
  bool told = false;
  line.on_destroy([&](auto& atom) { told = atom.key() == "family.line/1" && atom->quantity == 9; });
  store.drop(lines(1));
  CHECK(told);
  CHECK_FALSE(store.has(lines(1)));
  CHECK(store.use(lines(1))->quantity == 1);
  store.drop(lines(2));  // there is none
  store.drop(store.use(lines(1)));
  CHECK(store.empty());
}

TEST_CASE("An atom of a family that drops itself in its own listener is there until the update is through") {
  AtomStore store;
  auto& line = store.use(lines(1));
  std::string key;
  line.on_change([&](const Line&, const Line&, auto& atom) {
    store.drop(atom);
    key = atom.key();
  });
  line.change(&Line::quantity, 9);
  CHECK(key == "family.line/1");
  CHECK(store.empty());
}

TEST_CASE("The value of an atom of a family is read without making one") {
  AtomStore store;
  CHECK(store.value(documents("a")) == "empty");
  store.hydrate(Snapshot{{"family.doc/a", "hydrated"}});
  CHECK(store.value(documents("a")) == "hydrated");
  CHECK(store.value(documents("b")) == "empty");
  CHECK(store.empty());
  store.use(documents("a")).update("written");
  CHECK(store.value(documents("a")) == "written");
}

TEST_CASE("Options and factories of a family are those of each of its atoms") {
  std::vector<std::string> heard;
  int built = 0;
  const AtomFamily<int, int> even{"family.even",
                                  0,
                                  {.before_update = [](int&& next, const int&) { return next / 2 * 2; },
                                   .on_update =
                                       [&](const int& now, const int&, atom::Atom<int>& atom) {
                                         heard.push_back(std::string(atom.key()) + "=" + std::to_string(now));
                                       }}};
  const AtomFamily<int, std::unique_ptr<int>> pointers{"family.pointer",
                                                       atom::Factory{[&] { return std::make_unique<int>(++built); }}};
  AtomStore store;
  store.use(even(1)).update(5);
  store.use(even(2)).update(8);
  CHECK(heard == std::vector<std::string>{"family.even/1=4", "family.even/2=8"});
  CHECK(**store.use(pointers(1)) == 1);
  CHECK(**store.use(pointers(2)) == 2);
  CHECK_THROWS_AS(store.value(pointers(3)), atom::Error);
  CHECK(store.use(secrets(1)).is_server_only());
  CHECK(store.use(themes(1u)).is_client_writable());
}

TEST_CASE("What a client sends to an atom of a family passes before_update") {
  const AtomFamily<int, int> even{"family.even_open",
                                  0,
                                  {.before_update =
                                       [](int&& next, const int&) {
                                         if (next < 0) throw std::runtime_error("negative");
                                         return next / 2 * 2;
                                       },
                                   .client_writable = true}};
  AtomStore store;
  const bool is_live = GENERATE(false, true);
  if (is_live) store.use(even(1)).update(2);
  const auto hydrate = [&](int value) {
    return store.hydrate(Snapshot{{"family.even_open/1", value}}, {.trust = atom::Trust::client});
  };
  CHECK(hydrate(5).ok());
  CHECK(store.value(even(1)) == 4);
  const auto refused = hydrate(-1);
  CHECK(store.value(even(1)) == 4);
  if (is_live) CHECK(refused.rejected.at(0).reason == "before_update refused it: negative");
}

TEST_CASE("A key of a report is its own, also where it is copied") {
  std::vector<atom::ReportedKey> kept;
  {
    AtomStore store;
    store.use(documents("a/b"));
    const auto report = store.hydrate(Snapshot{{"family.doc/a%2Fb", "text"}, {"family.line/7", Line{}}});
    for (const auto& key : report.applied) kept.push_back(key);
    for (const auto& key : report.queued) kept.push_back(key);
  }
  CHECK(kept.at(0) == "family.doc/a%2Fb");
  CHECK(kept.at(1) == "family.line/7");
}

TEST_CASE("A factory of a family that throws leaves no atom behind, and nothing else") {
  bool fails = true;
  const AtomFamily<int, std::string> fragile{"family.fragile with a key that is long", atom::Factory{[&] {
                                               if (fails) throw std::runtime_error("no");
                                               return std::string("built");
                                             }}};
  AtomStore store;
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(store.use(fragile(1)), std::runtime_error);
  CHECK(store.empty());
  fails = false;
  CHECK(*store.use(fragile(1)) == "built");
}

TEST_CASE("A snapshot of atoms of families outlives the store, and goes into another") {
  Snapshot snapshot;
  {
    AtomStore store;
    store.use(lines(42)).update(Line{3, "a note that is long enough to be on the heap"});
    store.use(documents("a/b")).update("text");
    store.use(documents("untouched"));
    snapshot = store.snapshot();
  }
  REQUIRE(snapshot.size() == 3);
  CHECK(snapshot.get<Line>("family.line/42").quantity == 3);
  CHECK(snapshot.get<std::string>("family.doc/untouched") == "empty");
  AtomStore store;
  auto& before = store.use(documents("a/b"));
  const atom::HydrateReport report = store.hydrate(snapshot);
  CHECK(texts(report.applied) == std::vector<std::string>{"family.doc/a%2Fb"});
  CHECK(texts(report.queued) == std::vector<std::string>{"family.line/42", "family.doc/untouched"});
  CHECK(report.unknown.empty());
  CHECK(*before == "text");
  CHECK(store.use(lines(42))->quantity == 3);
  store.drop(lines(42));
  CHECK(store.use(lines(42))->quantity == 1);
  CHECK(store.snapshot({.queued = true}).size() == 3);
}

TEST_CASE("A report of hydration outlives the atoms of families that it names") {
  AtomStore store;
  store.use(documents("a/b"));
  const atom::HydrateReport report = store.hydrate(Snapshot{{"family.doc/a%2Fb", "text"}});
  const atom::HydrateReport copy = report;
  store.destroy();
  CHECK(texts(report.applied) == std::vector<std::string>{"family.doc/a%2Fb"});
  CHECK(texts(copy.applied) == std::vector<std::string>{"family.doc/a%2Fb"});
}

TEST_CASE("A key of no family is unknown to hydrate, also where it begins as that of an atom does") {
  AtomStore store;
  const atom::Atom<int> plain{"family.plain"};
  const auto report =
      store.hydrate(Snapshot{{"family.nobody/1", 1}, {"family.doc.a", "x"}, {"/", "y"}, {"family.plain/1", 1}});
  CHECK(report.unknown == std::vector<std::string>{"family.nobody/1", "family.doc.a", "/", "family.plain/1"});
}

TEST_CASE("What a client sends changes atoms of client-writable families only, and each key is named") {
  AtomStore store;
  store.use(themes(1u));
  store.use(lines(1));
  const auto sent = atom::snapshot_from_json(
      R"({"family.theme/1": "dark", "family.theme/2": "dim", "family.theme/3": 5, "family.line/1": {"quantity": 99},
          "family.line/2": {"quantity": 99}, "family.secret/1": "mine"})");
  REQUIRE(sent);
  const auto report = store.hydrate(*sent);
  CHECK(texts(report.applied) == std::vector<std::string>{"family.theme/1"});
  CHECK(texts(report.queued) == std::vector<std::string>{"family.theme/2"});
  std::vector<std::string> rejected;
  for (const auto& rejection : report.rejected) rejected.push_back(rejection.key);
  CHECK(rejected == std::vector<std::string>{"family.theme/3", "family.line/1", "family.line/2", "family.secret/1"});
  CHECK(*store.use(themes(1u)) == "dark");
  CHECK(*store.use(themes(2u)) == "dim");
  CHECK(*store.use(themes(3u)) == "light");
  CHECK(store.use(lines(2))->quantity == 1);
  CHECK(*store.use(secrets(1)) == "none");
}

TEST_CASE("Atoms of a server-only family never reach a client's text, also as values set by their key") {
  AtomStore store;
  store.use(secrets(1)).update("s3cret");
  store.use(lines(1));
  CHECK(atom::to_json(store.snapshot()) == R"({"family.line/1":{"quantity":1,"note":""}})");
  Snapshot by_key;
  by_key.set("family.secret/9", std::string("s3cret"));
  CHECK(atom::to_json(by_key) == "{}");
}

TEST_CASE("An atom and a family's atom of the same key are a conflict, whichever comes first") {
  static const atom::Atom<int> plain{"family.level/1", 3};
  AtomStore store;
  store.use(plain);
  CHECK_THROWS_AS(store.use(levels(Level::high)), atom::KeyConflict);
  CHECK(store.get(levels(Level::high)) == nullptr);
  AtomStore other;
  other.use(levels(Level::high));
  CHECK_THROWS_AS(other.use(plain), atom::KeyConflict);
  CHECK(other.get(plain) == nullptr);
  CHECK_FALSE(other.has(plain));
}

TEST_CASE("Two families of one key are a conflict, and so are a family and an atom") {
  const AtomFamily<int, int> second{"family.line"};
  const atom::Atom<int> atom_of_that_key{"family.doc"};
  AtomStore store;
  CHECK_THROWS_AS(store.use(second(1)), atom::KeyConflict);
  CHECK_THROWS_AS(store.use(atom_of_that_key), atom::KeyConflict);
  CHECK(store.empty());
}

TEST_CASE("A derived atom reads atoms of families, those that it makes too") {
  static const atom::Derived<int> total{"family.total", [](auto& get) {
                                          int sum = 0;
                                          for (int id = 1; id <= 3; ++id) sum += get(lines(id)).quantity;
                                          return sum;
                                        }};
  AtomStore store;
  auto& sum = store.use(total);
  CHECK(*sum == 3);
  store.use(lines(2)).change(&Line::quantity, 10);
  CHECK(*sum == 12);
  store.drop(lines(2));
  CHECK(*sum == 3);
}

TEST_CASE("A transaction puts back atoms of families") {
  AtomStore store;
  store.use(lines(1)).change(&Line::quantity, 2);
  CHECK_THROWS_AS(store.transaction([&] {
    store.use(lines(1)).change(&Line::quantity, 5);
    store.use(lines(2)).change(&Line::quantity, 5);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(store.use(lines(1))->quantity == 2);
  CHECK(store.use(lines(2))->quantity == 1);
}

TEST_CASE("Atoms of a family persist, each under its own key") {
  struct Shelf {
    std::map<std::string, std::string, std::less<>> kept;
    std::optional<std::string> get(std::string_view key) {
      const auto place = kept.find(key);
      return place == kept.end() ? std::nullopt : std::optional(place->second);
    }
    void set(std::string_view key, std::string_view text) { kept[std::string(key)] = text; }
    void remove(std::string_view key) { kept.erase(std::string(key)); }
  };
  const AtomFamily<int, int> volumes{"family.volume", 5, {.client_writable = true, .persist = true}};
  Shelf shelf{{{"family.volume/2", "8"}, {"family.volume/3", "\"loud\""}}};
  AtomStore store;
  const auto& failures = store.persist_with(shelf);
  store.use(volumes(1)).update(6);
  CHECK(shelf.kept.at("family.volume/1") == "6");
  CHECK(*store.use(volumes(2)) == 8);
  CHECK(*store.use(volumes(3)) == 5);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].key == "family.volume/3");
}

TEST_CASE("Looking inside a store shows atoms of families under their keys, which are copied") {
  std::vector<atom::CloneInfo> infos;
  {
    AtomStore store;
    store.use(lines(42));
    CHECK(fmt::format("{}", store) == R"({family.line/42: {"quantity":1,"note":""}})");
    infos = store.inspect();
  }
  REQUIRE(infos.size() == 1);
  CHECK(infos[0].key == "family.line/42");
}

TEST_CASE("The registry knows a family, and none of its atoms") {
  const std::size_t before = atom::registered().size();
  AtomStore store;
  for (int id = 0; id < 100; ++id) store.use(lines(id));
  CHECK(atom::registered().size() == before);
  CHECK(atom::find("family.line/1") == nullptr);
}

TEST_CASE("Nothing grows with ids that come and go, in one store or in many") {
  AtomStore store;
  const auto round = [&](int from) {
    for (int id = from; id < from + 100; ++id) {
      auto& document = store.use(documents("document number " + std::to_string(id)));
      document.update("some text that is too long to be inside of a std::string");
      document.on_change([text = std::string(30, 'x')] {});
      store.drop(document);
      AtomStore request;
      request.hydrate(Snapshot{{"family.doc/a key that is long " + std::to_string(id), "x"}});
      request.use(documents("a key that is long " + std::to_string(id)));
    }
  };
  round(0);
  const long alive = support::Allocations::alive();
  for (int i = 1; i < 100; ++i) round(100 * i);
  CHECK(support::Allocations::alive() == alive);
}

TEST_CASE("An atom of a family with a short key allocates nothing, and to use it again never does") {
  AtomStore store;
  const AtomFamily<int, int> small{"family.s"};
  store.use(documents("a long id, so that its key is on the heap"));
  const support::Allocations allocations;
  for (int i = 0; i < 2; ++i) store.use(small(i)).update(i);
  const bool are_there = *store.use(small(0)) == 0 && *store.use(small(1)) == 1;
  store.use(documents("a long id, so that its key is on the heap"));
  const std::size_t count = allocations.count();
  CHECK(count == 0);
  CHECK(are_there);
}

TEST_CASE("Stores on many threads have atoms of one family, each its own") {
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back([number] {
      for (int round = 0; round < 200; ++round) {
        AtomStore store;
        for (int id = 0; id < 10; ++id) store.use(lines(id)).change(&Line::quantity, number + 2);
        for (int id = 0; id < 10; ++id) {
          if (store.use(lines(id))->quantity != number + 2) throw std::logic_error("another store's");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// ---- Ids of a stranger's

const AtomFamily<std::string, int> by_strangers{"family/"};  // eight bytes, with the slash behind it
const atom::Atom<int> colour{"family.colour", 1};

TEST_CASE("ids that were chosen for the one hash of their keys lead each to its own atom") {
  const std::vector<std::string> ids = support::colliding(3000, "family//");
  AtomStore store;
  auto& other = store.use(colour);
  for (int i = 0; const std::string& id : ids) store.use(by_strangers(id)).update(++i);
  int wrong = store.size() != ids.size() + 1;
  for (int i = 0; const std::string& id : ids) {
    wrong += store.use(by_strangers(id)).value() != ++i;
    wrong += store.get<int>("family//" + id) != store.get(by_strangers(id));
  }
  CHECK(wrong == 0);
  CHECK(&store.use(colour) == &other);
  CHECK(store.get(colour) == &other);
  CHECK(store.snapshot().size() == ids.size() + 1);
  for (std::size_t i = 0; i < ids.size(); i += 2) store.drop(by_strangers(ids[i]));
  for (std::size_t i = 0; i < ids.size(); ++i) wrong += store.has(by_strangers(ids[i])) != (i % 2 == 1);
  CHECK(wrong == 0);
  store.destroy();
  const auto& again = store.use(colour);
  CHECK(store.get(colour) == &again);
}

}  // namespace
}  // namespace family_test

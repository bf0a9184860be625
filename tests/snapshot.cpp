#include <atom/snapshot.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/colliding.hpp"

#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace snapshot_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::Snapshot;
using atom::Value;

const Atom<int> count{"snapshot.count", 3};
const Atom<std::string> locale{"snapshot.locale", "en"};
const Atom<std::string> secret{"snapshot.secret", "hidden", {.server_only = true}};

struct NoEqual {
  int number = 0;
};

using Keys = std::vector<std::string>;
Keys keys(const Snapshot& snapshot) {
  Keys all;
  for (const auto& entry : snapshot) all.emplace_back(entry.key);
  return all;
}
Snapshot numbered(int size) {
  Snapshot snapshot;
  for (int i = 0; i < size; ++i) snapshot.set("n." + std::to_string(i), i);
  return snapshot;
}
int wrong_in(const Snapshot& snapshot, int size) {
  int wrong = snapshot.size() != static_cast<std::size_t>(size);
  for (int i = 0; i < size; ++i) {
    const Value* const value = snapshot.find("n." + std::to_string(i));
    wrong += !value || !(*value == Value(i));
  }
  wrong += snapshot.contains("n." + std::to_string(size));
  wrong += snapshot.contains("n.");
  return wrong;
}

TEST_CASE("an empty snapshot holds nothing") {
  const Snapshot snapshot;
  CHECK(snapshot.empty());
  CHECK(snapshot.size() == 0);
  CHECK(snapshot.begin() == snapshot.end());
  CHECK(snapshot.find("x") == nullptr);
  CHECK(snapshot.find("") == nullptr);
  CHECK_FALSE(snapshot.contains("x"));
}

TEST_CASE("a snapshot is written as a list of keys and values, where the last value of a key wins") {
  const Snapshot one{{"locale", "fr"}};
  CHECK(one.get<std::string>("locale") == "fr");
  const Snapshot two{{"locale", "fr"}, {"theme", "dark"}, {"locale", "de"}};
  CHECK(keys(two) == Keys{"locale", "theme"});
  CHECK(two.get<std::string>("locale") == "de");
}

TEST_CASE("a snapshot keeps the order in which keys came, and a key its place") {
  Snapshot snapshot;
  snapshot.set("b", 1).set("a", 2).set("c", 3);
  snapshot.set("a", 9);
  CHECK(keys(snapshot) == Keys{"b", "a", "c"});
  CHECK(snapshot.get<int>("a") == 9);
}

TEST_CASE("an entry opens into key and value") {
  const Snapshot snapshot{{"a", 1}, {"b", 2}};
  int sum = 0;
  std::string all;
  for (const auto& [key, value] : snapshot) {
    all += key;
    sum += value.get<int>();
  }
  CHECK(all == "ab");
  CHECK(sum == 3);
}

TEST_CASE("a snapshot owns its keys") {
  std::string key = "a key that is long enough to lie on the heap";
  Snapshot snapshot;
  snapshot.set(key, 1);
  const Snapshot copy = snapshot;
  const std::string same = key;
  key.assign(key.size(), '-');
  CHECK(snapshot.contains(same));
  snapshot = Snapshot();
  CHECK(copy.contains(same));
  CHECK(keys(copy) == Keys{same});
}

TEST_CASE("any text is a key") {
  Snapshot snapshot;
  const Keys odd{"",          " ",   std::string("\0", 1), std::string("\0\0", 2),
                 "__proto__", "a.b", "\xC3\xA9",           std::string(1000, 'k')};
  for (std::size_t i = 0; i < odd.size(); ++i) snapshot.set(odd[i], i);
  CHECK(snapshot.size() == odd.size());
  for (std::size_t i = 0; i < odd.size(); ++i) CHECK(snapshot.get<std::size_t>(odd[i]) == i);
}

TEST_CASE("every key is found, in small snapshots and in large ones") {
  for (const int size : {1, 6, 7, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 500}) {
    Snapshot snapshot = numbered(size);
    CHECK(wrong_in(snapshot, size) == 0);
    const Snapshot copy = snapshot;
    CHECK(wrong_in(copy, size) == 0);
    Snapshot moved = std::move(snapshot);
    CHECK(wrong_in(moved, size) == 0);
    CHECK(snapshot.empty());
    CHECK(snapshot.find("n.0") == nullptr);
    snapshot.set("n.0", 0);
    CHECK(wrong_in(snapshot, 1) == 0);
    Snapshot grown = copy;
    for (int i = size; i < size + 40; ++i) grown.set("n." + std::to_string(i), i);
    CHECK(wrong_in(grown, size + 40) == 0);
  }
}

TEST_CASE("keys that a stranger chose for their one hash are found, and without each being compared with each") {
  const std::vector<std::string> crafted = support::colliding(30'000);
  Snapshot snapshot;
  for (int i = 0; const std::string& key : crafted) {
    snapshot.set(key, i);
    ++i;
    snapshot.set("n." + std::to_string(i), i);
  }
  snapshot.set(crafted[20'000], -1);
  const auto wrong = [&](const Snapshot& some) {
    int misses = some.size() != 2 * crafted.size();
    for (int i = 0; const std::string& key : crafted) {
      misses += some.get<int>(key) != (i == 20'000 ? -1 : i);
      ++i;
      misses += some.get<int>("n." + std::to_string(i)) != i;
      misses += some.contains("m." + std::to_string(i));
    }
    return misses + some.contains(support::colliding(crafted.size() + 1).back());
  };
  CHECK(wrong(snapshot) == 0);
  const Snapshot copy = snapshot;
  Snapshot moved = std::move(snapshot);
  CHECK(wrong(copy) == 0);
  CHECK(wrong(moved) == 0);
  snapshot = std::move(moved);
  CHECK(wrong(snapshot) == 0);
  CHECK(moved.find(crafted[20'000]) == nullptr);
}

TEST_CASE("a value in a large snapshot is set in its place") {
  Snapshot snapshot = numbered(100);
  for (int i = 0; i < 100; ++i) snapshot.set("n." + std::to_string(i), i + 1);
  CHECK(snapshot.size() == 100);
  CHECK(snapshot.get<int>("n.0") == 1);
  CHECK(snapshot.get<int>("n.99") == 100);
}

TEST_CASE("a snapshot is assigned by copy and by move, whatever the sizes") {
  for (const int from : {0, 5, 40}) {
    for (const int to : {0, 5, 40}) {
      Snapshot target = numbered(to);
      Snapshot source = numbered(from);
      target = source;
      CHECK(wrong_in(target, from) == 0);
      CHECK(wrong_in(source, from) == 0);
      target = numbered(to);
      target = std::move(source);
      CHECK(wrong_in(target, from) == 0);
      CHECK(source.empty());
    }
  }
}

TEST_CASE("a snapshot survives being assigned to itself, and being merged with itself") {
  for (const int size : {0, 5, 40}) {
    Snapshot snapshot = numbered(size);
    Snapshot& alias = snapshot;
    snapshot = alias;
    CHECK(wrong_in(snapshot, size) == 0);
    snapshot = std::move(alias);
    CHECK(wrong_in(snapshot, size) == 0);
    snapshot.merge(snapshot);
    CHECK(wrong_in(snapshot, size) == 0);
  }
}

TEST_CASE("a copy of a snapshot is independent of it") {
  Snapshot snapshot{{"a", std::vector<int>{1, 2}}};
  Snapshot copy = snapshot;
  copy.set("a", 5).set("b", 6);
  CHECK(snapshot.get<std::vector<int>>("a") == std::vector<int>{1, 2});
  CHECK(snapshot.size() == 1);
}

TEST_CASE("a value is got by its exact type, and an absent key is an error that names it") {
  const Snapshot snapshot{{"a", 1}};
  CHECK(snapshot.get<int>("a") == 1);
  CHECK_THROWS_AS(snapshot.get<long>("a"), atom::TypeMismatch);
  CHECK(snapshot.try_get<int>("a") != nullptr);
  CHECK(snapshot.try_get<long>("a") == nullptr);
  CHECK(snapshot.try_get<int>("b") == nullptr);
  CHECK_THROWS_WITH(snapshot.get<int>("the.key"), support::ContainsSubstring("\"the.key\""));
}

TEST_CASE("a value is got and set by its atom") {
  Snapshot snapshot;
  snapshot.set(count, 5).set(locale, "fr");
  CHECK(snapshot.get(count) == 5);
  CHECK(snapshot.get(locale) == "fr");
  snapshot.set(count, 6);
  CHECK(snapshot.get<int>("snapshot.count") == 6);
  CHECK(keys(snapshot) == Keys{"snapshot.count", "snapshot.locale"});
  CHECK_THROWS_AS(snapshot.get(secret), atom::Error);
}

TEST_CASE("a value of a server-only atom is marked, set by the atom or by its key, and stays so under copy and merge") {
  Snapshot snapshot;
  snapshot.set(secret, "x").set(count, 1);
  const auto is_marked = [](const Snapshot& s) { return s.begin()->server_only(); };
  CHECK(is_marked(snapshot));
  CHECK_FALSE(std::next(snapshot.begin())->server_only());
  snapshot.set("snapshot.secret", "y");
  CHECK(is_marked(snapshot));
  const Snapshot copy = snapshot;
  CHECK(is_marked(copy));
  Snapshot merged;
  merged.merge(copy);
  CHECK(is_marked(merged));
  CHECK(is_marked(Snapshot{{"snapshot.secret", "z"}}));
  CHECK_FALSE(is_marked(Snapshot{{"snapshot.of_nobody", "z"}}));
}

TEST_CASE("merging sets all that the other holds, and leaves the rest") {
  Snapshot snapshot{{"a", 1}, {"b", 2}};
  CHECK(&snapshot.merge(Snapshot{{"b", 20}, {"c", 30}}) == &snapshot);
  CHECK(keys(snapshot) == Keys{"a", "b", "c"});
  CHECK(snapshot == Snapshot{{"a", 1}, {"b", 20}, {"c", 30}});
  snapshot.merge(numbered(50));
  CHECK(snapshot.size() == 53);
  CHECK(snapshot.get<int>("n.49") == 49);
  CHECK(snapshot.get<int>("a") == 1);
  snapshot.merge(Snapshot());
  CHECK(snapshot.size() == 53);
}

TEST_CASE("snapshots are equal when they hold equal values under equal keys, in any order") {
  CHECK(Snapshot() == Snapshot());
  CHECK(Snapshot{{"a", 1}, {"b", 2}} == Snapshot{{"b", 2}, {"a", 1}});
  CHECK_FALSE(Snapshot{{"a", 1}} == Snapshot{{"a", 2}});
  CHECK_FALSE(Snapshot{{"a", 1}} == Snapshot{{"a", 1L}});
  CHECK_FALSE(Snapshot{{"a", 1}} == Snapshot{{"b", 1}});
  CHECK_FALSE(Snapshot{{"a", 1}} == Snapshot{{"a", 1}, {"b", 2}});
  CHECK_FALSE(Snapshot{{"a", 1}, {"b", 2}} == Snapshot{{"a", 1}});
  CHECK(numbered(100) == numbered(100));
  CHECK(Snapshot{{"a", 1}} != Snapshot());
}

TEST_CASE("a snapshot with a value of a type without == equals none") {
  const Snapshot snapshot{{"a", NoEqual{}}};
  CHECK_FALSE(snapshot == snapshot);
}

TEST_CASE("a snapshot that is written by hand is trusted as the server's") {
  CHECK(Snapshot().trust() == atom::Trust::server);
  CHECK(Snapshot{{"a", 1}}.trust() == atom::Trust::server);
}

TEST_CASE("an iterator over a snapshot is contiguous, and its entries cannot be changed through it") {
  const Snapshot snapshot{{"a", 1}, {"b", 2}};
  STATIC_REQUIRE(std::is_same_v<decltype(snapshot.begin()), const Snapshot::Entry*>);
  STATIC_REQUIRE(std::is_same_v<decltype(std::declval<Snapshot&>().begin()), const Snapshot::Entry*>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<Snapshot::Entry>);
  CHECK(snapshot.end() - snapshot.begin() == 2);
}

// ---- Differences

bool restores(const Snapshot& before, const Snapshot& after) {
  Snapshot restored = before;
  restored.apply(after.diff(before));
  return restored == after;
}

TEST_CASE("a diff has what is new or has another value, as it is now, and what is there no more, as it was") {
  const Snapshot before{{"same", 1}, {"changed", 2}, {"gone", 3}, {"retyped", 4}};
  const Snapshot after{{"new", 5}, {"retyped", 4L}, {"changed", 6}, {"same", 1}};
  const atom::SnapshotDiff diff = after.diff(before);
  CHECK(diff.changed == Snapshot{{"new", 5}, {"changed", 6}, {"retyped", 4L}});
  CHECK(diff.removed == Snapshot{{"gone", 3}});
  CHECK_FALSE(diff.empty());
  CHECK_FALSE(Snapshot{{"a", 1}}.diff({}).empty());
  CHECK_FALSE(Snapshot().diff(Snapshot{{"a", 1}}).empty());
}

TEST_CASE("the diff of equal snapshots is empty, whatever their order, and applying it changes nothing") {
  Snapshot snapshot{{"a", 1}, {"b", std::string("x")}};
  const atom::SnapshotDiff diff = snapshot.diff(Snapshot{{"b", "x"}, {"a", 1}});
  CHECK(diff.empty());
  CHECK(&snapshot.apply(diff) == &snapshot);
  CHECK(snapshot == Snapshot{{"a", 1}, {"b", "x"}});
  CHECK(Snapshot().diff({}).empty());
}

TEST_CASE("applying a diff restores the later snapshot: the old keys in their places, then the new ones") {
  Snapshot snapshot{{"a", 1}, {"b", 2}, {"c", 3}};
  const Snapshot after{{"d", 4}, {"c", 30}, {"a", 1}};
  snapshot.apply(after.diff(snapshot));
  CHECK(snapshot == after);
  CHECK(keys(snapshot) == Keys{"a", "c", "d"});
}

TEST_CASE("a value that cannot be compared counts as changed, and is restored") {
  const Snapshot after{{"a", NoEqual{7}}, {"b", 1}};
  Snapshot before = after;
  const atom::SnapshotDiff diff = after.diff(before);
  CHECK(keys(diff.changed) == Keys{"a"});
  CHECK(diff.removed.empty());
  before.set("a", NoEqual{1});
  before.apply(diff);
  CHECK(before.get<NoEqual>("a").number == 7);
}

TEST_CASE("a diff keeps the mark of what is server-only, also of what is gone, and a mark that changed is a change") {
  const Snapshot marked{{"snapshot.secret", "x"}, {"snapshot.locale", "en"}};
  CHECK(marked.diff({}).changed.begin()->server_only());
  CHECK(Snapshot().diff(marked).removed.begin()->server_only());
  Snapshot unmarked;
  {
    const Atom<std::string> local{"snapshot.marked_later", "x"};
    unmarked.set(local, "x");
  }
  const Atom<std::string> local{"snapshot.marked_later", "x", {.server_only = true}};
  const Snapshot later{{"snapshot.marked_later", "x"}};
  REQUIRE(later == unmarked);
  const atom::SnapshotDiff diff = later.diff(unmarked);
  REQUIRE(diff.changed.size() == 1);
  unmarked.apply(diff);
  CHECK(unmarked.begin()->server_only());
}

TEST_CASE("what a diff changes is a client's if the later snapshot was, and so is then what it is applied to") {
  Snapshot before{{"a", 1}};
  Snapshot after{{"a", 2}};
  CHECK(after.diff(before).changed.trust() == atom::Trust::server);
  after.set_trust(atom::Trust::client);
  before.apply(after.diff(before));
  CHECK(before.trust() == atom::Trust::client);
  before.apply(Snapshot{{"a", 3}}.diff(before));
  CHECK(before.trust() == atom::Trust::client);
}

TEST_CASE("if applying a diff throws, the snapshot is as it was") {
  struct Throws {
    bool* armed;
    Throws(bool* a) : armed(a) {}
    Throws(const Throws& other) : armed(other.armed) {
      if (*armed) throw std::runtime_error("no copy");
    }
    bool operator==(const Throws&) const = default;
  };
  bool armed = false;
  const Snapshot after{{"a", 2}, {"b", Throws(&armed)}};
  Snapshot snapshot{{"a", 1}, {"c", 3}};
  const Snapshot before = snapshot;
  const atom::SnapshotDiff diff = after.diff(snapshot);
  armed = true;
  CHECK_THROWS_WITH(snapshot.apply(diff), "no copy");
  CHECK(snapshot == before);
  CHECK(keys(snapshot) == Keys{"a", "c"});
}

TEST_CASE("the diff of two snapshots of a store has the atoms that were written between them") {
  AtomStore store;
  store.use(locale);
  store.use(count);
  const Snapshot before = store.snapshot();
  store.use(count).update(4);
  store.use(secret);
  store.drop(locale);
  const atom::SnapshotDiff diff = store.snapshot().diff(before);
  CHECK(keys(diff.changed) == Keys{"snapshot.count", "snapshot.secret"});
  CHECK(keys(diff.removed) == Keys{"snapshot.locale"});
}

TEST_CASE(
    "for a thousand random pairs, a diff holds no more than what differs, and applying it restores the later one") {
  std::mt19937 random(20260101);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto snapshot_of = [&](unsigned most) {
    Snapshot snapshot;
    for (unsigned i = below(most); i > 0; --i) {
      const std::string key = std::to_string(below(most));
      switch (below(4)) {
        case 0:
          snapshot.set(key, static_cast<int>(below(3)));
          break;
        case 1:
          snapshot.set(key, std::to_string(below(3)));
          break;
        case 2:
          snapshot.set(key, std::vector<int>(below(3)));
          break;
        default:
          snapshot.set(key, Value());
      }
    }
    return snapshot;
  };
  int wrong = 0;
  for (int round = 0; round < 1000; ++round) {
    const unsigned most = round % 2 ? 8 : 60;  // searched plainly, and by index
    const Snapshot before = snapshot_of(most);
    const Snapshot after = snapshot_of(most);
    const atom::SnapshotDiff diff = after.diff(before);
    wrong += !restores(before, after);
    wrong += !restores(after, before);
    wrong += !restores({}, after);
    wrong += diff.empty() != (before == after);
    for (const auto& [key, value] : diff.changed) {
      wrong += !after.contains(key) || (before.contains(key) && *before.find(key) == value);
    }
    for (const auto& [key, value] : diff.removed) wrong += after.contains(key) || !(*before.find(key) == value);
  }
  CHECK(wrong == 0);
}

// ---- Snapshots of a store

TEST_CASE("a snapshot of a store holds the used atoms only, under their keys, in the order of first use") {
  AtomStore store;
  CHECK(store.snapshot().empty());
  store.use(secret);
  store.use(count).update(5);
  store.use(count);
  const Snapshot snapshot = store.snapshot();
  CHECK(keys(snapshot) == Keys{"snapshot.secret", "snapshot.count"});
  CHECK(snapshot.get(count) == 5);
  CHECK(snapshot.get(secret) == "hidden");
  CHECK(snapshot.begin()->server_only());
}

TEST_CASE("a snapshot is not reached by what happens to the store afterwards") {
  AtomStore store;
  store.use(count).update(5);
  store.use(locale);
  const Snapshot snapshot = store.snapshot();
  store.use(count).update(6);
  store.use(locale).mutate([](std::string& text) { text += "!"; });
  store.drop(count);
  CHECK(snapshot.get(count) == 5);
  CHECK(snapshot.get(locale) == "en");
}

TEST_CASE("a snapshot outlives its store, its local template, and what the store was hydrated with") {
  Snapshot snapshot;
  {
    const Atom<std::string> local{"snapshot.local", std::string(100, 'd')};
    const Atom<std::string> hydrated{"snapshot.hydrated", "none"};
    AtomStore store;
    store.hydrate(std::make_shared<const Snapshot>(Snapshot{{"snapshot.hydrated", std::string(100, 'h')}}));
    store.use(local);
    store.use(hydrated);
    store.use(locale).update(std::string(100, 'l'));
    snapshot = store.snapshot();
  }
  CHECK(snapshot.get<std::string>("snapshot.local") == std::string(100, 'd'));
  CHECK(snapshot.get<std::string>("snapshot.hydrated") == std::string(100, 'h'));
  CHECK(snapshot.get(locale) == std::string(100, 'l'));
  CHECK(keys(snapshot) == Keys{"snapshot.local", "snapshot.hydrated", "snapshot.locale"});
}

TEST_CASE("a snapshot that is taken in the middle of a batch or of a listener has the values of that moment") {
  AtomStore store;
  Snapshot in_batch;
  Snapshot in_listener;
  store.use(count).on_change([&] { in_listener = store.snapshot(); });
  store.batch([&] {
    store.use(count).update(4);
    in_batch = store.snapshot();
    store.use(count).update(5);
  });
  CHECK(in_batch.get(count) == 4);
  CHECK(in_listener.get(count) == 5);
}

TEST_CASE("snapshots are read on several threads at once") {
  AtomStore store;
  store.use(locale);
  store.use(count).update(5);
  const Snapshot snapshot = store.snapshot();
  std::vector<std::thread> threads;
  std::vector<int> sums(4);
  for (int& sum : sums) {
    threads.emplace_back([&snapshot, &sum] {
      for (int i = 0; i < 100; ++i) {
        const Snapshot copy = snapshot;
        if (copy == snapshot) sum += copy.get(count) + static_cast<int>(copy.get(locale).size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sums == std::vector<int>(4, 700));
}

// ---- What goes wrong

/// The copy that is due throws.
struct Fragile {
  static inline int copies_left = 1000;
  static inline int alive = 0;
  explicit Fragile(int n) : number(n) { ++alive; }
  Fragile(const Fragile& other) : number(other.number) {
    if (copies_left-- == 0) throw std::runtime_error("cannot be copied now");
    ++alive;
  }
  ~Fragile() { --alive; }
  bool operator==(const Fragile& other) const { return number == other.number; }
  int number;
};

TEST_CASE("a copy of a snapshot that fails half-way leaves nothing behind") {
  Fragile::copies_left = 1000;
  for (const int size : {5, 30}) {
    {
      Snapshot snapshot;
      for (int i = 0; i < size; ++i) snapshot.set("f." + std::to_string(i), Fragile(i));
      for (const int fails_at : {0, 1, size - 1}) {
        Fragile::copies_left = fails_at;
        CHECK_THROWS_AS(Snapshot(snapshot), std::runtime_error);
        Fragile::copies_left = 1000;
        CHECK(Fragile::alive == size);
        Fragile::alive = size;  // or one mistake would be reported many times
      }
    }
    CHECK(Fragile::alive == 0);
  }
}

TEST_CASE("merging keeps the server-only mark, whichever side has it") {
  const Snapshot plain{{"snapshot.secret_mark", 1}};
  Snapshot marked;
  static const atom::Atom<int> hidden{"snapshot.secret_mark", 0, {.server_only = true}};
  marked.set(hidden, 2);
  CHECK(Snapshot(marked).merge(plain).begin()->server_only());
  CHECK(Snapshot(plain).merge(marked).begin()->server_only());
}

TEST_CASE("a value that is set for a server-only atom is marked, also where the key was there before its template") {
  Snapshot by_atom{{"snapshot.late", 1}};
  Snapshot by_key = by_atom;
  CHECK_FALSE(by_atom.begin()->server_only());
  {
    const Atom<int> late{"snapshot.late", 0, {.server_only = true}};
    by_atom.set(late, 2);
    by_key.set("snapshot.late", 2);
  }
  CHECK(by_atom.begin()->server_only());
  CHECK(by_key.begin()->server_only());
  CHECK(by_key.set("snapshot.late", 3).begin()->server_only());  // the template has gone; the mark stays
}

/// Of an atom whose template has gone.
Snapshot marked_snapshot(std::string_view key, int value) {
  const Atom<int> gone{key, 0, {.server_only = true}};
  AtomStore store;
  store.use(gone).update(value);
  return store.snapshot();
}

TEST_CASE("a value keeps its server-only mark in a store that knows no template of its key") {
  const Snapshot marked = marked_snapshot("snapshot.gone", 1);
  for (const auto from : {atom::Trust::server, atom::Trust::client}) {
    AtomStore store;
    CHECK(store.hydrate(marked, {.trust = from}).unknown == Keys{"snapshot.gone"});
    const Snapshot again = store.snapshot({.queued = true});
    REQUIRE(again.size() == 1);
    CHECK(again.begin()->server_only());
  }
}

TEST_CASE("a value that was marked server-only stays so when it is converted for an atom that is not") {
  const Snapshot marked = marked_snapshot("snapshot.changed", 1);
  const auto is_marked = [](const AtomStore& store) {
    const Snapshot queued = store.snapshot({.queued = true});
    return queued.size() == 1 && queued.begin()->server_only();
  };
  SECTION("of a template that is there when it comes") {
    const Atom<long> open{"snapshot.changed", 0};
    AtomStore store;
    CHECK(store.hydrate(marked).ok());
    CHECK(is_marked(store));
  }
  SECTION("of one that comes later") {
    AtomStore store;
    store.hydrate(marked);
    const Atom<long> open{"snapshot.changed", 0};
    CHECK(store.value(open) == 1);
    CHECK(is_marked(store));
  }
  SECTION("and where the template that has the mark came after it") {
    AtomStore store;
    store.hydrate(Snapshot{{"snapshot.later", 1}});
    const Atom<int> later{"snapshot.later", 0, {.server_only = true}};
    CHECK(is_marked(store));
  }
}

TEST_CASE("a text that a value would only refer to is held as a string") {
  const atom::Value from_view{std::string_view("text")};
  CHECK(from_view.get<std::string>() == "text");
}

TEST_CASE("a copy of a big snapshot finds every key") {
  Snapshot big;
  for (int i = 0; i < 100; ++i) big.set("snapshot.key" + std::to_string(i), i);
  const Snapshot copy = big;
  for (int i = 0; i < 100; ++i) CHECK(copy.get<int>("snapshot.key" + std::to_string(i)) == i);
  CHECK_FALSE(copy.contains("snapshot.key100"));
}

TEST_CASE("a value that cannot be copied leaves a merge with what it had done, and the snapshot in order") {
  Fragile::copies_left = 1000;
  {
    const Snapshot other{{"a", 1}, {"f", Fragile(1)}, {"z", 2}};
    Snapshot snapshot{{"b", 5}};
    Fragile::copies_left = 0;
    CHECK_THROWS_AS(snapshot.merge(other), std::runtime_error);
    Fragile::copies_left = 1000;
    CHECK(snapshot.get<int>("b") == 5);
    CHECK_FALSE(snapshot.contains("f"));
    snapshot.merge(other);
    CHECK(snapshot.size() == 4);
  }
  CHECK(Fragile::alive == 0);
}

}  // namespace
}  // namespace snapshot_test

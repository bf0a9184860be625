#include <atom/history.hpp>

#include <atom/collection.hpp>
#include <atom/derived.hpp>
#include <atom/family.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace history_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::History;

const Atom<int> number{"history.number"};
const Atom<int> other{"history.other"};
const Atom<std::string> text{"history.text", "a default that is long enough to lie on the heap"};
const atom::AtomFamily<int, std::string> lines{"history.line",
                                               std::string("a default that is long enough for the heap")};

TEST_CASE("undo puts back what the last update changed, and redo does it again") {
  AtomStore store;
  History history(store);
  CHECK_FALSE(history.can_undo());
  CHECK_FALSE(history.undo());
  CHECK_FALSE(history.redo());
  auto& n = store.use(number);
  n.update(1);
  n.update(2);
  CHECK(history.undo_size() == 2);
  CHECK(history.undo());
  CHECK(*n == 1);
  CHECK((history.undo_size() == 1 && history.redo_size() == 1));
  CHECK(history.undo());
  CHECK(*n == 0);
  CHECK_FALSE(history.can_undo());
  CHECK_FALSE(history.undo());
  CHECK(history.redo());
  CHECK(history.redo());
  CHECK(*n == 2);
  CHECK_FALSE(history.can_redo());
  CHECK_FALSE(history.redo());
}

TEST_CASE("a new change after an undo drops what could be redone") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  n.update(1);
  n.update(2);
  history.undo();
  n.update(1);  // equal: no change
  CHECK(history.can_redo());
  n.update(3);
  CHECK_FALSE(history.can_redo());
  CHECK(history.undo_size() == 2);
  history.undo();
  CHECK(*n == 1);
}

TEST_CASE("a batch is one step, and what ends where it began is not part of it") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  store.batch([&] {
    n.update(1);
    o.update(1);
    n.update(2);
    o.update(0);
  });
  CHECK(history.undo_size() == 1);
  o.silent_update(7);
  history.undo();
  CHECK(*n == 0);
  CHECK(*o == 7);
  store.batch([&] {
    n.update(1);
    n.update(0);
  });
  CHECK(history.undo_size() == 0);
  CHECK(history.redo_size() == 1);  // nothing has changed, so nothing is dropped
}

TEST_CASE("what listeners write in reaction belongs to the step, and to the undo") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  n.on_change([&](int now) { o.update(now == 0 ? -1 : 10 * now); });
  n.update(1);
  CHECK(history.undo_size() == 1);
  CHECK(history.undo());
  CHECK(*n == 0);
  CHECK(*o == -1);  // it was put back, and then the listener wrote
  CHECK(history.undo_size() == 0);
  CHECK(history.redo_size() == 1);
  history.redo();
  CHECK(*n == 1);
  CHECK(*o == 10);
  CHECK((history.undo_size() == 1 && history.redo_size() == 0));
}

TEST_CASE("a listener that corrects its own atom does so in the step, and again in the undo") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  n.update(-5);
  n.on_change([&](int now) {
    if (now < 0) n.update(-now);
  });
  n.update(-7);
  CHECK(*n == 7);
  CHECK(history.undo_size() == 2);
  CHECK(history.undo());
  CHECK(*n == 5);
  CHECK(history.redo());
  CHECK(*n == 7);
  CHECK(history.undo());
  CHECK(history.undo());
  CHECK(*n == 0);
}

TEST_CASE("a store that is destroyed by a listener takes the step that is under way with it") {
  const int alive = support::Counted<struct UnderWay>::counts().alive;
  {
    static const Atom<support::Counted<struct UnderWay>> counted{"history.under_way"};
    std::optional<AtomStore> store(std::in_place);
    History history(*store);
    auto& c = store->use(counted);
    c.update(support::Counted<struct UnderWay>(1));
    store->use(number).on_change([&] { store.reset(); });
    store->batch([&] {
      c.update(support::Counted<struct UnderWay>(2));
      store->use(number).update(1);
    });
    CHECK_FALSE(store);
    CHECK_FALSE(history.undo());
    CHECK(support::Counted<struct UnderWay>::counts().alive == alive + 1);  // the default
  }
}

TEST_CASE("an undo is one batch: each listener is told once, when all is put back, with the value before the undo") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  for (int i = 1; i <= 2; ++i) {
    store.batch([&] {
      n.update(i);
      o.update(-i);
    });
  }
  std::vector<std::pair<int, int>> told;
  n.on_change([&](int now, int old) {
    told.emplace_back(now, old);
    CHECK(*o == -now);
  });
  o.on_change([&](int now, int old) {
    told.emplace_back(now, old);
    CHECK(*n == -now);
  });
  history.undo();
  CHECK(told == std::vector<std::pair<int, int>>{{1, 2}, {-1, -2}});
  told.clear();
  history.redo();
  CHECK(told == std::vector<std::pair<int, int>>{{2, 1}, {-2, -1}});
}

TEST_CASE("a silent update is no step; redo puts back what undo took") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  n.silent_update(5);
  CHECK_FALSE(history.can_undo());
  n.update(6);
  n.silent_update(7);
  history.undo();
  CHECK(*n == 5);
  history.redo();
  CHECK(*n == 7);
  n.silent_update(5);
  int told = 0;
  n.on_change([&] { ++told; });
  CHECK(history.undo());  // it is what the step would make it
  CHECK(told == 0);
  CHECK_FALSE(history.can_redo());
}

const Atom<int> even{"history.even", 0, {.before_update = [](int&& next, const int&) {
                       if (next < 0) throw std::runtime_error("negative");
                       return next & ~1;
                     }}};
int calls_of_on_update = 0;
const Atom<int> with_option{
    "history.with_option", 0, {.on_update = [](const int&, const int&, Atom<int>&) { ++calls_of_on_update; }}};

TEST_CASE("before_update is not asked by an undo, on_update is told, and the atom counts as modified") {
  AtomStore store;
  store.hydrate(atom::Snapshot{{"history.even", -3}});
  History history(store);
  auto& e = store.use(even);
  CHECK(*e == -3);
  e.update(5);
  CHECK(*e == 4);
  history.undo();
  CHECK(*e == -3);
  auto& w = store.use(with_option);
  w.update(1);
  calls_of_on_update = 0;
  history.undo();
  CHECK(calls_of_on_update == 1);
  CHECK(*w == 0);
  CHECK(w.is_modified());
}

TEST_CASE("a reset, a mutate, a change of a collection and a hydrate that tells are steps; a silent hydrate is none") {
  const atom::AtomCollection<int> list{"history.list", std::vector<int>{1}};
  AtomStore store;
  History history(store);
  auto& l = store.use(list);
  l.push(2);
  l.mutate([](std::vector<int>& items) { items.push_back(3); });
  store.batch([&] {
    l.push(4);
    l.push(5);
  });
  l.reset();
  CHECK(history.undo_size() == 4);
  store.hydrate(atom::Snapshot{{"history.list", std::vector<int>{9}}});
  CHECK(history.undo_size() == 4);
  store.hydrate(atom::Snapshot{{"history.list", std::vector<int>{8}}}, {.notify = true});
  CHECK(history.undo_size() == 5);
  history.undo();
  CHECK(*l == std::vector<int>{9});
  history.undo();
  CHECK(*l == std::vector<int>{1, 2, 3, 4, 5});
  history.undo();
  CHECK(*l == std::vector<int>{1, 2, 3});
  history.undo();
  history.undo();
  CHECK(*l == std::vector<int>{1});
  while (history.redo()) {
  }
  CHECK(*l == std::vector<int>{8});
}

TEST_CASE("what undo took from a snapshot stays after the snapshot has gone") {
  AtomStore store;
  History history(store);
  auto& t = store.use(text);
  t.update("one that is written, and that is long enough for the heap");
  for (int i = 0; i < 3; ++i) {
    store.hydrate(atom::Snapshot{{"history.text", "hydrated, and long enough for the heap, " + std::to_string(i)}});
  }
  history.undo();
  CHECK(*t == text.value());
  for (int i = 0; i < 3; ++i) store.hydrate(atom::Snapshot{{"history.number", i}});
  history.redo();
  CHECK(*t == "hydrated, and long enough for the heap, 2");
}

TEST_CASE("a transaction that throws is no step, and one that succeeds is one") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  n.update(1);
  history.undo();
  CHECK_THROWS_AS(store.transaction([&] {
    n.update(5);
    o.update(5);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK((history.undo_size() == 0 && history.redo_size() == 1));
  store.transaction([&] {
    n.update(5);
    o.update(5);
  });
  CHECK((history.undo_size() == 1 && history.redo_size() == 0));
  history.undo();
  CHECK((*n == 0 && *o == 0));
  store.batch([&] {  // a part that fails
    n.update(2);
    try {
      store.transaction([&] {
        n.update(3);
        o.update(3);
        throw 0;
      });
    } catch (int) {
    }
  });
  CHECK((*n == 2 && *o == 0));
  history.undo();
  CHECK((*n == 0 && *o == 0));
}

TEST_CASE("a batch that throws is a step: its values stay") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  CHECK_THROWS(store.batch([&] {
    n.update(1);
    throw std::runtime_error("no");
  }));
  CHECK(*n == 1);
  CHECK(history.undo());
  CHECK(*n == 0);
}

TEST_CASE("undo and redo throw inside a batch, a transaction, a listener or a mutate, and change nothing") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  store.batch([&] {
    o.update(1);
    n.update(1);
  });
  store.batch([&] { CHECK_THROWS_AS(history.undo(), atom::Error); });
  store.transaction([&] { CHECK_THROWS_AS(history.undo(), atom::Error); });
  {
    const atom::ScopedSubscription during = store.use(text).on_change([&] {
      CHECK_THROWS_AS(history.undo(), atom::Error);
      CHECK_FALSE(history.redo());  // there is none
    });
    store.use(text).silent_update("x");
    store.use(text).update("y");
    history.undo();
  }
  CHECK(history.undo_size() == 1);
  n.mutate([&](int& value) {
    CHECK_THROWS_AS(history.undo(), atom::Error);
    value = 2;
  });
  CHECK((*n == 2 && *o == 1));
  CHECK(history.undo_size() == 2);
  history.undo();
  history.undo();
  CHECK((*n == 0 && *o == 0));
  n.mutate([&](int&) { CHECK_THROWS_AS(history.redo(), atom::Error); });
}

TEST_CASE("the bound: the oldest step goes") {
  AtomStore store;
  History history(store, {.steps = 3});
  auto& n = store.use(number);
  for (int i = 1; i <= 10; ++i) n.update(i);
  CHECK(history.undo_size() == 3);
  while (history.undo()) {
  }
  CHECK(*n == 7);
  CHECK(history.redo_size() == 3);
  while (history.redo()) {
  }
  CHECK(*n == 10);

  AtomStore none;
  History nothing(none, {.steps = 0});
  none.use(number).update(1);
  CHECK_FALSE(nothing.can_undo());
}

TEST_CASE("an atom that is dropped leaves all steps, and its next life is another one") {
  AtomStore store;
  History history(store);
  auto& o = store.use(other);
  store.use(number).update(1);
  store.batch([&] {
    store.use(number).update(2);
    o.update(2);
  });
  store.use(number).update(3);
  history.undo();
  store.drop(number);
  CHECK((history.undo_size() == 1 && history.redo_size() == 0));
  auto& n = store.use(number);
  CHECK(history.undo());
  CHECK((*n == 0 && *o == 0));
  n.update(5);
  CHECK(history.undo());
  CHECK(*n == 0);
}

TEST_CASE("an atom that is dropped by a listener leaves the step that is under way") {
  AtomStore store;
  History history(store);
  store.use(text).update("before");
  const std::string* seen = nullptr;
  store.use(text).on_change([&](const std::string&, const std::string& old) {
    store.drop(text);
    seen = &old;
    CHECK(old == "before");
  });
  store.use(text).update("after");
  CHECK(seen);
  CHECK_FALSE(history.can_undo());
  store.use(number).on_change([&] { store.drop(text); });
  store.batch([&] {
    store.use(text).update("a");
    store.use(number).update(1);
  });
  CHECK(history.undo_size() == 1);
  history.undo();
  CHECK(store.value(text) == text.value());
  CHECK(store.value(number) == 0);
}

TEST_CASE("listeners of an undo look at whole values, whatever becomes of the steps meanwhile") {
  AtomStore store;
  std::optional<History> history(std::in_place, store);
  auto& t = store.use(text);
  const std::string first = "the first, which is long enough to lie on the heap";
  const std::string second = "the second, which is long enough to lie on the heap";
  t.update(first);
  t.update(second);
  std::size_t left = 9;
  const auto check = [&](auto act) {
    const atom::ScopedSubscription listener = t.on_change([&](const std::string& now, const std::string& old) {
      act();
      CHECK(now == first);
      CHECK(old == second);
    });
    CHECK(history->undo());
    left = history ? history->undo_size() + history->redo_size() : 0;
  };
  SECTION("clear") {
    check([&] { history->clear(); });
    CHECK(left == 0);
  }
  SECTION("drop") {
    check([&] { store.drop(text); });
    CHECK(left == 0);
  }
  SECTION("destroy") {
    check([&] { store.destroy(); });
    CHECK(left == 0);
  }
  SECTION("the end of the history") {
    const atom::ScopedSubscription listener = t.on_change([&](const std::string& now, const std::string& old) {
      history.reset();
      CHECK((now == first && old == second));
    });
    history->undo();
    CHECK_FALSE(history);
    CHECK(*t == first);
  }
}

TEST_CASE("a store that ends in the middle of an undo leaves an empty history") {
  std::optional<AtomStore> store(std::in_place);
  History history(*store);
  auto& n = store->use(number);
  n.update(1);
  n.on_change([&] { store.reset(); });
  CHECK(history.undo());
  CHECK_FALSE(history.can_undo());
  CHECK_FALSE(history.undo());
}

TEST_CASE("listeners of an undo that throw or unsubscribe keep nothing from being put back") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  auto& o = store.use(other);
  store.batch([&] {
    n.update(1);
    o.update(1);
  });
  atom::Subscription once;
  int told = 0;
  once = n.on_change([&] {
    ++told;
    once.unsubscribe();
    throw std::runtime_error("listener");
  });
  CHECK_THROWS_WITH(history.undo(), "listener");
  CHECK((*n == 0 && *o == 0));
  CHECK(history.redo_size() == 1);
  CHECK(history.redo());
  CHECK((*n == 1 && *o == 1));
  CHECK(told == 1);
}

TEST_CASE("clear forgets all steps, in a batch also the one that is under way") {
  AtomStore store;
  History history(store);
  auto& n = store.use(number);
  n.update(1);
  n.update(2);
  history.undo();
  history.clear();
  CHECK((history.undo_size() == 0 && history.redo_size() == 0));
  CHECK(*n == 1);
  store.batch([&] {
    n.update(5);
    history.clear();
    store.use(other).update(1);
  });
  CHECK_FALSE(history.can_undo());
  n.update(6);
  CHECK(history.undo());
  CHECK(*n == 5);
}

TEST_CASE("destroy ends all steps, and the history goes on") {
  AtomStore store;
  History history(store);
  store.use(number).update(1);
  store.use(text).update("x");
  history.undo();
  store.destroy();
  CHECK((history.undo_size() == 0 && history.redo_size() == 0));
  store.use(number).update(2);
  CHECK(history.undo());
  CHECK(store.value(number) == 0);
}

TEST_CASE("either may end first, the store or the history") {
  std::optional<AtomStore> store(std::in_place);
  std::optional<History> history(std::in_place, *store);
  store->use(text).update("long enough to lie on the heap, and not to be forgotten");
  SECTION("the store") {
    store.reset();
    CHECK_FALSE(history->undo());
    CHECK_FALSE(history->redo());
    CHECK_FALSE(history->can_undo());
    history->clear();
  }
  SECTION("the history") {
    history.reset();
    store->use(text).update("x");
    store->use(number).update(1);
    for (const atom::CloneInfo& info : store->inspect()) CHECK(info.listeners == 0);
    history.emplace(*store);
    CHECK_FALSE(history->can_undo());
    store->use(number).update(2);
    CHECK(history->undo());
    CHECK(store->value(number) == 1);
  }
  SECTION("the history, in a listener") {
    store->use(number).on_change([&] { history.reset(); });
    store->batch([&] {
      store->use(text).update("another one that is long enough to lie on the heap");
      store->use(number).update(1);
    });
    CHECK_FALSE(history);
  }
}

TEST_CASE("the values of an atom of a family go with the steps, whatever ends first") {
  std::optional<AtomStore> store(std::in_place);
  std::optional<History> history(std::in_place, *store);
  store->use(lines(1)).update("one that is long enough to lie on the heap");
  store->use(lines(1)).update("another one that is long enough to lie on the heap");
  REQUIRE(history->undo_size() == 2);
  SECTION("all atoms") {
    store->destroy();
  }
  SECTION("the atom") {
    store->drop(lines(1));
  }
  SECTION("the store") {
    store.reset();
  }
  SECTION("the history") {
    REQUIRE(history->undo());
    CHECK(*store->use(lines(1)) == "one that is long enough to lie on the heap");
    history.reset();
    return;
  }
  CHECK_FALSE(history->can_undo());
}

TEST_CASE("a store has one history") {
  AtomStore store;
  History history(store);
  CHECK_THROWS_WITH(History(store), "the store has a history already");
  store.use(number).update(1);
  CHECK(history.undo());
}

TEST_CASE("a history that begins late knows what comes, and none begins inside a mutate") {
  AtomStore store;
  auto& n = store.use(number);
  n.update(1);
  n.mutate([&](int& value) {
    CHECK_THROWS_AS(History(store), atom::Error);
    value = 2;
  });
  CHECK(store.inspect()[0].listeners == 0);
  store.batch([&] {
    History history(store);
    n.update(3);
  });
  History history(store);
  n.update(4);
  history.undo();
  CHECK(*n == 3);
  CHECK_FALSE(history.can_undo());
}

TEST_CASE("derived atoms follow an undo, and are no part of a step") {
  const atom::Derived<int> doubled{"history.doubled", [](auto& get) { return 2 * get(number); }};
  AtomStore store;
  History history(store);
  std::vector<int> told;
  store.use(doubled).on_change([&](int now) { told.push_back(now); });
  CHECK(*store.use(doubled) == 0);
  store.use(number).update(1);
  CHECK(history.undo());
  CHECK(*store.use(doubled) == 0);
  CHECK(told == std::vector<int>{2, 0});
  CHECK(store.inspect()[0].listeners == 1);
}

// ---- Odd types

struct NoEqual {
  int n = 0;
};
struct alignas(128) OverAligned {
  std::array<int, 40> numbers{};
  bool operator==(const OverAligned&) const = default;
};
/// Its copies throw when told to.
struct Throwing {
  static inline int copies_left = 1000;
  int n = 0;
  std::unique_ptr<int> heap = std::make_unique<int>(0);
  explicit Throwing(int v = 0) : n(v) {}
  Throwing(Throwing&&) = default;
  Throwing& operator=(Throwing&&) = default;
  Throwing(const Throwing& from) : n(from.n) {
    if (copies_left-- <= 0) throw std::runtime_error("copy");
  }
  bool operator==(const Throwing& with) const { return n == with.n; }
};
const Atom<NoEqual> no_equal{"history.no_equal"};
const Atom<OverAligned> over_aligned{"history.over_aligned"};
const Atom<Throwing> throwing{"history.throwing"};
const Atom<Throwing> throwing_too{"history.throwing_too"};
const Atom<std::unique_ptr<int>> move_only{"history.move_only", atom::Factory{[] { return std::make_unique<int>(1); }}};
const Atom<std::pmr::string> pmr{"history.pmr"};
const Atom<std::string> built{"history.built", atom::Factory{[] { return std::string("built"); }}};

TEST_CASE("types without ==, over-aligned, built by a factory, on the store's memory") {
  AtomStore store;
  History history(store);
  store.use(no_equal).update(NoEqual{0});  // always counts as a change
  CHECK(history.undo_size() == 1);
  store.batch([&] {
    store.use(no_equal).update(NoEqual{3});
    store.use(no_equal).reset();
  });
  CHECK(history.undo_size() == 2);
  store.use(over_aligned).mutate([](OverAligned& value) { value.numbers[39] = 7; });
  store.use(pmr).update("a text that does not lie in the string itself");
  store.use(built).update("another");
  while (history.undo()) {
  }
  CHECK(store.use(over_aligned)->numbers[39] == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(&store.use(over_aligned).value()) % 128 == 0);
  CHECK(store.use(pmr)->empty());
  CHECK(*store.use(built) == "built");
  CHECK(history.redo_size() == 5);
  while (history.redo()) {
  }
  CHECK(store.use(over_aligned)->numbers[39] == 7);
  CHECK(reinterpret_cast<std::uintptr_t>(&store.use(over_aligned).value()) % 128 == 0);
  CHECK(*store.use(pmr) == "a text that does not lie in the string itself");
  CHECK(store.use(pmr)->get_allocator().resource() == store.resource());
  CHECK(*store.use(built) == "another");
}

TEST_CASE("a value that cannot be copied is in no step, and is written as ever") {
  AtomStore store;
  History history(store);
  auto& m = store.use(move_only);
  CHECK_NOTHROW(m.mutate([](std::unique_ptr<int>& p) { *p = 2; }));
  m.update(std::make_unique<int>(3));
  CHECK_FALSE(history.can_undo());
  store.batch([&] {
    m.update(std::make_unique<int>(4));
    store.use(number).update(1);
  });
  CHECK(history.undo());
  CHECK(**m == 4);
  CHECK(*store.use(number) == 0);
}

TEST_CASE("a copy that throws while a step is written down comes out of the update, and no step is left") {
  Throwing::copies_left = 1000;
  AtomStore store;
  History history(store);
  auto& t = store.use(throwing);
  auto& n = store.use(number);
  t.update(Throwing(1));
  n.update(1);
  history.undo();
  Throwing::copies_left = 0;
  CHECK_THROWS_WITH(store.batch([&] {
    t.update(Throwing(2));
    n.update(2);
  }),
                    "copy");
  CHECK((t->n == 2 && *n == 2));
  CHECK((history.undo_size() == 0 && history.redo_size() == 0));
  Throwing::copies_left = 1000;
  t.update(Throwing(3));
  CHECK(history.undo());
  CHECK(t->n == 2);
}

TEST_CASE("a copy that throws while hydrated values are put aside leaves everything as it was") {
  Throwing::copies_left = 1000;
  AtomStore store;
  History history(store);
  auto& a = store.use(throwing);
  auto& b = store.use(throwing_too);
  auto& n = store.use(number);
  store.batch([&] {
    n.update(1);
    a.update(Throwing(1));
    b.update(Throwing(1));
  });
  store.hydrate(atom::Snapshot{{"history.throwing", Throwing(5)}, {"history.throwing_too", Throwing(5)}});
  int told = 0;
  n.on_change([&] { ++told; });
  Throwing::copies_left = 1;
  CHECK_THROWS_WITH(history.undo(), "copy");
  CHECK((*n == 1 && a->n == 5 && b->n == 5));
  CHECK_FALSE(a.is_modified());
  CHECK(told == 0);
  CHECK((history.undo_size() == 1 && history.redo_size() == 0));
  Throwing::copies_left = 2;
  CHECK(history.undo());
  CHECK((*n == 0 && a->n == 0 && b->n == 0));
  CHECK(history.redo());
  CHECK((*n == 1 && a->n == 5 && b->n == 5));
}

// ---- What it costs

using Value = support::Counted<struct HistoryTag>;
const Atom<Value> counted{"history.counted"};

TEST_CASE("a change copies the value before, unless it is the default; undo and redo copy nothing") {
  AtomStore store;
  History history(store);
  auto& c = store.use(counted);
  Value::forget();
  c.update(Value(1));
  CHECK(Value::counts().copies == 0);
  c.update(Value(2));
  CHECK(Value::counts().copies == 1);
  for (int i = 0; i < 3; ++i) {
    while (history.undo()) {
    }
    CHECK(c->value == 0);
    while (history.redo()) {
    }
    CHECK(c->value == 2);
  }
  CHECK(Value::counts().copies == 1);
}

TEST_CASE("nothing of a history stays behind") {
  const int alive = Value::counts().alive;
  {
    AtomStore store;
    History history(store, {.steps = 5});
    for (int i = 1; i < 10; ++i) store.use(counted).update(Value(i));
    history.undo();
    CHECK(Value::counts().alive == alive + 6);  // five steps, and the atom's own
    history.clear();
    CHECK(Value::counts().alive == alive + 1);
    store.use(counted).update(Value(1));
  }
  CHECK(Value::counts().alive == alive);
}

TEST_CASE("a full history allocates nothing, whatever comes and goes") {
  AtomStore store;
  History history(store, {.steps = 20});
  const auto edit = [&](int times) {
    for (int i = 0; i < times; ++i) {
      store.use(number).update(i + 1);
      store.batch([&] {
        store.use(other).update(-i - 1);
        store.use(number).update(-i - 1);
      });
      if (i % 7 == 0) history.undo();
      if (i % 14 == 0) history.redo();
      if (i % 10 == 0) store.drop(i % 20 == 0 ? number : other);
    }
  };
  edit(100);
  const support::Allocations allocations;
  edit(50'000);
  CHECK(allocations.count() == 0);
}

// ---- A model

/// What a history should do, written down without care for cost: a step is what each atom had before.
class Model {
 public:
  using Step = std::map<int, int>;
  std::array<int, 4> now{};
  std::vector<Step> undo, redo;
  static constexpr std::size_t most = 10;

  /// Ends the outermost update. What was told of 0 makes its listener write 3.
  void close(Step step, std::vector<Step>* to) {
    if (step.contains(0) && step[0] != now[0]) write(step, 3, 10 * now[0]);
    std::erase_if(step, [&](const auto& entry) { return entry.second == now[at(entry.first)]; });
    if (step.empty()) return;
    (to ? *to : undo).push_back(step);
    if (!to) redo.clear();
    if (undo.size() > most) undo.erase(undo.begin());
  }
  void write(Step& step, int atom, int value) {
    if (now[at(atom)] == value) return;
    step.emplace(atom, now[at(atom)]);
    now[at(atom)] = value;
  }
  bool replay(std::vector<Step>& from, std::vector<Step>& to) {
    if (from.empty()) return false;
    Step step = from.back();
    from.pop_back();
    for (auto& [atom, value] : step) std::swap(now[at(atom)], value);
    close(step, &to);
    return true;
  }
  void drop(int atom) {
    now[at(atom)] = 0;
    for (auto* steps : {&undo, &redo}) {
      for (Step& step : *steps) step.erase(atom);
      std::erase_if(*steps, [](const Step& step) { return step.empty(); });
    }
  }
  static std::size_t at(int atom) { return static_cast<std::size_t>(atom); }
};

const Atom<int> model_a{"history.model.a"};
const Atom<std::string> model_b{"history.model.b", "0"};
const Atom<int> model_c{"history.model.c"};
const Atom<int> model_d{"history.model.d"};

TEST_CASE("20,000 random operations do what a simple model does") {
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };

  AtomStore store;
  std::optional<History> history(std::in_place, store, atom::HistoryOptions{.steps = Model::most});
  Model model;
  const auto use_all = [&] {
    if (!store.has(model_a)) {
      store.use(model_a).on_change([&](int now) { store.use(model_d).update(10 * now); });
    }
    store.use(model_b);
    store.use(model_c);
    store.use(model_d);
  };
  const auto write = [&](int atom, int value, bool silent) {
    if (atom == 1) {
      const std::string as_text = std::to_string(value);
      silent ? store.use(model_b).silent_update(as_text) : void(store.use(model_b).update(as_text));
    } else {
      auto& clone = store.use(atom == 0 ? model_a : atom == 2 ? model_c : model_d);
      silent ? clone.silent_update(value) : void(clone.update(value));
    }
  };
  const auto write_many = [&](Model::Step& step) {
    for (int i = below(6); i > 0; --i) {
      const int atom = below(4);
      const int value = below(4);
      const bool silent = below(4) == 0;
      write(atom, value, silent);
      if (silent) {
        model.now[Model::at(atom)] = value;
      } else {
        model.write(step, atom, value);
      }
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    use_all();
    const int operation = below(100);
    CAPTURE(i, operation);
    if (operation < 25) {
      Model::Step step;
      const int atom = below(4);
      const int value = below(5);
      write(atom, value, false);
      model.write(step, atom, value);
      model.close(step, nullptr);
    } else if (operation < 30) {
      const int atom = below(4);
      model.now[Model::at(atom)] = below(5);
      write(atom, model.now[Model::at(atom)], true);
    } else if (operation < 45) {
      Model::Step step;
      store.batch([&] { write_many(step); });
      model.close(step, nullptr);
    } else if (operation < 55) {
      Model::Step step;
      const auto before = model.now;
      try {
        store.transaction([&] {
          write_many(step);
          if (below(2)) throw 0;
        });
        model.close(step, nullptr);
      } catch (int) {
        model.now = before;
      }
    } else if (operation < 58) {
      const int atom = below(4);
      model.drop(atom);
      if (atom == 1) {
        store.drop(model_b);
      } else {
        store.drop(atom == 0 ? model_a : atom == 2 ? model_c : model_d);
      }
    } else if (operation < 79) {
      REQUIRE(history->undo() == model.replay(model.undo, model.redo));
    } else if (operation < 98) {
      REQUIRE(history->redo() == model.replay(model.redo, model.undo));
    } else if (below(10) == 0) {
      below(2) ? store.destroy() : history->clear();
      if (store.empty()) model.now = {};
      model.undo.clear();
      model.redo.clear();
    }
    use_all();
    REQUIRE(std::array{*store.use(model_a), std::stoi(*store.use(model_b)), *store.use(model_c), *store.use(model_d)} ==
            model.now);
    REQUIRE(history->undo_size() == model.undo.size());
    REQUIRE(history->redo_size() == model.redo.size());
  }
}

/// A memory resource that knows how much is out.
class Upstream : public std::pmr::memory_resource {
 public:
  std::size_t bytes = 0;
  bool fails = false;

 private:
  void* do_allocate(std::size_t size, std::size_t align) override {
    if (fails) throw std::bad_alloc();
    void* const place = std::pmr::new_delete_resource()->allocate(size, align);
    bytes += size;
    return place;
  }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override {
    std::pmr::new_delete_resource()->deallocate(place, size, align);
    bytes -= size;
  }
  bool do_is_equal(const memory_resource& with) const noexcept override { return this == &with; }
};

TEST_CASE("100,000 edits, with atoms that are dropped and used again, take no more memory than a thousand") {
  Upstream upstream;
  {
    AtomStore store(&upstream);
    History history(store, {.steps = 50});
    const auto edit = [&](int times) {
      for (int i = 0; i < times; ++i) {
        store.use(text).update("a text that is long enough to lie on the heap, number " + std::to_string(i));
        if (i % 3 == 0) store.use(over_aligned).mutate([&](OverAligned& value) { value.numbers[0] = i + 1; });
        if (i % 5 == 0) history.undo();
        if (i % 10 == 0) history.redo();
        if (i % 100 == 99) store.drop(text);
        if (i % 1000 == 999) store.destroy();
      }
    };
    edit(1000);
    const std::size_t bytes = upstream.bytes;
    edit(100'000);
    CHECK(upstream.bytes == bytes);
    store.use(over_aligned).update(OverAligned{{7}});
  }
  CHECK(upstream.bytes == 0);
}

TEST_CASE("a history that finds no memory leaves nothing behind; one that loses it forgets its steps") {
  std::vector<std::unique_ptr<const Atom<int>>> atoms;
  for (int i = 0; i < 100; ++i) atoms.push_back(std::make_unique<const Atom<int>>("history.many." + std::to_string(i)));
  Upstream upstream;
  {
    AtomStore store(&upstream);
    for (const auto& atom : atoms) store.use(*atom);
    upstream.fails = true;
    CHECK_THROWS_AS(History(store), std::bad_alloc);
    for (const atom::CloneInfo& info : store.inspect()) CHECK(info.listeners == 0);
    upstream.fails = false;
    History history(store, {.steps = 1000});
    upstream.fails = true;
    std::size_t most = 0;
    int i = 0;
    try {
      for (; i < 1000; ++i) {
        store.use(*atoms[0]).update(i + 1);
        most = std::max(most, history.undo_size());
      }
      FAIL("there was memory for all");
    } catch (const std::bad_alloc&) {
    }
    CHECK(most == static_cast<std::size_t>(i));
    CHECK_FALSE(history.can_undo());
    const int last = *store.use(*atoms[0]);
    store.use(*atoms[0]).update(-1);
    CHECK(history.undo());
    CHECK(*store.use(*atoms[0]) == last);
  }
  CHECK(upstream.bytes == 0);
}

}  // namespace
}  // namespace history_test

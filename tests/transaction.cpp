// Batches that take effect as a whole, or not at all.
#include <atom/derived.hpp>
#include <atom/store.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using atom::Atom;
using atom::AtomStore;
using atom::Derived;
using support::ContainsSubstring;

namespace transaction_test {
namespace {

struct Stop {};

const Atom<int> number{"transaction.number", 1};
const Atom<std::string> text{"transaction.text", "default"};
const Atom<std::vector<int>> list{"transaction.list", {1, 2, 3}};
const Atom<std::unique_ptr<int>> unique{"transaction.unique", atom::Factory{[] { return std::make_unique<int>(7); }}};
const Derived<int> total{"transaction.total",
                         [](auto& get) { return get(number) + static_cast<int>(get(list).size()); }};

/// Runs `fn` in a transaction that fails.
template <class F>
void fail(AtomStore& store, F fn) {
  CHECK_THROWS_AS(store.transaction([&] {
    fn();
    throw Stop();
  }),
                  Stop);
}

TEST_CASE("A transaction that succeeds tells everyone once, with the value before it as the old one") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  store.use(number).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  const int result = store.transaction([&] {
    store.use(number).update(2);
    store.use(number).update(3);
    CHECK(heard.empty());
    return 42;
  });
  CHECK(result == 42);
  CHECK(heard == std::vector<std::pair<int, int>>{{3, 1}});
}

TEST_CASE("A transaction that throws leaves every value as it was and tells nobody") {
  AtomStore store;
  auto& n = store.use(number);
  auto& t = store.use(text);
  auto& l = store.use(list);
  t.update("before, and long enough to be on the heap");
  l.mutate([](std::vector<int>& v) { v.push_back(4); });
  int told = 0;
  n.on_change([&] { ++told; });
  n.on_reset([&] { ++told; });
  t.on_change([&] { ++told; });
  l.watch<int>("0", [&] { ++told; });
  fail(store, [&] {
    n.update(2);
    n.reset();
    n.silent_update(9);
    t.update("inside, and long enough to be on the heap");
    t.mutate([](std::string& s) { s += "!"; });
    l.mutate([](std::vector<int>& v) { v.clear(); });
    l.mutate([](std::vector<int>& v) { v.push_back(100); });
    CHECK(*l == std::vector<int>{100});
  });
  CHECK(*n == 1);
  CHECK_FALSE(n.is_modified());
  CHECK(*t == "before, and long enough to be on the heap");
  CHECK(t.is_modified());
  CHECK(*l == std::vector<int>{1, 2, 3, 4});
  CHECK(told == 0);
  n.update(5);  // and it works on
  l.mutate([](std::vector<int>& v) { v[0] = 0; });
  CHECK(told == 2);
}

TEST_CASE("A value keeps its place where a transaction did not write it, and a failed one gives it back") {
  AtomStore store;
  auto& t = store.use(text);
  t.update("mine");
  const std::string* const before = &t.value();
  store.transaction([&] { store.use(number).update(2); });
  CHECK(&t.value() == before);
  fail(store, [&] { t.update("another"); });
  CHECK(&t.value() == before);
  t.mutate([](std::string& s) { s += "!"; });
  CHECK(&t.value() == before);  // it may be changed where it lies again
}

TEST_CASE("Transactions nest: an inner one that fails takes back its own writes only") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  auto& n = store.use(number);
  n.on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  store.transaction([&] {
    n.update(2);
    fail(store, [&] { n.update(3); });
    CHECK(*n == 2);
    store.transaction([&] { n.update(4); });
    CHECK(*n == 4);
    CHECK(heard.empty());
  });
  CHECK(heard == std::vector<std::pair<int, int>>{{4, 1}});
  fail(store, [&] {
    n.update(5);
    store.transaction([&] { n.update(6); });
    CHECK(*n == 6);
  });
  CHECK(*n == 4);
  CHECK(heard.size() == 1);
}

TEST_CASE("A transaction nests with batches, inside and outside") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  auto& n = store.use(number);
  n.on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  store.batch([&] {
    n.update(2);
    fail(store, [&] {
      store.batch([&] { n.update(3); });
      CHECK(heard.empty());
    });
    CHECK(*n == 2);
    store.transaction([&] { store.batch([&] { n.update(4); }); });
    CHECK(heard.empty());
  });
  CHECK(heard == std::vector<std::pair<int, int>>{{4, 1}});
  store.batch([&] { fail(store, [&] { n.update(5); }); });
  CHECK(heard.size() == 1);
}

TEST_CASE("A failed transaction in a batch leaves what was to be told as it was") {
  AtomStore store;
  std::vector<std::string> heard;
  auto& t = store.use(text);
  t.on_change([&](const std::string& now, const std::string& old) { heard.push_back(old + " -> " + now); });
  store.batch([&] {
    t.update("one, which is long enough to be on the heap");
    fail(store, [&] {
      t.update("two, which is long enough to be on the heap");
      t.update("default");
    });
  });
  CHECK(heard == std::vector<std::string>{"default -> one, which is long enough to be on the heap"});
}

TEST_CASE("Derived values are put back, too") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  auto& sum = store.use(total);
  sum.on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  CHECK(*sum == 4);
  fail(store, [&] {
    store.use(number).update(10);
    CHECK(*sum == 13);
    store.use(list).mutate([](std::vector<int>& v) { v.clear(); });
    CHECK(*sum == 10);
  });
  CHECK(*sum == 4);
  CHECK(heard.empty());
  fail(store, [&] { store.use(number).update(10); });  // not read inside
  CHECK(*sum == 4);
  store.transaction([&] {
    store.use(number).update(20);
    CHECK(*sum == 23);
  });
  CHECK(heard == std::vector<std::pair<int, int>>{{23, 4}});
}

TEST_CASE("A derived atom that was first read in a failed transaction is computed again") {
  AtomStore store;
  fail(store, [&] {
    store.use(number).update(10);
    CHECK(*store.use(total) == 13);
  });
  CHECK(*store.use(total) == 4);
}

TEST_CASE("Values that were hydrated in a failed transaction are gone, for used atoms and for those to come") {
  AtomStore store;
  store.hydrate(atom::Snapshot{{"transaction.text", "hydrated before"}});
  store.use(number);
  fail(store, [&] {
    store.hydrate(atom::Snapshot{{"transaction.number", 50}, {"transaction.text", "inside"}, {"transaction.list", 7}},
                  {.notify = true});
    CHECK(*store.use(number) == 50);
    CHECK(*store.use(text) == "inside");
  });
  CHECK(*store.use(number) == 1);
  CHECK(*store.use(text) == "hydrated before");
  CHECK(*store.use(list) == std::vector<int>{1, 2, 3});
}

TEST_CASE("An atom that was first used in a failed transaction starts as it would have") {
  AtomStore store;
  Atom<int>* inside = nullptr;
  int* made = nullptr;
  fail(store, [&] {
    inside = &store.use(number);
    inside->update(5);
    store.use(unique).update(std::make_unique<int>(8));
    made = store.use(unique)->get();
  });
  CHECK(&store.use(number) == inside);
  CHECK(**inside == 1);
  CHECK(**store.use(unique) == 7);
  CHECK(store.use(unique)->get() != made);
}

TEST_CASE("An atom that was first used in an inner transaction is put back by the outer one") {
  for (const bool inner_fails : {false, true}) {
    AtomStore store;
    int* made = nullptr;
    fail(store, [&] {
      const auto inner = [&] {
        store.use(number).update(5);
        made = store.use(unique)->get();
        store.use(unique).update(std::make_unique<int>(8));
        store.hydrate(atom::Snapshot{{"transaction.text", "inside"}});
        store.use(text);
        if (inner_fails) throw Stop();
      };
      if (inner_fails) {
        CHECK_THROWS_AS(store.transaction(inner), Stop);
        CHECK(*store.use(text) == "default");
      } else {
        store.transaction(inner);
      }
      store.use(number).update(6);
      store.use(text).update("outside");
    });
    CHECK(*store.use(number) == 1);
    CHECK(*store.use(text) == "default");
    CHECK(**store.use(unique) == 7);
    CHECK(store.use(unique)->get() == made);
  }
}

TEST_CASE("An atom with a factory that was hydrated and first used in a failed transaction is built") {
  static const Atom<int> built{"transaction.built", atom::Factory{[] { return 11; }}};
  AtomStore store;
  fail(store, [&] {
    store.hydrate(atom::Snapshot{{"transaction.built", 12}});
    CHECK(*store.use(built) == 12);
  });
  CHECK(*store.use(built) == 11);
}

TEST_CASE("The value before a transaction that succeeds goes when it has been told") {
  const long alive = support::Allocations::alive();
  {
    AtomStore store;
    std::size_t told = 0;
    store.use(text).update("one, which is long enough to be on the heap");
    store.use(text).on_change([&](const std::string& now, const std::string& old) { told += now != old; });
    store.transaction([&] { store.use(text).update("two, which is long enough to be on the heap"); });
    CHECK(told == 1);
  }
  CHECK(support::Allocations::alive() == alive);
}

TEST_CASE("A value that a failed transaction wrote silently, and then another, leaves nothing behind") {
  const long alive = support::Allocations::alive();
  {
    AtomStore store;
    int told = 0;
    store.use(text).on_change([&] { ++told; });
    fail(store, [&] {
      store.use(text).silent_update("one, which is long enough to be on the heap");
      store.use(text).update("two, which is long enough to be on the heap");
    });
    CHECK(told == 0);
  }
  CHECK(support::Allocations::alive() == alive);
}

TEST_CASE("A listener that came to a new derived atom in a failed transaction hears what changes afterwards") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  fail(store, [&] {
    store.use(number).update(10);
    store.use(total).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  });
  CHECK(heard.empty());
  store.use(number).update(2);
  CHECK(heard == std::vector<std::pair<int, int>>{{5, 4}});
}

TEST_CASE("So does one to what is derived from a derived atom that nobody had read since its input changed") {
  static const Derived<int> twice{"transaction.twice", [](auto& get) { return 2 * get(total); }};
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  CHECK(*store.use(total) == 4);
  CHECK(*store.use(twice) == 8);
  store.use(number).update(2);
  store.batch([&] {
    fail(store,
         [&] { store.use(twice).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); }); });
    store.use(number).update(3);
  });
  CHECK(heard == std::vector<std::pair<int, int>>{{12, 8}});
}

TEST_CASE("A derived atom that could not be computed before a failed transaction is not told to fail after it") {
  static const Derived<int> small{"transaction.small", [](auto& get) {
                                    if (get(number) > 9) throw std::range_error("large");
                                    return get(number);
                                  }};
  AtomStore store;
  int told = 0;
  store.use(small).on_change([&] { ++told; });
  CHECK_THROWS_AS(store.use(number).update(10), std::range_error);
  CHECK_NOTHROW(store.batch([&] { fail(store, [&] { store.use(number).update(11); }); }));
  store.use(number).update(5);
  CHECK(told == 1);
}

TEST_CASE("A value that cannot be copied may be replaced in a transaction, and mutate says why it cannot be put back") {
  AtomStore store;
  auto& u = store.use(unique);
  const int* const before = u->get();
  fail(store, [&] { u.update(std::make_unique<int>(8)); });
  CHECK(u->get() == before);
  store.transaction([&] {
    CHECK_THROWS_WITH(u.mutate([](std::unique_ptr<int>& p) { *p = 9; }), ContainsSubstring("cannot be copied"));
    u.update(std::make_unique<int>(8));
    u.mutate([](std::unique_ptr<int>& p) { *p = 9; });  // this one is the transaction's own
  });
  CHECK(**u == 9);
}

TEST_CASE("Nothing is dropped or destroyed inside a transaction") {
  AtomStore store;
  store.use(number).update(2);
  store.transaction([&] {
    CHECK_THROWS_WITH(store.drop(number), ContainsSubstring("transaction.number") && ContainsSubstring("transaction"));
    CHECK_THROWS_AS(store.destroy(), atom::Error);
  });
  CHECK(*store.use(number) == 2);
  store.drop(number);
  CHECK(store.size() == 0);
}

TEST_CASE("A transaction in a listener puts back what others are looking at") {
  AtomStore store;
  auto& t = store.use(text);
  std::vector<std::string> heard;
  t.on_change([&](const std::string& now, const std::string& old) {
    if (heard.empty()) {
      fail(store, [&] {
        t.update("inside, and long enough to be on the heap");
        t.update("inside once more, and long enough to be on the heap");
      });
      CHECK(*t == now);
    }
    heard.push_back(old + " -> " + now);
  });
  t.on_change([&](const std::string& now) {
    if (now == "changed by a listener, and long enough to be on the heap") return;
    store.transaction([&] { t.update("changed by a listener, and long enough to be on the heap"); });
    CHECK(now == "first, and long enough to be on the heap");
  });
  t.update("first, and long enough to be on the heap");
  CHECK(heard == std::vector<std::string>{"default -> first, and long enough to be on the heap",
                                          "first, and long enough to be on the heap -> changed by a listener, and "
                                          "long enough to be on the heap"});
}

TEST_CASE("A store that is deleted inside its own transaction is gone, and leaks nothing") {
  const long alive = support::Allocations::alive();
  {
    auto store = std::make_unique<AtomStore>();
    store->use(text).update("mine, and long enough to be on the heap");
    store->transaction([&] {
      store->use(text).update("another, and long enough to be on the heap");
      store.reset();
    });
    CHECK(store == nullptr);
  }
  CHECK(support::Allocations::alive() == alive);
}

TEST_CASE("A transaction in a small store allocates nothing") {
  const support::Allocations allocations;
  AtomStore store;
  store.use(number).update(2);
  store.transaction([&] { store.use(number).update(3); });
  try {
    store.transaction([&]() -> void {
      store.use(number).update(4);
      throw Stop();
    });
  } catch (const Stop&) {
  }
  CHECK(*store.use(number) == 3);
  CHECK(allocations.count() <= 1);  // the exception
}

TEST_CASE("10,000 random writes in transactions that fail or not are what a model says") {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  struct Model {
    int number = 1;
    std::string text = "default";
    std::vector<int> list{1, 2, 3};
    bool operator==(const Model&) const = default;
  };
  AtomStore store;
  Model model;
  auto& sum = store.use(total);
  int last_told = *sum;
  sum.on_change([&](const int& now, const int& old) {
    CHECK(old == last_told);
    last_told = now;
  });
  const auto look = [&] { return Model{*store.use(number), *store.use(text), *store.use(list)}; };
  const auto write = [&] {
    switch (below(6)) {
      case 0:
        model.number = below(5);
        store.use(number).update(model.number);
        break;
      case 1:
        model.text = std::string(static_cast<std::size_t>(below(40)), 'x');
        store.use(text).update(model.text);
        break;
      case 2:
        model.list.push_back(below(9));
        store.use(list).mutate([&](std::vector<int>& v) { v.push_back(model.list.back()); });
        break;
      case 3:
        model.list = {1, 2, 3};
        store.use(list).reset();
        break;
      case 4:
        model.text += "y";
        store.use(text).silent_update(model.text);
        break;
      default:
        model.number = 77;
        store.hydrate(atom::Snapshot{{"transaction.number", 77}}, {.notify = true});
    }
  };
  const auto run = [&](auto& self, int depth) -> void {
    for (int i = 0; i < 4; ++i) {
      write();
      if (depth > 2 || below(3) != 0) continue;
      const Model before = model;
      const bool fails = below(2) == 0;
      try {
        store.transaction([&] {
          self(self, depth + 1);
          if (below(2) == 0) CHECK(*sum == model.number + static_cast<int>(model.list.size()));
          if (fails) throw Stop();
        });
      } catch (const Stop&) {
        model = before;
      }
      CHECK(look() == model);
    }
  };
  for (int i = 0; i < 1500; ++i) {
    run(run, 0);
    CHECK(*sum == model.number + static_cast<int>(model.list.size()));
    CHECK(last_told == *sum);
  }
}

}  // namespace
}  // namespace transaction_test

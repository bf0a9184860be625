// What the library allocates, and what it does when there is no memory. Counts operator new and an upstream resource.
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace allocation_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::Snapshot;
using support::Allocations;

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};
struct Item {
  int id = 0;
  bool operator==(const Item&) const = default;
};
struct Big {
  std::array<int, 100> numbers{};
  bool operator==(const Big&) const = default;
};
struct alignas(64) OverAligned {
  std::array<int, 20> numbers{};
  bool operator==(const OverAligned&) const = default;
};

const Atom<User> user{"allocation.user"};
const Atom<int> count{"allocation.count", 3};
const Atom<std::vector<Item>> items{"allocation.items", std::vector<Item>(3)};
const Atom<std::string> text{"allocation.text", "a default that is long enough to lie on the heap"};
const Atom<std::pmr::string> pmr_text{"allocation.pmr_text"};
const Atom<std::vector<int>> numbers{"allocation.numbers", std::vector<int>(10'000, 1)};
const Atom<Big> big{"allocation.big"};
const Atom<OverAligned> over_aligned{"allocation.over_aligned"};

/// A class with verbs that is larger than any piece of the arena.
class Bulky : public Atom<int> {
 public:
  using Atom::Atom;
  std::array<int, 100> notes{};
};
const Bulky bulky{"allocation.bulky", 1};

/// Twenty-four atoms: more than a store has room for without asking.
const std::vector<std::unique_ptr<const Atom<Big>>>& many() {
  static const auto atoms = [] {
    std::vector<std::unique_ptr<const Atom<Big>>> made;
    for (int i = 0; i < 24; ++i) {
      made.push_back(std::make_unique<const Atom<Big>>("allocation.many." + std::to_string(i), Big{{i}}));
    }
    return made;
  }();
  return atoms;
}

/// Knows what is out, notices what comes back with another size or alignment, and fails when told to.
class Upstream : public std::pmr::memory_resource {
 public:
  std::size_t pieces() const { return out_.size(); }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& [place, size] : out_) sum += size.first;
    return sum;
  }
  int allocations = 0;
  int mismatches = 0;
  std::optional<int> fails_after;  // this many allocations

 private:
  void* do_allocate(std::size_t size, std::size_t align) override {
    if (fails_after && allocations >= *fails_after) throw std::bad_alloc();
    ++allocations;
    void* const place = std::pmr::new_delete_resource()->allocate(size, align);
    out_[place] = {size, align};
    return place;
  }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override {
    const auto found = out_.find(place);
    if (found == out_.end()) {
      ++mismatches;
      return;
    }
    if (found->second != std::pair(size, align)) ++mismatches;
    std::tie(size, align) = found->second;
    out_.erase(found);
    std::pmr::new_delete_resource()->deallocate(place, size, align);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::map<void*, std::pair<std::size_t, std::size_t>> out_;
};

// ---- Nothing where nothing is needed

TEST_CASE("a whole small request allocates nothing") {
  int told = 0;
  std::size_t size = 0;
  const Allocations allocations;
  {
    AtomStore store;
    Atom<User>& who = store.use(user);
    Atom<int>& n = store.use(count);
    store.use(items);
    who.on_change([&told](const User&, const User&) { ++told; });
    store.batch([&] {
      who.update(User{"Alice", 30});
      n.update(5);
    });
    size = store.snapshot().size();
    store.destroy();
  }
  CHECK(allocations.count() == 0);
  CHECK(told == 1);
  CHECK(size == 3);
}

TEST_CASE("an empty store allocates nothing, and asks no resource") {
  Upstream upstream;
  const Allocations allocations;
  {
    AtomStore store(&upstream);
    (void)store.has("allocation.count");
    (void)store.value(count);
    (void)store.list();
    store.destroy();
  }
  CHECK(allocations.count() == 0);
  CHECK(upstream.allocations == 0);
}

TEST_CASE("using, reading and dropping an atom costs no allocation, whatever the size of its default") {
  AtomStore store;
  const Allocations allocations;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(store.use(numbers).value().empty());
    store.drop(numbers);
  }
  CHECK(allocations.count() == 0);
}

TEST_CASE("a snapshot of an untouched large default costs no allocation") {
  AtomStore store;
  store.use(numbers);
  const Allocations allocations;
  const Snapshot snapshot = store.snapshot();
  CHECK(allocations.count() == 0);
  CHECK(&snapshot.get(numbers) == &numbers.default_value());
}

TEST_CASE("hydrating from a shared snapshot and using what it holds costs no allocation") {
  Snapshot snapshot;
  snapshot.set(numbers, std::vector<int>(10'000, 2)).set(text, std::string(100, 'x'));
  const auto shared = std::make_shared<const Snapshot>(std::move(snapshot));
  const Allocations allocations;
  {
    AtomStore store;
    store.hydrate(shared);
    CHECK(store.use(numbers).value()[0] == 2);
    CHECK(store.use(text).value().size() == 100);
  }
  CHECK(allocations.count() == 0);
}

TEST_CASE("a value that takes an allocator lives in the store, without any allocation") {
  const std::pmr::string next(100, 'x');
  const Allocations allocations;
  {
    AtomStore store;
    store.use(pmr_text).update(next);
    CHECK(store.value(pmr_text).size() == 100);
  }
  CHECK(allocations.count() == 0);
}

// ---- A store that lives long

TEST_CASE("a hundred thousand updates with a listener do not grow memory") {
  Upstream upstream;
  AtomStore store(&upstream);
  long sum = 0;
  store.use(count).on_change([&](const int& now, const int& old) { sum += now - old; });
  store.use(count).update(0);
  const Allocations allocations;
  for (int i = 1; i <= 100'000; ++i) store.use(count).update(i);
  CHECK(sum == 100'000 - 3);
  CHECK(allocations.count() == 0);
  CHECK(upstream.allocations == 0);
}

TEST_CASE("updates, listeners, batches, drops, resets and nested updates do not grow memory") {
  Upstream upstream;
  AtomStore store(&upstream);
  const auto round = [&](int i) {
    atom::Subscription one =
        store.use(count).on_change([&store](const int& now) { store.use(user).change(&User::age, now); });
    store.use(user).on_change([](const User&, const User&) {});
    store.batch([&] {
      store.use(count).update(i);
      store.use(pmr_text).update(std::pmr::string("text"));
      store.use(big).mutate([&](Big& b) { b.numbers[0] = i; });
    });
    one.unsubscribe();
    store.use(count).reset();
    store.drop(user);
    store.drop(big);
    if (i % 10 == 0) store.destroy();
  };
  for (int i = 0; i < 20; ++i) round(i);
  const std::size_t bytes = upstream.bytes();
  const long alive = Allocations::alive();
  for (int i = 20; i < 2000; ++i) round(i);
  CHECK(upstream.bytes() == bytes);
  CHECK(Allocations::alive() == alive);
}

TEST_CASE("many hydrates in a store that lives long do not grow memory") {
  Upstream upstream;
  AtomStore store(&upstream);
  store.use(text);
  store.use(count);
  const auto shared =
      std::make_shared<const Snapshot>(Snapshot{{"allocation.text", "shared"}, {"allocation.nobody", 1}});
  const auto hydrate = [&](int i) {
    store.hydrate(Snapshot{{"allocation.text", std::string(100, 'x')}, {"allocation.count", i}});
    store.hydrate(shared);
    store.hydrate(Snapshot{{"allocation.numbers", std::vector<int>(100, i)}, {"allocation.user", User{"Eve", i}}},
                  {.notify = true});
    store.hydrate(Snapshot{{"allocation.count", "wrong"}, {"allocation.text", 5}});
    store.hydrate(Snapshot{{"allocation.text", "from a client"}}, {.trust = atom::Trust::client});
  };
  // The number of layers goes up and down, so what counts is the most there ever is.
  std::size_t most_bytes = 0;
  long most_alive = 0;
  for (int i = 0; i < 100; ++i) {
    hydrate(i);
    most_bytes = std::max(most_bytes, upstream.bytes());
    most_alive = std::max(most_alive, Allocations::alive());
  }
  std::size_t later_bytes = 0;
  long later_alive = 0;
  for (int i = 100; i < 2000; ++i) {
    hydrate(i);
    later_bytes = std::max(later_bytes, upstream.bytes());
    later_alive = std::max(later_alive, Allocations::alive());
  }
  CHECK(later_bytes <= most_bytes);
  CHECK(later_alive <= most_alive);
  CHECK(store.use(numbers).value() == std::vector<int>(100, 1999));
  CHECK(store.value(count) == 1999);
}

// ---- Everything comes back

TEST_CASE("after the last store is gone the heap is back where it began, even if nobody unsubscribed") {
  (void)many();
  const auto round = [] {
    atom::Subscription kept;
    AtomStore one;
    AtomStore two;
    for (AtomStore* store : {&one, &two}) {
      for (int i = 0; i < 50; ++i) {
        store->use(text).on_change([captured = std::string(100, 'x')] {});
        store->use(user).on_destroy([captured = std::vector<int>(100)] {});
        store->use(user).watch(&User::name, [captured = std::make_shared<int>(i)] {});
      }
      store->use(text).update(std::string(200, 'y'));
      for (const auto& atom : many()) store->use(*atom).mutate([](Big& b) { b.numbers[1] = 1; });
      store->hydrate(
          Snapshot{{"allocation.numbers", std::vector<int>(10)}, {"allocation.unknown", std::string(99, 'u')}});
      store->batch([&] { store->use(text).update(std::string(300, 'z')); });
      kept = store->use(count).on_change([captured = std::string(100, 'x')] {});
    }
  };
  round();
  const long alive = Allocations::alive();
  for (int i = 0; i < 10; ++i) round();
  CHECK(Allocations::alive() == alive);
}

TEST_CASE("destroy gives back what the atoms and their listeners had") {
  AtomStore store;
  const auto round = [&] {
    store.use(text).on_change([captured = std::string(100, 'x')] {});
    store.use(text).update(std::string(200, 'y'));
    store.hydrate(Snapshot{{"allocation.numbers", std::vector<int>(10)}});
    store.destroy();
  };
  round();
  const long alive = Allocations::alive();
  for (int i = 0; i < 10; ++i) round();
  CHECK(Allocations::alive() == alive);
}

TEST_CASE("what comes from upstream goes back with the same size and alignment") {
  Upstream upstream;
  {
    AtomStore store(&upstream);
    for (const auto& atom : many()) store.use(*atom).mutate([](Big& b) { b.numbers[1] = 1; });
    store.use(over_aligned).mutate([](OverAligned& o) { o.numbers[0] = 1; });
    store.use(over_aligned).on_change([](const OverAligned&, const OverAligned&) {});
    store.use(over_aligned).mutate([](OverAligned& o) { o.numbers[0] = 2; });
    store.use(big).on_change([captured = Big{}](const Big&, const Big&) { (void)captured; });
    store.use(big).update(Big{{1}});
    const std::pmr::string long_text(5000, 'x');
    store.use(pmr_text).update(long_text);
    for (int i = 0; i < 200; ++i) store.use(count).on_change([] {});
    store.hydrate(Snapshot{{"allocation.text", "copied"}});
    store.hydrate(Snapshot{{"allocation.count", 5L}, {"allocation.text", "sifted"}});
    CHECK(upstream.pieces() > 30);
    store.drop(big);
    store.drop(*many()[3]);
    store.drop(over_aligned);
    const bool destroyed = GENERATE(false, true);
    if (destroyed) store.destroy();
  }
  CHECK(upstream.pieces() == 0);
  CHECK(upstream.mismatches == 0);
}

TEST_CASE("a large class with verbs goes back to upstream as it came") {
  Upstream upstream;
  {
    AtomStore store(&upstream);
    store.use(bulky).notes[99] = 1;
    CHECK(upstream.allocations == 1);
    const bool dropped = GENERATE(false, true);
    if (dropped) store.drop(bulky);
  }
  CHECK(upstream.pieces() == 0);
  CHECK(upstream.mismatches == 0);
}

// ---- When there is no memory

/// A request that needs memory from upstream at every turn. `step` counts what it has done.
using Captured = support::Counted<struct CapturedByListener>;
void request(AtomStore& store, int& step) {
  const auto done = [&] { ++step; };
  store.use(big).mutate([](Big& b) { b.numbers[0] = 1; });
  done();
  for (const auto& atom : many()) {
    store.use(*atom).update(Big{{77}});
    done();
  }
  for (int i = 0; i < 60; ++i) {
    store.use(count).on_change([captured = Captured(i), padding = std::array<char, 200>{}] { (void)padding; });
    done();
  }
  store.hydrate(Snapshot{{"allocation.text", "queued"}, {"allocation.user", User{"Eve", 1}}});
  done();
  store.hydrate(Snapshot{{"allocation.count", 9}, {"allocation.late", 5}});
  done();
  store.use(user).update(User{"Alice", 2});
  done();
  store.batch([&] {
    store.use(big).update(Big{{5}});
    store.use(count).update(10);
    store.use(*many()[0]).mutate([](Big& b) { b.numbers[3] = 3; });
  });
  done();
  store.drop(user);
  done();
  store.drop(*many()[5]);
  done();
  store.use(big).reset();
  done();
  for (int i = 0; i < 20; ++i) {
    store.hydrate(Snapshot{{"allocation.big", Big{{i}}}});
    done();
  }
  CHECK(store.use(text).value() == "queued");
  CHECK(store.use(user).value() == User());
}

TEST_CASE("a request that runs out of memory, wherever it does, leaves the store consistent and nothing behind") {
  (void)many();
  bool finished = false;
  int failures = 0;
  for (int n = 0; !finished; ++n) {
    INFO("memory for " << n << " allocations");
    Upstream upstream;
    const int captured_before = Captured::counts().alive;
    const long alive = Allocations::alive();
    {
      AtomStore store(&upstream);
      upstream.fails_after = n;
      int step = 0;
      try {
        request(store, step);
        finished = true;
      } catch (const std::bad_alloc&) {
        ++failures;
      }
      int wrong = 0;
      std::size_t listed = 0;
      for (atom::AtomBase& clone : store.list()) {
        wrong += store.get(clone.key()) != &clone;
        ++listed;
      }
      wrong += listed != store.size();
      for (const auto& atom : many()) {
        const int first = store.value(*atom).numbers[0];
        wrong += first != atom->value().numbers[0] && first != 77;
      }
      const int b = store.value(big).numbers[0];
      wrong += b < 0 || b > 19;
      CHECK(wrong == 0);

      // With memory again, it works as ever.
      upstream.fails_after.reset();
      store.destroy();
      CHECK(store.empty());
      int again = 0;
      request(store, again);
    }
    CHECK(upstream.pieces() == 0);
    CHECK(upstream.mismatches == 0);
    CHECK(Captured::counts().alive == captured_before);
    CHECK(Allocations::alive() == alive);
    if (n > 1000) break;
  }
  CHECK(finished);
  CHECK(failures > 50);
}

/// Uses up the store's own memory and what it has from upstream.
void exhaust(AtomStore& store, Upstream& upstream) {
  upstream.fails_after = upstream.allocations;
  for (std::size_t size = 256; size > 0; size -= 16) {
    try {
      for (;;) (void)store.resource()->allocate(size, 16);
    } catch (const std::bad_alloc&) {
    }
  }
}

TEST_CASE("a write for which there is no memory leaves the value, and listeners are not told") {
  Upstream upstream;
  AtomStore store(&upstream);
  int told = 0;
  store.use(text).on_change([&](const std::string&, const std::string&) { ++told; });
  store.use(big).on_change([&](const Big&, const Big&) { ++told; });
  exhaust(store, upstream);
  CHECK_THROWS_AS(store.use(text).update("new"), std::bad_alloc);
  CHECK_THROWS_AS(store.use(big).mutate([](Big& b) { b.numbers[0] = 1; }), std::bad_alloc);
  CHECK_THROWS_AS(store.use(count).on_change([] {}), std::bad_alloc);
  CHECK_THROWS_AS(store.use(user), std::bad_alloc);
  CHECK(store.value(text) == text.value());
  CHECK(store.value(big) == Big{});
  CHECK(told == 0);
  CHECK_FALSE(store.has(user));
  upstream.fails_after.reset();
  store.use(text).update("new");
  CHECK(store.value(text) == "new");
  CHECK(told == 1);
}

TEST_CASE("an update that fails in a batch leaves the others of the batch to be told") {
  Upstream upstream;
  AtomStore store(&upstream);
  int told = 0;
  store.use(big);
  store.use(count).on_change([&] { ++told; });
  CHECK_THROWS_AS(store.batch([&] {
    store.use(count).update(7);
    exhaust(store, upstream);
    store.use(big).update(Big{{1}});
  }),
                  std::bad_alloc);
  CHECK(told == 1);
  CHECK(store.value(count) == 7);
  CHECK(store.value(big) == Big{});
}

TEST_CASE("a drop for which there is no memory may be tried again") {
  Upstream upstream;
  AtomStore store(&upstream);
  store.hydrate(std::make_shared<const Snapshot>(Snapshot{{"allocation.count", 8}}));
  store.use(count);
  exhaust(store, upstream);
  bool thrown = false;
  try {
    store.drop(count);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  upstream.fails_after.reset();
  store.drop(count);
  CHECK(thrown);
  CHECK_FALSE(store.has(count));
  CHECK(store.use(count).value() == 3);
}

TEST_CASE("a hydrate for which there is no memory loses nothing that was hydrated before") {
  // One more allocation is allowed each time, so that each step of tidying up fails once.
  for (int extra = 0; extra < 8; ++extra) {
    Upstream upstream;
    AtomStore store(&upstream);
    store.hydrate(Snapshot{{"allocation.text", "queued"}});
    store.hydrate(Snapshot{{"allocation.stray", 5}}, {.trust = atom::Trust::client});
    for (int i = 0; i < 40; ++i) {
      upstream.fails_after = upstream.allocations + extra;
      try {
        store.hydrate(Snapshot{{"allocation.user", User{"Eve", i}}});
      } catch (const std::bad_alloc&) {
      }
      upstream.fails_after = upstream.allocations + extra % 3;
      try {
        store.hydrate(std::make_shared<const Snapshot>(Snapshot{{"allocation.count", i}}));
      } catch (const std::bad_alloc&) {
      }
    }
    upstream.fails_after.reset();
    INFO("with " << extra << " more");
    CHECK(store.value(text) == "queued");
    CHECK(store.snapshot({.queued = true}).contains("allocation.stray"));
  }
}

}  // namespace
}  // namespace allocation_test

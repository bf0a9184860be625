// Listeners and their handles: who is told, in which order, and what outlives what.
#include <atom/signal.hpp>
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace signal_test {
namespace {

inline const atom::Atom<int> count{"signal.count", 0};
inline const atom::Atom<int> other{"signal.other", 0};
inline const atom::Atom<std::string> text{"signal.text", "a text that is longer than what lies in the string itself"};

using Log = std::vector<std::string>;

std::string line(const std::string& who, int now, int old) {
  return who + ":" + std::to_string(now) + "<-" + std::to_string(old);
}

// ------------------------------------------------------------------------------- what breaks in signal libraries

TEST_CASE("a listener that ends its own subscription is called once, and nobody is skipped or repeated") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom::Subscription own;
  atom.on_change([&] { log.push_back("first"); });
  own = atom.on_change([&] {
    log.push_back("own");
    own.unsubscribe();
  });
  atom.on_change([&] { log.push_back("last"); });

  atom.update(1);
  CHECK(log == Log{"first", "own", "last"});
  CHECK_FALSE(own.active());
  log.clear();
  atom.update(2);
  CHECK(log == Log{"first", "last"});
}

TEST_CASE("a listener that subscribes others is not moved by it, and they start with the next change") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  bool once = true;
  const std::string captured(100, 'x');
  atom.on_change([&, captured] {
    if (std::exchange(once, false)) {
      for (int i = 0; i < 50; ++i) atom.on_change([&] { log.push_back("new"); });
    }
    log.push_back(captured == std::string(100, 'x') ? "intact" : "moved");
  });

  atom.update(1);
  CHECK(log == Log{"intact"});
  log.clear();
  atom.update(2);
  CHECK(log.size() == 51);
  CHECK(log.front() == "intact");
}

TEST_CASE("a watcher that is subscribed by a change listener waits for the next change too") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int called = 0;
  atom.on_change([&] {
    if (called == 0) atom.on_change([&] { ++called; });
  });
  atom.on_reset([] {});
  atom.update(1);
  CHECK(called == 0);
  atom.update(2);
  CHECK(called == 1);
}

TEST_CASE("a nested update is told after the one that is under way, so all see one order") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom.on_change([&](int now, int old) {
    log.push_back(line("a", now, old));
    if (now < 3) atom.update(now + 1);
  });
  atom.on_change([&](int now, int old) { log.push_back(line("b", now, old)); });

  atom.update(1);
  CHECK(log == Log{"a:1<-0", "b:1<-0", "a:2<-1", "b:2<-1", "a:3<-2", "b:3<-2"});
  CHECK(atom.value() == 3);
}

TEST_CASE("a throwing listener stops nobody, the first exception reaches the caller, and the signal lives on") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom.on_change([&] { log.push_back("before"); });
  atom.on_change([&] { throw std::runtime_error("one"); });
  atom.on_change([&] { throw std::runtime_error("two"); });
  atom.on_change([&] { log.push_back("after"); });

  CHECK_THROWS_WITH(atom.update(1), "one");
  CHECK(log == Log{"before", "after"});
  CHECK(atom.value() == 1);
  CHECK_THROWS_WITH(atom.update(2), "one");
  CHECK(log == Log{"before", "after", "before", "after"});
}

TEST_CASE("a handle that outlives its atom and its store is harmless") {
  atom::Subscription dropped;
  atom::Subscription gone;
  atom::ScopedSubscription scoped;
  {
    atom::AtomStore store;
    auto& atom = store.use(count);
    dropped = atom.on_change([] {});
    store.drop(atom);
    CHECK_FALSE(dropped.active());
    gone = store.use(count).on_change([] {});
    scoped = store.use(count).on_change([] {});
    CHECK(gone.active());
  }
  CHECK_FALSE(dropped.active());
  CHECK_FALSE(gone.active());
  CHECK_FALSE(scoped.active());
  dropped.unsubscribe();
  gone.unsubscribe();
}

TEST_CASE("assigning to a scoped subscription ends the one it held") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom::ScopedSubscription scoped = atom.on_change([&] { log.push_back("old"); });
  scoped = atom.on_change([&] { log.push_back("new"); });
  atom.update(1);
  CHECK(log == Log{"new"});
  scoped = atom::ScopedSubscription{};
  atom.update(2);
  CHECK(log == Log{"new"});
}

TEST_CASE("handles may be moved anywhere, also onto themselves and while their listener runs") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int called = 0;
  std::vector<atom::Subscription> handles;
  for (int i = 0; i < 20; ++i) handles.push_back(atom.on_change([&] { ++called; }));  // moves them as it grows
  atom.on_change([&] { handles.emplace(handles.begin()); });
  atom.update(1);
  CHECK(called == 20);
  auto& itself = handles[3];
  handles[3] = std::move(itself);
  CHECK(handles[3].active());
  for (auto& handle : handles) handle.unsubscribe();
  atom.update(2);
  CHECK(called == 20);
  static_assert(!std::is_copy_constructible_v<atom::Subscription>);
  static_assert(std::is_nothrow_move_constructible_v<atom::Subscription>);
  static_assert(std::is_nothrow_move_assignable_v<atom::ScopedSubscription>);
}

TEST_CASE("moving onto a live handle leaves that one's listener in place") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom::Subscription a = atom.on_change([&] { log.push_back("a"); });
  atom::Subscription b = atom.on_change([&] { log.push_back("b"); });
  a = std::move(b);
  atom.update(1);
  CHECK(log == Log{"a", "b"});
  a.unsubscribe();
  atom.update(2);
  CHECK(log == Log{"a", "b", "a"});
}

TEST_CASE("a listener may drop its own atom: nobody after it is called, and the next use starts anew") {
  atom::AtomStore store;
  auto& atom = store.use(text);
  Log log;
  atom.on_change([&](const std::string& now, const std::string& old) {
    store.drop(store.use(text));
    log.push_back(now + "|" + old.substr(0, 6));  // what it looks at stays
  });
  atom.on_change([&] { log.push_back("never"); });
  atom.on_destroy([&] { log.push_back("destroyed"); });
  atom.update("another text that is longer than what lies in the string itself");
  CHECK(log == Log{"destroyed", "another text that is longer than what lies in the string itself|a text"});
  CHECK_FALSE(store.has(text));
  CHECK(store.use(text).value() == text.value());
}

TEST_CASE("a listener may destroy the store's content, or the store itself") {
  SECTION("its content") {
    atom::AtomStore store;
    auto& atom = store.use(count);
    store.use(other).on_change([] { FAIL("not any more"); });
    int called = 0;
    atom.on_change([&] {
      ++called;
      store.use(other).update(1);
      store.destroy();
      CHECK(store.empty());
      CHECK(store.use(count).value() == 0);
    });
    atom.on_change([&] { ++called; });
    atom.update(1);
    CHECK(called == 1);
    CHECK(store.size() == 1);
  }
  SECTION("the store") {
    auto* store = new atom::AtomStore;
    auto& atom = store->use(text);
    int called = 0;
    atom.update("a first text, also longer than what lies in the string itself");
    atom.on_change([&called, store](const std::string&, const std::string&) {
      ++called;
      delete store;
    });
    atom.on_change([&] { ++called; });
    atom.update("another text, also longer than what lies in the string itself");
    CHECK(called == 1);
  }
  SECTION("the store, in a batch, with others waiting, after another listener threw") {
    auto* store = new atom::AtomStore;
    int called = 0;
    store->use(count).on_change([] { throw std::runtime_error("told first"); });
    store->use(text).on_change([&called, store](const std::string&, const std::string&) {
      ++called;
      delete store;
    });
    store->use(other).on_change([&] { ++called; });
    const auto run = [&] {
      store->batch([&] {
        store->use(count).update(1);
        store->use(text).update("another text, also longer than what lies in the string itself");
        store->use(other).update(1);
      });
    };
    CHECK_THROWS_WITH(run(), "told first");
    CHECK(called == 1);
  }
  SECTION("the store, while it is told that it is destroyed") {
    auto* store = new atom::AtomStore;
    int called = 0;
    store->use(count).on_destroy([&called, store] {
      ++called;
      delete store;
    });
    store->use(other).on_destroy([&] { ++called; });
    store->destroy();
    CHECK(called == 2);  // the destructor tells the rest
  }
}

TEST_CASE("a listener that is disconnected during a delivery, and not called yet, is not called") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom::Subscription later;
  atom::Subscription earlier = atom.on_change([&] { log.push_back("earlier"); });
  atom.on_change([&] {
    log.push_back("middle");
    later.unsubscribe();
    earlier.unsubscribe();
    CHECK_FALSE(later.active());
  });
  later = atom.on_change([&] { log.push_back("later"); });
  atom.on_change([&] { log.push_back("last"); });
  atom.update(1);
  CHECK(log == Log{"earlier", "middle", "last"});
  atom.update(2);
  CHECK(log == Log{"earlier", "middle", "last", "middle", "last"});
}

// -------------------------------------------------------------------------------------------------------- the rest

TEST_CASE("of three listeners, the second still fires when the first and then the third have gone") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  auto a = atom.on_change([&] { log.push_back("a"); });
  auto b = atom.on_change([&] { log.push_back("b"); });
  auto c = atom.on_change([&] { log.push_back("c"); });
  a.unsubscribe();
  c.unsubscribe();
  atom.update(1);
  CHECK(log == Log{"b"});
  atom.on_change([&] { log.push_back("d"); });
  atom.update(2);
  CHECK(log == Log{"b", "b", "d"});
  CHECK(b.active());
}

TEST_CASE("in whatever order listeners go, the others are told in the order in which they came") {
  std::vector<std::size_t> order{0, 1, 2, 3};
  do {
    atom::AtomStore store;
    auto& atom = store.use(count);
    std::string log;
    std::string all = "abcd";
    std::vector<atom::Subscription> subscriptions;
    for (const char name : all) subscriptions.push_back(atom.on_change([&log, name] { log += name; }));
    for (const std::size_t gone : order) {
      std::erase(all, "abcd"[gone]);
      subscriptions[gone].unsubscribe();
      log.clear();
      atom.update(*atom + 1);
      CHECK(log == all);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a nested update of another atom is told when this one's listeners have all run") {
  atom::AtomStore store;
  auto& a = store.use(count);
  auto& b = store.use(other);
  Log log;
  a.on_change([&] {
    log.push_back("a first");
    b.update(7);
    CHECK(b.value() == 7);  // takes effect at once
  });
  a.on_change([&] { log.push_back("a second"); });
  b.on_change([&] { log.push_back("b"); });
  a.update(1);
  CHECK(log == Log{"a first", "a second", "b"});
}

TEST_CASE("everyone's last call carries the final value, also when a later listener changes it") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int first = -1;
  int last = -1;
  atom.on_change([&](int now) { first = now; });
  atom.on_change([&](int now) {
    if (now % 10 != 0) atom.update(now + 1);
  });
  atom.on_change([&](int now) { last = now; });
  atom.update(5);
  CHECK(atom.value() == 10);
  CHECK(first == 10);
  CHECK(last == 10);
}

TEST_CASE("listeners that keep updating each other are stopped by an error, and the store works on") {
  atom::AtomStore store;
  auto& ping = store.use(count);
  auto& pong = store.use(other);
  atom::ScopedSubscription a = ping.on_change([&](int now) { pong.update(now + 1); });
  atom::ScopedSubscription b = pong.on_change([&](int now) { ping.update(now + 1); });
  CHECK_THROWS_AS(ping.update(1), atom::CycleError);
  CHECK(ping.value() > 1000);

  a.unsubscribe();
  b.unsubscribe();
  int told = 0;
  ping.on_change([&] { ++told; });
  pong.on_change([&] { ++told; });
  ping.update(-1);
  pong.update(-1);
  CHECK(told == 2);
  CHECK_NOTHROW(store.batch([&] { ping.update(-2); }));
  CHECK(told == 3);
}

TEST_CASE("what a callable captured goes when it is unsubscribed, or after the delivery that is under way") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  auto resource = std::make_shared<int>(1);
  atom::Subscription outside = atom.on_change([resource] {});
  CHECK(resource.use_count() == 2);
  outside.unsubscribe();
  CHECK(resource.use_count() == 1);

  atom::Subscription inside;
  inside = atom.on_change([&, resource] {
    inside.unsubscribe();
    CHECK(resource.use_count() == 2);
  });
  atom.update(1);
  CHECK(resource.use_count() == 1);
}

TEST_CASE("a callable whose end runs code of its own may use the store") {
  struct AtEnd {
    std::function<void()> run;
    ~AtEnd() {
      if (run) run();
    }
  };
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  store.use(other).on_change([&](int now, int old) { log.push_back(line("other", now, old)); });
  atom::Subscription victim = atom.on_change([&] { log.push_back("victim"); });
  const auto at_end = std::make_shared<AtEnd>();
  at_end->run = [&] {
    victim.unsubscribe();
    store.use(other).update(5);
    atom.on_change([&] { log.push_back("successor"); });
  };
  auto handle = atom.on_change([held = std::shared_ptr<AtEnd>(new AtEnd{at_end->run})] {});
  at_end->run = nullptr;
  handle.unsubscribe();
  CHECK(log == Log{"other:5<-0"});
  atom.update(1);
  CHECK(log == Log{"other:5<-0", "successor"});
}

TEST_CASE("a callable whose end destroys the store is the last that is run of it") {
  struct DeleteAtEnd {
    atom::AtomStore* store;
    int* count;
    ~DeleteAtEnd() {
      ++*count;
      delete store;
    }
  };
  int ended = 0;
  int others = 0;
  struct CountAtEnd {
    int* count;
    ~CountAtEnd() { ++*count; }
  };
  auto* store = new atom::AtomStore;
  auto& atom = store->use(text);
  std::vector<atom::Subscription> handles;
  handles.push_back(atom.on_change([held = std::shared_ptr<DeleteAtEnd>(new DeleteAtEnd{store, &ended})] {}));
  for (int i = 0; i < 3; ++i) {
    handles.push_back(atom.on_change([held = std::shared_ptr<CountAtEnd>(new CountAtEnd{&others})] {}));
  }
  atom.on_change([&] {
    for (auto& handle : handles) handle.unsubscribe();
  });
  atom.update("another text, also longer than what lies in the string itself");
  CHECK(ended == 1);
  CHECK(others == 3);
}

TEST_CASE("a listener that only wants the new value, and one that wants nothing, are told as well") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  Log log;
  atom.on_change([&] { log.push_back("none"); });
  atom.on_change([&](int now) { log.push_back("now " + std::to_string(now)); });
  atom.on_change([&](int now, int old) { log.push_back(line("both", now, old)); });
  atom.on_change([&](const int& now, const int& old, atom::Atom<int>& self) {
    log.push_back(line(std::string(self.key()), now, old));
    CHECK(&self == &atom);
  });
  atom.update(4);
  CHECK(log == Log{"none", "now 4", "both:4<-0", "signal.count:4<-0"});
}

TEST_CASE("no listener is left behind: the heap is back where it began, even if nobody unsubscribed") {
  const auto request = [] {
    atom::AtomStore store;
    auto& atom = store.use(text);
    for (int i = 0; i < 100; ++i) {
      atom.on_change(
          [big = std::string(100, 'x')](const std::string&, const std::string&) { REQUIRE(big.size() == 100); });
    }
    atom.update(std::string(200, 'y'));
    store.use(count).on_destroy([held = std::make_shared<int>(1)] {});
  };
  request();  // whatever is made once per process
  const long before = support::Allocations::alive();
  request();
  CHECK(support::Allocations::alive() == before);
}

TEST_CASE("a small listener costs no allocation") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int sum = 0;
  const support::Allocations allocations;
  for (int i = 0; i < 1000; ++i) {
    atom::ScopedSubscription scoped = atom.on_change([&sum](int now, int old) { sum += now - old; });
    atom.update(i + 1);
  }
  CHECK(allocations.count() == 0);
  CHECK(sum == 1000);
}

TEST_CASE("a scoped subscription can let its listener live on") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int called = 0;
  atom::Subscription kept;
  {
    atom::ScopedSubscription scoped = atom.on_change([&] { ++called; });
    kept = scoped.release();
    CHECK_FALSE(scoped.active());
  }
  atom.update(1);
  CHECK(called == 1);
  kept.unsubscribe();
  atom.update(2);
  CHECK(called == 1);
}

TEST_CASE("a change that nobody heard, as the last listener had just gone, is not told to who subscribes after it") {
  atom::AtomStore store;
  auto& atom = store.use(count);
  int told = 0;
  atom::Subscription only = atom.on_change([&] {
    only.unsubscribe();
    atom.update(3);
    atom.on_change([&] { ++told; });
  });
  atom.update(2);
  CHECK(told == 0);
  atom.update(4);
  CHECK(told == 1);
}

}  // namespace
}  // namespace signal_test

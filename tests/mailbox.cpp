#include <atom/mailbox.hpp>

#include <atom/history.hpp>
#include <atom/persist.hpp>

#include "support/allocations.hpp"
#include "support/at_end.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace mailbox_test {
namespace {

using support::AtEnd;
using Log = std::vector<std::string>;

const atom::Atom<int> number{"mailbox.number", 0};
const atom::Atom<std::string> text{"mailbox.text"};

static_assert(std::is_nothrow_default_constructible_v<atom::Mailbox>);
static_assert(std::is_nothrow_copy_constructible_v<atom::Mailbox>);
static_assert(std::is_nothrow_move_constructible_v<atom::Mailbox>);

// ------------------------------------------------------------------------------------------------------------ in order

TEST_CASE("What is posted runs when the store is drained, in order, with the store or with nothing") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  Log log;
  CHECK(mailbox.post([&](atom::AtomStore& given) { log.push_back(&given == &store ? "store" : "another"); }));
  CHECK(mailbox.post([&] { log.push_back("nothing"); }));
  CHECK(mailbox.post([&](auto&... given) { log.push_back(std::to_string(sizeof...(given))); }));
  CHECK(log.empty());
  CHECK(mailbox.pending() == 3);
  CHECK(store.drain() == 3);
  CHECK(log == Log{"store", "nothing", "1"});
  CHECK(mailbox.pending() == 0);
  CHECK(store.drain() == 0);
  CHECK(log.size() == 3);
}

TEST_CASE("A store without a mailbox has nothing to drain, and is not given one by that") {
  atom::AtomStore store;
  const support::Allocations allocations;
  CHECK(store.drain() == 0);
  store.use(number).update(1);
  store.destroy();
  CHECK(allocations.count() == 0);
}

TEST_CASE("A store has one mailbox, and after destroy a new one") {
  atom::AtomStore store;
  atom::AtomStore other;
  const atom::Mailbox first = store.mailbox();
  CHECK(store.mailbox() == first);
  CHECK_FALSE(other.mailbox() == first);
  CHECK_FALSE(atom::Mailbox() == first);
  CHECK_FALSE(first.closed());
  store.destroy();
  CHECK(first.closed());
  const atom::Mailbox second = store.mailbox();
  CHECK_FALSE(second == first);
  CHECK_FALSE(second.closed());
  int ran = 0;
  CHECK_FALSE(first.post([&] { ran += 10; }));
  CHECK(second.post([&] { ++ran; }));
  CHECK(store.drain() == 1);
  CHECK(ran == 1);
}

TEST_CASE("A mailbox that is default-constructed is closed") {
  const atom::Mailbox mailbox;
  CHECK(mailbox.closed());
  CHECK(mailbox.pending() == 0);
  CHECK_FALSE(mailbox.post([] {}));
  CHECK(mailbox == atom::Mailbox());
}

TEST_CASE("A mailbox outlives its store, and takes nothing then") {
  std::optional<atom::AtomStore> store(std::in_place);
  const atom::Mailbox mailbox = store->mailbox();
  const atom::Mailbox copy = mailbox;
  store.reset();
  CHECK(mailbox.closed());
  CHECK(copy.closed());
  int ran = 0;
  CHECK_FALSE(copy.post([&] { ++ran; }));
  CHECK(mailbox.pending() == 0);
  CHECK(ran == 0);
}

TEST_CASE("A mailbox stays with its store through drops and uses of atoms") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  store.use(number).update(1);
  store.drop(number);
  CHECK_FALSE(mailbox.closed());
  CHECK(mailbox.post([](atom::AtomStore& s) { s.use(number).update(2); }));
  CHECK(store.drain() == 1);
  CHECK(store.value(number) == 2);
}

TEST_CASE("A store that is destroyed again and again does not grow by its mailboxes") {
  atom::AtomStore store{std::pmr::null_memory_resource()};
  for (int i = 0; i < 100; ++i) {
    CHECK(store.mailbox().post([] {}));
    store.destroy();
  }
}

// ------------------------------------------------------------------------------------------------------- odd functions

struct Tag {};
using Counted = support::Counted<Tag>;

TEST_CASE("A function that can only be moved is posted, called once, and gone before the next one runs") {
  atom::AtomStore store;
  Log log;
  auto flag = std::shared_ptr<int>(new int(7), [&](int* p) {
    log.push_back("gone");
    delete p;
  });
  struct MoveOnly {
    std::unique_ptr<int> held;
    std::shared_ptr<int> flag;
    Log* log;
    void operator()() && { log->push_back("ran " + std::to_string(*held)); }  // as an rvalue: it runs once
  };
  CHECK(store.mailbox().post(MoveOnly{std::make_unique<int>(5), std::move(flag), &log}));
  CHECK(store.mailbox().post([&] { log.push_back("next"); }));
  store.drain();
  CHECK(log == Log{"ran 5", "gone", "next"});
}

TEST_CASE("A posted function is moved, never copied, and destroyed once") {
  Counted::forget();
  {
    atom::AtomStore store;
    Counted counted(3);
    int seen = 0;
    store.mailbox().post([moved = std::move(counted), &seen] { seen = moved.value; });
    CHECK(Counted::counts().alive == 2);  // the one that was moved from, too
    store.drain();
    CHECK(seen == 3);
    CHECK(Counted::counts().alive == 1);
    CHECK(Counted::counts().copies == 0);
    const auto kept = [counted] { static_cast<void>(counted); };
    Counted::forget();
    store.mailbox().post(kept);  // this one is not given away
    CHECK(Counted::counts().copies == 1);
  }
  CHECK(Counted::counts().alive == 0);
  atom::Mailbox().post([counted = Counted(4)] {});
  CHECK(Counted::counts().alive == 0);
}

TEST_CASE("A posted function may be over-aligned, large, a function, or return something") {
  atom::AtomStore store;
  struct alignas(128) Wide {
    std::array<std::uint64_t, 100> words{};
  };
  Wide wide;
  wide.words[99] = 9;
  std::uint64_t last = 0;
  bool aligned = false;
  store.mailbox().post([wide, &last, &aligned] {
    last = wide.words[99];
    aligned = reinterpret_cast<std::uintptr_t>(&wide) % 128 == 0;
    return last;
  });
  void (*function)(atom::AtomStore&) = [](atom::AtomStore& s) { s.use(number).update(4); };
  store.mailbox().post(function);
  store.mailbox().post(std::function<int()>([] { return 1; }));
  CHECK(store.drain() == 3);
  CHECK(last == 9);
  CHECK(aligned);
  CHECK(store.value(number) == 4);
}

TEST_CASE("A function that throws when it is moved is not posted") {
  struct Stubborn {
    int moves_left;
    explicit Stubborn(int moves) : moves_left(moves) {}
    Stubborn(Stubborn&& other) : moves_left(other.moves_left - 1) {
      if (moves_left < 0) throw std::runtime_error("will not move");
    }
    void operator()() {}
  };
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  CHECK_THROWS_AS(mailbox.post(Stubborn{0}), std::runtime_error);
  CHECK(mailbox.pending() == 0);
  CHECK(mailbox.post(Stubborn{5}));
  CHECK(store.drain() == 1);
}

TEST_CASE("A post allocates what it takes to keep the function, and a drain nothing") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  int sum = 0;
  const support::Allocations posting;
  for (int i = 0; i < 100; ++i) mailbox.post([&sum, i] { sum += i; });
  CHECK(posting.count() == 100);
  const support::Allocations draining;
  CHECK(store.drain() == 100);
  CHECK(draining.count() == 0);
  CHECK(sum == 4950);
}

TEST_CASE("A hundred thousand functions that are dropped do not exhaust the stack") {
  Counted::forget();
  {
    atom::AtomStore store;
    const atom::Mailbox mailbox = store.mailbox();
    for (int i = 0; i < 100'000; ++i) mailbox.post([counted = Counted(i)] {});
    CHECK(mailbox.pending() == 100'000);
    CHECK(Counted::counts().alive == 100'000);
  }
  CHECK(Counted::counts().alive == 0);
}

// ---------------------------------------------------------------------------------------------------------- exceptions

TEST_CASE("A function that throws stops nobody, and the first exception comes out when all have run") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  Log log;
  mailbox.post([](atom::AtomStore& s) {
    s.use(number).update(1);
    throw std::runtime_error("first");
  });
  mailbox.post([&] { log.push_back("second"); });
  mailbox.post([] { throw 3; });
  mailbox.post([&] { log.push_back("fourth"); });
  CHECK_THROWS_WITH(store.drain(), "first");
  CHECK(log == Log{"second", "fourth"});
  CHECK(store.value(number) == 1);
  CHECK(mailbox.pending() == 0);
  CHECK(store.drain() == 0);  // it was thrown once
}

TEST_CASE("What a listener throws for one posted function does not keep the next one from running") {
  atom::AtomStore store;
  store.use(number).on_change([](const int& now) {
    if (now == 1) throw std::runtime_error("one");
  });
  const atom::Mailbox mailbox = store.mailbox();
  for (int i = 1; i <= 3; ++i) mailbox.post([i](atom::AtomStore& s) { s.use(number).update(i); });
  CHECK_THROWS_WITH(store.drain(), "one");
  CHECK(store.value(number) == 3);
}

// ---------------------------------------------------------------------------------------------------------- reentrancy

TEST_CASE("What a function posts runs with the next drain") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  int runs = 0;
  struct Again {
    atom::Mailbox mailbox;
    int* runs;
    void operator()() const {
      ++*runs;
      mailbox.post(*this);
    }
  };
  mailbox.post(Again{mailbox, &runs});
  for (int i = 1; i <= 5; ++i) {
    CHECK(store.drain() == 1);
    CHECK(runs == i);
    CHECK(mailbox.pending() == 1);
  }
}  // and the one that is left, which holds the mailbox, does not keep it alive: no leak

TEST_CASE("A function that drains runs the rest first, each once and in order") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  Log log;
  std::size_t inner = 0;
  mailbox.post([&] {
    log.push_back("one");
    mailbox.post([&] { log.push_back("posted by one"); });
    inner = store.drain();
    log.push_back("one ends");
    mailbox.post([&] { log.push_back("too late"); });
  });
  mailbox.post([&] { log.push_back("two"); });
  CHECK(store.drain() == 1);
  CHECK(inner == 2);
  CHECK(log == Log{"one", "two", "posted by one", "one ends"});
  CHECK(store.drain() == 1);
}

TEST_CASE("Each posted function is told on its own, and in a batch all together") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  std::vector<int> told;
  store.use(number).on_change([&](const int& now) { told.push_back(now); });
  for (int i = 1; i <= 3; ++i) mailbox.post([i](atom::AtomStore& s) { s.use(number).update(i); });
  store.drain();
  CHECK(told == std::vector{1, 2, 3});
  for (int i = 4; i <= 6; ++i) mailbox.post([i](atom::AtomStore& s) { s.use(number).update(i); });
  CHECK(store.batch([&] { return store.drain(); }) == 3);
  CHECK(told == std::vector{1, 2, 3, 6});
}

TEST_CASE("A store that is drained inside a transaction says so, and keeps what was posted") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  mailbox.post([](atom::AtomStore& s) { s.use(number).update(1); });
  CHECK_THROWS_WITH(store.transaction([&] { store.drain(); }), support::ContainsSubstring("inside a transaction"));
  CHECK(mailbox.pending() == 1);
  CHECK(store.drain() == 1);
  CHECK(store.value(number) == 1);
  mailbox.post([](atom::AtomStore& s) { s.transaction([&] { s.use(number).update(2); }); });
  CHECK(store.drain() == 1);
  CHECK(store.value(number) == 2);
}

TEST_CASE("A listener may drain: what runs there writes as it does, and is told afterwards") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  Log log;
  store.use(text).on_change([&](const std::string& now) { log.push_back("text " + now); });
  store.use(number).on_change([&] {
    store.drain();
    log.push_back("drained");
  });
  mailbox.post([](atom::AtomStore& s) { s.use(text).update("posted"); });
  store.use(number).update(1);
  CHECK(log == Log{"drained", "text posted"});
}

TEST_CASE("A posted function may subscribe, unsubscribe, and drop atoms") {
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  int told = 0;
  atom::Subscription handle;
  mailbox.post([&](atom::AtomStore& s) { handle = s.use(number).on_change([&] { ++told; }); });
  mailbox.post([](atom::AtomStore& s) { s.use(number).update(1); });
  mailbox.post([&] { handle.unsubscribe(); });
  mailbox.post([](atom::AtomStore& s) { s.use(number).update(2); });
  mailbox.post([](atom::AtomStore& s) { s.drop(number); });
  CHECK(store.drain() == 5);
  CHECK(told == 1);
  CHECK_FALSE(store.has(number));
}

// ------------------------------------------------------------------------------------------------------------- the end

TEST_CASE("What waits when the store ends is dropped without a call") {
  Counted::forget();
  int ran = 0;
  std::optional<atom::AtomStore> store(std::in_place);
  const atom::Mailbox mailbox = store->mailbox();
  for (int i = 0; i < 3; ++i) mailbox.post([&ran, counted = Counted(i)] { ++ran; });
  CHECK(Counted::counts().alive == 3);
  SECTION("with its destructor") {
    store.reset();
  }
  SECTION("with destroy") {
    store->destroy();
  }
  CHECK(Counted::counts().alive == 0);
  CHECK(ran == 0);
  CHECK(mailbox.pending() == 0);
}

TEST_CASE("What is dropped goes in order, finds the mailbox closed, and may post and ask") {
  Log log;
  std::optional<atom::AtomStore> store(std::in_place);
  const atom::Mailbox mailbox = store->mailbox();
  mailbox.post(AtEnd([&, mailbox] {
    log.push_back(mailbox.closed() ? "closed" : "open");
    log.push_back(mailbox.post([] {}) ? "taken" : "refused");
    log.push_back(std::to_string(mailbox.pending()));
  }));
  mailbox.post(AtEnd([&] { log.push_back("second"); }));
  SECTION("when the store is gone") {
    store.reset();
    CHECK(log == Log{"closed", "refused", "0", "second"});
  }
  SECTION("when it was destroyed, where the store and its next mailbox may be used") {
    mailbox.post(AtEnd([&] {
      store->use(number).update(5);
      store->mailbox().post([&] { log.push_back("the next mailbox"); });
    }));
    store->destroy();
    CHECK(log == Log{"closed", "refused", "0", "second"});
    CHECK(store->value(number) == 5);
    CHECK(store->drain() == 1);
    CHECK(log.back() == "the next mailbox");
  }
  SECTION("when it was destroyed, where the store may go for good") {
    mailbox.post(AtEnd([&] { store.reset(); }));
    mailbox.post(AtEnd([&] { log.push_back("last"); }));
    store->destroy();
    CHECK_FALSE(store);
    CHECK(log == Log{"closed", "refused", "0", "second", "last"});
  }
  SECTION("in a batch, when the batch is through") {
    store->batch([&] {
      store->destroy();
      CHECK(mailbox.closed());
      CHECK(mailbox.pending() == 0);
      CHECK(log.empty());
    });
    CHECK(log == Log{"closed", "refused", "0", "second"});
  }
}

TEST_CASE("What is dropped with the store still finds its atoms, and takes what it owns along") {
  Log log;
  std::optional<atom::AtomStore> store(std::in_place);
  const atom::Mailbox mailbox = store->mailbox();
  atom::AtomStore& going = *store;
  SECTION("the values") {
    store->use(text).update("a text that is long enough to lie on the heap");
    mailbox.post(AtEnd([&] {
      log.push_back(going.get(text)->value());
      going.use(text).update("another text that is long enough to lie on the heap");
      going.drop(text);
      going.destroy();
      log.push_back(going.mailbox() == mailbox ? "the same, closed" : "another one");
    }));
    store.reset();
    CHECK(log == Log{"a text that is long enough to lie on the heap", "the same, closed"});
  }
  SECTION("no atoms, where it can use none any more") {
    mailbox.post(AtEnd([&] {
      log.push_back(going.get(text) ? "there" : "none");
      CHECK_THROWS_AS(going.use(text), atom::Error);
    }));
    store.reset();
    CHECK(log == Log{"none"});
  }
  SECTION("from a mailbox that somebody asks for at the very end") {
    store->destroy();
    store->use(text).on_change([last = AtEnd([&] {
                                  going.mailbox().post(AtEnd([&] {
                                    log.push_back(going.get(text) ? "there" : "none");
                                    log.push_back(going.mailbox().post([] {}) ? "taken" : "refused");
                                  }));
                                })](const std::string&) {});
    store->use(text).update("a text that is long enough to lie on the heap");
    store.reset();
    CHECK(log == Log{"none", "taken"});
  }
  SECTION("the history of the store") {
    auto history = std::make_unique<atom::History>(*store);
    store->use(text).update("a text that is long enough to lie on the heap");
    store->use(text).update("another text that is long enough to lie on the heap");
    mailbox.post([owned = std::move(history)] {});
    store.reset();
  }
  SECTION("in a listener that ends the store, the history too") {
    auto history = std::make_unique<atom::History>(*store);
    mailbox.post([owned = std::move(history)] {});
    store->use(text).on_change([&] { store.reset(); });
    going.use(text).update("a text that is long enough to lie on the heap");
  }
  SECTION("a history in a mailbox that somebody asks for at the very end") {
    store->destroy();
    auto history = std::make_shared<atom::History>(*store);
    store->use(text).update("a text that is long enough to lie on the heap");
    store->use(text).update("another text that is long enough to lie on the heap");
    store->use(number).on_change(
        [last = AtEnd([&going, owned = std::move(history)] { going.mailbox().post([owned] {}); })] {});
    store.reset();
  }
  CHECK(mailbox.closed());
}

TEST_CASE("What an atom is restored from may destroy the store, and with it the mailbox") {
  static const atom::Atom<std::string> kept{"mailbox.kept", std::string("a default"), {.persist = true}};
  struct Adapter {
    atom::AtomStore& store;
    std::optional<std::string> get(std::string_view) {
      store.destroy();
      return "\"restored\"";
    }
    void set(std::string_view, std::string_view) {}
    void remove(std::string_view) {}
  };
  atom::AtomStore store;
  Adapter adapter{store};
  store.persist_with(adapter);
  const atom::Mailbox mailbox = store.mailbox();
  CHECK(store.use(kept).value() == "a default");
  CHECK(mailbox.closed());
}

TEST_CASE("A function that ends the store is the last to run, and nothing touches the store any more") {
  Counted::forget();
  Log log;
  auto store = std::make_unique<atom::AtomStore>();
  const atom::Mailbox mailbox = store->mailbox();
  store->use(number);
  mailbox.post([&, counted = Counted(1)] { log.push_back("first"); });
  SECTION("for good") {
    mailbox.post([&, counted = Counted(2)] {
      store.reset();
      log.push_back(mailbox.post([] {}) ? "taken" : "refused");
    });
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    CHECK(store->drain() == 2);
    CHECK(log == Log{"first", "refused"});
    CHECK(mailbox.closed());
  }
  SECTION("for good, and throws") {
    mailbox.post([&, counted = Counted(2)] {
      store.reset();
      throw std::runtime_error("gone");
    });
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    CHECK_THROWS_WITH(store->drain(), "gone");
    CHECK(log == Log{"first"});
  }
  SECTION("for good, inside a batch") {
    mailbox.post([&, counted = Counted(2)] { store.reset(); });
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    store->batch([&] { CHECK(store->drain() == 2); });
    CHECK(log == Log{"first"});
  }
  SECTION("when it is destroyed itself") {
    auto end = std::shared_ptr<void>(nullptr, [&](void*) { store.reset(); });
    mailbox.post([end = std::move(end)] {});
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    CHECK(store->drain() == 2);
    CHECK(log == Log{"first"});
  }
  SECTION("with destroy, and posts to its next mailbox") {
    mailbox.post([&, counted = Counted(2)](atom::AtomStore& s) {
      s.destroy();
      s.mailbox().post([&] { log.push_back("next"); });
    });
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    CHECK(store->drain() == 2);
    CHECK(log == Log{"first"});
    CHECK(store->drain() == 1);
    CHECK(log == Log{"first", "next"});
  }
  SECTION("with destroy, inside a batch") {
    mailbox.post([&, counted = Counted(2)](atom::AtomStore& s) { s.destroy(); });
    mailbox.post([&, counted = Counted(3)] { log.push_back("third"); });
    store->batch([&] { CHECK(store->drain() == 2); });
    CHECK(log == Log{"first"});
  }
  CHECK(Counted::counts().alive == 0);
}

TEST_CASE("A drain comes to its end when a function ends the store and nobody else has its mailbox") {
  auto store = std::make_unique<atom::AtomStore>();
  int ran = 0;
  store->mailbox().post([&] {
    store.reset();
    ++ran;
  });
  store->mailbox().post([&] { ran += 10; });
  CHECK(store->drain() == 1);
  CHECK(ran == 1);
}

TEST_CASE("A mailbox is asked for, posted to and drained by listeners of the store's end, and is closed all the same") {
  Counted::forget();
  atom::Mailbox mailbox;
  int ran = 0;
  {
    atom::AtomStore store;
    store.use(number).on_destroy([&] {
      mailbox = store.mailbox();
      mailbox.post([&] { ++ran; });
      CHECK(store.drain() == 1);
      mailbox.post([&ran, counted = Counted(1)] { ++ran; });
    });
    SECTION("destroy") {
      store.destroy();
      CHECK(mailbox.closed());
      CHECK(Counted::counts().alive == 0);
    }
    SECTION("its destructor") {}
  }
  CHECK(mailbox.closed());
  CHECK(ran == 1);
  CHECK(Counted::counts().alive == 0);
}

// ----------------------------------------------------------------------------------------------------- waking the
// owner

TEST_CASE("The owner is woken by the first post since it last drained, and by no other") {
  atom::AtomStore store;
  int woken = 0;
  const atom::Mailbox mailbox = store.mailbox([&] { ++woken; });
  CHECK(woken == 0);
  mailbox.post([] {});
  CHECK(woken == 1);
  mailbox.post([] {});
  CHECK(woken == 1);
  store.drain();
  CHECK(woken == 1);
  store.drain();
  mailbox.post([&, mailbox] { mailbox.post([] {}); });
  CHECK(woken == 2);
  store.drain();  // what was posted meanwhile waits
  CHECK(woken == 3);
  CHECK(store.drain() == 1);
  store.destroy();
  mailbox.post([] {});
  CHECK(woken == 3);
}

TEST_CASE("Who wakes the owner is called at once if something waits, and takes the place of the one before") {
  Counted::forget();
  atom::AtomStore store;
  const atom::Mailbox mailbox = store.mailbox();
  mailbox.post([] {});
  Log log;
  CHECK(store.mailbox([&, counted = Counted(1)] { log.push_back("first"); }) == mailbox);
  CHECK(log == Log{"first"});
  store.drain();
  CHECK(Counted::counts().alive == 1);
  store.mailbox([&] { log.push_back("second"); });
  CHECK(log == Log{"first"});
  CHECK(Counted::counts().alive == 0);
  mailbox.post([] {});
  CHECK(log == Log{"first", "second"});
  CHECK(store.mailbox() == mailbox);  // which leaves it as it is
  store.drain();
  mailbox.post([] {});
  CHECK(log.size() == 3);
}

TEST_CASE("Who wakes the owner goes with the mailbox, also when it holds the mailbox itself") {
  Counted::forget();
  {
    atom::AtomStore store;
    store.mailbox([mailbox = store.mailbox(), counted = Counted(1)] { mailbox.pending(); });
    CHECK(Counted::counts().alive == 1);
    SECTION("destroy") {
      store.destroy();
      CHECK(Counted::counts().alive == 0);
    }
    SECTION("its destructor") {}
  }
  CHECK(Counted::counts().alive == 0);
}

TEST_CASE("Who wakes the owner may throw: what was posted stays, and the next post tries again") {
  atom::AtomStore store;
  bool fails = true;
  int woken = 0;
  const atom::Mailbox mailbox = store.mailbox([&] {
    ++woken;
    if (fails) throw std::runtime_error("cannot wake");
  });
  int ran = 0;
  CHECK_THROWS_WITH(mailbox.post([&] { ++ran; }), "cannot wake");
  CHECK(mailbox.pending() == 1);
  CHECK_THROWS_WITH(mailbox.post([&] { ++ran; }), "cannot wake");
  fails = false;
  CHECK(mailbox.post([&] { ++ran; }));
  CHECK(woken == 3);
  CHECK(mailbox.post([&] { ++ran; }));
  CHECK(woken == 3);
  CHECK(store.drain() == 4);
  CHECK(ran == 4);
}

TEST_CASE("Who wakes the owner may post, replace itself, and in the owner's thread drain or end the store") {
  auto store = std::make_unique<atom::AtomStore>();
  Log log;
  auto mailbox = std::make_unique<atom::Mailbox>(store->mailbox());
  SECTION("post") {
    store->mailbox([&] {
      log.push_back("wake");
      mailbox->post([&] { log.push_back("by wake"); });
    });
    mailbox->post([&] { log.push_back("posted"); });
    CHECK(store->drain() == 2);
    CHECK(log == Log{"wake", "posted", "by wake"});
  }
  SECTION("drain") {
    store->mailbox([&] { store->drain(); });
    mailbox->post([&] { log.push_back("one"); });
    mailbox->post([&] { log.push_back("two"); });
    CHECK(log == Log{"one", "two"});
  }
  SECTION("replace itself") {
    store->mailbox([&, name = std::string("a name too long for the string itself")] {
      store->drain();
      store->mailbox([&] { log.push_back("second"); });
      log.push_back(name);
    });
    mailbox->post([] {});
    mailbox->post([] {});
    CHECK(log == Log{"a name too long for the string itself", "second"});
  }
  SECTION("end the store, and the handle that was posted to") {
    store->mailbox([&, name = std::string("a name too long for the string itself")] {
      store.reset();
      mailbox.reset();
      log.push_back(name);
    });
    CHECK(mailbox->post([&] { log.push_back("never"); }));
    CHECK(log == Log{"a name too long for the string itself"});
  }
}

/// As std::counting_semaphore, which ThreadSanitizer does not see through everywhere. No wait without a deadline.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return std::exchange(rung_, false); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

TEST_CASE("Nobody is being woken any more when the store has ended") {
  Bell inside;
  Bell go_on;
  std::atomic<bool> waking = false;
  std::thread poster;
  bool still_waking = true;
  {
    atom::AtomStore store;
    const atom::Mailbox mailbox = store.mailbox([&] {
      waking = true;
      inside.ring();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // while the store tries to end
      waking = false;
    });
    poster = std::thread([mailbox] { mailbox.post([] {}); });
    CHECK(inside.wait());
    SECTION("destroy") {
      store.destroy();
      still_waking = waking;
    }
    SECTION("another one takes its place") {
      store.mailbox([] {});
      still_waking = waking;
    }
  }
  CHECK_FALSE(still_waking);
  poster.join();
}

// ------------------------------------------------------------------------------------------------------ several
// threads

std::atomic<int> tokens_made = 0;
std::atomic<int> tokens_gone = 0;

/// Counts its lives over all threads, those that were moved from aside, and which thread ends it.
class Token {
 public:
  explicit Token(std::atomic<int>& gone_unused) : gone_unused_(&gone_unused) { ++tokens_made; }
  Token(Token&& other) noexcept : gone_unused_(std::exchange(other.gone_unused_, nullptr)), used_(other.used_) {}
  ~Token() {
    if (!gone_unused_) return;
    ++tokens_gone;
    if (!used_) ++*gone_unused_;
  }
  void use() { used_ = true; }

 private:
  std::atomic<int>* gone_unused_;
  bool used_ = false;
};

TEST_CASE("Eight threads post while the owner drains and ends the store: each function runs, is dropped or refused") {
  constexpr int threads = 8;
  constexpr int each = 2000;
  tokens_made = tokens_gone = 0;
  std::atomic<int> unused = 0;  // dropped or refused
  std::atomic<int> refused = 0;
  std::atomic<int> taken = 0;
  std::vector<int> last_of(threads, -1);
  int ran = 0;
  std::size_t drained = 0;
  bool in_order = true;
  Bell bell;
  std::vector<std::thread> posters;
  {
    atom::AtomStore store;
    const atom::Mailbox mailbox = store.mailbox([&] { bell.ring(); });
    for (int t = 0; t < threads; ++t) {
      posters.emplace_back([&, t, mailbox] {
        for (int i = 0; i < each; ++i) {
          const bool posted = mailbox.post([&, t, i, token = Token(unused)](atom::AtomStore& s) mutable {
            token.use();
            ++ran;
            auto& last = last_of[static_cast<std::size_t>(t)];
            in_order = in_order && i == last + 1;
            last = i;
            s.use(number).update([](const int& n) { return n + 1; });
          });
          ++(posted ? taken : refused);
        }
      });
    }
    while (ran < threads * each / 2 && bell.wait()) drained += store.drain();
    CHECK(store.value(number) == ran);
    CHECK(drained == static_cast<std::size_t>(ran));
  }
  for (std::thread& poster : posters) poster.join();
  CHECK(ran >= threads * each / 2);
  CHECK(in_order);
  CHECK(taken + refused == threads * each);
  CHECK(taken - ran == unused - refused);  // dropped
  CHECK(tokens_made == threads * each);
  CHECK(tokens_gone == threads * each);
}

TEST_CASE("Posts that race with the end of the store are taken or refused, and nothing of them is left") {
  constexpr int rounds = 300;
  constexpr int threads = 3;
  tokens_made = tokens_gone = 0;
  std::atomic<int> unused = 0;
  std::atomic<int> refused = 0;
  std::atomic<int> woken = 0;
  int ran = 0;
  for (int round = 0; round < rounds; ++round) {
    auto store = std::make_unique<atom::AtomStore>();
    auto alive = std::make_unique<std::atomic<int>>(0);  // what wakes the owner touches it, and it goes after the store
    const atom::Mailbox mailbox = store->mailbox([&woken, a = alive.get()] { woken += 1 + *a; });
    std::atomic<int> ready = 0;
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t) {
      posters.emplace_back([&, mailbox] {
        ++ready;
        for (int i = 0; i < 1000; ++i) {
          const bool posted = mailbox.post([&ran, token = Token(unused)]() mutable {
            token.use();
            ++ran;
          });
          if (posted) continue;
          ++refused;
          break;
        }
      });
    }
    while (ready < threads) std::this_thread::yield();
    for (int i = 0; i < round % 4; ++i) store->drain();
    if (round % 2) store->destroy();
    store.reset();
    alive.reset();
    for (std::thread& poster : posters) poster.join();
    CHECK(mailbox.closed());
    CHECK(mailbox.pending() == 0);
    CHECK(tokens_gone == tokens_made);
  }
  CHECK(tokens_made == ran + unused);
  CHECK(refused <= unused);
}

TEST_CASE("Two threads send each other messages through the mailboxes of their stores") {
  constexpr int rounds = 1000;
  Bell bells[2];
  atom::AtomStore stores[2];
  atom::Mailbox mailboxes[2];
  for (int i = 0; i < 2; ++i) mailboxes[i] = stores[i].mailbox([&bell = bells[i]] { bell.ring(); });
  const auto play = [&](int me) {
    auto& ball = stores[me].use(number);
    ball.on_change([&, me](const int& now) {
      if (now < rounds) mailboxes[1 - me].post([now](atom::AtomStore& s) { s.use(number).update(now + 1); });
    });
    while (*ball < rounds - 1 && bells[me].wait()) stores[me].drain();
  };
  std::thread other([&] { play(1); });
  mailboxes[0].post([](atom::AtomStore& s) { s.use(number).update(1); });
  play(0);
  other.join();
  CHECK(stores[0].value(number) + stores[1].value(number) == 2 * rounds - 1);
}

}  // namespace
}  // namespace mailbox_test

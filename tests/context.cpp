#include <atom/context.hpp>
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/task.hpp"

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

namespace context_test {
namespace {

using atom::AtomStore;
using atom::carry;
using atom::current_store;
using atom::StoreScope;
using support::Queue;

template <class T = void>
using Plain = support::Task<T>;  // a coroutine type of others, which needs `carry`
template <class T = void>
using Carried = support::Task<T, atom::StorePromise>;

/// What is current in a thread that was just started.
AtomStore* current_elsewhere() {
  AtomStore* seen = nullptr;
  std::thread([&] { seen = current_store(); }).join();
  return seen;
}
/// Resumes what waits, in a thread that has a store of its own, which is current before and afterwards.
void resume_elsewhere(Queue& queue) {
  bool restored = false;
  std::thread([&] {
    AtomStore own;
    const StoreScope scope{own};
    queue.resume_one();
    restored = current_store() == &own;
  }).join();
  CHECK(restored);
}

// ---- Scopes

TEST_CASE("no store is current until there is a scope, nor after it") {
  CHECK(current_store() == nullptr);
  AtomStore store;
  {
    StoreScope scope{store};
    CHECK(current_store() == &store);
  }
  CHECK(current_store() == nullptr);
}

TEST_CASE("scopes nest, and the end of one makes the one before current again") {
  AtomStore outer, inner;
  const StoreScope a{outer};
  {
    const StoreScope b{inner};
    CHECK(current_store() == &inner);
    {
      const StoreScope again{outer};
      CHECK(current_store() == &outer);
    }
    CHECK(current_store() == &inner);
  }
  CHECK(current_store() == &outer);
}

TEST_CASE("an exception ends the scopes that it passes") {
  AtomStore outer, inner;
  const StoreScope a{outer};
  try {
    const StoreScope b{inner};
    throw std::runtime_error("no");
  } catch (const std::runtime_error&) {
    CHECK(current_store() == &outer);
  }
}

TEST_CASE("a scope is one thread's") {
  AtomStore store;
  const StoreScope scope{store};
  CHECK(current_elsewhere() == nullptr);
}

TEST_CASE("a scope can be neither copied nor moved") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<StoreScope>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<StoreScope>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<StoreScope>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<StoreScope>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<AtomStore&, StoreScope>);
}

TEST_CASE("require_store gives the current store, and throws what to do where there is none") {
  CHECK_THROWS_WITH(atom::require_store(), support::ContainsSubstring("open a StoreScope"));
  CHECK_THROWS_AS(atom::require_store(), atom::Error);
  AtomStore store;
  const StoreScope scope{store};
  CHECK(&atom::require_store() == &store);
}

TEST_CASE("scopes, bound callables and awaiting allocate nothing") {
  AtomStore store;
  Queue queue;
  std::size_t count = 1;
  auto coroutine = [](AtomStore& own, Queue& until, std::size_t& allocated) -> Plain<> {
    const StoreScope scope{own};
    co_await carry(until);
    const support::Allocations allocations;
    const auto bound = atom::bind([] { return current_store(); });
    if (bound() == &own) co_await carry(std::suspend_never{});
    allocated = allocations.count();
  }(store, queue, count);
  coroutine.start();
  queue.resume_one();
  CHECK(coroutine.done());
  CHECK(count == 0);
}

#if defined(__unix__)
/// Whether `run` ends its process by std::terminate.
template <class F>
bool terminates(F run) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::set_terminate([] { _exit(42); });
    run();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

TEST_CASE("a scope that does not end in the reverse order ends the program") {
  AtomStore store;
  CHECK(terminates([&] {
    std::optional<StoreScope> outer(std::in_place, store);
    const StoreScope inner{store};
    outer.reset();
  }));
  CHECK_FALSE(terminates([&] {
    std::optional<StoreScope> outer(std::in_place, store);
    std::optional<StoreScope> inner(std::in_place, store);
    inner.reset();
    outer.reset();
  }));
}

TEST_CASE("a scope of a coroutine that was not carried to another thread ends the program") {
  AtomStore store;
  const auto run = [&](bool carries) {
    return terminates([&, carries] {
      Queue queue;
      auto coroutine = [](AtomStore& own, Queue& until, bool carried) -> Plain<> {
        const StoreScope scope{own};
        if (carried) {
          co_await carry(until);
        } else {
          co_await until;
        }
      }(store, queue, carries);
      coroutine.start();
      std::thread([&] { queue.resume_one(); }).join();
    });
  };
  CHECK(run(false));
  CHECK_FALSE(run(true));
}
#endif

// ---- bind

TEST_CASE("a bound callable runs with the store of the moment of bind, and the thread keeps what it has") {
  AtomStore store, other;
  std::function<AtomStore*()> bound;
  {
    const StoreScope scope{store};
    bound = atom::bind([] { return current_store(); });
  }
  CHECK(bound() == &store);
  CHECK(current_store() == nullptr);
  const StoreScope scope{other};
  CHECK(bound() == &store);
  CHECK(current_store() == &other);
  AtomStore* seen = nullptr;
  std::thread([&] { seen = bound(); }).join();
  CHECK(seen == &store);
}

TEST_CASE("what is bound without a store runs without one") {
  const auto bound = atom::bind([] { return current_store(); });
  AtomStore store;
  const StoreScope scope{store};
  CHECK(bound() == nullptr);
  CHECK(current_store() == &store);
}

TEST_CASE("a bound callable passes on arguments, results and exceptions") {
  AtomStore store;
  const StoreScope scope{store};
  int value = 1;
  auto reference = atom::bind([](int& to) -> int& { return ++to; });
  CHECK(&reference(value) == &value);
  CHECK(value == 2);
  auto sink = atom::bind([](std::unique_ptr<int> given) { return *given; });
  CHECK(sink(std::make_unique<int>(7)) == 7);
  auto throws = atom::bind([] { throw std::runtime_error("no"); });
  CHECK_THROWS_AS(throws(), std::runtime_error);
  CHECK(current_store() == &store);
}

TEST_CASE("a bound callable is called as the callable in it: mutable, const, once") {
  auto counts = atom::bind([n = 0]() mutable { return ++n; });
  CHECK(counts() == 1);
  CHECK(counts() == 2);
  STATIC_REQUIRE_FALSE(std::is_invocable_v<const decltype(counts)&>);

  auto once = atom::bind([p = std::make_unique<int>(3)]() mutable { return std::move(p); });
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<decltype(once)>);
  auto moved = std::move(once);
  CHECK(*std::move(moved)() == 3);

  struct OnlyAsRvalue {
    int operator()() && { return 5; }
  };
  CHECK(atom::bind(OnlyAsRvalue{})() == 5);
  STATIC_REQUIRE_FALSE(std::is_invocable_v<atom::Bound<OnlyAsRvalue>&>);
}

// ---- Both ways for coroutines

/// A coroutine that opens a scope for `store`, and says what it sees before and after it waited.
Plain<> wait_once(AtomStore& store, Queue& queue, std::vector<AtomStore*>& seen, const Plain<>*) {
  const StoreScope scope{store};
  seen.push_back(current_store());
  co_await carry(queue);
  seen.push_back(current_store());
}
Carried<> wait_once(AtomStore& store, Queue& queue, std::vector<AtomStore*>& seen, const Carried<>*) {
  const StoreScope scope{store};
  seen.push_back(current_store());
  co_await queue;
  seen.push_back(current_store());
}

TEMPLATE_TEST_CASE("a coroutine's store is current where it runs, and not where it was suspended", "", Plain<>,
                   Carried<>) {
  AtomStore store, threads;
  Queue queue;
  std::vector<AtomStore*> seen;
  auto coroutine = wait_once(store, queue, seen, static_cast<const TestType*>(nullptr));
  CHECK(seen.empty());
  {
    const StoreScope scope{threads};
    coroutine.start();
    CHECK(current_store() == &threads);
  }
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(coroutine.done());
  CHECK(seen == std::vector{&store, &store});
  CHECK(current_store() == nullptr);
}

TEMPLATE_TEST_CASE("two coroutines that take turns in one thread each see their own store", "", Plain<>, Carried<>) {
  AtomStore a, b;
  Queue queue;
  std::vector<AtomStore*> seen;
  auto one = wait_once(a, queue, seen, static_cast<const TestType*>(nullptr));
  auto other = wait_once(b, queue, seen, static_cast<const TestType*>(nullptr));
  one.start();
  other.start();
  CHECK(current_store() == nullptr);
  queue.resume_one();  // the first, whose scope was opened first: no reverse order
  CHECK(current_store() == nullptr);
  queue.resume_one();
  CHECK(one.done());
  CHECK(other.done());
  CHECK(seen == std::vector{&a, &b, &a, &b});
  CHECK(current_store() == nullptr);
}

/// Says which store is current where it is destroyed.
struct SeesAtEnd {
  AtomStore*& seen;
  ~SeesAtEnd() { seen = current_store(); }
};
Plain<> wait_for_ever(AtomStore& store, Queue& queue, AtomStore*& seen, const Plain<>*) {
  const StoreScope scope{store};
  const SeesAtEnd sees{seen};
  co_await carry(queue);
}
Carried<> wait_for_ever(AtomStore& store, Queue& queue, AtomStore*& seen, const Carried<>*) {
  const StoreScope scope{store};
  const SeesAtEnd sees{seen};
  co_await queue;
}

TEMPLATE_TEST_CASE("a coroutine that is destroyed while it is suspended has its store for what it destroys", "",
                   Plain<>, Carried<>) {
  AtomStore store, threads;
  Queue queue;
  AtomStore* seen = nullptr;
  {
    auto coroutine = wait_for_ever(store, queue, seen, static_cast<const TestType*>(nullptr));
    coroutine.start();
    CHECK(current_store() == nullptr);
    std::thread([&] {
      const StoreScope scope{threads};
      {
        const auto ended = std::move(coroutine);
      }
      seen = seen == &store && current_store() == &threads ? seen : nullptr;
    }).join();
  }
  CHECK(seen == &store);
  CHECK(current_store() == nullptr);
}

TEMPLATE_TEST_CASE("a coroutine that never ran can be destroyed", "", Plain<>, Carried<>) {
  AtomStore store, other;
  Queue queue;
  std::vector<AtomStore*> seen;
  const StoreScope scope{store};
  {
    const auto coroutine = wait_once(other, queue, seen, static_cast<const TestType*>(nullptr));
  }
  CHECK(seen.empty());
  CHECK(current_store() == &store);
}

// ---- Awaiters of every kind, awaited by `carry` and by a StorePromise

/// What awaiters do, and which store was current when they did.
struct Journal {
  std::coroutine_handle<> suspended;
  std::vector<std::pair<std::string, AtomStore*>> lines;
  void note(const char* what) { lines.emplace_back(what, current_store()); }
};
enum class Suspends { as_void, as_true, as_false, to_another };
template <Suspends how>
struct Noting {
  Journal& journal;
  std::coroutine_handle<> another = std::noop_coroutine();

  Noting(Journal& j, std::coroutine_handle<> to = std::noop_coroutine()) : journal(j), another(to) {}
  Noting(const Noting&) = delete;  // awaited where it was made
  bool await_ready() {
    journal.note("ready");
    return false;
  }
  auto await_suspend(std::coroutine_handle<> coroutine) {
    journal.note("suspend");
    journal.suspended = coroutine;
    if constexpr (how == Suspends::as_true || how == Suspends::as_false) {
      return how == Suspends::as_true;
    } else if constexpr (how == Suspends::to_another) {
      return another;
    }
  }
  int await_resume() {
    journal.note("resume");
    return 7;
  }
};
using Lines = std::vector<std::pair<std::string, AtomStore*>>;

/// Awaits what `make` returns in a scope of `store`, and then notes the result and the current store.
template <class Make>
Plain<int> await_it(AtomStore& store, Journal& journal, Make make, const Plain<>*) {
  const StoreScope scope{store};
  decltype(auto) awaitable = make();
  int result = 0;
  try {
    result = co_await carry(std::forward<decltype(awaitable)>(awaitable));
  } catch (const std::runtime_error&) {
    journal.note("caught");
  }
  journal.note("after");
  co_return result;
}
template <class Make>
Carried<int> await_it(AtomStore& store, Journal& journal, Make make, const Carried<>*) {
  const StoreScope scope{store};
  int result = 0;
  try {
    result = co_await make();
  } catch (const std::runtime_error&) {
    journal.note("caught");
  }
  journal.note("after");
  co_return result;
}

TEMPLATE_TEST_CASE("await_suspend may return nothing or true, and it runs with the thread's store", "", Plain<>,
                   Carried<>) {
  AtomStore store, threads;
  const StoreScope scope{threads};
  const auto check = [&]<class N>(std::optional<N>& awaiter, Journal& journal) {
    auto coroutine = await_it(store, journal, [&]() -> N& { return *awaiter; }, static_cast<const TestType*>(nullptr));
    coroutine.start();
    CHECK(current_store() == &threads);
    CHECK(journal.lines == Lines{{"ready", &store}, {"suspend", &threads}});
    journal.suspended.resume();
    CHECK(coroutine.result() == 7);
    CHECK(current_store() == &threads);
    CHECK(journal.lines == Lines{{"ready", &store}, {"suspend", &threads}, {"resume", &store}, {"after", &store}});
  };
  Journal one, other;
  std::optional<Noting<Suspends::as_void>> as_void(std::in_place, one);
  check(as_void, one);
  std::optional<Noting<Suspends::as_true>> as_true(std::in_place, other);
  check(as_true, other);
}

TEMPLATE_TEST_CASE("an await_suspend that returns false goes on at once, with the coroutine's store", "", Plain<>,
                   Carried<>) {
  AtomStore store, threads;
  const StoreScope scope{threads};
  Journal journal;
  Noting<Suspends::as_false> awaiter(journal);
  auto coroutine = await_it(store, journal, [&]() -> auto& { return awaiter; }, static_cast<const TestType*>(nullptr));
  coroutine.start();
  CHECK(coroutine.result() == 7);
  CHECK(journal.lines == Lines{{"ready", &store}, {"suspend", &threads}, {"resume", &store}, {"after", &store}});
  CHECK(current_store() == &threads);
}

/// Notes that it runs, and ends.
Plain<> note_that_it_runs(Journal& journal, std::coroutine_handle<>& self) {
  struct Self {
    std::coroutine_handle<>& to;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) const noexcept {
      to = coroutine;
      return true;
    }
    void await_resume() const noexcept {}
  };
  co_await Self{self};
  journal.note("another");
}

TEMPLATE_TEST_CASE("an await_suspend that returns another coroutine runs that with the thread's store", "", Plain<>,
                   Carried<>) {
  AtomStore store, threads;
  const StoreScope scope{threads};
  Journal journal;
  std::coroutine_handle<> another;
  auto transferred_to = note_that_it_runs(journal, another);
  transferred_to.start();
  Noting<Suspends::to_another> awaiter(journal, another);
  auto coroutine = await_it(store, journal, [&]() -> auto& { return awaiter; }, static_cast<const TestType*>(nullptr));
  coroutine.start();
  CHECK(transferred_to.done());
  CHECK(journal.lines == Lines{{"ready", &store}, {"suspend", &threads}, {"another", &threads}});
  journal.suspended.resume();
  CHECK(coroutine.result() == 7);
  CHECK(current_store() == &threads);
}

/// Throws from one of its functions.
struct Throwing {
  bool suspends;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const {
    if (suspends) throw std::runtime_error("suspend");
    return false;
  }
  int await_resume() const { throw std::runtime_error("resume"); }
};

TEMPLATE_TEST_CASE("what await_suspend or await_resume throws is caught with the coroutine's store", "", Plain<>,
                   Carried<>) {
  AtomStore store, threads;
  const StoreScope scope{threads};
  for (const bool suspends : {true, false}) {
    Journal journal;
    auto coroutine =
        await_it(store, journal, [&] { return Throwing{suspends}; }, static_cast<const TestType*>(nullptr));
    coroutine.start();
    CHECK(coroutine.result() == 0);
    CHECK(journal.lines == Lines{{"caught", &store}, {"after", &store}});
    CHECK(current_store() == &threads);
  }
}

/// Awaitables whose awaiters come from an operator, with and without a reference qualifier.
struct WithMember {
  Noting<Suspends::as_true>& awaiter;
  Noting<Suspends::as_true>& operator co_await() && noexcept { return awaiter; }
};
struct WithFree {
  Noting<Suspends::as_true>& awaiter;
};
Noting<Suspends::as_true>& operator co_await(const WithFree & with) noexcept {
  return with.awaiter;
}

TEMPLATE_TEST_CASE("an awaiter may come from an operator co_await, a member or free", "", Plain<>, Carried<>) {
  AtomStore store;
  const auto check = [&](auto with) {
    Journal journal;
    Noting<Suspends::as_true> awaiter(journal);
    auto coroutine =
        await_it(store, journal, [&] { return decltype(with){awaiter}; }, static_cast<const TestType*>(nullptr));
    coroutine.start();
    CHECK(current_store() == nullptr);
    journal.suspended.resume();
    CHECK(coroutine.result() == 7);
    CHECK(journal.lines == Lines{{"ready", &store}, {"suspend", nullptr}, {"resume", &store}, {"after", &store}});
  };
  Journal none;
  Noting<Suspends::as_true> unused(none);
  check(WithMember{unused});
  check(WithFree{unused});
}

TEST_CASE("results of await_resume keep their kind") {
  struct Gives {
    int& to;
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    int& await_resume() const noexcept { return to; }
  };
  struct GivesMoveOnly {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    std::unique_ptr<int> await_resume() const { return std::make_unique<int>(3); }
  };
  int number = 0;
  auto coroutine = [](int& to) -> Plain<int> {
    int& same = co_await carry(Gives{to});
    const std::unique_ptr<int> three = co_await carry(GivesMoveOnly{});
    co_return &same == &to ? *three : 0;
  }(number);
  coroutine.start();
  CHECK(coroutine.result() == 3);
}

TEST_CASE("what carry is given as a temporary lives as long as what it returns") {
  AtomStore store;
  Queue queue;
  auto coroutine = [](AtomStore& own, Queue& until) -> Plain<int> {
    const StoreScope scope{own};
    auto later = carry([](Queue& q) -> Plain<int> {
      co_await q;
      co_return 7;
    }(until));
    co_return co_await later;
  }(store, queue);
  coroutine.start();
  CHECK(current_store() == nullptr);
  queue.resume_one();
  CHECK(coroutine.result() == 7);
}

// ---- Coroutines that await coroutines

TEST_CASE("carried coroutines with different stores await one another, over two threads") {
  AtomStore outer, inner;
  Queue queue;
  std::vector<AtomStore*> seen;
  auto coroutine = [](AtomStore& a, AtomStore& b, Queue& until, std::vector<AtomStore*>& sees) -> Plain<> {
    const StoreScope scope{a};
    sees.push_back(current_store());
    co_await carry(wait_once(b, until, sees, static_cast<const Plain<>*>(nullptr)));
    sees.push_back(current_store());
    co_await carry(until);
    sees.push_back(current_store());
  }(outer, inner, queue, seen);
  coroutine.start();
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(coroutine.done());
  CHECK(seen == std::vector{&outer, &inner, &inner, &outer, &outer});
}

TEST_CASE("a coroutine without a scope of its own, awaited without carry, sees and carries its caller's store") {
  AtomStore store;
  Queue queue;
  auto coroutine = [](AtomStore& own, Queue& until) -> Plain<bool> {
    const StoreScope scope{own};
    const bool same = co_await [](AtomStore& expected, Queue& q) -> Plain<bool> {
      const bool before = current_store() == &expected;
      co_await carry(q);
      co_return before&& current_store() == &expected;
    }(own, until);
    co_return same&& current_store() == &own;
  }(store, queue);
  coroutine.start();
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(coroutine.result());
}

TEST_CASE("carry where no store is current does nothing") {
  Queue queue;
  auto coroutine = [](Queue& until) -> Plain<bool> {
    co_await carry(until);
    co_return current_store() == nullptr;
  }(queue);
  coroutine.start();
  queue.resume_one();
  CHECK(coroutine.result());
}

TEST_CASE("a coroutine with a StorePromise is born with the store that is current where it is called") {
  AtomStore store, threads;
  Queue queue;
  const auto make = [](AtomStore& expected, Queue& until) -> Carried<bool> {
    bool right = current_store() == &expected;
    co_await until;
    right = right && current_store() == &expected;
    co_return right;
  };
  std::optional<Carried<bool>> coroutine;
  {
    const StoreScope scope{store};
    coroutine.emplace(make(store, queue));
    CHECK(current_store() == &store);
  }
  const StoreScope scope{threads};
  coroutine->start();
  CHECK(current_store() == &threads);
  resume_elsewhere(queue);
  CHECK(coroutine->result());
}

TEST_CASE("a coroutine with a StorePromise that is born without a store sees none, whoever resumes it") {
  Queue queue;
  auto coroutine = [](Queue& until) -> Carried<bool> {
    bool none = current_store() == nullptr;
    co_await until;
    none = none && current_store() == nullptr;
    co_return none;
  }(queue);
  AtomStore threads;
  const StoreScope scope{threads};
  coroutine.start();
  CHECK(current_store() == &threads);
  resume_elsewhere(queue);
  CHECK(coroutine.result());
}

TEST_CASE("a coroutine with a StorePromise takes all of its scopes along, and those it awaits inherit the innermost") {
  AtomStore outer, inner;
  Queue queue;
  auto coroutine = [](AtomStore& a, AtomStore& b, Queue& until) -> Carried<bool> {
    const StoreScope first{a};
    bool right = true;
    {
      const StoreScope second{b};
      right = co_await [](AtomStore& expected, Queue& q) -> Carried<bool> {
        const bool before = current_store() == &expected;
        co_await q;
        co_return before&& current_store() == &expected;
      }(b, until);
      right = right && current_store() == &b;
      co_await until;
      right = right && current_store() == &b;
    }
    right = right && current_store() == &a;
    co_return right;
  }(outer, inner, queue);
  coroutine.start();
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(coroutine.result());
}

TEST_CASE("coroutines with a StorePromise and those of others await one another") {
  AtomStore store, other;
  Queue queue;
  auto coroutine = [](AtomStore& own, AtomStore& another, Queue& until) -> Carried<bool> {
    const StoreScope scope{own};
    const bool right = co_await [](AtomStore& its, Queue& q) -> Plain<bool> {
      const StoreScope inside{its};
      const bool in_it = co_await carry([](AtomStore& expected, Queue& wait) -> Carried<bool> {
        co_await wait;
        co_return current_store() == &expected;
      }(its, q));
      co_return in_it&& current_store() == &its;
    }(another, until);
    co_return right&& current_store() == &own;
  }(store, other, queue);
  coroutine.start();
  CHECK(current_store() == nullptr);
  resume_elsewhere(queue);
  CHECK(coroutine.result());
}

TEST_CASE("an exception of an awaited coroutine is caught with the store of the one that awaits") {
  AtomStore store;
  Queue queue;
  auto coroutine = [](AtomStore& own, Queue& until) -> Carried<bool> {
    const StoreScope scope{own};
    try {
      co_await [](Queue& q) -> Carried<> {
        AtomStore its;
        const StoreScope inside{its};
        co_await q;
        throw std::runtime_error("no");
      }(until);
    } catch (const std::runtime_error&) {
      co_return current_store() == &own;
    }
    co_return false;
  }(store, queue);
  coroutine.start();
  resume_elsewhere(queue);
  CHECK(coroutine.result());
}

/// A generator: it suspends where it yields.
struct Numbers {
  struct promise_type : atom::StorePromise {
    int value = 0;
    Numbers get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    auto initial_suspend() noexcept { return carry(std::suspend_never{}); }
    auto final_suspend() noexcept { return carry(std::suspend_always{}); }
    auto yield_value(int v) noexcept {
      value = v;
      return carry(std::suspend_always{});
    }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };
  std::coroutine_handle<promise_type> coroutine;
};

TEST_CASE("a generator, which starts where it is called, carries its store over what it yields") {
  AtomStore store, threads, own;
  std::optional<Numbers> numbers;
  {
    const StoreScope scope{store};
    numbers = [](AtomStore& born_with, AtomStore& its) -> Numbers {
      co_yield current_store() == &born_with ? 1 : 0;
      const StoreScope scope_of_its_own{its};
      co_yield current_store() == &its ? 2 : 0;
      co_yield current_store() == &its ? 3 : 0;
    }(store, own);
    CHECK(current_store() == &store);
  }
  const StoreScope scope{threads};
  for (const int expected : {1, 2, 3}) {
    CHECK(numbers->coroutine.promise().value == expected);
    numbers->coroutine.resume();
    CHECK(current_store() == &threads);
  }
  CHECK(numbers->coroutine.done());
  numbers->coroutine.destroy();
  CHECK(current_store() == &threads);
}

/// A coroutine that nobody holds: it starts where it is called, and its frame goes when it ends.
struct Detached {
  struct promise_type : atom::StorePromise {
    Detached get_return_object() noexcept { return {}; }
    auto initial_suspend() noexcept { return carry(std::suspend_never{}); }
    auto final_suspend() noexcept { return carry(std::suspend_never{}); }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

TEST_CASE("a coroutine whose frame goes when it ends leaves the thread with what it had") {
  AtomStore store;
  Queue queue;
  AtomStore* seen = nullptr;
  const auto run = [](Queue& until, AtomStore*& sees) -> Detached {
    co_await until;
    sees = current_store();
  };
  {
    const StoreScope scope{store};
    run(queue, seen);
    CHECK(current_store() == &store);
  }
  CHECK(current_store() == nullptr);
  queue.resume_one();
  CHECK(seen == &store);
  CHECK(current_store() == nullptr);
}

// ---- Many, on many threads

std::atomic<int> wrong{0};
void expect_current(const AtomStore* store) {
  if (current_store() != store) ++wrong;
}

const atom::Atom<int> hops{"context.hops", 0};
constexpr std::size_t requests = 1000;
constexpr int hops_each = 10;

/// Where those who come wait for the last of them; then they all go on.
class Gate {
 public:
  explicit Gate(std::size_t count) : awaited_(count) {}

  /// `co_await gate.pass(pool)`: goes on in one of the threads.
  auto pass(support::Pool& pool) noexcept {
    struct Awaiter {
      Gate& gate;
      support::Pool& pool;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> coroutine) const { gate.wait(pool, coroutine); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, pool};
  }
  bool open() {
    const std::lock_guard lock(mutex_);
    return waiting_.size() == awaited_;
  }

 private:
  void wait(support::Pool& pool, std::coroutine_handle<> coroutine) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(coroutine);
    if (waiting_.size() < awaited_) return;
    for (const std::coroutine_handle<> each : waiting_) pool.post(each);
  }

  const std::size_t awaited_;
  std::mutex mutex_;
  std::vector<std::coroutine_handle<>> waiting_;
};

Plain<> request(support::Pool& pool, Gate& gate, std::atomic<std::size_t>& left, const Plain<>*) {
  AtomStore store;
  expect_current(nullptr);
  co_await pool.hop();
  expect_current(nullptr);
  {
    const StoreScope scope{store};
    co_await carry(gate.pass(pool));
    expect_current(&store);
    if (!gate.open()) ++wrong;
    for (int i = 0; i < hops_each; ++i) {
      co_await carry(pool.hop());
      expect_current(&store);
      atom::require_store().use(hops).update([](const int& n) { return n + 1; });
    }
  }
  expect_current(nullptr);
  if (store.use(hops).value() != hops_each) ++wrong;
  --left;
}
Carried<> hop_inside(support::Pool& pool, const AtomStore& store) {
  expect_current(&store);
  co_await pool.hop();
  expect_current(&store);
  atom::require_store().use(hops).update([](const int& n) { return n + 1; });
}
Carried<> request(support::Pool& pool, Gate& gate, std::atomic<std::size_t>& left, const Carried<>*) {
  AtomStore store;
  expect_current(nullptr);
  co_await pool.hop();
  expect_current(nullptr);
  {
    const StoreScope scope{store};
    co_await gate.pass(pool);
    expect_current(&store);
    if (!gate.open()) ++wrong;
    for (int i = 0; i < hops_each; ++i) {
      co_await hop_inside(pool, store);
      expect_current(&store);
    }
  }
  expect_current(nullptr);
  if (store.use(hops).value() != hops_each) ++wrong;
  --left;
}

TEMPLATE_TEST_CASE("a thousand requests at once on eight threads see their own store after every hop", "", Plain<>,
                   Carried<>) {
  wrong = 0;
  std::atomic<std::size_t> left{requests};
  std::deque<TestType> coroutines;
  {
    Gate gate(requests);
    support::Pool pool(8, [] { expect_current(nullptr); });
    for (std::size_t i = 0; i < requests; ++i) {
      coroutines.push_back(request(pool, gate, left, static_cast<const TestType*>(nullptr)));
      coroutines.back().start();
      expect_current(nullptr);
    }
  }
  CHECK(left == 0);
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace context_test

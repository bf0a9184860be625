// Operations on states that a coroutine or a thread waits for later, or that nobody waits for.
#include <atom/backend/memory.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/task.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/faulty_backend.hpp"
#include "support/task.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace task_test {
namespace {

using namespace std::chrono_literals;
using atom::current;
using atom::Effect;
using atom::Scope;
using atom::State;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateResult;
using atom::StateStore;
using atom::StateTask;
using support::Fault;
using support::FaultyBackend;
using support::Task;
using Number = std::int64_t;

State<Number> number(StateStore& store, const std::string& key = "n") {
  return store.get_state<Number>(0, {.key = key, .scope = Scope::global()});
}
template <class Is>
bool soon(Is is) {
  for (int i = 0; i < 5000 && !is(); ++i) std::this_thread::sleep_for(1ms);
  return is();
}

/// A database that answers when it is told to.
class Blocked final : public support::PassingBackend {
 public:
  Blocked() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    if (!pass(deadline)) {
      return {atom::BatchStatus::in_doubt, StateError(StateErrorCode::timed_out, "blocked", Effect::unknown, true)};
    }
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 atom::Deadline deadline) override {
    if (!pass(deadline)) return StateError(StateErrorCode::timed_out, "blocked", Effect::none, true);
    ++reads;
    return inner().read(names, outcomes, deadline);
  }
  void block(bool block) {
    const std::lock_guard lock(mutex_);
    is_blocked_ = block;
    changed_.notify_all();
  }
  std::atomic<int> arrived{0};
  std::atomic<int> reads{0};
  std::atomic<bool> keeps_deadlines{true};

 private:
  bool pass(atom::Deadline deadline) {
    std::unique_lock lock(mutex_);
    ++arrived;
    const auto is_open = [&] { return !is_blocked_; };
    if (!keeps_deadlines) changed_.wait(lock, is_open);
    return changed_.wait_until(lock, deadline, is_open);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_blocked_ = false;
};

/// A loop of events, in one thread.
class Loop {
 public:
  std::function<void(std::function<void()>)> executor() {
    return [this](std::function<void()> work) {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
      changed_.notify_one();
    };
  }
  template <class Is>
  void run_until(Is is) {
    while (!is()) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, 20s, [&] { return !work_.empty(); })) return;
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
    }
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return work_.size();
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
};

// ------------------------------------------------------------------------------------------------------- in memory

Task<Number> all_of_them(State<Number> n) {
  co_await n.set_async(5);
  const Number added = co_await n.apply_async(current + 1);
  const Number updated = co_await n.update_async([](Number now) { return now * 2; });
  const auto loaded = co_await n.load_versioned_async();
  const bool written = co_await n.set_if_async(100, loaded.version);
  const bool written_late = co_await n.set_if_async(101, loaded.version);
  const Number got = co_await n.get_async();
  const bool erased = co_await n.erase_async();
  const Number gone = co_await n.load_async();
  co_return added * 1'000'000 + updated * 10'000 + got * 10 + (written ? 1 : 0) + (written_late ? 2 : 0) +
      (erased ? 4 : 0) + gone;
}
constexpr Number right = 6 * 1'000'000 + 12 * 10'000 + 100 * 10 + 1 + 4;

TEST_CASE("in memory an asynchronous operation is done at once") {
  StateStore store;
  auto task = all_of_them(number(store));
  task.start();
  REQUIRE(task.done());
  CHECK(task.result() == right);
  StateTask<Number> pending = number(store).apply_async(current + 1);
  CHECK(pending.is_ready());
  CHECK(pending.wait() == 1);
}

TEST_CASE("in memory an asynchronous operation on a small value allocates nothing") {
  StateStore store;
  State<Number> n = number(store);
  n.set(0);
  const support::Allocations allocations;
  for (int i = 0; i < 10; ++i) (void)n.try_apply_async(current + 1).wait();
  (void)n.set_async(1).wait();
  (void)n.get_async().wait();
  CHECK(allocations.count() == 0);
}

TEST_CASE("what goes wrong comes out where it is waited for") {
  std::shared_ptr<atom::Memory> memory;
  if (GENERATE(false, true)) memory = std::make_shared<atom::Memory>();
  auto store = memory ? std::make_unique<StateStore>(memory) : std::make_unique<StateStore>();
  State<Number> n = number(*store);
  n.set(INT64_MAX);
  StateTask<Number> task = n.apply_async(current + 1);
  CHECK_THROWS_AS(task.wait(), StateError);
  const StateResult<Number> result = n.try_apply_async(current + 1).wait();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == StateErrorCode::overflow);
  StateTask<Number> throws = n.update_async([](Number) -> Number { throw std::runtime_error("mine"); });
  CHECK_THROWS_WITH(throws.wait(), "mine");
  StateTask<StateResult<Number>> also = n.try_update_async([](Number) -> Number { throw std::runtime_error("mine"); });
  CHECK_THROWS_WITH(also.wait(), "mine");
  CHECK(n.load() == INT64_MAX);
  store = nullptr;
  CHECK(n.try_apply_async(current + 1).wait().error().code() == StateErrorCode::closed);
  CHECK(n.try_load_async().wait().error().code() == StateErrorCode::closed);
}

// ------------------------------------------------------------------------------------------------- with a database

TEST_CASE("with a database an asynchronous operation goes on where the executor says") {
  Loop loop;
  StateStore store(std::make_shared<atom::Memory>(), {.executor = loop.executor()});
  std::set<std::thread::id> threads;
  const auto work = [&]() -> Task<Number> {
    State<Number> n = number(store);
    const Number result = co_await all_of_them(n);
    threads.insert(std::this_thread::get_id());
    co_await n.apply_async(current + 1);
    threads.insert(std::this_thread::get_id());
    co_return result;
  };
  auto task = work();
  task.start();
  loop.run_until([&] { return task.done(); });
  CHECK(task.result() == right);
  CHECK(threads == std::set{std::this_thread::get_id()});
}

TEST_CASE("without an executor it goes on in a thread of the store") {
  std::unique_ptr<Task<void>> task;  // it ends after the thread of the store, which is the one that runs it
  StateStore store(std::make_shared<atom::Memory>());
  std::atomic<bool> done{false};
  Number result = 0;
  const auto work = [&]() -> Task<void> {
    result = co_await all_of_them(number(store));
    done = true;
  };
  task = std::make_unique<Task<void>>(work());
  task->start();
  REQUIRE(soon([&] { return done.load(); }));
  CHECK(result == right);
}

TEST_CASE("beginning an operation blocks nothing, and many that wait are few batches") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 20s});
  State<Number> n = number(store);
  n.set(0);
  backend->block(true);
  std::vector<StateTask<Number>> tasks;
  for (int i = 0; i < 1000; ++i) tasks.push_back(n.apply_async(current + 1));
  std::vector<StateTask<Number>> reads;
  for (int i = 0; i < 10; ++i) reads.push_back(n.load_async());
  CHECK_FALSE(tasks.back().is_ready());
  REQUIRE(soon([&] { return backend->arrived >= 2; }));
  backend->block(false);
  std::vector<Number> results;
  for (auto& task : tasks) results.push_back(task.wait());
  std::vector<Number> wanted(1000);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(results == wanted);
  for (auto& read : reads) CHECK(read.wait() <= 1000);
  CHECK(store.stats().batches <= 5);
  CHECK(backend->reads <= 3);
}

TEST_CASE("what is begun while another thread sends is sent as soon as that one has its own answer") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 20s});
  State<Number> n = number(store);
  n.set(0);
  n.apply_async(current + 1).wait();  // the thread of the store is there, and sleeps
  backend->block(true);
  std::thread leads([&] { n.apply(current + 1); });
  REQUIRE(soon([&] { return backend->arrived == 3; }));
  StateTask<Number> task = n.apply_async(current + 1);
  std::this_thread::sleep_for(20ms);  // that thread has seen that somebody sends, and sleeps on
  backend->block(false);
  leads.join();
  CHECK(soon([&] { return task.is_ready(); }));
  CHECK(task.wait() == 3);
}

TEST_CASE("close returns as soon as what is under way is done") {
  const bool reads = GENERATE(false, true);
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 60s});
  backend->block(true);
  StateTask<Number> task = reads ? number(store).load_async() : number(store).apply_async(current + 1);
  REQUIRE(soon([&] { return backend->arrived == 1; }));
  StateTask<Number> next = reads ? number(store).load_async() : number(store).apply_async(current + 1);
  bool is_done = false;
  std::thread closes([&] { is_done = store.close(20s); });
  std::this_thread::sleep_for(20ms);  // it waits, as a rule
  CHECK(backend->arrived == 1);
  const auto begun = std::chrono::steady_clock::now();
  backend->block(false);
  closes.join();
  CHECK(is_done);
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
  CHECK(task.wait() == (reads ? 0 : 1));
  CHECK(next.wait() == (reads ? 0 : 2));
}

TEST_CASE("who waits for what close gives up is woken") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 60s});
  backend->block(true);
  StateTask<StateResult<Number>> task = number(store).try_apply_async(current + 1);
  REQUIRE(soon([&] { return backend->arrived == 1; }));
  const auto begun = std::chrono::steady_clock::now();
  std::optional<StateError> error;
  std::thread waits([&] { error = task.wait().error(); });
  std::this_thread::sleep_for(20ms);  // it sleeps, as a rule
  CHECK_FALSE(store.close(20ms));
  waits.join();
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
  CHECK(error->code() == StateErrorCode::closed);
  CHECK(error->effect() == Effect::unknown);
  backend->block(false);
}

TEST_CASE("an operation that nobody waits for is carried out all the same") {
  const auto memory = std::make_shared<atom::Memory>();
  {
    StateStore store(memory);
    {
      const auto dropped = number(store).apply_async(current + 1);
    }
    (void)number(store).apply_async(current + 1);
    (void)number(store, "other").set_async(7);
  }
  StateStore store(memory);
  CHECK(number(store).load() == 2);
  CHECK(number(store, "other").load() == 7);
}

TEST_CASE("a task takes the place of another, whose operation is carried out all the same") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 20s});
  backend->block(true);
  StateTask<Number> task = number(store).set_async(5);
  task = number(store, "other").set_async(7);
  CHECK_FALSE(task.is_ready());
  backend->block(false);
  CHECK(task.wait() > 0);
  CHECK(number(store).load() == 5);
  CHECK(number(store, "other").load() == 7);
}

TEST_CASE("an asynchronous read from a database that is away is made again, until the deadline") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(memory);
  StateStore(memory).get_state<Number>(5, {.key = "n", .scope = Scope::global()}).set(5);
  backend->set_down(true);
  SECTION("it comes back") {
    StateStore store(backend, {.deadline = 20s});
    StateTask<Number> read = number(store).load_async();
    REQUIRE(soon([&] { return store.stats().retries >= 2; }));
    CHECK_FALSE(read.is_ready());
    backend->set_down(false);
    CHECK(read.wait() == 5);
  }
  SECTION("it stays away") {
    StateStore store(backend, {.deadline = 100ms});
    const StateResult<Number> read = number(store).try_load_async().wait();
    REQUIRE_FALSE(read);
    CHECK(read.error().effect() == Effect::none);
    CHECK(read.error().retryable());
  }
}

TEST_CASE("an asynchronous read that the database refuses, or that throws in it, ends at once") {
  struct Broken final : support::PassingBackend {
    Broken() : PassingBackend(std::make_shared<atom::Memory>()) {}
    std::optional<StateError> read(std::span<const atom::StateName>, std::span<atom::Outcome>,
                                   atom::Deadline) override {
      if (throws) throw std::runtime_error("broken");
      return StateError(StateErrorCode::refused, "no rights");
    }
    bool throws = false;
  };
  const auto backend = std::make_shared<Broken>();
  StateStore store(backend, {.deadline = 20s});
  const StateResult<Number> refused = number(store).try_load_async().wait();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == StateErrorCode::refused);
  backend->throws = true;
  CHECK_THROWS_WITH(number(store).load_async().wait(), "broken");
  CHECK(number(store).set_async(1).wait() > 0);
}

TEST_CASE("asynchronous operations on one state are carried out in their order") {
  const auto backend =
      std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>(), support::Faults{.seed = 2}
                                                                            .with(Fault::request_lost, 100)
                                                                            .with(Fault::answer_lost, 100)
                                                                            .with(Fault::refused_for_now, 100));
  StateStore store(backend, {.deadline = 60s});
  State<Number> n = number(store);
  for (int round = 0; round < 20; ++round) {
    (void)n.set_async(0);
    for (int i = 0; i < 9; ++i) {
      (void)n.apply_async(current + 1);
      (void)n.apply_async(current * 2);
      if (i % 3 == 0) (void)n.erase_async();
    }
    Number wanted = 0;
    for (int i = 0; i < 9; ++i) wanted = i % 3 == 0 ? 0 : (wanted + 1) * 2;
    REQUIRE(n.apply_async(current + 0).wait() == wanted);
  }
}

TEST_CASE("a coroutine that is destroyed while it waits is not resumed") {
  const auto backend = std::make_shared<Blocked>();
  Loop loop;
  StateStore store(backend, {.executor = loop.executor()});
  bool went_on = false;
  const auto work = [&]() -> Task<void> {
    co_await number(store).set_async(5);
    went_on = true;
  };
  backend->block(true);
  auto task = std::make_unique<Task<void>>(work());
  task->start();
  SECTION("before the operation is done") {
    task.reset();
    backend->block(false);
  }
  SECTION("when it is to be resumed") {
    backend->block(false);
    REQUIRE(soon([&] { return loop.size() > 0; }));
    task.reset();
    loop.run_one();
  }
  CHECK(soon([&] { return number(store).load() == 5; }));
  CHECK_FALSE(went_on);
}

TEST_CASE("an asynchronous operation gets its error at its deadline, also while others lead or block") {
  const auto backend = std::make_shared<Blocked>();
  std::unique_ptr<Task<void>> task;
  std::atomic<bool> done{false};
  std::optional<StateError> error;
  StateStore store(backend, {.deadline = 1s});
  backend->block(true);
  SECTION("its own thread does") {
    StateTask<StateResult<Number>> sent = number(store).try_apply_async(current + 1);
    REQUIRE(soon([&] { return backend->arrived > 0; }));
    StateTask<StateResult<Number>> waits = number(store, "other").try_apply_async(current + 1);
    StateTask<StateResult<Number>> reads = number(store).try_load_async();
    CHECK(sent.wait().error().effect() == Effect::unknown);
    CHECK(waits.wait().error().effect() == Effect::none);
    CHECK(reads.wait().error().effect() == Effect::none);
  }
  SECTION("a caller does, with a database that keeps no deadline") {
    backend->keeps_deadlines = false;
    std::thread caller([&] { (void)number(store).try_set(1); });
    REQUIRE(soon([&] { return backend->arrived > 0; }));
    StateTask<StateResult<Number>> waits = number(store, "other").try_apply_async(current + 1);
    CHECK(soon([&] { return waits.is_ready(); }));
    backend->block(false);
    caller.join();
    CHECK(waits.wait().error().effect() == Effect::none);
  }
  SECTION("a caller does, that began before") {
    std::thread caller([&] { (void)number(store).try_set(1); });
    REQUIRE(soon([&] { return backend->arrived > 0; }));
    const auto work = [&]() -> Task<void> {
      const auto result = co_await number(store, "other").try_apply_async(current + 1);
      error = result.error();
      done = true;
    };
    task = std::make_unique<Task<void>>(work());
    const auto began = std::chrono::steady_clock::now();
    task->start();
    CHECK(std::chrono::steady_clock::now() - began < 900ms);
    REQUIRE(soon([&] { return done.load(); }));
    CHECK(std::chrono::steady_clock::now() - began < 2500ms);
    CHECK(error->effect() == Effect::none);
    caller.join();
  }
  backend->block(false);
  CHECK(number(store).apply_async(current + 1).wait() > 0);
}

TEST_CASE("what nobody waits for any more keeps the thread of the store from nothing") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 30ms});
  for (int i = 0; i < 20; ++i) {
    backend->block(true);
    StateTask<StateResult<std::int64_t>> sent = number(store).try_set_async(1);
    StateTask<StateResult<std::int64_t>> waits = number(store, "other").try_set_async(1);
    REQUIRE(soon([&] { return sent.is_ready() && waits.is_ready(); }));
    StateTask<StateResult<std::int64_t>> next = number(store).try_set_async(2);
    REQUIRE(soon([&] { return next.is_ready(); }));
    backend->block(false);
  }
}

TEST_CASE("a coroutine may wait in its thread for another operation") {
  std::unique_ptr<Task<void>> task;  // it ends after the thread of the store, which is the one that runs it
  StateStore store(std::make_shared<atom::Memory>());
  std::atomic<bool> done{false};
  Number result = 0;
  const auto work = [&]() -> Task<void> {
    State<Number> n = number(store);
    co_await n.set_async(1);  // now in the thread of the store
    n.apply(current + 1);
    result = n.apply_async(current + 1).wait() + n.load_async().wait();
    done = true;
  };
  task = std::make_unique<Task<void>>(work());
  task->start();
  REQUIRE(soon([&] { return done.load(); }));
  CHECK(result == 6);
}

TEST_CASE("threads and coroutines count together") {
  const auto backend = std::make_shared<FaultyBackend>(
      std::make_shared<atom::Memory>(),
      support::Faults{}.with(Fault::request_lost, 30).with(Fault::answer_lost, 30).with(Fault::duplicated, 30));
  std::vector<Task<void>> tasks;
  StateStore store(backend, {.deadline = 60s});
  constexpr int coroutines = 50;
  constexpr int each = 20;
  std::atomic<int> done{0};
  std::mutex mutex;
  std::multiset<Number> results;
  const auto note = [&](Number result) {
    const std::lock_guard lock(mutex);
    results.insert(result);
  };
  const auto work = [&]() -> Task<void> {
    State<Number> n = number(store);
    for (int i = 0; i < each; ++i) {
      note(co_await n.apply_async(current + 1));
      (void)co_await n.load_async();
    }
    ++done;
  };
  for (int i = 0; i < coroutines; ++i) tasks.push_back(work());
  support::in_threads(5, [&](std::size_t thread) {
    State<Number> n = number(store);
    if (thread == 0) {
      for (auto& task : tasks) task.start();
    }
    for (int i = 0; i < each; ++i) note(thread % 2 ? n.apply(current + 1) : n.apply_async(current + 1).wait());
  });
  REQUIRE(soon([&] { return done == coroutines; }));
  std::vector<Number> wanted((coroutines + 5) * each);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(std::vector<Number>(results.begin(), results.end()) == wanted);
}

TEST_CASE("a task may outlive its store, and says what came of it") {
  const auto backend = std::make_shared<Blocked>();
  std::optional<StateTask<StateResult<Number>>> first;
  std::optional<StateTask<StateResult<Number>>> second;
  std::optional<StateTask<StateResult<Number>>> read;
  bool is_closed = false;
  {
    StateStore store(backend, {.deadline = 30s});
    backend->block(true);
    first = number(store).try_apply_async(current + 1);
    REQUIRE(soon([&] { return backend->arrived > 0; }));
    second = number(store).try_apply_async(current + 1);
    read = number(store).try_load_async();
    is_closed = store.close(50ms);
    CHECK_FALSE(is_closed);
    backend->block(false);
  }
  CHECK(first->wait().error().code() == StateErrorCode::closed);
  CHECK(first->wait().error().effect() == Effect::unknown);
  CHECK(second->wait().error().effect() == Effect::none);
  CHECK(read->wait().error().effect() == Effect::none);
}

TEST_CASE("an executor that takes nothing keeps no coroutine from going on") {
  std::unique_ptr<Task<void>> task;
  StateStore store(std::make_shared<atom::Memory>(),
                   {.executor = [](const std::function<void()>&) { throw std::runtime_error("full"); }});
  std::atomic<bool> done{false};
  const auto work = [&]() -> Task<void> {
    co_await number(store).set_async(1);
    done = true;
  };
  task = std::make_unique<Task<void>>(work());
  task->start();
  CHECK(soon([&] { return done.load(); }));
}

// ------------------------------------------------------------------------------ what is no operation of one state

TEST_CASE("a coroutine that waits for a list goes on where the executor says", "[case93]") {
  Loop loop;
  StateStore store(std::make_shared<atom::Memory>(), {.executor = loop.executor()});
  number(store).set(1);
  std::thread::id where;
  std::size_t found = 0;
  const auto work = [&]() -> Task<void> {
    found = (co_await store.list_async(Scope::global())).size();
    found += co_await store.async([&] { return store.list(Scope::global()).size(); });
    where = std::this_thread::get_id();
  };
  Task<void> task = work();
  task.start();
  loop.run_until([&] { return found == 2; });
  CHECK(found == 2);
  CHECK(where == std::this_thread::get_id());
}

TEST_CASE("where the database does not answer, all that is to ask it ends at its deadline", "[case79][case93]") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 1s});
  const atom::StateOptions wanted{.key = "n", .scope = Scope::global()};
  backend->block(true);
  const auto begun = std::chrono::steady_clock::now();
  std::vector<StateTask<bool>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(store.has_state_async(wanted));
  CHECK(std::chrono::steady_clock::now() - begun < 900ms);
  REQUIRE(soon([&] { return std::all_of(tasks.begin(), tasks.end(), [](const auto& t) { return t.is_ready(); }); }));
  CHECK(std::chrono::steady_clock::now() - begun < 3s);  // one after the other would be twenty
  for (auto& task : tasks) {                             // those that had begun, and those that had not
    try {
      task.wait();
      FAIL("it should have thrown");
    } catch (const StateError& error) {
      CHECK(error.code() == StateErrorCode::timed_out);
      CHECK(error.effect() == Effect::none);
      CHECK(error.retryable());
    }
  }
  backend->block(false);
  CHECK_FALSE(store.has_state_async(wanted).wait());
}

TEST_CASE("four of them ask at once", "[case93]") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend);
  backend->block(true);
  std::vector<StateTask<bool>> tasks;
  for (int i = 0; i < 8; ++i) tasks.push_back(store.has_state_async({.key = "n", .scope = Scope::global()}));
  CHECK(soon([&] { return backend->arrived == 4; }));
  backend->block(false);
  for (auto& task : tasks) CHECK_FALSE(task.wait());
  REQUIRE(store.close(5s));
  CHECK_THROWS_WITH(store.has_state_async({.key = "n", .scope = Scope::global()}).wait(),
                    support::ContainsSubstring("closed"));
  CHECK_THROWS_WITH(store.list().size(), support::ContainsSubstring("closed"));
}

TEST_CASE("what work in a thread of the store's begins late has the deadline of the whole", "[case93]") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 2s});
  backend->block(true);
  const auto begun = std::chrono::steady_clock::now();
  auto task = store.async([&] {
    std::this_thread::sleep_for(1500ms);
    return number(store).try_load();
  });
  REQUIRE(soon([&] { return task.is_ready(); }));
  CHECK(std::chrono::steady_clock::now() - begun < 3s);
  CHECK(task.wait().error().code() == StateErrorCode::timed_out);
  CHECK(number(store).try_load().error().code() == StateErrorCode::timed_out);
  CHECK(std::chrono::steady_clock::now() - begun >= 3500ms);  // here again, one of its own
}

TEST_CASE("what was begun before a process was forked is not waited for there, and nobody knows its effect") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.deadline = 60s});  // a child has 20
  State<Number> n = number(store);
  n.set(0);
  backend->block(true);
  StateTask<StateResult<Number>> write = n.try_apply_async(current + 1), awaited = n.try_apply_async(current + 1);
  StateTask<StateResult<Number>> read = n.try_load_async();
  std::vector<StateTask<bool>> jobs;
  for (int i = 0; i < 6; ++i) jobs.push_back(store.has_state_async({.key = "n", .scope = Scope::global()}));
  REQUIRE(soon([&] { return backend->arrived == 7; }));  // the first one, a batch, a read, and four of the jobs
  const int code = support::exit_code_of_child([&] {
    const auto is_closed = [](const StateError& error, Effect effect) {
      return error.code() == StateErrorCode::closed && error.effect() == effect;
    };
    const auto is_closed_to_job = [&](auto use) {
      try {
        use();
      } catch (const StateError& error) {
        return is_closed(error, Effect::unknown);
      }
      return false;
    };
    int told = 0;
    const auto awaits = [&]() -> Task<void> {
      told += is_closed((co_await std::move(awaited)).error(), Effect::unknown) ? 1 : 0;
      try {
        co_await std::move(jobs[1]);
      } catch (const StateError& error) {
        told += is_closed(error, Effect::unknown) ? 1 : 0;
      }
    };
    Task<void> task = awaits();
    task.start();
    jobs.pop_back();  // which is not awaited
    return told == 2 && is_closed(write.wait().error(), Effect::unknown) &&
           is_closed(read.wait().error(), Effect::none) && is_closed_to_job([&] { jobs.front().wait(); }) &&
           is_closed_to_job([&] { jobs.back().wait(); });
  });
  backend->block(false);
  CHECK(code == 0);
  CHECK(write.wait().value() == 1);
  CHECK(awaited.wait().value() == 2);
  CHECK(read.wait().has_value());
  for (auto& job : jobs) CHECK(job.wait());
}

TEST_CASE("a read that is not needed is not made") {
  const auto backend = std::make_shared<Blocked>();
  StateStore store(backend, {.staleness = 1h});
  State<Number> n = number(store);
  CHECK(n.get_async().wait() == 0);
  CHECK(backend->reads == 1);
  CHECK(n.get_async().is_ready());
  n.set(3);
  CHECK(n.get_async().wait() == 3);
  CHECK(backend->reads == 1);
}

}  // namespace
}  // namespace task_test

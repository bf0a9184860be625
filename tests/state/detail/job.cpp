#include <atom/state/detail/job.hpp>

#include <atom/atom.hpp>
#include <atom/backend/memory.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>

#include "support/at_end.hpp"
#include "support/catch.hpp"
#include "support/faulty_backend.hpp"
#include "support/task.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace job_test {
namespace {

TEST_CASE("Work that blocks is done by as many threads at once as the store is told, and by no more", "[case93]") {
  for (const std::size_t threads : {0u, 1u, 3u, 8u}) {
    const std::size_t at_once = threads == 0 ? 1 : threads;
    atom::StateStore states{std::make_shared<atom::Memory>(),
                            {.deadline = std::chrono::minutes(1), .threads = threads}};
    std::atomic<std::size_t> running = 0, most = 0;
    const auto work = [&] {
      const std::size_t now = ++running;
      std::size_t before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      while (most < at_once) std::this_thread::yield();           // until all are there
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // and any that should not be
      --running;
    };
    std::vector<atom::StateTask<void>> tasks;
    for (std::size_t i = 0; i < 3 * at_once; ++i) tasks.push_back(states.async(work));
    for (atom::StateTask<void>& task : tasks) {
      while (!task.is_ready()) std::this_thread::yield();  // who waits for it would do it itself
      task.wait();
    }
    CHECK(most == at_once);
  }
}

/// A store whose only thread is busy until this ends.
struct Busy {
  explicit Busy(std::chrono::milliseconds deadline)
      : states(std::make_shared<atom::Memory>(), {.deadline = deadline, .threads = 1}) {}
  ~Busy() { release(); }
  void release() {
    if (!released.exchange(true)) free.set_value();
  }
  atom::StateStore states;
  std::promise<void> free;
  std::atomic<bool> released = false;
  atom::StateTask<void> busy = states.async([this] { free.get_future().wait(); });
};
/// The error of something that has not begun, which nobody waits for in a thread: that would begin it.
template <class Task>
atom::StateError error_in_time(Task task) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!task.is_ready()) {
    if (std::chrono::steady_clock::now() > end)
      return {atom::StateErrorCode::refused, "late", atom::Effect::unknown, false};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  try {
    static_cast<void>(task.wait());
  } catch (const atom::StateError& error) {
    return error;
  }
  return {atom::StateErrorCode::refused, "nothing failed", atom::Effect::unknown, false};
}
void check_has_not_begun(const atom::StateError& error) {
  CHECK(error.code() == atom::StateErrorCode::timed_out);
  CHECK(error.effect() == atom::Effect::none);
  CHECK(error.retryable());
  CHECK(std::string(error.what()).find("before it began") != std::string::npos);
}

const atom::Atom<int> number_atom{"job.number", 0};
const atom::Atom<std::string> name_atom{"job.name", ""};

TEST_CASE("What has not begun at its deadline is an error then, though no thread is free", "[case93]") {
  Busy store(std::chrono::milliseconds(50));
  bool has_begun = false;
  std::vector<atom::StateTask<void>> late;
  for (int i = 0; i < 20; ++i) late.push_back(store.states.async([&] { has_begun = true; }));
  for (atom::StateTask<void>& task : late) check_has_not_begun(error_in_time(std::move(task)));
  check_has_not_begun(error_in_time(store.states.list_async()));
  CHECK_FALSE(store.busy.is_ready());
  CHECK_FALSE(has_begun);
  store.release();
  store.busy.wait();
  CHECK(store.states.async([] { return 7; }).wait() == 7);
}

TEST_CASE("What ends first is an error first, though it came last", "[case93]") {
  Busy store(std::chrono::minutes(5));
  auto patient = store.states.async([] { return 7; });
  atom::Session session(store.states, atom::Scope::global(), {.deadline = std::chrono::milliseconds(500)});
  session.use(name_atom).update("Ada");
  session.apply(number_atom, atom::current + 1);
  const auto error = [&] {
    auto commit = session.try_commit_async();
    while (!commit.is_ready()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return commit.wait();
  }();
  REQUIRE(error);
  check_has_not_begun(*error);
  CHECK(session.use(name_atom).value() == "Ada");  // nothing of it is lost
  CHECK(session.has_changes());
  CHECK_FALSE(store.busy.is_ready());
  CHECK_FALSE(patient.is_ready());
  store.release();
  CHECK(patient.wait() == 7);
}

TEST_CASE("The own deadline of a visitor, a session or a transaction begins when it is asked for", "[case93]") {
  using std::chrono::milliseconds;
  Busy store(std::chrono::minutes(5));
  atom::Session loading(store.states, atom::Scope::global(), {.deadline = milliseconds(30)});
  check_has_not_begun(error_in_time(loading.load_async(number_atom)));
  check_has_not_begun(error_in_time(atom::Visitor::find_async(store.states, "", {.deadline = milliseconds(30)})));
  const auto add = [](atom::Session& session) { session.use(number_atom).update(1); };
  check_has_not_begun(error_in_time(
      store.states.transact_async(atom::Scope::global(), add, atom::SessionOptions{.deadline = milliseconds(30)})));
  const atom::Visitor visitor(store.states, "", {.deadline = milliseconds(200)});
  check_has_not_begun(error_in_time(visitor.transact_async(add)));
  CHECK_FALSE(store.busy.is_ready());
}

TEST_CASE("What a visitor has waited for a thread counts for its own deadline", "[case93]") {
  Busy store(std::chrono::minutes(5));
  const auto over = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  auto finding = atom::Visitor::find_async(store.states, "", {.deadline = std::chrono::seconds(2)});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  store.release();
  const auto visitor = finding.wait();
  atom::Session session = visitor->session();
  session.use(number_atom).update(1);
  std::this_thread::sleep_until(over);
  const auto error = session.try_commit();
  REQUIRE(error);
  CHECK(error->code() == atom::StateErrorCode::timed_out);
}

TEST_CASE("What nobody takes may begin work of its own as it ends", "[case93]") {
  std::promise<void> dropped, done;
  const auto is_done = done.get_future();
  auto states = std::make_unique<atom::StateStore>(std::make_shared<atom::Memory>());
  static_cast<void>(states->async([&] {
    dropped.get_future().wait();
    return support::AtEnd([&] { static_cast<void>(states->async([&] { done.set_value(); })); });
  }));
  dropped.set_value();
  const bool in_time = is_done.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  if (!in_time) static_cast<void>(states.release());  // its thread waits for itself
  CHECK(in_time);
}

/// Two pieces of work, one after the other.
support::Task<void> do_two(atom::StateStore& states, std::atomic<int>& done, std::function<void()> between) {
  auto nothing = [] {};
  for (int i = 0; i < 2; ++i) {
    auto task = states.async(nothing);
    try {
      co_await task;
    } catch (const atom::StateError&) {  // the first one has not begun
    }
    ++done;
    if (i == 0) between();
  }
}

TEST_CASE("A coroutine that went on at its deadline goes on to its end while the store ends", "[case93]") {
  std::atomic<int> done = 0;
  std::atomic<bool> ends = false;
  std::optional<support::Task<void>> task;
  {
    Busy store(std::chrono::milliseconds(50));
    task.emplace(do_two(store.states, done, [&] {
      while (!ends) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until the store waits for its threads
    }));
    task->start();
    while (done < 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    store.release();
    store.busy.wait();
    ends = true;
  }
  CHECK(done == 2);
}

/// A database that answers when the store has begun to end.
struct Late final : support::PassingBackend {
  Late() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    while (!ends) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until the store waits for this
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  std::atomic<bool> ends = false;
};
/// An operation, and then something that is a job's.
support::Task<void> count_and_look(atom::StateStore& states, std::optional<atom::StateErrorCode>& error) {
  const atom::StateOptions options{.key = "n", .scope = atom::Scope::global()};
  auto count = states.get_state<int>(0, options).apply_async(atom::current + 1);
  CHECK(co_await count == 1);
  auto look = states.has_state_async(options);
  try {
    co_await look;
  } catch (const atom::StateError& refused) {
    error = refused.code();
  }
}

TEST_CASE("A coroutine that goes on while the store waits for its operation may add a job, which is refused",
          "[case93]") {
  const auto database = std::make_shared<Late>();
  std::optional<atom::StateErrorCode> error;
  std::optional<support::Task<void>> task;
  {
    atom::StateStore states(database);
    task.emplace(count_and_look(states, error));
    task->start();
    database->ends = true;
  }
  CHECK(error == atom::StateErrorCode::closed);
}

/// The other way round.
support::Task<void> work_and_count(atom::StateStore& states, Late& database, int& count) {
  auto work = states.async([&] {
    while (!database.ends) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until the store waits for this
  });
  co_await work;
  auto counting = states.get_state<int>(0, {.key = "n", .scope = atom::Scope::global()}).apply_async(atom::current + 1);
  count = co_await counting;
}

TEST_CASE("A coroutine that goes on while the store waits for its job may begin an operation, which is done",
          "[case93]") {
  const auto database = std::make_shared<Late>();
  int count = 0;
  std::optional<support::Task<void>> task;
  {
    atom::StateStore states(database);
    task.emplace(work_and_count(states, *database, count));
    task->start();
    database->ends = true;
  }
  CHECK(count == 1);
}

TEST_CASE("In memory nothing waits, so no deadline ends a commit", "[case90][case93]") {
  atom::StateStore states{{.deadline = std::chrono::milliseconds(20)}};
  const auto slowly = [](atom::Session& session) {
    session.use(number_atom).update(session.use(number_atom).value() + 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  };
  states.transact(atom::Scope::global(), slowly);
  states.transact_async(atom::Scope::global(), slowly).wait();
  atom::Session session(states, atom::Scope::global(), {.deadline = std::chrono::milliseconds(20)});
  slowly(session);
  CHECK_FALSE(session.try_commit());
  atom::Session after(states, atom::Scope::global());
  CHECK(after.use(number_atom).value() == 3);
}

}  // namespace
}  // namespace job_test

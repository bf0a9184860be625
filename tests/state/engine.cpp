// The engine, against a database that loses, delays, doubles, refuses and forgets.
#include <atom/backend/memory.hpp>
#include <atom/state/event_stream.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/faulty_backend.hpp"
#include "support/linearizability.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace engine_test {
namespace {

using namespace std::chrono_literals;
using atom::at;
using atom::current;
using atom::Effect;
using atom::Scope;
using atom::State;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateEvent;
using atom::StateStore;
using support::EquationBackend;
using support::exit_code_of_child;
using support::Fault;
using support::Faults;
using support::FaultyBackend;
using support::in_threads;
using Clock = std::chrono::steady_clock;

using Number = std::int64_t;
constexpr Number most = INT64_MAX;

State<Number> number(StateStore& store, const std::string& key = "n", Number initial = 0) {
  return store.get_state<Number>(initial, {.key = key, .scope = Scope::global()});
}

/// What `on_event` is told.
class Events {
 public:
  std::function<void(const StateEvent&)> listener() {
    return [this](const StateEvent& event) {
      const std::lock_guard lock(mutex_);
      all_.push_back(event);
    };
  }
  std::size_t count(StateEvent::Kind kind) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(all_.begin(), all_.end(), [&](const StateEvent& event) { return event.kind == kind; }));
  }
  /// The texts of that kind, in their order.
  std::vector<std::string> messages(StateEvent::Kind kind) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> messages;
    for (const StateEvent& event : all_) {
      if (event.kind == kind) messages.push_back(event.message);
    }
    return messages;
  }
  std::uint64_t lost() const {
    const std::lock_guard lock(mutex_);
    return std::accumulate(all_.begin(), all_.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const StateEvent& event) { return sum + event.lost; });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<StateEvent> all_;
};

/// The same database, without its feed.
struct Silent final : support::PassingBackend {
  using PassingBackend::PassingBackend;
  std::unique_ptr<atom::Feed> open_feed() override { return nullptr; }
};

/// A backend that waits, where a test wants that.
class Gate : public support::PassingBackend {
 public:
  Gate() : Gate(std::make_shared<atom::Memory>()) {}
  explicit Gate(std::shared_ptr<atom::Backend> inner) : PassingBackend(std::move(inner)) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    {
      std::unique_lock lock(mutex_);
      ++arrived_;
      changed_.notify_all();
      if (!changed_.wait_until(lock, deadline, [&] { return is_open_; })) {
        return {atom::BatchStatus::in_doubt, StateError(StateErrorCode::timed_out, "shut", Effect::unknown, true)};
      }
      sizes_.push_back(commands.size());
    }
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  void set_open(bool open) {
    const std::lock_guard lock(mutex_);
    is_open_ = open;
    changed_.notify_all();
  }
  /// Returns when so many batches have come.
  void wait_for(std::size_t batches) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= batches; });
  }
  std::vector<std::size_t> sizes() {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = true;
  std::size_t arrived_ = 0;
  std::vector<std::size_t> sizes_;
};
/// One that takes a moment.
struct Distant final : support::PassingBackend {
  Distant() : Distant(std::make_shared<atom::Memory>()) {}
  explicit Distant(std::shared_ptr<atom::Backend> inner) : PassingBackend(std::move(inner)) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    std::this_thread::sleep_for(1ms);
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
};
/// Does something again and again until its end.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          while (!ends_.load()) work();
        }) {}
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;
  ~Meanwhile() {
    ends_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ends_{false};
  std::thread thread_;
};
/// Until it is so, or for long enough that it will not be any more.
template <class Is>
bool soon(Is is) {
  for (int i = 0; i < 5000 && !is(); ++i) std::this_thread::sleep_for(1ms);
  return is();
}
/// Returns when so many operations wait for the store.
void wait_for_operations(const StateStore& store, std::uint64_t count) {
  REQUIRE(soon([&] { return store.stats().operations >= count; }));
}

// ------------------------------------------------------------------------------------------------------- combining

TEST_CASE("what waits for a database reaches it together, and each caller gets a result of its own") {
  StateStore store(std::make_shared<Distant>(), {.deadline = 60s});
  State<Number> n = number(store);
  constexpr std::size_t threads = 64;
  constexpr std::size_t each = 50;
  std::vector<std::vector<Number>> results(threads);
  in_threads(threads, [&](std::size_t thread) {
    for (std::size_t i = 0; i < each; ++i) results[thread].push_back(n.apply(current + 1));
  });
  std::vector<Number> all;
  for (const auto& some : results) {
    CHECK(std::is_sorted(some.begin(), some.end()));
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<Number> wanted(threads * each);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(all == wanted);
  CHECK(store.stats().operations == threads * each);
  CHECK(store.stats().batches < threads * each / 4);
}

TEST_CASE("those that come while a batch is under way are the next one") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate);
  State<Number> n = number(store);
  n.set(0);
  gate->set_open(false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] { n.apply(current + 1); });
    if (i == 0) gate->wait_for(2);
  }
  wait_for_operations(store, 21);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(n.load() == 20);
  CHECK(gate->sizes().size() == 3);
}

TEST_CASE("a lone caller has one batch for each operation") {
  StateStore store(std::make_shared<atom::Memory>());
  State<Number> n = number(store);
  n.set(1);
  n.apply(current + 1);
  n.set_if(7, n.version());
  n.erase();
  CHECK(store.stats().batches == 4);
  CHECK(store.stats().retries == 0);
}

TEST_CASE("who compares with a version that is known to be over loses at once, without a batch") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate);
  State<Number> n = number(store);
  const std::int64_t first = n.set(1);
  const std::int64_t second = n.set(2);
  CHECK_FALSE(n.set_if(9, first));
  CHECK(gate->sizes().size() == 2);
  CHECK_FALSE(n.set_if(9, second + 7));  // that may be so by now
  CHECK(gate->sizes().size() == 3);
  n.erase();
  CHECK_FALSE(n.set_if(9, second));
  CHECK(gate->sizes().size() == 4);
  CHECK(n.set_if(3, 0));
  CHECK(n.load() == 3);
}

TEST_CASE("who lost gets its turn, although another thread that has won each time writes on without a pause") {
  StateStore store(std::make_shared<Distant>(), {.deadline = 20s});
  State<Number> n = number(store);
  n.set(0);
  std::atomic<Number> others{0};
  const auto one_more = [](Number now) { return now + 1; };
  const Number mine = 5;
  {
    const Meanwhile without_pause([&] {
      n.update(one_more);
      ++others;
    });
    REQUIRE(soon([&] { return others > 0; }));
    for (Number i = 0; i < mine; ++i) n.update(one_more);  // or it throws
  }
  CHECK(n.load() == mine + others);
}

TEST_CASE("where a database tells nobody what changes, get is as far behind as the store is told, and no further") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore other(memory);
  StateStore close(std::make_shared<Silent>(memory), {.staleness = 1ms});
  StateStore far(std::make_shared<Silent>(memory), {.staleness = 1h});
  number(other).set(1);
  const State<Number> here = number(close);
  const State<Number> there = number(far);
  CHECK(here.get() == 1);
  CHECK(there.get() == 1);
  number(other).set(2);
  std::this_thread::sleep_for(2ms);
  CHECK(here.get() == 2);
  CHECK(there.get() == 1);
  CHECK(there.load() == 2);
}

TEST_CASE("states of a database that nobody holds do not pile up, and are there when they are asked for") {
  StateStore store(std::make_shared<atom::Memory>(), {.states_per_scope = 5000, .staleness = 1ms});
  constexpr Number count = 20'000;
  const State<Number> held = number(store, "held");
  std::size_t most_at_once = 0;
  for (Number i = 0; i < count; ++i) {
    number(store, std::to_string(i)).set(i);
    most_at_once = std::max(most_at_once, store.stats().states);
  }
  CHECK(most_at_once > 1);
  CHECK(most_at_once < 5000);
  for (Number i = 0; i < count; i += 999) CHECK(number(store, std::to_string(i)).get() == i);
  CHECK(number(store, "held") == held);
}

TEST_CASE("a batch has no more commands and no more bytes than the database takes") {
  struct Small final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::BackendTraits traits() const noexcept override {
      atom::BackendTraits traits = inner().traits();
      traits.most_commands = 5;
      traits.most_bytes = 1000;
      traits.most_value_bytes = 700;
      return traits;
    }
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      most_commands = std::max(most_commands, commands.size());
      std::size_t bytes = 0;
      for (const atom::Command& command : commands) bytes += command.value->text.size();
      most_bytes = std::max(most_bytes, bytes);
      return inner().execute(lane, mode, commands, outcomes, deadline);
    }
    std::size_t most_commands = 0;
    std::size_t most_bytes = 0;
  };
  const auto gate = std::make_shared<Gate>();
  const auto small = std::make_shared<Small>(gate);
  StateStore store(small);
  gate->set_open(false);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 40; ++i) {
    threads.emplace_back([&store, i] {
      auto text = store.get_state<std::string>("", {.key = std::to_string(i), .scope = Scope::global()});
      text.set(std::string(i < 20 ? 10 : 400, 'a'));
    });
  }
  wait_for_operations(store, 40);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(store.list(Scope::global()).size() == 40);
  CHECK(small->most_commands == 5);
  CHECK(small->most_bytes <= 1000);
  CHECK(small->most_bytes > 400);
}

TEST_CASE("writes of one thread arrive in their order") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(std::make_shared<FaultyBackend>(memory, Faults{.seed = 5}
                                                               .with(Fault::request_lost, 50)
                                                               .with(Fault::answer_lost, 50)
                                                               .with(Fault::delayed, 50)
                                                               .with(Fault::duplicated, 50)
                                                               .with(Fault::refused_for_now, 50)),
                   {.deadline = 60s});
  StateStore other(memory);
  bool is_sorted = true;
  {
    const Meanwhile watches([&, last = Number(0)]() mutable {
      const Number now = number(other, "0").load();
      if (now < last) is_sorted = false;
      last = now;
    });
    in_threads(4, [&](std::size_t thread) {
      State<Number> n = number(store, std::to_string(thread));
      for (Number i = 1; i <= 200; ++i) n.set(i);
    });
  }
  CHECK(is_sorted);
  for (int i = 0; i < 4; ++i) CHECK(number(other, std::to_string(i)).load() == 200);
}

TEST_CASE("one caller's error is not that of those it waited with") {
  const auto memory = std::make_shared<atom::Memory>();
  const int kind = GENERATE(0, 1, 2);
  std::shared_ptr<atom::Backend> backend = memory;
  if (kind > 0) backend = std::make_shared<EquationBackend>(memory, kind == 2);
  const auto gate = std::make_shared<Gate>(backend);
  StateStore store(gate);
  State<Number> n = number(store);
  n.set(most - 10);
  n.load();
  gate->set_open(false);
  std::vector<std::optional<StateError>> errors(20);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto result = i % 2 ? n.try_apply(current + 1) : n.try_apply(current + 100);
      if (!result) errors[i] = result.error();
    });
  }
  wait_for_operations(store, 21);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < errors.size(); ++i) {
    CAPTURE(i);
    CHECK(errors[i].has_value() == (i % 2 == 0));
    if (errors[i]) {
      CHECK(errors[i]->code() == StateErrorCode::overflow);
      CHECK(errors[i]->effect() == Effect::none);
    }
  }
  CHECK(n.load() == most);
}

TEST_CASE("a value that the database does not take fails alone") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate);
  auto text = store.get_state<std::string>("", {.key = "t", .scope = Scope::global()});
  auto real = store.get_state<double>(0, {.key = "d", .scope = Scope::global()});
  CHECK(text.try_set(std::string(300'000, 'a')).error().code() == StateErrorCode::too_large);
  CHECK(real.try_set(1 / std::numeric_limits<double>::denorm_min()).error().code() == StateErrorCode::not_finite);
  gate->set_open(false);
  std::vector<std::optional<StateErrorCode>> codes(12);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto result = text.try_set(std::string(i % 3 == 0 ? 300'000 : i, 'a'));
      if (!result) codes[i] = result.error().code();
    });
  }
  wait_for_operations(store, 14);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    CHECK(codes[i] == (i % 3 == 0 ? std::optional(StateErrorCode::too_large) : std::nullopt));
  }
  CHECK(text.load().size() < codes.size());
}

TEST_CASE("an element for which a list has no room fails alone") {
  struct Small final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::BackendTraits traits() const noexcept override {
      atom::BackendTraits traits = inner().traits();
      traits.most_value_bytes = 100;
      return traits;
    }
  };
  const auto gate = std::make_shared<Gate>();
  StateStore store(std::make_shared<Small>(gate), {.deadline = 20s});
  using List = std::vector<std::string>;
  auto list = store.get_state<List>({}, {.key = "list", .scope = Scope::global()});
  list.set({"first"});
  gate->set_open(false);
  std::vector<std::optional<StateErrorCode>> codes(9);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto result = list.try_apply(atom::append(std::string(i % 3 == 0 ? 200 : 2, 'a')));
      if (!result) codes[i] = result.error().code();
    });
  }
  wait_for_operations(store, 10);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    CHECK(codes[i] == (i % 3 == 0 ? std::optional(StateErrorCode::too_large) : std::nullopt));
  }
  CHECK(list.load().size() == 7);
}

TEST_CASE("an error on what is known here is none if that is old") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(memory);
  StateStore other(memory);
  number(store).set(most);
  number(other).set(1);
  CHECK(number(store).apply(current + 1) == 2);
}

TEST_CASE("an erase or a set_if is carried out where it comes among the others") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate);
  State<Number> n = number(store);
  const std::int64_t version = n.set(1);
  gate->set_open(false);
  std::vector<std::function<void()>> steps;
  std::optional<Number> after_set, after_erase;
  std::optional<bool> written, erased, written_late;
  steps.push_back([&] { number(store, "other").set(1); });  // the one that is under way
  steps.push_back([&] { written = n.set_if(10, version); });
  steps.push_back([&] { after_set = n.apply(current + 1); });
  steps.push_back([&] { written_late = n.set_if(99, version); });
  steps.push_back([&] { erased = n.erase(); });
  steps.push_back([&] { after_erase = n.apply(current + 5); });
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    threads.emplace_back(steps[i]);
    wait_for_operations(store, 2 + i);
    if (i == 0) gate->wait_for(2);
  }
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(written == true);
  CHECK(after_set == 11);
  CHECK(written_late == false);
  CHECK(erased == true);
  CHECK(after_erase == 5);
}

TEST_CASE("a set that others have replaced at once gets a version with which nothing can be written") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate);
  State<Number> n = number(store);
  n.set(0);
  gate->set_open(false);
  std::vector<std::int64_t> versions(3);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    threads.emplace_back([&, i] { versions[i] = n.set(static_cast<Number>(i)); });
    wait_for_operations(store, 2 + i);
    if (i == 0) gate->wait_for(2);
  }
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
  REQUIRE(n.load() == 2);
  CHECK_FALSE(n.set_if(10, versions[0]));
  CHECK_FALSE(n.set_if(10, versions[1]));
  CHECK(n.set_if(10, versions[2]));
}

// -------------------------------------------------------------------------------------------------- exactly once

/// Each adds to some states, again and again until it is told that it did, or that nobody knows.
class Increments {
 public:
  explicit Increments(std::size_t keys) : results_(keys), unknown_(keys) {}

  void run(StateStore& store, std::size_t threads, std::size_t each, std::uint64_t seed) {
    in_threads(threads, [&](std::size_t thread) {
      std::mt19937_64 random(seed * 100 + thread);
      for (std::size_t i = 0; i < each; ++i) add(store, random() % results_.size());
    });
  }
  void add(StateStore& store, std::size_t key) {
    State<Number> n = number(store, std::to_string(key));
    for (;;) {
      const auto result = n.try_apply(current + 1);
      const std::lock_guard lock(mutex_);
      if (result) {
        results_[key].push_back(*result);
        return;
      }
      if (result.error().effect() != Effect::none) {
        ++unknown_[key];
        return;
      }
      ++refused_;
    }
  }
  /// Whether the results are 1 to n, each once, but for those that nobody knows of.
  bool are_right(StateStore& store) {
    for (std::size_t key = 0; key < results_.size(); ++key) {
      std::vector<Number>& all = results_[key];
      std::sort(all.begin(), all.end());
      const Number stored = number(store, std::to_string(key)).load();
      const auto count = static_cast<Number>(all.size());
      const auto unknown = static_cast<Number>(unknown_[key]);
      const bool is_unique = std::adjacent_find(all.begin(), all.end()) == all.end();
      const bool are_in = all.empty() || (all.front() >= 1 && all.back() <= stored);
      if (!is_unique || !are_in || stored < count || stored > count + unknown) {
        UNSCOPED_INFO("key " << key << ": stored " << stored << ", told " << count << ", unknown " << unknown);
        return false;
      }
    }
    return true;
  }
  std::size_t unknown() const { return std::accumulate(unknown_.begin(), unknown_.end(), std::size_t{0}); }
  std::size_t refused() const { return refused_; }

 private:
  std::mutex mutex_;
  std::vector<std::vector<Number>> results_;
  std::vector<std::size_t> unknown_;
  std::size_t refused_ = 0;
};

TEST_CASE("every operation takes effect once, whatever is lost, delayed, doubled or refused for now") {
  constexpr Fault kinds[] = {Fault::request_lost,    Fault::answer_lost, Fault::delayed, Fault::duplicated,
                             Fault::refused_for_now, Fault::slow,        Fault::down};
  const auto memory = std::make_shared<atom::Memory>();
  const int equations = GENERATE(0, 1, 2);
  const auto seed = GENERATE(range<std::uint64_t>(1, 4));
  CAPTURE(equations, seed);
  Faults faults{.seed = seed};
  for (const Fault kind : kinds) faults.with(kind, 20);
  std::shared_ptr<EquationBackend> evaluates;
  if (equations > 0) evaluates = std::make_shared<EquationBackend>(memory, equations == 2);
  const auto backend = std::make_shared<FaultyBackend>(memory, faults, evaluates);
  StateStore store(backend, {.deadline = 60s});
  Increments increments(3);
  increments.run(store, 16, 250, seed);
  const auto all_happened = [&] {
    return std::all_of(std::begin(kinds), std::end(kinds), [&](Fault kind) { return backend->happened(kind) > 0; });
  };
  for (std::uint64_t more = 1; more <= 20 && !all_happened(); ++more) increments.run(store, 16, 250, seed + 100 * more);
  backend->calm_down();
  backend->deliver_late_ones();
  CHECK(increments.are_right(store));
  CHECK(increments.unknown() == 0);
  CHECK(increments.refused() == 0);
  for (const Fault kind : kinds) {
    CAPTURE(static_cast<int>(kind));
    CHECK(backend->happened(kind) > 0);
  }
  CHECK(backend->most_at_once() == 1);
  if (evaluates) {
    CHECK(evaluates->equations() > 0);
    CHECK_FALSE(evaluates->had_too_many());
  }
}

TEST_CASE("what is refused for good has no effect, and what was in doubt then stays so") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(memory, Faults{.seed = 7}
                                                                   .with(Fault::request_lost, 60)
                                                                   .with(Fault::answer_lost, 60)
                                                                   .with(Fault::delayed, 60)
                                                                   .with(Fault::refused, 120));
  StateStore store(backend, {.deadline = 60s});
  Increments increments(3);
  increments.run(store, 16, 250, 1);
  backend->calm_down();
  number(store, "another").set(1);  // finds out about what is in doubt
  backend->deliver_late_ones();
  CHECK(increments.are_right(store));
  CHECK(increments.refused() > 0);
  CHECK(increments.unknown() > 0);
  CHECK(backend->happened(Fault::refused) > 0);
}

TEST_CASE("several stores on one database count together") {
  const auto memory = std::make_shared<atom::Memory>();
  const int equations = GENERATE(0, 1, 2);
  CAPTURE(equations);
  std::shared_ptr<atom::Backend> inner = memory;
  if (equations > 0) inner = std::make_shared<EquationBackend>(memory, equations == 2);
  const auto faults = Faults{}.with(Fault::answer_lost, 20).with(Fault::duplicated, 20).with(Fault::delayed, 20);
  const auto backend = std::make_shared<FaultyBackend>(memory, faults, inner);
  StateStore first(backend, {.deadline = 60s});
  StateStore second(backend, {.deadline = 60s});
  Increments increments(2);
  in_threads(12, [&](std::size_t thread) {
    for (std::size_t i = 0; i < 100; ++i) increments.add(thread % 2 ? first : second, i % 2);
  });
  CHECK(increments.are_right(first));
  CHECK(increments.are_right(second));
  CHECK(increments.unknown() == 0);
}

TEST_CASE("update(fn) loses no update") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto faults = Faults{.seed = 3}.with(Fault::answer_lost, 50).with(Fault::request_lost, 50);
  StateStore store(std::make_shared<FaultyBackend>(memory, faults), {.deadline = 60s});
  StateStore other(std::make_shared<FaultyBackend>(memory, faults), {.deadline = 60s});
  in_threads(8, [&](std::size_t thread) {
    State<Number> n = number(thread % 2 ? store : other);
    for (int i = 0; i < 50; ++i) n.update([](Number now) { return now + 1; });
  });
  CHECK(number(store).load() == 400);
}

// --------------------------------------------------------------------------------------------- one after the other

support::Calls record(StateStore& store, const std::string& key, std::size_t threads, std::size_t each,
                      std::uint64_t seed) {
  std::vector<support::Calls> recorded(threads);
  std::atomic<std::uint64_t> clock{0};
  in_threads(threads, [&](std::size_t thread) {
    using enum support::Call::Kind;
    std::mt19937_64 random(seed * 64 + thread);
    State<Number> n = number(store, key);
    std::int64_t version_seen = 0;
    for (std::size_t i = 0; i < each; ++i) {
      static constexpr support::Call::Kind kinds[] = {get, load, load, set, add, add, add, set_if, set_if, erase};
      support::Call call{.kind = kinds[random() % std::size(kinds)], .thread = thread};
      call.argument = static_cast<std::int64_t>(random() % 5) + (call.kind == add ? 1 : 100);
      call.expected = version_seen;
      call.begin = clock.fetch_add(1);
      std::optional<StateError> error;
      const auto note = [&](const auto& result, std::int64_t& to) {
        if (result) {
          to = static_cast<std::int64_t>(*result);
        } else {
          error = result.error();
        }
      };
      switch (call.kind) {
        case get:
          note(n.try_get(), call.result);
          break;
        case load: {
          const auto loaded = n.try_load_versioned();
          if (loaded) call.result = loaded->value, call.version = loaded->version;
          if (!loaded) error = loaded.error();
          break;
        }
        case set:
          note(n.try_set(call.argument), call.version);
          break;
        case add:
          note(n.try_apply(current + call.argument), call.result);
          break;
        case set_if:
          note(n.try_set_if(call.argument, call.expected), call.result);
          break;
        case erase:
          note(n.try_erase(), call.result);
          break;
      }
      if (error && error->effect() == Effect::none) continue;  // as if it had never been
      if (!error) call.end = clock.fetch_add(1);
      if (!error && (call.kind == load || call.kind == set)) version_seen = call.version;
      recorded[thread].push_back(call);
    }
  });
  support::Calls all;
  for (const support::Calls& calls : recorded) all.insert(all.end(), calls.begin(), calls.end());
  return all;
}

TEST_CASE("what callers see of one state happened one after the other, whatever goes wrong on the way") {
  const int equations = GENERATE(0, 1, 2);
  std::size_t unknown = 0;
  std::size_t batches = 0;
  const auto is_enough = [&] { return batches > 500 && unknown > 0; };
  for (std::uint64_t seed = 1; seed <= 60 || (!is_enough() && seed <= 600); ++seed) {
    const auto memory = std::make_shared<atom::Memory>();
    Faults faults{.seed = seed, .slow_for = 30ms, .down_for = 2ms};
    for (const Fault kind : {Fault::request_lost, Fault::answer_lost, Fault::delayed, Fault::duplicated, Fault::refused,
                             Fault::refused_for_now, Fault::slow, Fault::down}) {
      faults.with(kind, 25);
    }
    std::shared_ptr<atom::Backend> inner;
    if (equations > 0) inner = std::make_shared<EquationBackend>(memory, equations == 2);
    const auto backend = std::make_shared<FaultyBackend>(memory, faults, inner);
    StateStore store(backend, {.deadline = 20ms});
    const support::Calls calls = record(store, "n", 4, 10, seed);
    unknown += static_cast<std::size_t>(std::count_if(
        calls.begin(), calls.end(), [](const support::Call& call) { return call.end == support::Call::never; }));
    batches += backend->batches();
    CAPTURE(seed, equations, support::to_string(calls));
    REQUIRE(support::is_linearizable<support::CombinedState>(calls));
    REQUIRE(backend->most_at_once() == 1);
  }
  CHECK(unknown > 0);
  CHECK(batches > 500);
}

// ---------------------------------------------------------------------------------------------------- deadlines

/// Whether it takes as long as the deadline is away: a tenth more or less, and what other programs take of the
/// processor.
template <class Call>
bool takes(std::chrono::milliseconds deadline, Call call) {
  const auto began = Clock::now();
  call();
  const auto took = Clock::now() - began;
  return took > 0.9 * deadline && took < 1.1 * deadline + 1500ms;
}

TEST_CASE("a database that is down gives an error at the deadline that says so, and that nothing was done") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  Events events;
  StateStore store(backend, {.deadline = 1s, .on_event = events.listener()});
  State<Number> n = number(store);
  backend->set_down(true);
  std::optional<StateError> error;
  CHECK(takes(1s, [&] { error = n.try_apply(current + 1).error(); }));
  CHECK(error->code() == StateErrorCode::unavailable);
  CHECK(error->effect() == Effect::none);
  CHECK(error->retryable());
  CHECK_THAT(error->message(), support::ContainsSubstring("global:n") && support::ContainsSubstring("down") &&
                                   support::ContainsSubstring("before the deadline; the last error was: "));
  CHECK(takes(1s, [&] { error = n.try_load().error(); }));
  CHECK(error->effect() == Effect::none);
  CHECK(events.count(StateEvent::Kind::retry) > 0);
  CHECK(store.stats().batches < 100);  // the delays grow
  backend->set_down(false);
  CHECK(n.apply(current + 1) == 1);
}

TEST_CASE("a database that does not answer gives an error at the deadline, and nobody knows") {
  const auto gate = std::make_shared<Gate>();
  Events events;
  StateStore store(gate, {.deadline = 1s, .on_event = events.listener()});
  State<Number> n = number(store);
  gate->set_open(false);
  std::vector<StateError> errors;
  std::mutex mutex;
  CHECK(takes(1s, [&] {
    in_threads(8, [&](std::size_t) {
      const auto result = n.try_apply(current + 1);
      const std::lock_guard lock(mutex);
      errors.push_back(result.error());
    });
  }));
  REQUIRE(errors.size() == 8);
  std::size_t unknown = 0;
  for (const StateError& error : errors) {
    CHECK(error.code() == StateErrorCode::timed_out);
    unknown += error.effect() == Effect::unknown;
  }
  CHECK(unknown >= 1);  // those that were sent
  gate->set_open(true);
  CHECK(n.apply(current + 1) == 1);
  CHECK(events.count(StateEvent::Kind::in_doubt) == 1);
}

TEST_CASE("who hears of what is in doubt hears of it too where the answer comes just after its caller has given up") {
  struct Late final : Gate {
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      return Gate::execute(lane, mode, commands, outcomes, deadline + 30s);
    }
  };
  const auto gate = std::make_shared<Late>();
  Events events;
  StateStore store(gate, {.deadline = 2s, .on_event = events.listener()});
  gate->set_open(false);
  auto written = number(store).try_apply_async(current + 1);
  gate->wait_for(1);
  const auto result = written.wait();  // another thread sends
  CHECK(events.count(StateEvent::Kind::in_doubt) == 0);
  gate->set_open(true);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().effect() == Effect::unknown);
  CHECK(support::eventually([&] { return events.count(StateEvent::Kind::in_doubt) == 1; }));
  CHECK(number(store).load() == 1);
}

TEST_CASE("one that gives up while another one leads was not sent if it says so") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate, {.deadline = 1s});
  State<Number> n = number(store);
  n.set(0);
  gate->set_open(false);
  std::thread leader([&] { (void)number(store, "other").try_set(1); });
  gate->wait_for(2);
  const auto result = n.try_set(5);
  leader.join();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().effect() == Effect::none);
  gate->set_open(true);
  n.apply(current + 1);
  CHECK(n.load() == 1);
}

TEST_CASE("one that gives up while a batch is made of it has no effect if it says so") {
  struct Ponders final : Gate {
    Ponders() : Gate(std::make_shared<EquationBackend>(std::make_shared<atom::Memory>(), true)) {}
    bool runs(const atom::AnyEquation& equation, const atom::detail::TypeOps& type) const override {
      std::this_thread::sleep_until(until.load());
      return Gate::runs(equation, type);
    }
    std::atomic<Clock::time_point> until{};
  };
  const auto backend = std::make_shared<Ponders>();
  StateStore store(backend, {.deadline = 2s});
  number(store).set(0);
  backend->set_open(false);
  const auto began = Clock::now();
  std::vector<atom::StateResult<Number>> results(6, 0);
  std::vector<std::thread> threads;
  // One is sent; of those that come at once one leads the others.
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i == 5) std::this_thread::sleep_until(began + 1s);
    threads.emplace_back(
        [&, i] { results[i] = number(store, i == 0 ? "other" : "n").try_apply(current + (Number{1} << i)); });
    if (i == 0) backend->wait_for(2);
    wait_for_operations(store, i + 2);
  }
  backend->until = began + 2300ms;
  backend->set_open(true);
  for (std::thread& thread : threads) thread.join();
  Number done = 0, perhaps = 0;
  for (std::size_t i = 1; i < results.size(); ++i) {
    if (results[i]) done |= Number{1} << i;
    if (!results[i] && results[i].error().effect() == Effect::unknown) perhaps |= Number{1} << i;
  }
  const Number now = number(store).load();
  CHECK((now & done) == done);
  CHECK((now & ~(done | perhaps)) == 0);
}

TEST_CASE("a batch that nobody waits for any more takes no effect later, and is found out about by the next one") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(memory);
  Events events;
  StateStore store(backend, {.deadline = 500ms, .on_event = events.listener()});
  StateStore other(memory);
  State<Number> n = number(store);
  const bool was_carried_out = GENERATE(false, true);
  const bool arrives_late = GENERATE(false, true);
  CAPTURE(was_carried_out, arrives_late);
  n.set(1);
  backend->script({was_carried_out ? Fault::answer_lost : arrives_late ? Fault::delayed : Fault::request_lost});
  // The attempts to find out fail as well, until the deadline.
  for (int i = 0; i < 200; ++i) backend->script({Fault::refused_for_now});
  const auto result = n.try_apply(current + 10);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().effect() == Effect::unknown);
  CHECK(events.count(StateEvent::Kind::in_doubt) == 1);
  number(other).apply(current + 100);
  backend->calm_down();
  while (!number(store, "another").try_set(1)) {
  }
  backend->deliver_late_ones();
  CHECK(number(other).load() == (was_carried_out ? 111 : 101));
  CHECK(n.load() == (was_carried_out ? 111 : 101));
  CHECK(n.apply(current + 1) == (was_carried_out ? 112 : 102));
  CHECK(events.count(StateEvent::Kind::history_lost) == 0);
}

TEST_CASE("what was given up and took effect all the same is seen when that is known") {
  struct Loses final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      const bool arrives = !loses || ++lost == 1;
      if (arrives) {
        const atom::BatchResult result = PassingBackend::execute(lane, mode, commands, outcomes, deadline);
        if (!loses) return result;
      }
      return {atom::BatchStatus::in_doubt, StateError(StateErrorCode::unavailable, "lost", Effect::unknown, true)};
    }
    std::atomic<bool> loses{false};
    int lost = 0;
  };
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<Loses>(std::make_shared<Silent>(memory));
  StateStore store(backend, {.deadline = 100ms, .staleness = 1h});
  State<Number> n = number(store);
  n.set(1);
  backend->loses = true;
  CHECK(n.try_set(2).error().effect() == Effect::unknown);
  CHECK(n.get() == 1);  // as far as it is known here
  backend->loses = false;
  number(store, "other").set(1);
  CHECK(n.get() == 2);
}

TEST_CASE("what several gave up at different times takes effect at most once") {
  const auto memory = std::make_shared<atom::Memory>();
  Faults faults{.seed = 11, .slow_for = 100ms};
  faults.with(Fault::slow, 100).with(Fault::request_lost, 100).with(Fault::answer_lost, 100).with(Fault::delayed, 50);
  const auto backend = std::make_shared<FaultyBackend>(memory, faults);
  StateStore store(backend, {.deadline = 15ms});
  Increments increments(3);
  increments.run(store, 8, 60, 1);
  backend->calm_down();
  StateStore other(backend);
  (void)number(store, "another").try_set(1);
  backend->deliver_late_ones();
  CHECK(increments.are_right(other));
  CHECK(increments.unknown() > 0);
}

TEST_CASE("compare-and-swap that others always win ends at the deadline") {
  struct Busy final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      others->apply(current + 1);
      return inner().execute(lane, mode, commands, outcomes, deadline);
    }
    State<Number>* others = nullptr;
  };
  const auto memory = std::make_shared<atom::Memory>();
  const auto busy = std::make_shared<Busy>(memory);
  StateStore other(memory);
  State<Number> theirs = number(other);
  busy->others = &theirs;
  StateStore store(busy, {.deadline = 500ms});
  std::optional<StateError> error;
  SECTION("of an equation") {
    CHECK(takes(500ms, [&] { error = number(store).try_apply(current + 1).error(); }));
  }
  SECTION("of a function") {
    CHECK(takes(500ms, [&] { error = number(store).try_update([](Number now) { return now + 1; }).error(); }));
  }
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::conflict);
  CHECK(error->effect() == Effect::none);
  CHECK(error->retryable());
  CHECK_THAT(error->message(), support::ContainsSubstring("others wrote it each time"));
}

TEST_CASE("a backend that throws, or gives no reason, is asked again until the deadline") {
  struct Broken final : support::PassingBackend {
    Broken() : PassingBackend(std::make_shared<atom::Memory>()) {}
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      switch (times-- > 0 ? way : 0) {
        case 1:
          return {atom::BatchStatus::not_applied, std::nullopt};
        case 2:
          return {atom::BatchStatus::in_doubt, std::nullopt};
        case 3:
          throw std::runtime_error("broken");
        case 4:
          throw 7;
        default:
          return inner().execute(lane, mode, commands, outcomes, deadline);
      }
    }
    int way = 0;
    int times = 0;
  };
  const auto backend = std::make_shared<Broken>();
  Events events;
  StateStore store(backend, {.deadline = 2s, .on_event = events.listener()});
  State<Number> n = number(store);
  static const atom::Atom<Number> atom{"engine.atom"};
  Number wanted = 0;
  for (backend->way = 1; backend->way <= 4; ++backend->way) {
    INFO(backend->way);
    backend->times = 2;
    CHECK(n.apply(current + 1) == ++wanted);
    backend->times = 2;
    store.transact(Scope::global(), [&](atom::Session& session) { session.use(atom).update(wanted); });
    CHECK(events.count(StateEvent::Kind::retry) == static_cast<std::size_t>(4 * wanted));
  }
  CHECK(store.use(atom, Scope::global()).load() == wanted);
  backend->way = 1;
  backend->times = INT_MAX;
  const auto error = n.try_apply(current + 1).error();
  CHECK(error.code() == StateErrorCode::unavailable);
  CHECK_THAT(error.what(), support::ContainsSubstring("it gives no reason"));
}

TEST_CASE("a database that says again and again that it has lost something costs the deadline") {
  struct Forgetful final : support::PassingBackend {
    Forgetful() : PassingBackend(std::make_shared<atom::Memory>()) {}
    atom::BatchResult execute(const atom::Lane&, atom::BatchMode, std::span<const atom::Command>,
                              std::span<atom::Outcome>, atom::Deadline) override {
      return {.status = atom::BatchStatus::gap};
    }
  };
  StateStore store(std::make_shared<Forgetful>(), {.deadline = 100ms});
  std::optional<StateError> error;
  CHECK(takes(100ms, [&] { error = number(store).try_apply(current + 1).error(); }));
  CHECK(error->retryable());
  CHECK(store.stats().batches < 1000);  // with a pause each time
  static const atom::Atom<Number> atom{"engine.forgotten"};
  atom::Session session(store, Scope::global());
  session.use(atom).update(1);
  CHECK(takes(100ms, [&] { error = session.try_commit(); }));
  CHECK(error->effect() == Effect::none);
  CHECK(error->retryable());
  session.discard();
}

TEST_CASE("a state that another store has ended is written as one that is not there") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(memory, {.deadline = 1s});
  StateStore other(memory);
  State<Number> n = number(store, "n", 5);
  n.set(10);
  CHECK(number(other).erase());
  CHECK(n.apply(current + 1) == 6);
  number(other).erase();
  CHECK(n.update([](Number now) { return now * 2; }) == 10);
}

// ------------------------------------------------------------------------------------------------- lost history

TEST_CASE("a database that has lost what it acknowledged is found out, to the number") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(memory);
  backend->keep();
  Events events;
  StateStore store(backend, {.staleness = 1h, .on_event = events.listener()});
  State<Number> n = number(store);
  State<Number> other = number(store, "other");
  n.set(10);
  other.set(7);
  for (int i = 0; i < 5; ++i) n.apply(current + 1);
  SECTION("several batches") {
    backend->set_back(3);
    CHECK(n.apply(current + 1) == 13);
    CHECK(events.lost() == 3);
    CHECK(n.get() == 13);
    CHECK(other.get() == 7);
  }
  SECTION("one batch") {
    backend->set_back(1);
    CHECK(number(store, "third").set(1) > 0);
    CHECK(events.lost() == 1);
    CHECK(n.get() == 14);
  }
  SECTION("all of them") {
    backend->set_back(7);
    CHECK(n.set(3) > 0);
    CHECK(events.lost() == 7);
    CHECK(n.get() == 3);
    CHECK(other.get() == 0);
    CHECK(n.apply(current + 1) == 4);
  }
  CHECK(events.count(StateEvent::Kind::history_lost) == 1);
  n.apply(current + 1);
  CHECK(events.count(StateEvent::Kind::history_lost) == 1);
}

TEST_CASE("callers that waited together are each counted when their writes are lost") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(memory, Faults{}, std::make_shared<Distant>(memory));
  backend->keep();
  Events events;
  StateStore store(backend, {.deadline = 60s, .on_event = events.listener()});
  Increments increments(2);
  increments.run(store, 8, 20, 1);
  REQUIRE(backend->batches() < 160);
  const Number before = number(store, "0").load() + number(store, "1").load();
  REQUIRE(before == 160);
  backend->set_back(4);
  number(store, "another").set(1);
  const Number after = number(store, "0").load() + number(store, "1").load();
  CHECK(static_cast<Number>(events.lost()) == before - after);
  CHECK(after < before);
}

TEST_CASE("what was lost again and again is counted once each time") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<FaultyBackend>(
      memory, Faults{.seed = 3}.with(Fault::set_back, 20).with(Fault::duplicated, 20).with(Fault::answer_lost, 20));
  Events events;
  StateStore store(backend, {.deadline = 60s, .on_event = events.listener()});
  State<Number> n = number(store);
  std::atomic<Number> told{0};
  in_threads(4, [&](std::size_t) {
    for (int i = 0; i < 200; ++i) {
      n.apply(current + 1);
      ++told;
    }
  });
  backend->calm_down();
  number(store, "another").set(1);  // in case the last one was lost
  CHECK(n.load() + static_cast<Number>(events.lost()) == told.load());
  CHECK(backend->happened(Fault::set_back) > 0);
  CHECK(events.count(StateEvent::Kind::history_lost) > 0);
}

TEST_CASE("a reader believes a database that has gone back") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(memory);
  StateStore reader(memory);
  number(store).set(1);
  const atom::Memory before = *memory;
  number(store).set(2);
  CHECK(number(reader).load() == 2);
  *memory = before;
  CHECK(number(reader).load() == 1);
}

// -------------------------------------------------------------------------------------------- code of the user's

/// A number whose copies throw, in a thread where that is wanted.
struct Moody {
  Number value = 0;
  Number fails = 0;  // when it is written or read

  Moody() = default;
  explicit Moody(Number v) : value(v) {}
  Moody(const Moody& other) : value(other.value), fails(other.fails) {
    if (copies_until_it_throws > 0 && --copies_until_it_throws == 0) throw std::runtime_error("copy");
  }
  Moody(Moody&&) = default;
  Moody& operator=(const Moody&) = default;
  Moody& operator=(Moody&&) = default;
  friend bool operator==(const Moody& a, const Moody& b) { return a.value == b.value; }
  static constexpr auto atom_fields() { return atom::describe(atom::field("value", &Moody::value)); }

  static inline thread_local int copies_until_it_throws = 0;
};
State<Moody> moody(StateStore& store) {
  return store.get_state<Moody>(Moody(), {.key = "moody", .scope = Scope::global()});
}

TEST_CASE("what a copy throws comes out where it was, and has no effect or says which") {
  const auto memory = std::make_shared<atom::Memory>();
  const int equations = GENERATE(0, 1, 2);
  CAPTURE(equations);
  std::shared_ptr<atom::Backend> backend = memory;
  if (equations > 0) backend = std::make_shared<EquationBackend>(memory, equations == 2);
  StateStore store(backend, {.deadline = 10s});
  State<Moody> state = moody(store);
  state.set(Moody(1));
  Number wanted = 1;
  std::size_t thrown = 0;
  for (int n = 1; n < 12; ++n) {
    CAPTURE(n);
    Moody::copies_until_it_throws = n;
    try {
      const auto result = state.try_apply(at(&Moody::value) + 1);
      if (result) ++wanted;
      if (!result && result.error().effect() != Effect::none) ++wanted;
      thrown += !result;
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "copy");
      ++thrown;
      // The result was copied for the caller when all was done.
      Moody::copies_until_it_throws = 0;
      const Number now = state.load().value;
      CHECK((now == wanted || now == wanted + 1));
      wanted = now;
    }
    Moody::copies_until_it_throws = 0;
    CHECK(state.load().value == wanted);
    if (equations == 0) CHECK(store.stats().retries == 0);  // else it is the database that copies, and is asked again
  }
  CHECK(thrown > 0);
}

TEST_CASE("a lack of memory ends an operation, hangs nobody and loses nothing") {
  const auto memory = std::make_shared<atom::Memory>();
  const int equations = GENERATE(0, 2);
  CAPTURE(equations);
  std::shared_ptr<atom::Backend> backend = memory;
  if (equations > 0) backend = std::make_shared<EquationBackend>(memory, true);
  StateStore store(backend, {.deadline = 10s});
  auto state = store.get_state<std::string>("", {.key = "text", .scope = Scope::global()});
  State<Number> n = number(store);
  n.set(0);
  Number least = 0;
  Number unknown = 0;
  for (std::size_t i = 1; i < 120; ++i) {
    CAPTURE(i);
    std::optional<Effect> effect;
    {
      const support::FailingAllocation failing(i);
      try {
        const auto result = n.try_apply(current + 1);
        effect = result ? Effect::applied : result.error().effect();
      } catch (const std::bad_alloc&) {
        effect = Effect::unknown;
      }
    }
    if (effect == Effect::applied) ++least;
    if (effect == Effect::unknown) ++unknown;
    const Number now = n.load();
    REQUIRE(now >= least);
    REQUIRE(now <= least + unknown);
    REQUIRE(n.apply(current + 0) == now);
  }
  CHECK(unknown > 0);
  CHECK(least > 0);
}

TEST_CASE("listeners may write, also the state that they are told of") {
  StateStore store(std::make_shared<atom::Memory>(), {.deadline = 5s});
  State<Number> n = number(store);
  State<Number> twice = number(store, "twice");
  std::vector<Number> heard;
  const atom::StateSubscription hears = n.on_change([&](Number now) {
    heard.push_back(now);
    twice.set(2 * now);
    if (now < 3) n.apply(current + 1);
  });
  n.set(1);
  CHECK(soon([&] { return twice.get() == 6; }));
  CHECK(n.get() == 3);
}

TEST_CASE("a listener that waits keeps nobody but its own caller waiting") {
  StateStore store(std::make_shared<atom::Memory>(), {.deadline = 5s});
  State<Number> slow = number(store, "slow");
  State<Number> n = number(store);
  std::promise<void> may_end;
  std::promise<void> runs;
  // By hand, as whoever follows the database may tell it as well.
  std::atomic<bool> is_first{true};
  const atom::StateSubscription hears = slow.on_change([&] {
    if (!is_first.exchange(false)) return;
    runs.set_value();
    may_end.get_future().wait();
  });
  std::thread caller([&] { slow.set(1); });
  runs.get_future().wait();
  CHECK(n.apply(current + 1) == 1);
  CHECK(slow.apply(current + 1) == 2);
  may_end.set_value();
  caller.join();
}

/// Uses a store at its end.
struct Parting {
  Parting() = default;
  explicit Parting(double v) : value(v) {}
  Parting(const Parting&) = default;
  Parting& operator=(const Parting&) = default;
  ~Parting() {
    if (StateStore* const store = its_store) (void)number(*store, "seen").try_load_async();
  }
  friend bool operator==(const Parting& a, const Parting& b) { return a.value == b.value; }
  static constexpr auto atom_fields() { return atom::describe(atom::field("value", &Parting::value)); }

  double value = 0;
  static inline std::atomic<StateStore*> its_store{nullptr};
};

TEST_CASE("a value may use the store at its end, also where nobody waits for the operation that has it") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  StateStore store(backend, {.deadline = 5s});
  State<Parting> state = store.get_state<Parting>({}, {.key = "parting", .scope = Scope::global()});
  Parting::its_store = &store;
  for (int i = 1; i <= 20; ++i) {
    (void)state.try_set_async(Parting(i));
    (void)state.try_load_async();
    (void)state.try_set_async(Parting(std::numeric_limits<double>::infinity()));  // which no batch takes
  }
  REQUIRE(soon([&] { return state.try_load().value() == Parting(20); }));
  // Now and then a value that was read is replaced before its reader has ended.
  in_threads(2, [&](std::size_t thread) {
    for (int i = 0; i < 1000; ++i) {
      if (thread == 0) (void)state.try_set(Parting(i));
      if (thread == 1) (void)state.try_load_async();
    }
  });
  backend->script({Fault::request_lost, Fault::refused});
  (void)state.try_set_async(Parting(21));
  CHECK(store.close(5s));
  Parting::its_store = nullptr;
}

TEST_CASE("on_event is called where it may use the store") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  StateStore* its_store = nullptr;
  std::atomic<int> told{0};
  StateStore store(backend, {.deadline = 5s, .on_event = [&](const StateEvent&) {
                               ++told;
                               number(*its_store, "events").apply(current + 1);
                               its_store->has_state({.key = "events", .scope = Scope::global()});
                             }});
  its_store = &store;
  backend->script({Fault::refused_for_now, Fault::request_lost});
  number(store).set(1);
  CHECK(told == 2);
  CHECK(number(store, "events").load() == 2);
}

TEST_CASE("of what does not read on_event is called where it may use the store") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore(memory).get_state<std::string>("", {.key = "n", .scope = Scope::global()}).set("text");
  StateStore* its_store = nullptr;
  std::atomic<int> told{0};
  StateStore store(memory, {.deadline = 2s, .on_event = [&](const StateEvent& event) {
                              if (event.kind != StateEvent::Kind::undecodable) return;
                              ++told;
                              number(*its_store, "events").apply(current + 1);
                            }});
  its_store = &store;
  State<Number> n = number(store);
  SECTION("when it is written") {
    CHECK(n.try_apply(current + 1).error().code() == StateErrorCode::undecodable);
  }
  SECTION("when it is read") {
    CHECK(n.try_load().error().code() == StateErrorCode::undecodable);
  }
  SECTION("when it is read without waiting") {
    CHECK(n.try_load_async().wait().error().code() == StateErrorCode::undecodable);
  }
  // It may be told by who leads, when the operation has its answer already.
  CHECK(soon([&] { return told > 0 && number(store, "events").load() == told; }));
}

// --------------------------------------------------------------------------------------------------------- the end

TEST_CASE("after close operations are refused, and what was there is done") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate, {.deadline = 5s});
  State<Number> n = number(store);
  gate->set_open(false);
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { done += n.try_apply(current + 1).has_value(); });
  }
  wait_for_operations(store, 4);
  std::thread opener([&] {
    std::this_thread::sleep_for(30ms);
    gate->set_open(true);
  });
  CHECK(store.close(5s));
  opener.join();
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 4);
  CHECK(n.try_set(1).error().code() == StateErrorCode::closed);
  CHECK(n.try_apply(current + 1).error().code() == StateErrorCode::closed);
  CHECK(n.try_load().error().code() == StateErrorCode::closed);
  CHECK(n.try_erase().error().effect() == Effect::none);
  CHECK_THROWS_AS(store.delete_state({.key = "gone", .scope = Scope::global()}), StateError);
  CHECK(n.try_apply_async(current + 1).is_ready());
  CHECK(n.try_load_async().is_ready());
  CHECK(store.close(0ms));
}

TEST_CASE("close finds out what became of a batch in doubt") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  StateStore store(backend, {.deadline = 300ms});
  backend->script({Fault::answer_lost});
  for (int i = 0; i < 60; ++i) backend->script({Fault::refused_for_now});
  CHECK(number(store).try_set(1).error().effect() == Effect::unknown);
  CHECK(store.close(20s));
}

TEST_CASE("close finds out what became of a batch in doubt that another thread has just refused") {
  struct Doubtful final : Gate {
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      if (++batches == 1) {
        return {atom::BatchStatus::in_doubt, StateError(StateErrorCode::unavailable, "lost", Effect::unknown, true)};
      }
      const atom::BatchResult result = Gate::execute(lane, mode, commands, outcomes, deadline);
      if (batches == 2) return {atom::BatchStatus::not_applied, StateError(StateErrorCode::refused, "refused")};
      return result;
    }
    std::atomic<int> batches{0};
  };
  const auto backend = std::make_shared<Doubtful>();
  StateStore store(backend, {.deadline = 60s});
  backend->set_open(false);
  auto write = number(store).try_set_async(1);
  backend->wait_for(1);
  bool is_done = false;
  std::thread closes([&] { is_done = store.close(20s); });
  std::this_thread::sleep_for(20ms);  // it waits, as a rule
  const auto began = Clock::now();
  backend->set_open(true);
  closes.join();
  CHECK(is_done);
  CHECK(Clock::now() - began < 10s);
  CHECK(write.wait().error().code() == StateErrorCode::refused);
  CHECK(write.wait().error().effect() == Effect::unknown);
  CHECK(backend->batches == 3);
}

TEST_CASE("close ends at its deadline where the database does not answer") {
  const auto gate = std::make_shared<Gate>();
  StateStore store(gate, {.deadline = 20s});
  gate->set_open(false);
  std::thread caller([&] { (void)number(store).try_set(1); });
  wait_for_operations(store, 1);
  CHECK(takes(200ms, [&] { CHECK_FALSE(store.close(200ms)); }));
  gate->set_open(true);
  caller.join();
}

/// Has what it shares with a process that was forked, and that must not end it.
struct Shares final : support::PassingBackend {
  using PassingBackend::PassingBackend;
  ~Shares() override {
    if (!home.is_here()) std::_Exit(3);
  }
  const atom::detail::HomeProcess home;
};

TEST_CASE("a store is of no use in a process that was forked from its own, and can be left there") {
  std::shared_ptr<atom::Backend> backend = std::make_shared<atom::Memory>();
  if (GENERATE(false, true)) backend = std::make_shared<Silent>(backend);  // whose follower sleeps
  auto store = std::make_unique<StateStore>(std::make_shared<Shares>(backend), atom::StoreOptions{.deadline = 5s});
  State<Number> n = number(*store);
  n.set(1);
  const auto hears = n.on_change([] {});
  (void)n.apply_async(current + 1).wait();  // now it has threads
  CHECK(exit_code_of_child([&] {
          const auto is_closed = [](const auto& result) {
            return !result && result.error().code() == StateErrorCode::closed;
          };
          return is_closed(n.try_set(2)) && is_closed(n.try_load()) &&
                 is_closed(n.try_apply_async(current + 1).wait()) && is_closed(n.try_load_async().wait()) &&
                 !store->close(1s);
        }) == 0);
#ifndef __SANITIZE_THREAD__
  CHECK(exit_code_of_child([&] {
          store.reset();
          StateStore own(std::make_shared<atom::Memory>());
          return number(own).apply(current + 1) == 1;
        }) == 0);
#endif
  CHECK(n.load() == 2);
}

TEST_CASE("a process that was forked while others looked at a state is told that its store is closed") {
  StateStore store(std::make_shared<atom::Memory>(), {.deadline = 5s, .staleness = 1h});
  State<Number> n = store.get_state<Number>(0, {.key = "n", .scope = Scope::global(), .ttl = 1h});
  n.set(1);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> others(3);  // so that one of them has the lock at one of ten forks
  for (std::thread& other : others) {
    other = std::thread([&] {
      while (!is_over) (void)n.version();  // what has a time to live is locked to be looked at
    });
  }
  for (int i = 0; i < 100; ++i) {
    const int code = exit_code_of_child([&] {
      if (n.try_set(2) || n.try_apply(current + 1) || n.try_get()) return false;
      try {
        (void)n.version();
      } catch (const StateError& error) {
        return error.code() == StateErrorCode::closed;
      }
      return false;
    });
    CHECK(code == 0);
    if (code != 0) break;  // it took its time
  }
  is_over = true;
  for (std::thread& other : others) other.join();
}

#ifndef __SANITIZE_THREAD__
TEST_CASE("a store can be left in a process that was forked while somebody waited to commit") {
  const auto gate = std::make_shared<Gate>();
  auto store = std::make_unique<StateStore>(gate, atom::StoreOptions{.deadline = 20s});
  gate->set_open(false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { store->delete_state({.key = "gone", .scope = Scope::global()}); });
  }
  gate->wait_for(1);
  std::this_thread::sleep_for(50ms);  // until the other one waits for its turn
  CHECK(exit_code_of_child([&] { return store.reset(), true; }) == 0);
  gate->set_open(true);
  for (std::thread& thread : threads) thread.join();
}
#endif

std::size_t threads_now() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_CASE("without asynchronous operations and without listeners there is no thread in the background") {
  std::size_t before = threads_now();
  for (int i = 0; i < 50; ++i) {  // one that was joined may be on its way out
    std::this_thread::sleep_for(1ms);
    before = std::min(before, threads_now());
  }
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  StateStore store(backend, {.deadline = 1s});
  State<Number> n = number(store);
  backend->script({Fault::answer_lost, Fault::refused_for_now, Fault::request_lost});
  for (int i = 0; i < 5; ++i) n.apply(current + 1);
  n.load();
  n.update([](Number now) { return now; });
  n.erase();
  store.purge({"x"});
  store.delete_state({.key = "gone", .scope = Scope::global()});
  backend->set_down(true);
  (void)n.try_set(1);
  CHECK(threads_now() == before);
  backend->set_down(false);
  {
    const auto hears = n.on_change([] {});
    CHECK(threads_now() == before + 1);
  }
  (void)n.set_async(1).wait();
  CHECK(threads_now() == before + 2);
}

// --------------------------------------------------------------------------------------------------- all or nothing

TEST_CASE("a batch of all or nothing is carried out once, whatever goes wrong") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto gate = std::make_shared<Gate>(memory);
  const auto backend = std::make_shared<FaultyBackend>(memory, Faults{}, gate);
  Events events;
  atom::detail::StateCore core({.deadline = 5s, .on_event = events.listener()});
  atom::detail::StateEngine engine(core, backend);
  const Scope scope = Scope::global();
  const atom::StoredValue one{"1", 0};
  const atom::StoredValue two{"2", 0};
  const auto commit = [&](std::optional<std::int64_t> expected, const atom::StoredValue& value,
                          std::chrono::milliseconds within = 5s) {
    const atom::Command commands[] = {
        {.kind = atom::Command::Kind::write, .name = {scope, "a"}, .expected = expected, .value = &value},
        {.kind = atom::Command::Kind::write, .name = {scope, "b"}, .value = &value}};
    return engine.commit(commands, Clock::now() + within);
  };
  StateStore other(memory);
  State<Number> a = number(other, "a");
  State<Number> b = number(other, "b");
  SECTION("it is tried again") {
    backend->script({Fault::request_lost, Fault::answer_lost, Fault::refused_for_now, Fault::duplicated});
    REQUIRE(commit(0, one).has_value());
    CHECK(engine.stats().retries == 3);
    CHECK(events.count(StateEvent::Kind::retry) == 2);  // the first and the second
    backend->deliver_late_ones();
    CHECK(a.load() == 1);
  }
  SECTION("one that fails is why the others do nothing") {
    REQUIRE(commit(0, one).has_value());
    const auto outcomes = commit(0, two);
    REQUIRE(outcomes.has_value());
    CHECK((*outcomes)[0].error == StateErrorCode::conflict);
    CHECK(b.load() == 1);
  }
  SECTION("what is refused has no effect, and the next one goes on") {
    backend->script({Fault::refused});
    const auto refused = commit(0, one);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code() == StateErrorCode::refused);
    CHECK(refused.error().effect() == Effect::none);
    CHECK(commit(0, two).has_value());
  }
  SECTION("one in doubt takes no effect later, and is no loss") {
    const bool was_carried_out = GENERATE(false, true);
    backend->script({was_carried_out ? Fault::answer_lost : Fault::delayed});
    for (int i = 0; i < 100; ++i) backend->script({Fault::refused_for_now});
    const auto unknown = commit(0, one, 300ms);
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().effect() == Effect::unknown);
    CHECK(events.count(StateEvent::Kind::in_doubt) == 1);
    // As long as that is not known, nothing else is done.
    const auto next = commit(std::nullopt, two, 20ms);
    REQUIRE_FALSE(next.has_value());
    CHECK(next.error().effect() == Effect::none);
    backend->calm_down();
    while (!commit(was_carried_out ? std::nullopt : std::optional<std::int64_t>(0), two, 100ms)) {
    }
    backend->deliver_late_ones();
    CHECK(a.load() == 2);
    CHECK(events.count(StateEvent::Kind::history_lost) == 0);
  }
  SECTION("one that waits for another does so until its deadline, and has no effect") {
    gate->set_open(false);
    std::future<bool> slow = std::async(std::launch::async, [&] { return commit(0, one).has_value(); });
    gate->wait_for(1);
    const auto late = commit(std::nullopt, two, 1ms);
    gate->set_open(true);
    CHECK(slow.get());
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code() == StateErrorCode::timed_out);
    CHECK(late.error().effect() == Effect::none);
    CHECK(a.load() == 1);
  }
  SECTION("what is lost is counted") {
    backend->keep();
    REQUIRE(commit(0, one).has_value());
    REQUIRE(commit(std::nullopt, two).has_value());
    backend->set_back(1);
    REQUIRE(commit(std::nullopt, one).has_value());
    CHECK(events.lost() == 2);
    CHECK(events.count(StateEvent::Kind::history_lost) == 1);
  }
}

// --------------------------------------------------------------------------------------------- what others change

TEST_CASE("what another store changes reaches the listeners here, in order") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore here(memory);
  StateStore there(memory);
  State<Number> n = number(here);
  std::mutex mutex;
  std::vector<Number> heard;
  std::vector<std::int64_t> versions;
  const auto hears = n.on_change([&](Number now) {
    const std::lock_guard lock(mutex);
    heard.push_back(now);
  });
  State<Number> theirs = number(there);
  for (int i = 0; i < 200; ++i) {
    theirs.apply(current + 1);
    if (i % 3 == 0) n.apply(current + 1);
  }
  const Number last = theirs.load();
  CHECK(soon([&] {
    const std::lock_guard lock(mutex);
    return !heard.empty() && heard.back() == last;
  }));
  CHECK(std::is_sorted(heard.begin(), heard.end()));
  CHECK(std::adjacent_find(heard.begin(), heard.end()) == heard.end());
  CHECK(n.get() == last);
  theirs.erase();
  CHECK(soon([&] {
    const std::lock_guard lock(mutex);
    return heard.back() == 0;
  }));
}

TEST_CASE("after close nobody hears any more of what another store changes") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore here(memory);
  StateStore there(memory);
  std::atomic<int> heard{0};
  const auto hears = number(here).on_change([&] { ++heard; });
  number(there).set(1);
  REQUIRE(soon([&] { return heard > 0; }));
  CHECK(here.close(5s));
  const int before = heard;
  number(there).set(2);
  std::this_thread::sleep_for(50ms);
  CHECK(heard == before);
}

TEST_CASE("a subscriber may go while others write") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore here(memory);
  StateStore there(memory);
  std::atomic<int> wrongly_heard{0};
  const Meanwhile writes([&] { number(there).apply(current + 1); });
  for (int i = 0; i < 200; ++i) {
    auto lives = std::make_shared<std::atomic<bool>>(true);
    auto hears = number(here).on_change([lives, &wrongly_heard] { wrongly_heard += !lives->load(); });
    if (i % 2) std::this_thread::yield();
    number(here).apply(current + 1);
    hears.unsubscribe();
    lives->store(false);
  }
  CHECK(wrongly_heard == 0);
}

/// A feed that tells what a test says.
class ToldFeed final : public support::PassingBackend {
 public:
  ToldFeed() : PassingBackend(std::make_shared<atom::Memory>()) {}
  std::unique_ptr<atom::Feed> open_feed() override {
    struct Told final : atom::Feed {
      explicit Told(ToldFeed& feed) : all(feed) {}
      std::optional<StateError> poll(atom::FeedSink& sink, atom::Deadline deadline) override {
        std::unique_lock lock(all.mutex_);
        all.changed_.wait_until(lock, deadline, [&] { return all.next_ || all.is_woken_; });
        all.is_woken_ = false;
        const auto next = std::exchange(all.next_, nullptr);
        lock.unlock();
        std::optional<StateError> error;
        if (next) error = next(sink);
        lock.lock();
        if (next) ++all.done_;
        all.changed_.notify_all();
        return error;
      }
      void wake() noexcept override {
        const std::lock_guard lock(all.mutex_);
        all.is_woken_ = true;
        all.changed_.notify_all();
      }
      ToldFeed& all;
    };
    return std::make_unique<Told>(*this);
  }
  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 atom::Deadline deadline) override {
    ++reads;
    if (reads_fail) return StateError(StateErrorCode::unavailable, "no reads", Effect::none, true);
    return inner().read(names, outcomes, deadline);
  }
  void tell(std::function<std::optional<StateError>(atom::FeedSink&)> next) {
    std::unique_lock lock(mutex_);
    const int before = done_;
    next_ = std::move(next);
    changed_.notify_all();
    changed_.wait(lock, [&] { return done_ > before; });
  }
  using PassingBackend::inner;
  std::atomic<int> reads{0};
  std::atomic<bool> reads_fail{false};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<std::optional<StateError>(atom::FeedSink&)> next_;
  bool is_woken_ = false;
  int done_ = 0;
};

TEST_CASE("after a gap in what it is told a store reads what somebody listens to") {
  const auto feed = std::make_shared<ToldFeed>();
  Events events;
  StateStore here(feed, {.staleness = 1h, .on_event = events.listener()});
  StateStore there(std::make_shared<Silent>(feed));
  State<Number> n = number(here);
  State<Number> quiet = number(here, "quiet");
  quiet.set(1);
  std::atomic<Number> heard{0};
  const auto hears = n.on_change([&](Number now) { heard = now; });
  number(there).set(5);
  number(there, "quiet").set(2);
  CHECK(quiet.get() == 1);
  SECTION("that it says itself") {
    feed->tell([](atom::FeedSink& sink) -> std::optional<StateError> {
      sink.lost_track();
      return std::nullopt;
    });
    CHECK(heard == 5);
  }
  SECTION("that an error makes") {
    feed->tell([](atom::FeedSink&) { return StateError(StateErrorCode::unavailable, "feed", Effect::none, true); });
    CHECK(soon([&] { return heard == 5; }));
    CHECK(soon([&] { return events.count(StateEvent::Kind::feed_up) == 1; }));
    CHECK(events.messages(StateEvent::Kind::feed_down) ==
          std::vector<std::string>{"the feed of changes is down: feed"});
  }
  SECTION("also if that has to be tried again") {
    feed->reads_fail = true;
    feed->tell([](atom::FeedSink& sink) -> std::optional<StateError> {
      sink.lost_track();
      return std::nullopt;
    });
    CHECK(soon([&] { return events.count(StateEvent::Kind::feed_down) > 0; }));
    feed->reads_fail = false;
    CHECK(soon([&] { return heard == 5; }));
  }
  CHECK(soon([&] { return quiet.get() == 2; }));
}

TEST_CASE("a time that is too long for a clock is a long one") {
  StateStore store(std::make_shared<atom::Memory>(),
                   {.deadline = std::chrono::milliseconds::max(), .staleness = std::chrono::milliseconds::max()});
  State<Number> n = number(store);
  CHECK(n.set(1) > 0);
  CHECK(n.get() == 1);
  CHECK(n.apply_async(current + 1).wait() == 2);
  CHECK(store.close(std::chrono::milliseconds::max()));
}

TEST_CASE("a time before now is none") {
  constexpr std::chrono::milliseconds least = std::chrono::milliseconds::min();
  StateStore store(std::make_shared<atom::Memory>());
  CHECK(store.close(least));
  StateStore hasty(std::make_shared<ToldFeed>(), {.deadline = least, .staleness = least});
  CHECK(number(hasty).try_set(1).error().code() == StateErrorCode::timed_out);
}

TEST_CASE("what does not tell is asked as often as what is cached may be behind, and not without a pause") {
  const auto database = std::make_shared<ToldFeed>();
  const auto reads_of_a_listener = [&](std::chrono::milliseconds staleness) {
    StateStore store(std::make_shared<Silent>(database), {.staleness = staleness});
    const auto hears = number(store).on_change([] {});
    const auto began = Clock::now();
    const int before = database->reads;
    std::this_thread::sleep_for(100ms);
    const int reads = database->reads - before;
    const auto limit = (Clock::now() - began) / 2ms;
    CHECK(reads <= limit);
    return reads;
  };
  CHECK(reads_of_a_listener(std::chrono::milliseconds::max()) <= 1);
  reads_of_a_listener(1ms);
  reads_of_a_listener(0ms);
  StateStore store(std::make_shared<Silent>(database), {.staleness = 0ms});
  State<Number> n = number(store);
  const int before = database->reads;
  for (int i = 0; i < 3; ++i) CHECK(n.get() == 0);
  CHECK(database->reads == before + 3);
}

/// A database whose feed fails as long as that is wanted.
struct FailingFeed final : support::PassingBackend {
  FailingFeed() : PassingBackend(std::make_shared<atom::Memory>()) {}
  std::unique_ptr<atom::Feed> open_feed() override {
    struct Failing final : atom::Feed {
      explicit Failing(FailingFeed& feed) : all(feed), told(feed.inner().open_feed()) {}
      std::optional<StateError> poll(atom::FeedSink& sink, atom::Deadline deadline) override {
        ++all.polls;
        if (all.waits_for_its_end) {
          all.is_waiting = true;
          while (all.waits_for_its_end) std::this_thread::sleep_for(1ms);
          return std::nullopt;
        }
        if (all.throws) throw 42;
        if (all.fails) return StateError(StateErrorCode::unavailable, "no connection", Effect::none, true);
        return told->poll(sink, deadline);
      }
      void wake() noexcept override {
        all.waits_for_its_end = false;
        told->wake();
      }
      FailingFeed& all;
      const std::unique_ptr<atom::Feed> told;
    };
    return std::make_unique<Failing>(*this);
  }
  std::atomic<bool> fails{true};
  std::atomic<bool> throws{false};
  std::atomic<bool> waits_for_its_end{false};
  std::atomic<bool> is_waiting{false};
  std::atomic<int> polls{0};
};

TEST_CASE("a feed that is down is told when that begins, seldom while it lasts, and once when it is up again") {
  const auto backend = std::make_shared<FailingFeed>();
  Events events;
  StateStore store(backend, {.on_event = events.listener()});
  State<Number> n = number(store);
  std::atomic<Number> heard{0};
  const auto hears = n.on_change([&](Number now) { heard = now; });
  while (backend->polls < 12) std::this_thread::sleep_for(1ms);
  const std::vector<std::string> down = events.messages(StateEvent::Kind::feed_down);
  REQUIRE_FALSE(down.empty());
  CHECK(down.size() <= 6);
  CHECK(down[0] == "the feed of changes is down: no connection");
  for (std::size_t i = 1; i < down.size(); ++i) {
    CHECK_THAT(down[i], support::ContainsSubstring("is down, for ") && support::ContainsSubstring(" s: no connection"));
  }
  CHECK(events.count(StateEvent::Kind::feed_up) == 0);
  backend->fails = false;
  REQUIRE(soon([&] { return events.count(StateEvent::Kind::feed_up) > 0; }));
  CHECK_THAT(events.messages(StateEvent::Kind::feed_up)[0], support::ContainsSubstring("is up again"));
  number(store, "another").set(1);
  n.set(5);
  CHECK(soon([&] { return heard == 5; }));
  CHECK(events.count(StateEvent::Kind::feed_up) == 1);
}

TEST_CASE("a feed that throws is one that is down, whatever it throws") {
  const auto backend = std::make_shared<FailingFeed>();
  backend->throws = true;
  Events events;
  StateStore store(backend, {.on_event = events.listener()});
  const auto hears = number(store).on_change([] {});
  REQUIRE(soon([&] { return events.count(StateEvent::Kind::feed_down) > 0; }));
  CHECK(events.messages(StateEvent::Kind::feed_down)[0] == "the feed of changes is down: it gives no reason");
  backend->fails = false;
  backend->throws = false;
  CHECK(soon([&] { return events.count(StateEvent::Kind::feed_up) > 0; }));
}

TEST_CASE("a feed that is down when its store is closed is not told to be up") {
  const auto backend = std::make_shared<FailingFeed>();
  Events events;
  {
    StateStore store(backend, {.on_event = events.listener()});
    const auto hears = number(store).on_change([](Number) {});
    REQUIRE(soon([&] { return events.count(StateEvent::Kind::feed_down) > 0; }));
    backend->waits_for_its_end = true;
    REQUIRE(soon([&] { return backend->is_waiting.load(); }));
  }
  CHECK(events.count(StateEvent::Kind::feed_up) == 0);
}

TEST_CASE("a database that is down is told by few events, however often it is asked again") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  Events events;
  StateStore store(backend, {.deadline = 50ms, .on_event = events.listener()});
  static const atom::Atom<Number> atom{"engine.asked.again"};
  State<Number> n = number(store);
  atom::Session session(store, Scope::global());
  session.use(atom).update(1);
  backend->set_down(true);
  while (store.stats().retries < 32) CHECK_FALSE(n.try_apply(current + 1).has_value());
  const std::size_t by_states = events.count(StateEvent::Kind::retry);
  CHECK(by_states >= 6);  // 1, 2, 4, 8, 16, 32
  CHECK(by_states <= 8);
  CHECK_THAT(events.messages(StateEvent::Kind::retry)[3],
             support::ContainsSubstring("asked again, after 8 failures in a row: "));
  const std::uint64_t before = store.stats().retries;
  while (store.stats().retries < before + 32) CHECK(session.try_commit());
  session.discard();
  CHECK(events.count(StateEvent::Kind::retry) - by_states >= 6);
  CHECK(events.count(StateEvent::Kind::retry) - by_states <= 8);
}

TEST_CASE("each time that a database goes down is told, also to a program that only reads") {
  const auto backend = std::make_shared<FaultyBackend>(std::make_shared<atom::Memory>());
  Events events;
  StateStore store(backend, {.deadline = 50ms, .on_event = events.listener()});
  State<Number> n = number(store);
  for (std::size_t outage = 1; outage <= 3; ++outage) {
    backend->set_down(true);
    const std::uint64_t before = store.stats().retries;
    while (store.stats().retries < before + 5) CHECK_THROWS_AS(n.load_async().wait(), StateError);
    backend->set_down(false);
    CHECK(soon([&] {
      const auto loaded = n.try_load_async().wait();
      return loaded && *loaded == 0;
    }));
    CHECK(soon([&] {  // the reader may have something to tell yet
      const std::vector<std::string> retries = events.messages(StateEvent::Kind::retry);
      return std::count_if(retries.begin(), retries.end(), [](const std::string& message) {
               return message.find("asked again: ") != std::string::npos;
             }) == static_cast<std::ptrdiff_t>(outage);
    }));
  }
}

/// A backend that reads nothing for a while, or writes nothing, and takes its time to say so.
class Throttled final : public support::PassingBackend {
 public:
  Throttled() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    if (!writes) return {atom::BatchStatus::not_applied, refused(deadline)};
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 atom::Deadline deadline) override {
    if (!reads) return refused(deadline);
    return inner().read(names, outcomes, deadline);
  }
  std::atomic<bool> reads = true, writes = true;
  std::atomic<bool> at_once = true;  // else at the deadline
  std::atomic<int> refusals = 0;

 private:
  StateError refused(atom::Deadline deadline) {
    ++refusals;
    if (!at_once) std::this_thread::sleep_until(deadline);
    return {StateErrorCode::unavailable, "throttled", Effect::none, true};
  }
};

TEST_CASE("what a database does not read for a while keeps nobody from writing, and the other way round") {
  const auto backend = std::make_shared<Throttled>();
  StateStore store(backend, {.deadline = 2s});
  State<Number> hot = number(store, "hot");
  State<Number> orders = number(store, "orders");
  const bool by_coroutines = GENERATE(false, true);
  backend->at_once = GENERATE(true, false);
  CAPTURE(by_coroutines, backend->at_once.load());
  const auto are_done = [&](auto call) {
    int done = 0;
    while (done < 20 && call()) ++done;
    return done == 20;
  };
  SECTION("reads") {
    backend->reads = false;
    const auto began = Clock::now();
    auto load = hot.try_load_async();
    REQUIRE(soon([&] { return backend->refusals > (backend->at_once ? 4 : 0); }));
    CHECK(are_done([&] {
      if (!by_coroutines) return orders.try_apply(current + 1).has_value();
      auto apply = orders.try_apply_async(current + 1);
      return soon([&] { return apply.is_ready(); }) && apply.wait().has_value();
    }));
    const bool is_ready = load.is_ready();
    if (Clock::now() < began + 2s) CHECK_FALSE(is_ready);  // no write has waited for its end
    const auto loaded = load.wait();                       // at its deadline
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().effect() == Effect::none);
    if (backend->at_once) CHECK_THAT(loaded.error().message(), support::ContainsSubstring("throttled"));
    CHECK(backend->refusals < 200);  // the pauses grow
  }
  SECTION("writes") {
    backend->writes = false;
    const auto began = Clock::now();
    auto apply = orders.try_apply_async(current + 1);
    REQUIRE(soon([&] { return backend->refusals > (backend->at_once ? 4 : 0); }));
    CHECK(are_done([&] {
      auto load = hot.try_load_async();
      return (!by_coroutines || soon([&] { return load.is_ready(); })) && load.wait().has_value();
    }));
    const bool is_ready = apply.is_ready();
    if (Clock::now() < began + 2s) CHECK_FALSE(is_ready);
    CHECK_FALSE(apply.wait());
  }
  backend->reads = backend->writes = true;
  CHECK(hot.load_async().wait() == 0);
  CHECK(store.close(10s));
}

TEST_CASE("a listener that is told what was read may wait for another read") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(memory);
  StateStore other(std::make_shared<Silent>(memory), {.deadline = 1s, .staleness = 1h});
  State<Number> n = number(other);
  std::atomic<Number> next{-1};
  n.load();
  const auto told = n.on_change([&](Number) { next = number(other, "next").load_async().wait(); });
  number(store, "next").set(7);
  number(store).set(1);
  auto load = n.try_load_async();
  CHECK(soon([&] { return load.is_ready() && next == 7; }));
}

/// A listener of "n" that has the thread of the store that reads, until this ends.
class LongListener {
 public:
  LongListener(StateStore& store, const std::shared_ptr<atom::Memory>& memory) {
    State<Number> n = number(store);
    n.load();
    hears_ = n.on_change([this] {
      if (!is_told_.exchange(true)) may_end_.get_future().wait();
    });
    StateStore other(memory);
    number(other).set(1);
    (void)n.try_load_async();
    REQUIRE(soon([&] { return is_told_.load(); }));
  }
  LongListener(const LongListener&) = delete;
  LongListener& operator=(const LongListener&) = delete;
  ~LongListener() { may_end_.set_value(); }

 private:
  std::promise<void> may_end_;
  std::atomic<bool> is_told_{false};
  atom::StateSubscription hears_;
};

/// Answers what it is to read when it is told to.
struct HoldsReads final : support::PassingBackend {
  using PassingBackend::PassingBackend;
  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 atom::Deadline deadline) override {
    ++reads;
    while (holds) std::this_thread::sleep_for(1ms);
    return PassingBackend::read(names, outcomes, deadline);
  }
  std::atomic<bool> holds{false};
  std::atomic<int> reads{0};
};

TEST_CASE("who waits for a read is woken to read where a listener has the thread that would") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<HoldsReads>(std::make_shared<Silent>(memory));
  StateStore store(backend, {.deadline = 20s, .staleness = 1h});
  const LongListener listener(store, memory);
  const int before = backend->reads;
  backend->holds = true;
  std::array<Number, 2> loaded{-1, -1};
  const auto load = [&](std::size_t i) { loaded[i] = number(store, std::to_string(i)).load_async().wait(); };
  std::thread reads(load, 0);
  REQUIRE(soon([&] { return backend->reads == before + 1; }));
  std::thread sleeps(load, 1);
  std::this_thread::sleep_for(20ms);
  const auto began = Clock::now();
  backend->holds = false;
  reads.join();
  sleeps.join();
  CHECK(Clock::now() - began < 10s);
  CHECK(loaded == std::array<Number, 2>{0, 0});
}

TEST_CASE("what is to be read while another thread reads is read as soon as that one has its own answer") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<HoldsReads>(std::make_shared<Silent>(memory));
  StateStore store(backend, {.deadline = 20s, .staleness = 1h});
  std::optional<LongListener> listener(std::in_place, store, memory);
  const int before = backend->reads;
  backend->holds = true;
  std::thread reads([&] { number(store, "x").load_async().wait(); });
  REQUIRE(soon([&] { return backend->reads == before + 1; }));
  auto next = number(store, "next").try_load_async();
  listener.reset();
  std::this_thread::sleep_for(20ms);  // the thread of the store has seen that somebody reads, and sleeps
  backend->holds = false;
  reads.join();
  CHECK(soon([&] { return next.is_ready(); }));
  CHECK(next.wait().value() == 0);
}

TEST_CASE("close reads what is to be read where a listener has the thread that would") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore store(std::make_shared<Silent>(memory), {.deadline = 60s, .staleness = 1h});
  const LongListener listener(store, memory);
  auto next = number(store, "next").try_load_async();
  CHECK(store.close(10s));
  CHECK(next.is_ready());
}

TEST_CASE("close waits for what is to be read, and gives up what is not") {
  const auto backend = std::make_shared<Throttled>();
  StateStore store(backend, {.deadline = 10s});
  backend->reads = false;
  auto load = number(store).try_load_async();
  REQUIRE(soon([&] { return backend->refusals > 0; }));
  SECTION("the database reads again") {
    backend->reads = true;
    CHECK(store.close(5s));
    CHECK(load.wait().value() == 0);
  }
  SECTION("it does not") {
    CHECK_FALSE(store.close(50ms));
    REQUIRE(load.is_ready());
    CHECK(load.wait().error().code() == StateErrorCode::closed);
  }
}

/// Refuses all for now.
struct Refuses final : support::PassingBackend {
  Refuses() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane&, atom::BatchMode, std::span<const atom::Command>,
                            std::span<atom::Outcome>, atom::Deadline deadline) override {
    if (std::chrono::steady_clock::now() >= deadline) ++late;
    return {atom::BatchStatus::not_applied, StateError(StateErrorCode::unavailable, "no", Effect::none, true)};
  }
  std::atomic<int> late{0};
};

TEST_CASE("two may close at once, and who has time does not wait any more for what the other one gives up") {
  for (int i = 0; i < 20; ++i) {
    StateStore store(std::make_shared<Refuses>(), {.deadline = 60s});
    auto write = number(store).try_set_async(1);
    std::thread other([&] { (void)store.close(10ms); });
    std::this_thread::sleep_for(2ms);
    const auto began = Clock::now();
    (void)store.close(10s);
    CHECK(Clock::now() - began < 8s);
    other.join();
    CHECK(write.wait().error().code() == StateErrorCode::closed);
    CHECK(write.wait().error().effect() == Effect::none);
  }
}

TEST_CASE("what is tried again and again is not tried any more when its time is over") {
  const auto backend = std::make_shared<Refuses>();
  StateStore store(backend, {.deadline = 10ms});
  for (int i = 0; i < 20; ++i) {
    auto write = number(store).try_set_async(1);
    REQUIRE(soon([&] { return write.is_ready(); }));
  }
  CHECK(backend->late < 10);  // one may be, by chance
}

TEST_CASE("pauses grow up to the longest") {
  const auto longest_of = [](unsigned failures) {
    std::chrono::microseconds longest{0};
    for (int i = 0; i < 1000; ++i) longest = std::max(longest, atom::detail::pause_after(failures, 1s));
    return longest;
  };
  for (const unsigned failures : {1u, 5u, 9u}) {
    CHECK(longest_of(failures) <= 1ms * (1 << failures));
    CHECK(longest_of(failures) > 1ms * (1 << failures) / 2);
  }
  for (const unsigned failures : {10u, 31u, 32u, 1'000'000u}) {
    CHECK(longest_of(failures) <= 1s);
    CHECK(longest_of(failures) > 500ms);
  }
}

TEST_CASE("a change without a value is read where somebody listens, and else when it is asked for") {
  const auto feed = std::make_shared<ToldFeed>();
  StateStore here(feed, {.staleness = 1h});
  StateStore there(feed, {.staleness = 1h});
  State<Number> n = number(here);
  State<Number> quiet = number(here, "quiet");
  quiet.set(1);
  std::atomic<Number> heard{-1};
  const auto hears = n.on_change([&](Number now) { heard = now; });
  const std::int64_t version = number(there).set(5);
  number(there, "quiet").set(2);
  const int reads = feed->reads;
  feed->tell([&](atom::FeedSink& sink) -> std::optional<StateError> {
    sink.changed(Scope::global(), "n", version, std::nullopt);
    sink.changed(Scope::global(), "quiet", 1, std::nullopt);
    sink.changed(Scope::global(), "unknown", 1, std::nullopt);
    return std::nullopt;
  });
  CHECK(heard == 5);
  CHECK(feed->reads == reads + 1);
  CHECK(quiet.get() == 2);
  number(there).erase();
  feed->tell([&](atom::FeedSink& sink) -> std::optional<StateError> {
    sink.changed(Scope::global(), "n", version, std::nullopt);
    return std::nullopt;
  });
  CHECK(heard == 0);
}

TEST_CASE("changes without values that come together are read together") {
  const auto feed = std::make_shared<ToldFeed>();
  StateStore here(feed, {.staleness = 1h});
  StateStore there(feed, {.staleness = 1h});
  State<Number> n = number(here);
  State<Number> m = number(here, "m");
  std::atomic<Number> heard{0};
  const auto hears_n = n.on_change([&](Number now) { heard += now; });
  const auto hears_m = m.on_change([&](Number now) { heard += now; });
  std::optional<atom::EventStream> page(here.events(Scope::global()));
  (void)page->take();
  number(there).set(5);
  number(there, "m").set(6);
  number(there, "shown").set(7);
  const int reads = feed->reads;
  feed->tell([](atom::FeedSink& sink) -> std::optional<StateError> {
    const std::vector<atom::ChangedState> changed = {
        {Scope::global(), "n", 0}, {Scope::global(), "m", 0}, {Scope::global(), "shown", 0}};
    sink.to_be_read(changed);
    return std::nullopt;
  });
  CHECK(heard == 11);
  CHECK_THAT(page->take(), support::ContainsSubstring("\"m\":6") && support::ContainsSubstring("\"shown\":7"));
  CHECK(feed->reads == reads + 2);  // for who listens, and for who watches
  page.reset();
  feed->reads_fail = true;
  feed->tell([](atom::FeedSink& sink) -> std::optional<StateError> {
    const atom::ChangedState changed{Scope::global(), "n", 0};
    sink.to_be_read({&changed, 1});
    return std::nullopt;
  });
  number(there).set(10);
  feed->reads_fail = false;
  CHECK(soon([&] { return heard == 21; }));  // what failed is read later
}

TEST_CASE("what is told late or twice is heard once") {
  const auto feed = std::make_shared<ToldFeed>();
  StateStore here(feed, {.staleness = 1h});
  State<Number> n = number(here);
  std::vector<Number> heard;
  const auto hears = n.on_change([&](Number now) { heard.push_back(now); });
  feed->tell([&](atom::FeedSink& sink) -> std::optional<StateError> {
    for (const std::int64_t version : {5, 7, 6, 7, 5, 8}) {
      sink.changed(Scope::global(), "n", version, atom::StoredValue{std::to_string(version), 0});
    }
    return std::nullopt;
  });
  CHECK(heard == std::vector<Number>{5, 7, 8});
}

TEST_CASE("what does not read as the type is reported, and stays") {
  const auto memory = std::make_shared<atom::Memory>();
  Events events;
  StateStore store(memory, {.deadline = 1s, .on_event = events.listener()});
  StateStore other(memory);
  other.get_state<std::string>("", {.key = "n", .scope = Scope::global()}).set("text");
  State<Number> n = number(store);
  CHECK(n.try_load().error().code() == StateErrorCode::undecodable);
  CHECK(n.try_apply(current + 1).error().code() == StateErrorCode::undecodable);
  CHECK(n.try_apply(current + 1).error().effect() == Effect::none);
  CHECK_THAT(n.try_load().error().message(), support::ContainsSubstring("(without effect)"));
  CHECK(events.count(StateEvent::Kind::undecodable) > 0);
  CHECK(other.get_state<std::string>("", {.key = "n", .scope = Scope::global()}).load() == "text");
}

/// What an older version of it has stored is too much for this one.
struct Upset {
  Number value = 0;
  bool operator==(const Upset&) const = default;
  static constexpr int atom_version = 1;
  static std::optional<Upset> atom_migrate(int, const atom::Value& stored) {
    ++reads;
    if (stored.to<Number>() == 0) throw std::bad_alloc();
    throw 42;
  }
  static constexpr auto atom_fields() { return atom::describe(atom::field("value", &Upset::value)); }

  static inline std::atomic<int> reads = 0;
};
State<Upset> upset(StateStore& store, const std::string& key = "upset") {
  return store.get_state<Upset>({}, {.key = key, .scope = Scope::global()});
}

TEST_CASE("what is thrown for one value keeps nothing of another one from whoever reads or hears it") {
  const auto feed = std::make_shared<ToldFeed>();
  StateStore there(std::make_shared<Silent>(feed));
  Events events;
  StateStore here(feed, {.deadline = 5s, .staleness = 1h, .on_event = events.listener()});
  const Number stored = GENERATE(0, 1);  // for want of memory, or anything
  std::vector<atom::StateSubscription> hears;
  std::array<std::atomic<Number>, 6> heard{};
  for (std::size_t i = 0; i < heard.size(); ++i) {  // whatever the order in which they are read, one comes after it
    const std::string key = "n" + std::to_string(i);
    hears.push_back(upset(here, "upset" + std::to_string(i)).on_change([] {}));
    hears.push_back(number(here, key).on_change([&heard, i](Number now) { heard[i] = now; }));
    number(there, "upset" + std::to_string(i)).set(stored);
    number(there, key).set(5);
  }
  feed->tell([](atom::FeedSink& sink) -> std::optional<StateError> {
    sink.lost_track();
    return std::nullopt;
  });
  for (const std::atomic<Number>& number : heard) CHECK(number == 5);
  CHECK(events.count(StateEvent::Kind::feed_down) == 0);
  CHECK((events.count(StateEvent::Kind::undecodable) > 0) == (stored == 1));
  const int before = Upset::reads;
  if (stored == 0) CHECK(soon([&] { return Upset::reads > before; }));  // there may be memory now
}

TEST_CASE("what is thrown for one value ends nothing of what is read with it") {
  /// Whose first answer comes when two others wait.
  struct Slow final : support::PassingBackend {
    Slow() : PassingBackend(std::make_shared<atom::Memory>()) {}
    std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                   atom::Deadline deadline) override {
      most = std::max(most, names.size());
      if (is_first.exchange(false)) may_answer.get_future().wait();
      return inner().read(names, outcomes, deadline);
    }
    std::promise<void> may_answer;
    std::atomic<bool> is_first{true};
    std::size_t most = 0;
  };
  const auto backend = std::make_shared<Slow>();
  StateStore store(backend, {.deadline = 5s});
  number(store, "upset").set(1);
  number(store).set(5);
  StateStore here(backend, {.deadline = 5s});
  auto first = number(here, "first").try_load_async();
  REQUIRE(soon([&] { return !backend->is_first; }));
  auto upsetting = upset(here).try_load_async();
  auto other = number(here).try_load_async();
  backend->may_answer.set_value();
  CHECK(upsetting.wait().error().code() == StateErrorCode::undecodable);
  CHECK(other.wait().value() == 5);
  CHECK(first.wait().has_value());
  CHECK(backend->most == 2);
}

TEST_CASE("a store ends while what it listens to changes") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore there(memory);
  const Meanwhile writes([&] { number(there).apply(current + 1); });
  for (int i = 0; i < 20; ++i) {
    std::optional<atom::StateSubscription> hears;
    StateStore here(memory);
    State<Number> n = number(here);
    hears = n.on_change([&] {});
    n.apply(current + 1);
    if (i % 2) hears.reset();
  }
}

}  // namespace
}  // namespace engine_test

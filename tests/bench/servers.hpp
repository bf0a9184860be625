// What is measured of states in a server, whichever it is. A server is started when the first of its benchmarks runs,
// and is there until the program ends, so that the library and what it is compared with ask the same one.
#pragma once

#include <atom/atom.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/bench.hpp"
#include "bench/process.hpp"
#include "support/chaos_proxy.hpp"
#include "support/threads.hpp"

namespace bench {

using Number = std::int64_t;

// ---- Benchmarks: one repetition is one call

/// `work(server)` does so many operations, with the one server that `Server::get()` gives.
template <class Server, class Work>
void add_work(const std::string& name, std::size_t count, Work work) {
  add(name,
      [=](benchmark::State& state) {
        Server& server = Server::get();
        for (auto _ : state) work(server);
        operations(state, count);
      })
      ->Iterations(1)
      ->UseRealTime();
}
/// `measure(server)` says how many seconds one operation took.
template <class Server, class Measure>
benchmark::internal::Benchmark* add_measured(const std::string& name, Measure measure) {
  return add(name,
             [=](benchmark::State& state) {
               Server& server = Server::get();
               for (auto _ : state) state.SetIterationTime(measure(server));
             })
      ->Iterations(1)
      ->UseManualTime();
}

// ---- Adding to numbers

/// A coroutine that begins at once, and that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

/// A store with states in a server, each of which is there. What adds to them throws if one addition was lost.
class Numbers {
 public:
  Numbers(std::shared_ptr<atom::Backend> backend, std::size_t count)
      : store_(std::move(backend), {.deadline = std::chrono::minutes(1)}) {
    for (std::size_t i = 0; i < count; ++i) {
      many_.push_back(store_.get_state<Number>(0, {.key = fmt::format("{:012}", i), .scope = atom::Scope::global()}));
    }
    std::atomic<std::size_t> next{0};
    const std::size_t coroutines = std::min<std::size_t>(count, 1000);
    in_flight(coroutines, count / coroutines, [&](std::minstd_rand&) { return many_[next++]; });
  }

  void add_one_by_one(std::size_t count) {
    counted(count, [&] {
      for (std::size_t i = 0; i < count; ++i) many_[0].apply(atom::current + 1);
    });
  }
  void add_in_threads(std::size_t threads, std::size_t each) {
    counted(threads * each, [&] {
      support::in_threads(threads, [&](std::size_t) {
        for (std::size_t i = 0; i < each; ++i) many_[0].apply(atom::current + 1);
      });
    });
  }
  /// So many coroutines at once, of which each adds so often.
  void add_in_coroutines(std::size_t coroutines, std::size_t each) {
    counted(coroutines * each, [&] { in_flight(coroutines, each, [this](std::minstd_rand&) { return many_[0]; }); });
  }
  /// The same, to any of the states.
  void add_anywhere(std::size_t coroutines, std::size_t each) {
    in_flight(coroutines, each, [this](std::minstd_rand& random) { return many_[random() % many_.size()]; });
  }

 private:
  struct Failure {
    std::mutex mutex;
    std::optional<atom::StateError> error;  // the last one
  };
  template <class Work>
  void counted(std::size_t count, Work work) {
    const Number before = many_[0].load();
    work();
    if (many_[0].load() != before + static_cast<Number>(count)) throw std::runtime_error("the sum is wrong");
  }
  template <class Choose>
  void in_flight(std::size_t coroutines, std::size_t each, Choose choose) {
    std::latch missing(static_cast<std::ptrdiff_t>(coroutines));
    Failure failure;
    for (std::size_t i = 0; i < coroutines; ++i) add(choose, i, each, missing, failure);
    missing.wait();
    if (failure.error) throw atom::StateError(*failure.error);
  }
  template <class Choose>
  static Detached add(Choose& choose, std::size_t number, std::size_t times, std::latch& missing, Failure& failure) {
    std::minstd_rand random(static_cast<unsigned>(number + 1));
    for (; times > 0; --times) {
      atom::State<Number> state = choose(random);
      const auto result = co_await state.try_apply_async(atom::current + 1);
      if (result) continue;
      const std::lock_guard lock(failure.mutex);
      failure.error = result.error();
    }
    missing.count_down();
  }

  atom::StateStore store_;
  std::vector<atom::State<Number>> many_;
};

// ---- Round trips

/// A request's session: reads five atoms of the client's, writes one of them, and adds to a number that all share.
inline void serve_request(atom::StateStore& states, const std::deque<atom::Atom<Number>>& atoms,
                          const atom::Atom<Number>& shared) {
  atom::Session session{states, atom::Scope::client("c"), {.route = "/"}};
  Number sum = 0;
  for (const atom::Atom<Number>& one : atoms) sum += session.use(one).value();
  session.use(atoms.front()).update(sum + 1);
  session.apply(shared, atom::Scope::global(), atom::current + 1);
  session.commit();
}
/// Adds how often such a request goes to the server and back, as is seen between them: `open(proxy)` gives the backend
/// whose connections go through it.
template <class Server, class Open>
void add_round_trips(const std::string& name, Open open) {
  add(name,
      [=](benchmark::State& state) {
        // Made here, so that there are no more of them where others are measured.
        std::deque<atom::Atom<Number>> atoms;
        for (int i = 0; i < 5; ++i) atoms.emplace_back(fmt::format("bench.{}", i), 1);
        const atom::Atom<Number> shared("bench.shared", 0);
        const support::ChaosProxy proxy(Server::get().socket());
        atom::StateStore states(open(proxy));
        for (int i = 0; i < 3; ++i) serve_request(states, atoms, shared);  // which learns what the route uses
        constexpr std::size_t requests = 100;
        const std::size_t before = proxy.round_trips();
        for (auto _ : state) {
          for (std::size_t i = 0; i < requests; ++i) serve_request(states, atoms, shared);
        }
        state.counters["round trips"] = static_cast<double>(proxy.round_trips() - before) / requests;
      })
      ->Iterations(1)
      ->Repetitions(1)
      ->UseRealTime();
}

// ---- How late another process hears of a write

inline Number nanoseconds_now() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}
inline atom::StateOptions heard_state() {
  return {.key = "heard", .scope = atom::Scope::global()};
}
/// The other process: until it is told no more, it listens; then it prints how many nanoseconds it took each time.
inline void listen(std::shared_ptr<atom::Backend> backend) {
  std::mutex mutex;
  std::vector<Number> delays;
  atom::StateStore states(std::move(backend));
  atom::State<Number> state = states.get_state<Number>(0, heard_state());
  {
    const atom::StateSubscription hears = state.on_change([&](const Number& written) {
      const Number delay = nanoseconds_now() - written;
      const std::lock_guard lock(mutex);
      delays.push_back(delay);
    });
    fmt::print("listening\n");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
  }
  for (const Number delay : delays) fmt::print("{}\n", delay);
}
/// From the beginning of a write to the listener; in order, the shortest first.
inline std::vector<Number> delays_heard(std::shared_ptr<atom::Backend> backend, const std::string& child,
                                        const std::string& url) {
  constexpr std::size_t writes = 500, warm_up = 50;
  Process other({"/proc/self/exe", "--child", child, url});
  atom::StateStore states(std::move(backend));
  atom::State<Number> state = states.get_state<Number>(0, heard_state());
  if (other.read_line() != "listening") throw std::runtime_error("the process that listens does not");
  for (std::size_t i = 0; i < warm_up + writes; ++i) {
    state.set(nanoseconds_now());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::vector<Number> delays;
  const std::string text = other.end();
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    delays.push_back(std::stoll(text.substr(at)));
  if (delays.size() < writes) throw std::runtime_error("writes were not heard");
  delays.erase(delays.begin(), delays.end() - writes);
  std::sort(delays.begin(), delays.end());
  return delays;
}
/// `measure()` gives the delays, and is called once.
template <class Server, class Measure>
void add_delays(const std::string& prefix, Measure measure) {
  const auto percentile = [=](Server& server, std::size_t percent) {
    static const std::vector<Number> delays = measure(server);
    return static_cast<double>(delays[delays.size() * percent / 100]) * 1e-9;
  };
  add_measured<Server>(prefix + "median", [=](Server& server) { return percentile(server, 50); })->Repetitions(1);
  add_measured<Server>(prefix + "99", [=](Server& server) { return percentile(server, 99); })->Repetitions(1);
}

}  // namespace bench

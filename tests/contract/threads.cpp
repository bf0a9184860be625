// Many threads at once.
#include "contract/contract.hpp"

#include "support/linearizability.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace contract_threads {
namespace {

using atom::Scope;
using atom::State;
using atom::StateSubscription;
using contract::check_counting;
using contract::number;
using contract::rounds;
using support::in_threads;

using Values = std::vector<std::int64_t>;

// ---- Every caller's own result

TEST_CASE("of many increments each caller gets its own result", "[case81][case82]") {
  const auto states = contract::open();
  check_counting({states.get()}, 500, [](State<std::int64_t>& state) { return state.apply(atom::current + 1); });
}

TEST_CASE("of many updates each caller gets its own result", "[case82][case86]") {
  const auto states = contract::open();
  check_counting({states.get()}, 500,
                 [](State<std::int64_t>& state) { return state.update([](std::int64_t n) { return n + 1; }); });
}

TEST_CASE("of many who write if nobody has written, one does each time", "[case82][case86]") {
  const auto states = contract::open();
  check_counting({states.get()}, rounds(500), [](State<std::int64_t>& state) {
    for (;;) {
      const atom::Versioned<std::int64_t> now = state.load_versioned();
      if (state.set_if(now.value + 1, now.version)) return now.value + 1;
    }
  });
}

TEST_CASE("of many increments that are heard each caller gets its own result", "[case82]") {
  std::atomic<std::int64_t> last{0};
  std::atomic<bool> in_order{true};
  {
    const auto states = contract::open();
    State<std::int64_t> heard = number(*states);
    const StateSubscription hears = heard.on_change([&](std::int64_t now) {
      if (now <= last.exchange(now)) in_order = false;
    });
    check_counting({states.get()}, 300, [](State<std::int64_t>& state) { return state.apply(atom::current + 1); });
    CHECK(contract::eventually([&] { return last == 1200; }));
  }
  CHECK(in_order);
}

TEST_CASE("many appends to one list are all there, those of each thread in their order", "[case82][case86]") {
  constexpr int each = 100;
  const auto states = contract::open();
  const atom::StateOptions options{.key = "list", .scope = Scope::client("1")};
  in_threads(4, [&](std::size_t thread) {
    State<std::vector<int>> list = states->get_state<std::vector<int>>({}, options);
    for (int i = 1; i <= each; ++i) {
      list.update([&](std::vector<int> all) {
        all.push_back(static_cast<int>(thread) * each + i);
        return all;
      });
    }
  });
  std::vector<int> all = states->get_state<std::vector<int>>({}, options).load();
  for (int thread = 0; thread < 4; ++thread) {
    std::vector<int> own;
    std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](int n) { return (n - 1) / each == thread; });
    CHECK(std::is_sorted(own.begin(), own.end()));
  }
  std::sort(all.begin(), all.end());
  CHECK(all == contract::one_to(4 * each));
}

TEST_CASE("two stores on the same data count together", "[case81][case82]") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  const auto others = contract::reopen();
  check_counting({states.get(), others.get()}, 500,
                 [](State<std::int64_t>& state) { return state.apply(atom::current + 1); });
}

// ---- One value at a time

TEST_CASE("nobody sees half of a value", "[case78]") {
  const auto states = contract::open();
  using Text = std::vector<std::int64_t>;
  const auto text = [&] { return states->get_state<Text>(Text(8, 0), {.key = "text", .scope = Scope::global()}); };
  std::atomic<bool> torn{false};
  std::atomic<std::size_t> writing{2};
  in_threads(4, [&](std::size_t thread) {
    State<Text> state = text();
    if (thread < 2) {
      for (std::int64_t i = 0; i < rounds(2000); ++i) state.set(Text(8, i * 2 + static_cast<std::int64_t>(thread)));
      --writing;
    } else {
      while (writing > 0) {
        const Text seen = state.get();
        if (seen.size() != 8 || std::count(seen.begin(), seen.end(), seen[0]) != 8) torn = true;
      }
    }
  });
  CHECK_FALSE(torn);
}

TEST_CASE("a reader never goes back in time", "[case78][case89]") {
  const auto states = contract::open();
  std::atomic<bool> back{false};
  std::atomic<bool> writing{true};
  in_threads(3, [&](std::size_t thread) {
    State<std::int64_t> state = number(*states);
    if (thread == 0) {
      for (std::int64_t i = 1; i <= rounds(3000); ++i) state.set(i);
      writing = false;
      return;
    }
    std::int64_t last = 0;
    while (writing) {
      const std::int64_t now = thread == 1 ? state.get() : state.load();
      if (now < last) back = true;
      last = now;
    }
  });
  CHECK_FALSE(back);
}

TEST_CASE("of many who create one state, one does", "[case66][case68]") {
  const auto states = contract::open();
  for (int round = 0; round < 100; ++round) {
    const atom::StateOptions options{.key = std::to_string(round), .scope = Scope::global()};
    std::vector<std::int64_t> seen(4);
    in_threads(4, [&](std::size_t thread) {
      seen[thread] = states->create_state(static_cast<std::int64_t>(thread) + 1, options).load();
    });
    REQUIRE(seen == Values(4, states->get_state<std::int64_t>(0, options).load()));
  }
}

TEST_CASE("states that come and go in many threads are each one state", "[case66][case69]") {
  const auto states = contract::open();
  std::atomic<std::int64_t> wrong{0};
  in_threads(4, [&](std::size_t thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    for (int i = 0; i < rounds(1500); ++i) {
      const Scope scope = Scope::client(std::to_string(random() % 4));
      const std::string key = std::to_string(random() % 4);
      const atom::StateOptions options{.key = key, .scope = scope, .labels = {"label" + key}};
      switch (random() % 6) {
        case 0:
          states->delete_state(options);
          break;
        case 1:
          states->purge({"label" + key});
          break;
        case 2:
          for (const atom::AnyState& state : states->list(scope)) {
            if (state.as<std::int64_t>().key() != state.key()) ++wrong;
          }
          break;
        case 3:
          states->delete_scope(scope);
          break;
        default: {
          State<std::int64_t> state = states->get_state<std::int64_t>(0, options);
          if (state.key() != key || state.scope() != scope) ++wrong;
          const std::int64_t version = state.set(i);
          if (version <= 0) ++wrong;
          const StateSubscription hears = state.on_change([] {});
          state.apply(atom::current + 1);
        }
      }
    }
  });
  CHECK(wrong == 0);
  states->delete_scope(Scope::client("0"));
  for (const char* id : {"1", "2", "3"}) states->delete_scope(Scope::client(id));
  CHECK(states->list().empty());
  CHECK(states->scopes().empty());
}

// ---- Listeners

TEST_CASE("when a subscription has ended, its function is not running any more", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  std::atomic<bool> writing{true};
  std::atomic<std::int64_t> late{0};
  std::atomic<std::int64_t> heard{0};
  in_threads(4, [&](std::size_t thread) {
    State<std::int64_t> own = number(*states);
    if (thread < 2) {
      while (writing) own.apply(atom::current + 1);
      return;
    }
    for (int i = 0; i < 300; ++i) {
      auto ended = std::make_unique<std::atomic<bool>>(false);
      {
        const StateSubscription hears = own.on_change([&, flag = ended.get()] {
          for (int n = 0; n < 20; ++n) {
            if (*flag) ++late;
          }
          ++heard;
        });
        if (i % 2) std::this_thread::yield();
      }
      *ended = true;
    }
    if (thread == 2) {
      while (heard == 0) {
        const StateSubscription hears = own.on_change([&] { ++heard; });
        own.set(1);
      }
    }
    writing = false;
  });
  CHECK(late == 0);
  CHECK(heard > 0);
}

TEST_CASE("listeners that subscribe, end themselves and each other and write, in many threads", "[case91]") {
  const auto states = contract::open();
  std::atomic<std::int64_t> heard{0};
  in_threads(4, [&](std::size_t thread) {
    State<std::int64_t> state = number(*states);
    State<std::int64_t> other = number(*states, "other");
    for (int i = 0; i < 200; ++i) {
      StateSubscription own;
      StateSubscription added;
      std::mutex mutex;  // of both: the function may run in another thread
      {
        const std::lock_guard lock(mutex);
        own = state.on_change([&] {
          ++heard;
          const std::unique_lock turn(mutex, std::try_to_lock);
          if (!turn) return;
          if (!added.active()) added = state.on_change([&] { ++heard; });
          if (thread % 2) own.unsubscribe();
          other.apply(atom::current + 1);
        });
      }
      state.set(i);
      StateSubscription a;
      StateSubscription b;
      {
        const std::lock_guard lock(mutex);
        a = std::move(own);
        b = std::move(added);
      }
      a.unsubscribe();
      // Nobody adds another one now.
      added.unsubscribe();
      b.unsubscribe();
    }
  });
  CHECK(heard > 0);
}

TEST_CASE("the last change is told last, whoever makes it", "[case74][case78]") {
  const auto states = contract::open();
  for (int round = 0; round < 50; ++round) {
    State<std::int64_t> state = number(*states);
    std::atomic<std::int64_t> last{-1};
    const StateSubscription hears = state.on_change([&](std::int64_t now) { last = now; });
    in_threads(3, [&](std::size_t thread) {
      for (int i = 0; i < 20; ++i) state.set(static_cast<std::int64_t>(thread) * 1000 + i);
    });
    REQUIRE(contract::eventually([&] { return last == state.load(); }));
  }
}

// ---- Linearizability

struct Recorded {
  State<std::int64_t> state;
  std::int64_t get() { return state.get(); }
  std::pair<std::int64_t, std::int64_t> load() {
    const atom::Versioned<std::int64_t> now = state.load_versioned();
    return {now.value, now.version};
  }
  std::int64_t set(std::int64_t value) { return state.set(value); }
  std::int64_t add(std::int64_t n) {
    return n % 2 ? state.apply(atom::current + n) : state.update([n](std::int64_t now) { return now + n; });
  }
  bool set_if(std::int64_t value, std::int64_t version) { return state.set_if(value, version); }
  bool erase() { return state.erase(); }
};

/// In a database, writes that wait together become one.
bool is_linearizable(const support::Calls& calls) {
  return contract::persistent() ? support::is_linearizable<support::CombinedState>(calls)
                                : support::is_linearizable(calls);
}
/// Another one each time, but for the histories that do not fit, which are seen with their seed.
std::uint64_t fresh_seed() {
  return std::random_device()();
}

template <class Prepare>
void has_linearizable_histories(int count, Prepare prepare) {
  const auto states = contract::open();
  const std::uint64_t seed = fresh_seed();
  for (int round = 0; round < count; ++round) {
    Recorded recorded{number(*states, "history " + std::to_string(round))};
    [[maybe_unused]] const auto kept = prepare(recorded.state);
    const std::uint64_t its_seed = seed + static_cast<std::uint64_t>(round);
    const support::Calls calls = support::record_calls(recorded, 4, 3, its_seed);
    INFO("seed " << its_seed << '\n' << support::to_string(calls));
    REQUIRE(is_linearizable(calls));
  }
}

TEST_CASE("what threads see of one state can be explained by one order", "[case78][case82]") {
  has_linearizable_histories(rounds(250), [](const State<std::int64_t>&) { return 0; });
}

TEST_CASE("the same of a state that is heard", "[case78][case82]") {
  has_linearizable_histories(rounds(125), [](State<std::int64_t>& state) { return state.on_change([] {}); });
}

TEST_CASE("the same of a state with a time to live", "[case78][case88]") {
  const auto states = contract::open();
  const std::uint64_t seed = fresh_seed();
  for (int round = 0; round < rounds(125); ++round) {
    Recorded recorded{states->get_state<std::int64_t>(
        0, {.key = std::to_string(round), .scope = Scope::global(), .ttl = std::chrono::hours(1), .sliding = true})};
    const std::uint64_t its_seed = seed + static_cast<std::uint64_t>(round);
    const support::Calls calls = support::record_calls(recorded, 4, 3, its_seed);
    INFO("seed " << its_seed << '\n' << support::to_string(calls));
    REQUIRE(is_linearizable(calls));
  }
}

}  // namespace
}  // namespace contract_threads

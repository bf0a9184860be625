// States in memory, against what one would use instead: an atomic number, and a concurrent map of TBB's.
#include <atom/state/state_store.hpp>

#include <malloc.h>
#include <tbb/concurrent_hash_map.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/bench.hpp"

namespace {

using Number = std::int64_t;

// ---- One state

struct OneState {
  atom::StateStore store;
  atom::State<Number> state = store.get_state<Number>(0, {.key = "n", .scope = atom::Scope::global()});
};

void add_updates(int threads) {
  const std::string prefix = "states/" + std::to_string(threads) + "/";
  const auto add = [&](const std::string& name, auto body) {
    bench::in_threads(bench::add(prefix + name, body), threads);
  };
  add("apply", [](benchmark::State& state) {
    static OneState one;
    const atom::State<Number> handle = one.state;
    atom::State<Number> number = handle;
    for (auto _ : state) benchmark::DoNotOptimize(number.apply(atom::current + 1));
  });
  add("apply, own", [](benchmark::State& state) {
    OneState one;
    for (auto _ : state) benchmark::DoNotOptimize(one.state.apply(atom::current + 1));
  });
  add("fetch_add", [](benchmark::State& state) {
    static std::atomic<Number> one{0};
    for (auto _ : state) benchmark::DoNotOptimize(one.fetch_add(1));
  });
}
void add_reading() {
  bench::add("states/get", [](benchmark::State& state) {
    const OneState one;
    for (auto _ : state) benchmark::DoNotOptimize(one.state.get());
  });
  bench::add("states/load", [](benchmark::State& state) {
    std::atomic<Number> one{0};
    for (auto _ : state) benchmark::DoNotOptimize(one.load());
  });
}

// ---- One state that is listened to

struct Heard {
  explicit Heard(std::size_t listeners) {
    for (std::size_t i = 0; i < listeners; ++i) subscriptions.push_back(listen());
  }
  atom::StateSubscription listen() {
    return one.state.on_change([this](const Number& now) { sum += now; });
  }
  OneState one;
  Number sum = 0;
  std::vector<atom::StateSubscription> subscriptions;
};

void add_listening(std::size_t listeners) {
  const std::string prefix = "states/listeners/" + std::to_string(listeners) + "/";
  bench::add(prefix + "set", [=](benchmark::State& state) {
    Heard heard(listeners);
    Number number = 0, expected = 0;
    for (auto _ : state) {
      heard.one.state.set(++number);
      expected += number * static_cast<Number>(listeners);
    }
    if (heard.sum != expected) state.SkipWithError("a listener missed a change");
  });
  bench::add(prefix + "on_change", [=](benchmark::State& state) {
    Heard heard(listeners);
    for (auto _ : state) benchmark::DoNotOptimize(heard.listen());
  });
}

// ---- Among many

std::string key_of(std::size_t key) {
  return "key" + std::to_string(key);
}
atom::Scope scope_of(std::size_t scope) {
  return atom::Scope::client(std::to_string(scope));
}

struct Count {
  std::size_t all;
  std::size_t in_a_scope;
  auto operator<=>(const Count&) const = default;
};
/// Calls `make(scope, key)` for the one with that number.
template <class Make>
auto with_name(std::size_t number, Count count, Make make) {
  return make(number / count.in_a_scope, number % count.in_a_scope);
}
/// What `make(scope, key)` makes of a thousand of them, at random.
template <class Make>
auto wanted(Count count, Make make) {
  std::mt19937 random(1);
  std::vector<decltype(make(std::size_t(), std::size_t()))> all;
  for (int i = 0; i < 1024; ++i) all.push_back(with_name(random() % count.all, count, make));
  return all;
}

/// So many of them, and how many bytes each takes. They are made when first asked for, and stay.
template <class Contents>
struct Filled {
  Contents contents;
  double bytes_of_each;

  static const Filled& get(Count count) {
    static std::map<Count, std::unique_ptr<Filled>> all;
    std::unique_ptr<Filled>& place = all[count];
    if (!place) place.reset(new Filled(count));
    return *place;
  }

 private:
  explicit Filled(Count count) : bytes_of_each(0) {
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (std::size_t number = 0; number < count.all; ++number) {
      with_name(number, count, [&](std::size_t scope, std::size_t key) { contents.add(scope, key); });
    }
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    bytes_of_each = static_cast<double>(after - before) / static_cast<double>(count.all);
  }
};

atom::StateOptions options_of(std::size_t scope, std::size_t key) {
  return {.key = key_of(key), .scope = scope_of(scope)};
}
struct States {
  mutable atom::StateStore store{{.states_per_scope = 1'000'000}};
  void add(std::size_t scope, std::size_t key) { store.create_state<int>(1, options_of(scope, key)); }
};

struct Map {
  using Name = std::pair<std::string, std::string>;
  struct Compare {
    static std::size_t hash(const Name& name) {
      return std::hash<std::string>()(name.first) * 31 + std::hash<std::string>()(name.second);
    }
    static bool equal(const Name& a, const Name& b) { return a == b; }
  };
  using Names = tbb::concurrent_hash_map<Name, int, Compare>;
  Names map;

  static Name name_of(std::size_t scope, std::size_t key) { return {scope_of(scope).text(), key_of(key)}; }
  void add(std::size_t scope, std::size_t key) { map.insert({name_of(scope, key), 1}); }
};

/// `work(name)` for each of them.
template <class Wanted, class Work>
void with_all(benchmark::State& state, Wanted wanted, Work work) {
  for (auto _ : state) {
    for (auto& name : wanted) benchmark::DoNotOptimize(work(name));
  }
  bench::operations(state, wanted.size());
}
void add_among(const std::string& group, Count count) {
  const std::string prefix = "states/" + group + "/" + std::to_string(count.all) + "/";
  bench::add(prefix + "store", [=](benchmark::State& state) {
    const auto& [states, bytes] = Filled<States>::get(count);
    with_all(state, wanted(count, &options_of),
             [&](const atom::StateOptions& options) { return states.store.get_state<int>(0, options).get(); });
    state.counters["bytes"] = bytes;
  });
  bench::add(prefix + "apply", [=](benchmark::State& state) {
    const States& states = Filled<States>::get(count).contents;
    const auto handle = [&](std::size_t scope, std::size_t key) {
      return states.store.get_state<int>(0, options_of(scope, key));
    };
    with_all(state, wanted(count, handle), [](atom::State<int>& number) { return number.apply(atom::current + 1); });
  });
  bench::add(prefix + "tbb", [=](benchmark::State& state) {
    const Map& map = Filled<Map>::get(count).contents;
    with_all(state, wanted(count, &Map::name_of), [&](const Map::Name& name) {
      Map::Names::const_accessor found;
      return map.map.find(found, name) ? found->second : 0;
    });
  });
}

const bench::Registration all([] {
  for (const int threads : {1, 2, 4, 8}) add_updates(threads);
  add_reading();
  for (const std::size_t listeners : {1u, 10u, 100u, 1000u, 10'000u}) add_listening(listeners);
  for (const std::size_t count : {10u, 100u, 1000u, 10'000u, 100'000u, 1'000'000u}) {
    for (const std::size_t in_a_scope : {1u, 20u, 1000u}) {
      add_among(std::to_string(in_a_scope) + " in a scope", {count, in_a_scope});
    }
    add_among("all in a scope", {count, count});
  }
});

}  // namespace

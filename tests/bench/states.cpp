// States in memory, against what one would use instead: an atomic number, and a concurrent map of TBB's.
#include <atom/state/state_store.hpp>

#include <malloc.h>
#include <tbb/concurrent_hash_map.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
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
  bench::add(prefix + "apply",
             [](benchmark::State& state) {
               static OneState one;
               const atom::State<Number> handle = one.state;
               atom::State<Number> number = handle;
               for (auto _ : state) benchmark::DoNotOptimize(number.apply(atom::current + 1));
             })
      ->Threads(threads)
      ->UseRealTime();
  bench::add(prefix + "fetch_add",
             [](benchmark::State& state) {
               static std::atomic<Number> one{0};
               for (auto _ : state) benchmark::DoNotOptimize(one.fetch_add(1));
             })
      ->Threads(threads)
      ->UseRealTime();
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

// ---- Among a million

constexpr std::size_t million = 1'000'000;

/// What `make(scope, key)` made of a thousand of them, at random.
template <class Make>
auto wanted(std::size_t scopes, Make make) {
  std::mt19937 random(1);
  std::vector<decltype(make(std::size_t(), std::size_t()))> all;
  for (int i = 0; i < 1024; ++i) {
    const std::size_t scope = random() % scopes;
    all.push_back(make(scope, random() % (million / scopes)));
  }
  return all;
}
std::string key_of(std::size_t key) {
  return "key" + std::to_string(key);
}
atom::Scope scope_of(std::size_t scope) {
  return atom::Scope::client(std::to_string(scope));
}

/// A million of them in so many scopes, and how many bytes each takes.
template <class Filled, std::size_t scopes>
struct Million {
  Filled filled;
  double bytes_of_each;

  static const Million& get() {
    static const std::unique_ptr<Million> one(new Million);
    return *one;
  }

 private:
  Million() : bytes_of_each(0) {
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (std::size_t scope = 0; scope < scopes; ++scope) {
      for (std::size_t key = 0; key < million / scopes; ++key) filled.add(scope, key);
    }
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    bytes_of_each = static_cast<double>(after - before) / million;
  }
};

struct States {
  mutable atom::StateStore store;
  void add(std::size_t scope, std::size_t key) {
    store.create_state<int>(1, {.key = key_of(key), .scope = scope_of(scope)});
  }
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
  void add(std::size_t scope, std::size_t key) { map.insert({{scope_of(scope).text(), key_of(key)}, 1}); }
};

template <class Wanted, class LookUp>
void look_up_all(benchmark::State& state, const Wanted& wanted, LookUp look_up) {
  for (auto _ : state) {
    for (const auto& name : wanted) benchmark::DoNotOptimize(look_up(name));
  }
  bench::operations(state, wanted.size());
}
template <std::size_t scopes>
void add_lookup() {
  const std::string prefix = "states/million/" + std::to_string(scopes) + "/";
  bench::add(prefix + "store", [](benchmark::State& state) {
    const auto& [states, bytes] = Million<States, scopes>::get();
    const auto options = wanted(scopes, [](std::size_t scope, std::size_t key) {
      return atom::StateOptions{.key = key_of(key), .scope = scope_of(scope)};
    });
    look_up_all(state, options, [&](const auto& name) { return states.store.template get_state<int>(0, name).get(); });
    state.counters["bytes"] = bytes;
  });
  bench::add(prefix + "tbb", [](benchmark::State& state) {
    const Map& map = Million<Map, scopes>::get().filled;
    const auto names = wanted(
        scopes, [](std::size_t scope, std::size_t key) { return Map::Name(scope_of(scope).text(), key_of(key)); });
    look_up_all(state, names, [&](const auto& name) {
      Map::Names::const_accessor found;
      return map.map.find(found, name) ? found->second : 0;
    });
  });
}

const bench::Registration all([] {
  for (const int threads : {1, 2}) add_updates(threads);
  add_reading();
  add_lookup<50'000>();
  add_lookup<1'000>();
});

}  // namespace

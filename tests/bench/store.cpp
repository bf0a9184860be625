// What does a store cost: an empty one, a large one, an atom that goes early, a snapshot, and to be hydrated?
#include <atom/store.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "bench/contenders.hpp"
#include "bench/templates.hpp"

namespace {

const atom::Atom<int> number_atom{"bench.dropped", 1};
const atom::Atom<std::vector<int>> list_atom{"bench.list", std::vector<int>(10'000, 1)};
const atom::Atom<std::string> text_atom{"bench.text"};

void create_and_destroy(benchmark::State& state) {
  for (auto _ : state) {
    atom::AtomStore store;
    benchmark::DoNotOptimize(store);
  }
}

void use_and_drop(benchmark::State& state) {
  atom::AtomStore store;
  for (auto _ : state) store.drop(store.use(number_atom));
}

void use_1000(benchmark::State& state) {
  const auto templates = bench::some_templates(1000, 10'000);
  for (auto _ : state) {
    atom::AtomStore store;
    for (const auto* number : templates) benchmark::DoNotOptimize(&store.use(*number));
  }
  bench::operations(state, templates.size());
}

void use_1000_in_map(benchmark::State& state) {
  std::vector<std::string> keys;
  for (const auto* number : bench::some_templates(1000, 10'000)) keys.emplace_back(number->key());
  for (auto _ : state) {
    bench::AnyStore store;
    for (const std::string& key : keys) benchmark::DoNotOptimize(&store.use(key, 1));
  }
  bench::operations(state, keys.size());
}

void take_snapshot(benchmark::State& state, std::size_t count) {
  atom::AtomStore store;
  for (const auto* number : bench::some_templates(count, 10'000)) store.use(*number).update(-1);
  for (auto _ : state) benchmark::DoNotOptimize(store.snapshot());
  bench::operations(state, count);
}

void take_snapshot_of_map(benchmark::State& state, std::size_t count) {
  bench::AnyStore store;
  for (const auto* number : bench::some_templates(count, 10'000)) store.use(std::string(number->key()), -1);
  for (auto _ : state) benchmark::DoNotOptimize(store.snapshot());
  bench::operations(state, count);
}

void take_snapshot_of_default(benchmark::State& state) {
  atom::AtomStore store;
  store.use(list_atom);
  for (auto _ : state) benchmark::DoNotOptimize(store.snapshot());
}

atom::Snapshot some_values() {
  atom::Snapshot snapshot;
  snapshot.set(list_atom, std::vector<int>(10'000, 2));
  snapshot.set(text_atom, std::string(44, 'x'));
  return snapshot;
}

/// `hydrate(store)` does it or not.
template <class Hydrate>
void use_hydrated(benchmark::State& state, Hydrate hydrate) {
  for (auto _ : state) {
    atom::AtomStore store;
    hydrate(store);
    benchmark::DoNotOptimize(store.use(list_atom).value().back());
    benchmark::DoNotOptimize(store.use(text_atom).value().size());
  }
}

const bench::Registration all([] {
  bench::add("store/empty", &create_and_destroy);
  bench::add("store/drop", &use_and_drop);
  bench::add("store/1000/atom", &use_1000);
  bench::add("store/1000/map", &use_1000_in_map);

  for (const std::size_t count : {3u, 10u, 100u}) {
    const std::string prefix = "snapshot/" + std::to_string(count) + "/";
    bench::add(prefix + "atom", [=](benchmark::State& state) { take_snapshot(state, count); });
    bench::add(prefix + "map", [=](benchmark::State& state) { take_snapshot_of_map(state, count); });
  }
  bench::add("snapshot/default", &take_snapshot_of_default);

  bench::add("hydrate/nothing", [](benchmark::State& state) { use_hydrated(state, [](atom::AtomStore&) {}); });
  bench::add("hydrate/copy only", [snapshot = some_values()](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(atom::Snapshot(snapshot));
  });
  bench::add("hydrate/copied", [snapshot = some_values()](benchmark::State& state) {
    use_hydrated(state, [&](atom::AtomStore& store) { store.hydrate(snapshot); });
  });
  bench::add("hydrate/moved", [snapshot = some_values()](benchmark::State& state) {
    use_hydrated(state, [&](atom::AtomStore& store) { store.hydrate(atom::Snapshot(snapshot)); });
  });
  bench::add("hydrate/shared",
             [shared = std::make_shared<const atom::Snapshot>(some_values())](benchmark::State& state) {
               use_hydrated(state, [&](atom::AtomStore& store) { store.hydrate(shared); });
             });
});

}  // namespace

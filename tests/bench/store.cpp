// What does a store cost: an empty one, a large one, an atom that goes early, a snapshot, and to be hydrated?
#include <atom/registry.hpp>
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

void use_many(benchmark::State& state, std::size_t count) {
  const auto templates = bench::some_templates(count, 10'000);
  for (auto _ : state) {
    atom::AtomStore store;
    for (const auto* number : templates) benchmark::DoNotOptimize(&store.use(*number));
  }
  bench::operations(state, templates.size());
}

void use_many_in_map(benchmark::State& state, std::size_t count) {
  std::vector<std::string> keys;
  for (const auto* number : bench::some_templates(count, 10'000)) keys.emplace_back(number->key());
  for (auto _ : state) {
    bench::AnyStore store;
    for (const std::string& key : keys) benchmark::DoNotOptimize(&store.use(key, 1));
  }
  bench::operations(state, keys.size());
}

/// The last of so many templates in the process: `body(store, number)` uses it.
template <class Body>
void among_templates(benchmark::State& state, std::size_t count, Body body) {
  const atom::Atom<int>& number = *bench::templates(count)[count - 1];
  atom::AtomStore store;
  store.use(number);
  for (auto _ : state) body(store, bench::hidden(number));
}
void add_among_templates(std::size_t count) {
  using Number = const atom::Atom<int>;
  const std::string prefix = "templates/" + std::to_string(count) + "/";
  const auto add = [&](const std::string& name, auto body) {
    bench::add(prefix + name, [=](benchmark::State& state) { among_templates(state, count, body); });
  };
  add("use", [](atom::AtomStore& store, Number& number) { benchmark::DoNotOptimize(&store.use(number)); });
  add("store", [](atom::AtomStore&, Number& number) {
    atom::AtomStore another;
    benchmark::DoNotOptimize(&another.use(number));
  });
  add("find", [](atom::AtomStore&, Number& number) { benchmark::DoNotOptimize(atom::find(number.key())); });
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

  for (const std::size_t count : {1u, 3u, 10u, 100u, 1000u, 10'000u}) {
    const std::string name = std::to_string(count);
    bench::add("store/" + name + "/atom", [=](benchmark::State& state) { use_many(state, count); });
    bench::add("store/" + name + "/map", [=](benchmark::State& state) { use_many_in_map(state, count); });
    bench::add("snapshot/" + name + "/atom", [=](benchmark::State& state) { take_snapshot(state, count); });
    bench::add("snapshot/" + name + "/map", [=](benchmark::State& state) { take_snapshot_of_map(state, count); });
  }
  for (const std::size_t count : {1u, 10u, 100u, 1000u, 10'000u}) add_among_templates(count);
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

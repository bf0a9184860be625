// What does a write cost, with and without listeners? All contenders compare, keep the value before, and call the same
// listeners.
#include <atom/store.hpp>

#include <cstdint>
#include <string>

#include "bench/bench.hpp"
#include "bench/contenders.hpp"

namespace {

using bench::Observed;

const atom::Atom<int> number_atom{"bench.updated", 0};

/// Adds `count` listeners with `connect`, and writes another number each time with `update`.
template <class Connect, class Update>
void write(benchmark::State& state, int count, Connect connect, Update update) {
  std::uint64_t heard = 0;
  for (int i = 0; i < count; ++i) {
    connect([&heard](const int& now, const int& old) { heard += static_cast<std::uint64_t>(now - old); });
  }
  int number = 0;
  for (auto _ : state) {
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(update(++number));
  }
  if (heard != static_cast<std::uint64_t>(number) * static_cast<std::uint64_t>(count)) {
    state.SkipWithError("a listener missed an update");
  }
}

template <class Signal>
void write_observed(benchmark::State& state, int count) {
  Observed<int, Signal> place;
  auto& observed = bench::hidden(place);
  write(
      state, count, [&](auto listener) { observed.changed.connect(listener); },
      [&](int next) { return observed.update(next); });
}

void write_atom(benchmark::State& state, int count) {
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  write(
      state, count, [&](auto listener) { number.on_change(listener); }, [&](int next) { return number.update(next); });
}

void mutate_atom(benchmark::State& state) {
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  write(
      state, 0, [](auto) {},
      [&](int next) {
        number.mutate([&](int& value) { value = next; });
        return true;
      });
}

void write_atom_in_batch(benchmark::State& state) {
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  write(
      state, 1, [&](auto listener) { number.on_change(listener); },
      [&](int next) { return store.batch([&] { return number.update(next); }); });
}

void write_atom_new_only(benchmark::State& state) {
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  write(
      state, 1, [&](auto listener) { number.on_change([listener](const int& now) { listener(now, now - 1); }); },
      [&](int next) { return number.update(next); });
}

const bench::Registration all([] {
  for (const int count : {0, 1, 10, 100, 1000, 10'000}) {
    const std::string prefix = "update/" + std::to_string(count) + "/";
    bench::add(prefix + "atom", [=](benchmark::State& state) { write_atom(state, count); });
    bench::add(prefix + "function",
               [=](benchmark::State& state) { write_observed<bench::Functions<int>>(state, count); });
    bench::add(prefix + "signals2",
               [=](benchmark::State& state) { write_observed<bench::Signals2<int>>(state, count); });
    bench::add(prefix + "sigc", [=](benchmark::State& state) { write_observed<bench::Sigc<int>>(state, count); });
  }
  bench::add("update/0/atom, mutate", &mutate_atom);
  bench::add("update/1/atom, batch", &write_atom_in_batch);
  bench::add("update/1/atom, new only", &write_atom_new_only);
});

}  // namespace

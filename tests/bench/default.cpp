// Does a large default cost more than a small one, as long as nobody writes to it?
#include <atom/store.hpp>

#include <vector>

#include "bench/bench.hpp"

namespace {

const atom::Atom<int> small_atom{"bench.small", 7};
const atom::Atom<std::vector<int>> large_atom{"bench.large", std::vector<int>(10'000, 7)};

const bench::Registration all([] {
  bench::add("default/int", [](benchmark::State& state) {
    for (auto _ : state) {
      atom::AtomStore store;
      benchmark::DoNotOptimize(store.use(small_atom).value());
    }
  });
  bench::add("default/vector", [](benchmark::State& state) {
    for (auto _ : state) {
      atom::AtomStore store;
      benchmark::DoNotOptimize(store.use(large_atom).value().back());
    }
  });
});

}  // namespace

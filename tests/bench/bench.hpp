// How the files of this folder add their benchmarks: in the constructor of a `const bench::Registration`.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocations.hpp"

namespace bench {

/// Runs `add_all` before `main`.
struct Registration {
  template <class AddAll>
  explicit Registration(AddAll add_all) {
    add_all();
  }
};

/// `body(state)` loops over the state.
template <class Body>
benchmark::internal::Benchmark* add(const std::string& name, Body body) {
  return benchmark::RegisterBenchmark(name.c_str(), body);
}

/// Runs a benchmark in so many threads, and for so long that they do run at once. What they do must not sleep: the
/// processor time counts, so that it makes no difference what else the machine does.
inline void in_threads(benchmark::internal::Benchmark* benchmark, int threads) {
  benchmark->Threads(threads)->MinTime(0.02 * threads);
}

/// One iteration of the loop over `state` is that many operations.
inline void operations(benchmark::State& state, std::size_t count) {
  state.counters["operations"] = static_cast<double>(count);
}

/// The same object, but the compiler no longer knows which: what it is told to do, it does.
template <class T>
T& hidden(T& object) {
  T* pointer = &object;
  benchmark::DoNotOptimize(pointer);
  return *pointer;
}

/// What the program does as another process: `atom_bench --child NAME ARGUMENT`.
struct Child {
  std::string name;
  void (*run)(const std::string& argument);
};

/// Those that were added with `add_child`.
inline std::vector<Child>& children() {
  static std::vector<Child> all;
  return all;
}
inline void add_child(const std::string& name, void (*run)(const std::string& argument)) {
  children().push_back({name, run});
}

/// A piece of work that returns what came of it, so that contenders can be compared.
struct Call {
  std::string name;
  std::uint64_t (*run)();
};

/// Those that were added with `add_call`: the program can repeat each on its own.
inline std::vector<Call>& calls() {
  static std::vector<Call> all;
  return all;
}

/// Adds a benchmark of `run()`, which also counts its allocations.
inline void add_call(const std::string& name, std::uint64_t (*run)()) {
  calls().push_back({name, run});
  add(name, [run](benchmark::State& state) {
    run();  // what is only made once
    const support::Allocations allocations;
    run();
    state.counters["allocations"] = static_cast<double>(allocations.count());
    for (auto _ : state) benchmark::DoNotOptimize(run());
  });
}

}  // namespace bench

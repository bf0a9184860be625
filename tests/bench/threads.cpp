// Do stores on two threads disturb each other? The same with a struct, which shares nothing, shows what the machine
// does.
#include "bench/bench.hpp"
#include "bench/request.hpp"

namespace {

template <auto request>
void on_each_thread(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(request());
}

const bench::Registration all([] {
  for (const int threads : {1, 2, 4, 8}) {
    const std::string prefix = "threads/" + std::to_string(threads) + "/";
    bench::in_threads(bench::add(prefix + "atom", &on_each_thread<&bench::request_with_atoms>), threads);
    bench::in_threads(bench::add(prefix + "struct", &on_each_thread<&bench::request_with_struct>), threads);
  }
});

}  // namespace

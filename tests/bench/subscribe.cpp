// What does it cost to come and go as a listener?
#include <atom/store.hpp>

#include <cstdint>

#include "bench/bench.hpp"
#include "bench/contenders.hpp"

namespace {

const atom::Atom<int> number_atom{"bench.subscribed", 0};

struct Adder {
  std::uint64_t* sum;
  void operator()(const int& now, const int&) const { *sum += static_cast<std::uint64_t>(now); }
};

template <class Signal>
void come_and_go(benchmark::State& state) {
  std::uint64_t sum = 0;
  Signal place;
  auto& signal = bench::hidden(place);
  for (int i = 0; i < 3; ++i) signal.connect(Adder{&sum});
  for (auto _ : state) {
    auto handle = signal.connect(Adder{&sum});
    benchmark::ClobberMemory();
    signal.disconnect(handle);
  }
}

void come_and_go_at_atom(benchmark::State& state) {
  std::uint64_t sum = 0;
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  for (int i = 0; i < 3; ++i) number.on_change(Adder{&sum});
  for (auto _ : state) {
    atom::Subscription subscription = number.on_change(Adder{&sum});
    benchmark::ClobberMemory();
    subscription.unsubscribe();
  }
}

const bench::Registration all([] {
  bench::add("subscribe/atom", &come_and_go_at_atom);
  bench::add("subscribe/function", &come_and_go<bench::Functions<int>>);
  bench::add("subscribe/signals2", &come_and_go<bench::Signals2<int>>);
  bench::add("subscribe/sigc", &come_and_go<bench::Sigc<int>>);
});

}  // namespace

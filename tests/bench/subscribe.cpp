// What does it cost to come and go as a listener?
#include <atom/store.hpp>

#include <cstdint>
#include <string>

#include "bench/bench.hpp"
#include "bench/contenders.hpp"

namespace {

const atom::Atom<int> number_atom{"bench.subscribed", 0};

struct Adder {
  std::uint64_t* sum;
  void operator()(const int& now, const int&) const { *sum += static_cast<std::uint64_t>(now); }
};

template <class Signal>
void come_and_go(benchmark::State& state, int beside) {
  std::uint64_t sum = 0;
  Signal place;
  auto& signal = bench::hidden(place);
  for (int i = 0; i < beside; ++i) signal.connect(Adder{&sum});
  for (auto _ : state) {
    auto handle = signal.connect(Adder{&sum});
    benchmark::ClobberMemory();
    signal.disconnect(handle);
  }
}

void come_and_go_at_atom(benchmark::State& state, int beside) {
  std::uint64_t sum = 0;
  atom::AtomStore store;
  auto& number = bench::hidden(store.use(number_atom));
  for (int i = 0; i < beside; ++i) number.on_change(Adder{&sum});
  for (auto _ : state) {
    atom::Subscription subscription = number.on_change(Adder{&sum});
    benchmark::ClobberMemory();
    subscription.unsubscribe();
  }
}

const bench::Registration all([] {
  for (const int beside : {1, 3, 10, 100, 1000, 10'000}) {
    const auto add = [&](const std::string& name, auto* come_and_go) {
      bench::add("subscribe/" + std::to_string(beside) + "/" + name,
                 [=](benchmark::State& state) { come_and_go(state, beside); });
    };
    add("atom", &come_and_go_at_atom);
    add("function", &come_and_go<bench::Functions<int>>);
    add("signals2", &come_and_go<bench::Signals2<int>>);
    add("sigc", &come_and_go<bench::Sigc<int>>);
  }
});

}  // namespace

// What does a derived value cost, and a batch or a transaction around a write? By hand it is a struct of numbers with
// flags that say which are out of date, and functions that call each other.
#include <atom/derived.hpp>
#include <atom/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace {

/// A number, and what is computed from it: each level has `width` nodes that add up the level above.
struct Shape {
  std::string name;
  std::size_t levels;
  std::size_t width;
  std::size_t nodes() const { return levels * width + (width > 1 ? 1 : 0); }
};
const Shape one{"one", 1, 1};
const Shape chain{"chain", 10, 1};
const Shape diamond{"diamond", 1, 99};  // and one node that reads them all

/// The templates of a shape, the last of which is computed from all others.
struct Templates {
  const Shape& shape;
  const atom::Atom<int> root{"bench.derived." + shape.name, 0};
  std::vector<std::unique_ptr<const atom::Derived<int>>> nodes{};

  explicit Templates(const Shape& s) : shape(s) {
    for (std::size_t i = 0; i < shape.nodes(); ++i) {
      nodes.push_back(std::make_unique<const atom::Derived<int>>(
          "bench.derived." + shape.name + "." + std::to_string(i), [this, i](const atom::Getter& get) {
            if (shape.width > 1 && i == shape.width) {
              int sum = 0;
              for (std::size_t n = 0; n < shape.width; ++n) sum += get(*nodes[n]);
              return sum;
            }
            return (shape.width > 1 || i == 0 ? get(root) : get(*nodes[i - 1])) + static_cast<int>(i);
          }));
    }
  }
};
Templates& templates(const Shape& shape) {
  static Templates of_one{one};
  static Templates of_chain{chain};
  static Templates of_diamond{diamond};
  return &shape == &one ? of_one : &shape == &chain ? of_chain : of_diamond;
}

/// The same by hand.
class ByHand {
 public:
  explicit ByHand(const Shape& shape) : shape_(shape), values_(shape.nodes()), dirty_(shape.nodes(), 1) {}
  void write(int next) {
    if (root_ == next) return;
    root_ = next;
    for (char& flag : dirty_) flag = 1;
  }
  int read() { return node(values_.size() - 1); }

 private:
  int node(std::size_t i) {
    if (!dirty_[i]) return values_[i];
    int sum = 0;
    if (shape_.width > 1 && i == shape_.width) {
      for (std::size_t n = 0; n < shape_.width; ++n) sum += node(n);
    } else {
      sum = (shape_.width > 1 || i == 0 ? root_ : node(i - 1)) + static_cast<int>(i);
    }
    dirty_[i] = 0;
    return values_[i] = sum;
  }
  const Shape& shape_;
  int root_ = 0;
  std::vector<int> values_;
  std::vector<char> dirty_;
};

/// Counts the allocations of `body`, then measures it.
template <class Body>
void measure(benchmark::State& state, std::size_t count, Body body) {
  for (int i = 0; i < 3; ++i) body();
  const support::Allocations allocations;
  body();
  state.counters["allocations"] = static_cast<double>(allocations.count());
  for (auto _ : state) {
    benchmark::ClobberMemory();
    body();
  }
  bench::operations(state, count);
}

void read_atom(benchmark::State& state) {
  Templates& all = templates(one);
  atom::AtomStore store;
  auto& last = bench::hidden(store.use(*all.nodes.back()));
  measure(state, 1, [&] { benchmark::DoNotOptimize(last.value()); });
}
void read_by_hand(benchmark::State& state) {
  ByHand object(one);
  auto& last = bench::hidden(object);
  measure(state, 1, [&] { benchmark::DoNotOptimize(last.read()); });
}
void write_atom(benchmark::State& state, const Shape& shape, bool observed) {
  Templates& all = templates(shape);
  atom::AtomStore store;
  auto& root = bench::hidden(store.use(all.root));
  auto& last = bench::hidden(store.use(*all.nodes.back()));
  int heard = 0;
  if (observed) last.on_change([&](const int& now) { heard = now; });
  int number = 0;
  measure(state, shape.nodes(), [&] {
    root.update(++number);
    benchmark::DoNotOptimize(observed ? heard : last.value());
  });
}
void write_by_hand(benchmark::State& state, const Shape& shape) {
  ByHand object(shape);
  auto& place = bench::hidden(object);
  int number = 0;
  measure(state, shape.nodes(), [&] {
    place.write(++number);
    benchmark::DoNotOptimize(place.read());
  });
}

const std::vector<std::unique_ptr<const atom::Atom<int>>>& ten() {
  static const auto atoms = [] {
    std::vector<std::unique_ptr<const atom::Atom<int>>> made;
    for (int i = 0; i < 10; ++i) {
      made.push_back(std::make_unique<const atom::Atom<int>>("bench.together." + std::to_string(i), i));
    }
    return made;
  }();
  return atoms;
}
/// Writes `count` atoms in one batch or transaction.
template <class Together>
void write_together(benchmark::State& state, std::size_t count, Together together) {
  atom::AtomStore store;
  std::vector<atom::Atom<int>*> atoms;
  std::uint64_t heard = 0;
  for (std::size_t i = 0; i < count; ++i) {
    atoms.push_back(&store.use(*ten()[i]));
    atoms.back()->on_change([&heard] { ++heard; });
  }
  int number = 0;
  measure(state, 1, [&] {
    ++number;
    together(bench::hidden(store), [&] {
      for (atom::Atom<int>* atom : atoms) atom->update(number);
    });
  });
  benchmark::DoNotOptimize(heard);
}

const bench::Registration all([] {
  bench::add("derived/read/atom", &read_atom);
  bench::add("derived/read/hand", &read_by_hand);
  for (const Shape* const shape : {&one, &chain, &diamond}) {
    const std::string prefix = "derived/" + shape->name + "/";
    bench::add(prefix + "atom", [=](benchmark::State& state) { write_atom(state, *shape, false); });
    bench::add(prefix + "atom, observed", [=](benchmark::State& state) { write_atom(state, *shape, true); });
    bench::add(prefix + "hand", [=](benchmark::State& state) { write_by_hand(state, *shape); });
  }
  for (const std::size_t count : {1u, 10u}) {
    const std::string prefix = "together/" + std::to_string(count) + "/";
    bench::add(prefix + "batch", [=](benchmark::State& state) {
      write_together(state, count, [](atom::AtomStore& store, auto fn) { store.batch(fn); });
    });
    bench::add(prefix + "transaction", [=](benchmark::State& state) {
      write_together(state, count, [](atom::AtomStore& store, auto fn) { store.transaction(fn); });
    });
  }
});

}  // namespace

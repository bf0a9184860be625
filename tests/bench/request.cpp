// What does a whole request cost?
#include "bench/request.hpp"

#include <atom/json.hpp>

#include <fmt/format.h>

#include <functional>
#include <string>

#include "bench/bench.hpp"
#include "bench/node.hpp"

namespace {

using bench::AnyStore;

const atom::Atom<int> first_atom{"bench.first", 1};
const atom::Atom<int> second_atom{"bench.second", 2};
const atom::Atom<int> third_atom{"bench.third", 3};

std::uint64_t numbers_with_atoms() {
  std::uint64_t heard = 0;
  atom::AtomStore store;
  auto& first = store.use(first_atom);
  auto& second = store.use(second_atom);
  store.use(third_atom);
  first.on_change([&heard](const int& now, const int& old) { heard += static_cast<std::uint64_t>(now + old); });
  benchmark::DoNotOptimize(store);
  first.update(36);
  second.update(5);
  const atom::Snapshot snapshot = store.snapshot();
  benchmark::DoNotOptimize(snapshot);
  return heard;
}

struct Numbers {
  struct Values {
    int first = 1;
    int second = 2;
    int third = 3;
  };
  Values values;
  std::vector<std::function<void(const int& now, const int& old)>> first_changed;

  bool set_first(int next) {
    if (next == values.first) return false;
    const int old = std::exchange(values.first, next);
    for (const auto& function : first_changed) function(values.first, old);
    return true;
  }
  bool set_second(int next) { return std::exchange(values.second, next) != next; }
};

std::uint64_t numbers_with_struct() {
  std::uint64_t heard = 0;
  Numbers numbers;
  numbers.first_changed.emplace_back(
      [&heard](const int& now, const int& old) { heard += static_cast<std::uint64_t>(now + old); });
  benchmark::DoNotOptimize(numbers);
  numbers.set_first(36);
  numbers.set_second(5);
  const Numbers::Values snapshot = numbers.values;
  benchmark::DoNotOptimize(snapshot);
  return heard;
}

std::uint64_t numbers_with_map() {
  static const std::string first_key = "bench.first", second_key = "bench.second", third_key = "bench.third";
  std::uint64_t heard = 0;
  AnyStore store;
  auto& first = store.use(first_key, 1);
  auto& second = store.use(second_key, 2);
  store.use(third_key, 3);
  first.changed.connect([&heard](const std::any& now, const std::any& old) {
    heard += static_cast<std::uint64_t>(std::any_cast<const int&>(now) + std::any_cast<const int&>(old));
  });
  benchmark::DoNotOptimize(store);
  AnyStore::update(first, 36);
  AnyStore::update(second, 5);
  const AnyStore::Values snapshot = store.snapshot();
  benchmark::DoNotOptimize(snapshot);
  return heard;
}

/// What is heard in a request, and its snapshot, as JSON: in JavaScript the same must come of it.
std::string outcome() {
  std::string snapshot;
  const std::uint64_t heard = bench::serve_request([&](const atom::Snapshot& its) { snapshot = atom::to_json(its); });
  return fmt::format(R"({{"heard":{},"snapshot":{}}})", heard, snapshot);
}

const bench::Registration all([] {
  bench::add_call("request/mixed/atom", &bench::request_with_atoms);
  bench::add_call("request/mixed/struct", &bench::request_with_struct);
  bench::add_call("request/mixed/map", &bench::request_with_map);
  for (const std::string peer : {"copies", "structuredClone", "effector", "jotai", "nanostores"}) {
    bench::add_in_node("request/mixed/" + peer, peer, &outcome);
  }
  bench::add_call("request/numbers/atom", &numbers_with_atoms);
  bench::add_call("request/numbers/struct", &numbers_with_struct);
  bench::add_call("request/numbers/map", &numbers_with_map);
});

}  // namespace

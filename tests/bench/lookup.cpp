// What does it cost to get at an atom that a store has, and to read it? Everything is looked up in a random order; the
// member that is read instead is reached through a pointer, as the template is.
#include <atom/store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench.hpp"
#include "bench/contenders.hpp"
#include "bench/templates.hpp"

namespace {

using Order = std::array<std::uint32_t, 1024>;

Order random_order(std::size_t count) {
  std::mt19937 random(1);
  Order order;
  for (std::uint32_t& place : order) place = static_cast<std::uint32_t>(random() % count);
  return order;
}

/// Calls `look_up(i)` for i in a random order, below `count`.
template <class LookUp>
void in_random_order(benchmark::State& state, std::size_t count, LookUp look_up) {
  const Order order = random_order(count);
  for (auto _ : state) {
    for (const std::uint32_t place : order) benchmark::DoNotOptimize(look_up(place));
  }
  bench::operations(state, order.size());
}

struct Filled {
  Filled(std::size_t count, std::size_t among) : templates(bench::some_templates(count, among)) {
    for (const auto* number : templates) {
      clones.push_back(&store.use(*number));
      keys.emplace_back(number->key());
    }
  }
  std::vector<const atom::Atom<int>*> templates;
  std::vector<atom::Atom<int>*> clones;
  std::vector<std::string> keys;
  atom::AtomStore store;
};

void add(const std::string& group, std::size_t count, std::size_t among) {
  const std::string prefix = "lookup/" + group + "/" + std::to_string(count) + "/";
  bench::add(prefix + "member", [=](benchmark::State& state) {
    struct Members {
      int number[10'000];
    };
    const auto members = std::make_unique<Members>();
    std::vector<const int*> pointers;
    for (std::size_t i = 0; i < count; ++i) pointers.push_back(&members->number[i]);
    in_random_order(state, count, [&](std::size_t i) { return *pointers[i]; });
  });
  bench::add(prefix + "use", [=](benchmark::State& state) {
    Filled filled(count, among);
    in_random_order(state, count, [&](std::size_t i) { return &filled.store.use(*filled.templates[i]); });
  });
  bench::add(prefix + "value", [=](benchmark::State& state) {
    const Filled filled(count, among);
    in_random_order(state, count, [&](std::size_t i) { return filled.clones[i]->value(); });
  });
  bench::add(prefix + "get", [=](benchmark::State& state) {
    Filled filled(count, among);
    in_random_order(state, count, [&](std::size_t i) { return filled.store.get(*filled.templates[i]); });
  });
  bench::add(prefix + "key", [=](benchmark::State& state) {
    Filled filled(count, among);
    in_random_order(state, count, [&](std::size_t i) { return filled.store.get(std::string_view(filled.keys[i])); });
  });
  bench::add(prefix + "map", [=](benchmark::State& state) {
    const Filled filled(count, among);
    bench::TextMap<int> map;
    for (const std::string& key : filled.keys) map.emplace(key, 0);
    in_random_order(state, count, [&](std::size_t i) { return &*map.find(std::string_view(filled.keys[i])); });
  });
}

const bench::Registration all([] {
  add("few", 3, 3);
  add("few", 10, 10);
  for (const std::size_t count : {1u, 3u, 10u, 100u, 1000u, 10'000u}) add("many", count, 10'000);
});

}  // namespace

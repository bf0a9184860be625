#include <atom/detail/sorted_runs.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sorted_runs_test {
namespace {

using Runs = atom::detail::SortedRuns<int>;

std::vector<int> values(const Runs& runs, std::string_view key) {
  std::vector<int> all;
  runs.each(key, [&](int value) { all.push_back(value); });
  std::sort(all.begin(), all.end());
  return all;
}

TEST_CASE("a key leads to each of its values, whatever came and went before") {
  Runs runs(*std::pmr::new_delete_resource());
  std::multimap<std::string, int> model;
  std::map<std::string, std::unique_ptr<std::string>> keys;  // those of the model, elsewhere
  std::mt19937 random(20261127);
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = std::to_string(random() % 300);
    const bool grows = step % 4000 < 2000;  // and shrinks, by turns
    if (random() % 3 == 0 ? !grows : grows) {
      std::unique_ptr<std::string>& key = keys[name];
      if (!key) key = std::make_unique<std::string>(name);
      runs.reserve_one();
      runs.add(*key, step);
      model.emplace(name, step);
    } else {
      const int odd = static_cast<int>(random() % 2);
      runs.erase(name, [&](int value) { return value % 2 == odd; });
      std::erase_if(model, [&](const auto& entry) { return entry.first == name && entry.second % 2 == odd; });
      if (!model.contains(name)) keys.erase(name);
    }
    std::vector<int> wanted;
    for (auto [i, end] = model.equal_range(name); i != end; ++i) wanted.push_back(i->second);
    std::sort(wanted.begin(), wanted.end());
    REQUIRE(values(runs, name) == wanted);
  }
  CHECK(values(runs, "none") == std::vector<int>{});
}

TEST_CASE("a value is added without memory once there is room for it") {
  std::byte memory[4096];
  std::pmr::monotonic_buffer_resource room(memory, sizeof memory, std::pmr::null_memory_resource());
  Runs runs(room);
  const std::string keys = "abcdefghijklmnopqrstuvwxyz";
  for (std::size_t i = 0; i < 16; ++i) {
    runs.reserve_one();
    runs.add(std::string_view(keys).substr(25 - i, 1), static_cast<int>(i));
  }
  CHECK(values(runs, "z") == std::vector<int>{0});
  CHECK(values(runs, "k") == std::vector<int>{15});
  CHECK(values(runs, "a").empty());
}

}  // namespace
}  // namespace sorted_runs_test

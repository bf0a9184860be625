// The states that a store knows: none is found that is not there, and none stays that nobody needs.
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/table.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace state_table_test {
namespace {

using atom::Scope;
using atom::StateError;
using atom::detail::NodeReference;
using atom::detail::OwnedNode;
using atom::detail::PointerTable;
using atom::detail::StateCore;
using atom::detail::StateNode;
using atom::detail::StateTable;

// ---- The hash table

struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) Number {
  std::uint32_t value;
};
struct HashOfNumber {
  static std::uint32_t of(std::uint32_t value) noexcept { return value / 4 * 0x9E3779B1u; }  // some collide
  std::uint32_t operator()(const Number& number) const noexcept { return of(number.value); }
};
using Numbers = PointerTable<Number, HashOfNumber>;

Number* find(const Numbers& table, std::uint32_t value) {
  return table.find(HashOfNumber::of(value), [&](const Number& number) { return number.value == value; });
}

TEST_CASE("a pointer table finds what is in it and nothing else, whatever came and went") {
  std::vector<Number> numbers;
  for (std::uint32_t value = 0; value < 200; ++value) numbers.push_back({value});
  Numbers table;
  std::vector<bool> in_it(numbers.size());
  CHECK_FALSE(find(table, 0));
  std::mt19937 random(1);
  std::size_t count = 0;
  bool right = true;
  for (int step = 0; step < 4000; ++step) {
    // Now few, now many.
    const std::size_t i = random() % (step / 200 % 2 ? 20 : numbers.size());
    if (in_it[i]) {
      table.erase(numbers[i]);
      --count;
    } else {
      table.reserve_one();
      table.insert(numbers[i]);
      ++count;
    }
    in_it[i] = !in_it[i];
    for (std::uint32_t n = 0; n < numbers.size(); ++n) {
      right = right && find(table, n) == (in_it[n] ? &numbers[n] : nullptr);
    }
    right = right && table.size() == count;
  }
  CHECK(right);
  std::size_t taken = 0, walked = 0;
  std::uint32_t step = 0;
  table.for_each([&](const Number& number) { taken += in_it[number.value]; });
  CHECK(taken == count);
  for (std::size_t i = 0; i < table.places(); ++i) walked += table.next(step) != nullptr;
  CHECK(walked == count);
}

TEST_CASE("a pointer table with room for one more needs no memory for it") {
  std::vector<Number> numbers(1000);
  Numbers table;
  for (Number& number : numbers) {
    number.value = static_cast<std::uint32_t>(&number - numbers.data());
    table.reserve_one();
    const support::Allocations allocations;
    table.insert(number);
    REQUIRE(allocations.count() == 0);
    REQUIRE(table.places() > table.size());
  }
}

// ---- The states

/// Whose time, if it has one, is over when it is written.
OwnedNode make(std::string_view key, std::int64_t value = 0, bool timed = false, std::vector<std::string> labels = {}) {
  OwnedNode node(StateNode::make(key, atom::detail::type_ops<std::int64_t>, &value));
  if (timed) {
    node->add(StateNode::timed);
    atom::detail::extras_of(*node).time_to_live = -1;
  }
  if (!labels.empty()) {
    node->add(StateNode::labelled);
    atom::detail::extras_of(*node).labels = std::move(labels);
  }
  return node;
}
NodeReference obtain(StateCore& core, const Scope& scope, std::string_view key, bool timed = false,
                     const std::vector<std::string>& labels = {}) {
  return core.table.obtain(scope, key, [&] { return make(key, 0, timed, labels); });
}
void write(StateCore& core, const NodeReference& node) {
  core.write(*node, std::make_shared<const std::int64_t>(1), std::nullopt);
}
/// Leaves a state behind whose time is over, as if nobody had looked since.
void leave(StateCore& core, const Scope& scope, std::string_view key, std::int64_t version = 1) {
  StateNode* node = nullptr;
  {
    const NodeReference held = obtain(core, scope, key, true);
    atom::detail::extras_of(*held).time_to_live = 3'600'000;
    core.accept(*held, std::make_shared<const std::int64_t>(1), version);
    node = &*held;
  }
  atom::detail::extras_of(*node).ends = 1;
}
std::size_t scopes(StateCore& core) {
  return core.table.scopes([](const Scope&) { return true; }).size();
}

TEST_CASE("a state is in the table as long as it has a value or somebody holds it") {
  StateCore core({});
  {
    const NodeReference node = obtain(core, Scope{"s"}, "a");
    CHECK(&*core.table.find(Scope{"s"}, "a") == &*node);
    CHECK(&*obtain(core, Scope{"s"}, "a") == &*node);
    CHECK_FALSE(core.table.find(Scope{"s"}, "b"));
    CHECK_FALSE(core.table.find(Scope{"t"}, "a"));
  }
  CHECK(scopes(core) == 0);
  write(core, obtain(core, Scope{"s"}, "a"));
  CHECK(core.table.nodes(Scope{"s"}).size() == 1);
  core.write(*core.table.find(Scope{"s"}, "a"), nullptr, std::nullopt);
  CHECK(scopes(core) == 0);
  CHECK(core.table.nodes(Scope{"s"}).empty());
}

TEST_CASE("a state whose time is over goes with its last handle") {
  StateCore core({});
  write(core, obtain(core, Scope{"s"}, "a", true));
  CHECK(scopes(core) == 0);
}

TEST_CASE("states whose time is over do not pile up, though nobody looks at them") {
  StateCore core({});
  for (int i = 0; i < 5000; ++i) {
    leave(core, Scope::client(std::to_string(i)), "a");
    leave(core, Scope{"s"}, std::to_string(i));
  }
  CHECK(scopes(core) < 500);
  CHECK(core.table.nodes(Scope{"s"}).size() < 500);
}

TEST_CASE("a state whose time is over is not swept out while somebody holds it") {
  StateCore core({});
  const NodeReference held = obtain(core, Scope{"s"}, "held", true);
  write(core, held);
  REQUIRE(StateTable::has_ended(*held));
  for (int i = 0; i < 100; ++i) write(core, obtain(core, Scope{"s"}, std::to_string(i)));
  CHECK(&*core.table.find(Scope{"s"}, "held") == &*held);
}

TEST_CASE("a new state in a large scope looks at a few others only") {
  StateCore core({});
  // All of these would have been looked at for each new one: 100 times more than this takes.
  for (int i = 0; i < 50'000; ++i) write(core, obtain(core, Scope{"s"}, std::to_string(i)));
  CHECK(core.table.nodes(Scope{"s"}).size() == 50'000);
}

TEST_CASE("where a scope is full of states whose time is over, one makes room") {
  StateCore core({.states_per_scope = 1});
  for (const char* key : {"a", "b", "c"}) leave(core, Scope{"s"}, key);
  CHECK(core.table.nodes(Scope{"s"}).size() == 1);
  const NodeReference node = obtain(core, Scope{"s"}, "d");
  CHECK_THROWS_AS(obtain(core, Scope{"s"}, "e"), StateError);
}

TEST_CASE("a version does not come again when the time of a state was over and nobody looked") {
  constexpr std::int64_t far_ahead = std::int64_t{1} << 60;  // of the clock, as after very many writes
  StateCore core({});
  const auto version_of_next = [&] {
    const NodeReference node = obtain(core, Scope{"s"}, "a");
    return core.write(*node, std::make_shared<const std::int64_t>(2), std::nullopt).value_or(0);
  };
  SECTION("it went with its last handle") {
    core.accept(*obtain(core, Scope{"s"}, "a", true), std::make_shared<const std::int64_t>(1), far_ahead);
    CHECK(version_of_next() > far_ahead);
  }
  SECTION("it was swept out") {
    leave(core, Scope{"s"}, "a", far_ahead);
    for (int i = 0; i < 100; ++i) obtain(core, Scope{"s"}, "b");
    CHECK(version_of_next() > far_ahead);
  }
}

TEST_CASE("a state that cannot be entered for lack of memory leaves nothing behind") {
  const std::vector<std::string> labels = {"one", "two", "a label that is too long to lie in the string itself"};
  StateCore core({});
  write(core, obtain(core, Scope{"s"}, "there", false, {"two"}));
  std::size_t failures = 0;
  for (std::size_t n = 1;; ++n) {
    try {
      const support::FailingAllocation fails(n);
      const NodeReference node = obtain(core, Scope{"a.scope.that.is.too.long.for.the.string"}, "key", false, labels);
      break;
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    CHECK(scopes(core) == 1);
    CHECK(core.table.labelled(labels).size() == 1);
  }
  CHECK(failures > 5);
  CHECK(scopes(core) == 1);
  CHECK(core.table.labelled(labels).size() == 1);
}

// ---- The end of the table

TEST_CASE("a state that is held when the store goes is closed, and stays with whoever holds it") {
  NodeReference node;
  {
    StateCore core({});
    node = obtain(core, Scope{"s"}, "held", false, {"label"});
    write(core, node);
    write(core, obtain(core, Scope{"s"}, "not held"));
    write(core, obtain(core, Scope{"t"}, "neither"));
  }
  CHECK(node->has(StateNode::closed));
  CHECK(node->key() == "held");
  CHECK(node->version() > 0);
  const NodeReference copy = node;
  node = NodeReference();
  CHECK(copy->key() == "held");
}

}  // namespace
}  // namespace state_table_test

// A handle to a state: what it copies, moves and allocates. What it does is in tests/contract.
#include <atom/state/state.hpp>
#include <atom/state/state_store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace state_test {
namespace {

using atom::Scope;
using atom::State;
using atom::StateStore;
using support::Allocations;

const atom::StateOptions here{.key = "a key that is too long to lie in the string itself", .scope = Scope{"s"}};

static_assert(sizeof(State<int>) == sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<State<std::string>>);
static_assert(std::is_nothrow_move_constructible_v<State<std::string>>);
static_assert(!std::is_default_constructible_v<State<int>>);
static_assert(atom::state_value<std::vector<std::string>>);
static_assert(atom::state_value<std::shared_ptr<const int>>);
static_assert(!atom::state_value<std::unique_ptr<int>>);  // no copies
static_assert(!atom::state_value<std::shared_ptr<int>>);  // copies that share
static_assert(!atom::state_value<std::vector<int*>>);
static_assert(!atom::state_value<const int>);
static_assert(!atom::state_value<int&>);

// ---- Memory

TEST_CASE("a small number is read and written without memory") {
  StateStore states;
  State<std::int64_t> state = states.get_state<std::int64_t>(0, here);
  const Allocations allocations;
  state.set(1);
  CHECK(state.get() == 1);
  CHECK(state.apply(atom::current + 1) == 2);
  CHECK(state.version() > 0);
  CHECK(state.has_value());
  const State<std::int64_t> copy = state;
  CHECK(copy == state);
  CHECK(allocations.count() == 0);
}

TEST_CASE("a number with a time to live is asked for its version without memory") {
  StateStore states;
  State<std::int64_t> state =
      states.get_state<std::int64_t>(0, {.key = "k", .scope = Scope{"s"}, .ttl = std::chrono::hours(1)});
  state.set(1);
  const Allocations allocations;
  CHECK(state.version() > 0);
  CHECK(state.has_value());
  CHECK(allocations.count() == 0);
}

TEST_CASE("a shared value is read without copying it") {
  StateStore states;
  State<std::string> state = states.get_state<std::string>("", here);
  state.set(std::string(1000, 'x'));
  const Allocations allocations;
  const std::shared_ptr<const std::string> value = state.share();
  CHECK(value->size() == 1000);
  CHECK(state.share() == value);
  CHECK(allocations.count() == 0);
  state.set("another");
  CHECK(value->size() == 1000);  // what has been read stays
}

TEST_CASE("what comes and goes leaves nothing behind") {
  StateStore states;
  const auto round = [&](int from) {
    for (int i = from; i < from + 200; ++i) {
      const Scope scope = Scope::client(std::to_string(i));
      State<std::string> state = states.create_state<std::string>(
          std::string(100, 'x'), {.key = "text", .scope = scope, .labels = {"label " + std::to_string(i)}});
      State<std::int64_t> number = states.get_state<std::int64_t>(0, {.key = "number", .scope = scope});
      const auto hears = state.on_change([&] {});
      number.apply(atom::current + 1);
      state.update([](const std::string& text) { return text + "y"; });
      states.get_state<int>(0, {.key = "never written", .scope = scope});
      if (i % 2) {
        states.purge({"label " + std::to_string(i)});
        number.erase();
      } else {
        states.delete_scope(scope);
      }
    }
  };
  round(0);
  const long alive = Allocations::alive();
  round(1000);
  CHECK(Allocations::alive() <= alive + 8);  // tables that are larger
  round(2000);
  round(3000);
  CHECK(Allocations::alive() <= alive + 16);
  CHECK(states.list().empty());
}

TEST_CASE("a store leaves nothing behind, with or without handles that outlive it") {
  const long alive = Allocations::alive();
  {
    std::optional<StateStore> states(std::in_place);
    State<std::string> held = states->create_state<std::string>(std::string(100, 'x'), here);
    states->create_state<std::string>(std::string(100, 'x'), {.key = "k", .scope = Scope{"t"}, .labels = {"label"}});
    auto hears = held.on_change([text = std::string(100, 'x')] {});
    const State<std::string> copy = held;
    states.reset();
    CHECK(copy.key() == here.key);
  }
  CHECK(Allocations::alive() == alive);
}

TEST_CASE("an operation that lacks memory leaves the state as it was") {
  const std::string before(100, 'a');
  const std::string next(100, 'b');
  const bool updates = GENERATE(false, true);
  StateStore states;
  State<std::string> state = states.create_state<std::string>(before, here);
  const auto hears = state.on_change([] {});
  std::size_t failures = 0;
  for (std::size_t n = 1; state.load() == before; ++n) {
    const std::int64_t version = state.version();
    try {
      const support::FailingAllocation fails(n);
      if (updates) {
        state.update([&](const std::string&) { return next; });
      } else {
        state.set(next);
      }
    } catch (const std::bad_alloc&) {
      ++failures;
      CHECK(state.version() == version);
      CHECK(state.load() == before);
    }
  }
  CHECK(failures >= 2);
  CHECK(state.load() == next);
}

// ---- Values

using Number = support::Counted<struct StateNumber>;

TEST_CASE("a value is moved into a state and copied out of it, once each") {
  StateStore states;
  State<Number> state = states.get_state(Number(1), here);
  Number::forget();
  state.set(Number(2));
  CHECK(Number::counts().copies == 0);
  Number::forget();
  CHECK(state.get().value == 2);
  CHECK(Number::counts().copies == 1);
  Number::forget();
  CHECK(state.load().value == 2);
  CHECK(Number::counts().copies == 1);
  Number::forget();
  CHECK(state.share()->value == 2);
  CHECK(Number::counts().copies == 0);
  CHECK(state.set_if(Number(3), state.version()));
  CHECK(Number::counts().copies == 0);
  Number::forget();
  state.update([](const Number& n) { return Number(n.value + 1); });
  CHECK(Number::counts().copies == 1);  // the one that is returned
  CHECK(state.load().value == 4);
}

TEST_CASE("a listener is told the value that was written, not a copy") {
  StateStore states;
  State<Number> state = states.get_state(Number(1), here);
  int value = 0;
  const auto hears = state.on_change([&](const Number& now) { value = now.value; });
  Number::forget();
  state.set(Number(2));
  CHECK(value == 2);
  CHECK(Number::counts().copies == 0);
}

TEST_CASE("no value is left when the store and its handles are gone") {
  const int alive = Number::counts().alive;
  {
    StateStore states;
    State<Number> state = states.get_state(Number(1), here);
    for (int i = 0; i < 10; ++i) state.set(Number(i));
    state.erase();
    state.set(Number(5));
    CHECK(Number::counts().alive == alive + 2);  // with the default
  }
  CHECK(Number::counts().alive == alive);
}

struct Throws {
  bool throws = false;
  explicit Throws(bool t = false) : throws(t) {}
  Throws(const Throws& other) : throws(other.throws) {
    if (throws) throw std::runtime_error("no copy");
  }
  Throws(Throws&&) noexcept = default;
  Throws& operator=(const Throws&) = default;
};

TEST_CASE("a value that cannot be copied is there all the same, for those who do not copy it") {
  StateStore states;
  State<Throws> state = states.get_state(Throws(), here);
  state.set(Throws(true));
  CHECK_THROWS_AS(state.get(), std::runtime_error);
  CHECK_THROWS_AS(state.load(), std::runtime_error);
  CHECK(state.share()->throws);
  state.set(Throws());
  CHECK_FALSE(state.get().throws);
}

TEST_CASE("a default that cannot be copied makes no state") {
  StateStore states;
  CHECK_THROWS_AS(states.get_state(Throws(true), here), std::runtime_error);
  CHECK_FALSE(states.get_state(Throws(), here).get().throws);
}

struct alignas(32) Aligned {
  std::array<int, 16> numbers{};
};

TEST_CASE("an over-aligned value lies where it must") {
  StateStore states;
  State<Aligned> state = states.get_state(Aligned{}, here);
  CHECK(reinterpret_cast<std::uintptr_t>(state.share().get()) % alignof(Aligned) == 0);
  state.set(Aligned{{1, 2}});
  CHECK(reinterpret_cast<std::uintptr_t>(state.share().get()) % alignof(Aligned) == 0);
  CHECK(state.get().numbers[1] == 2);
}

struct Small {
  std::int16_t a = 0;
  char b = 0;
};

TEST_CASE("a small structure without a codec is a value in memory") {
  StateStore states;
  State<Small> state = states.get_state(Small{1, 'x'}, here);
  CHECK(state.get().b == 'x');
  state.set({2, 'y'});
  CHECK(state.get().a == 2);
  CHECK(state.update([](Small s) { return Small{static_cast<std::int16_t>(s.a + 1), s.b}; }).a == 3);
  state.erase();
  CHECK(state.get().a == 1);
}

}  // namespace
}  // namespace state_test

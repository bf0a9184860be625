// Equations: one step, on what the value is then.
#include "contract/contract.hpp"

#include <atom/fields.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace contract_equations {
namespace {

using atom::current;
using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using atom::StateOptions;
using contract::code_thrown_by;
using contract::number;

TEST_CASE("an equation runs on the value, and gives what came of it", "[case80]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  state.set(5);
  CHECK(state.apply(current + 1) == 6);
  CHECK(state.apply(current - 10) == -4);
  CHECK(state.load() == -4);
}

TEST_CASE("an equation begins from the default where there is no value", "[case80][case92]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(10, {.key = "n", .scope = Scope::global()});
  CHECK(state.apply(current + 1) == 11);
  CHECK(state.has_value());
  CHECK(state.version() > 0);
}

TEST_CASE("an equation makes a greater version", "[case80]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(1);
  state.apply(current + 1);
  CHECK(state.version() > version);
}

TEST_CASE("a delta of zero is no error", "[case87]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  CHECK(state.apply(current + 0) == 0);
  CHECK(state.has_value());
  state.set(5);
  CHECK(state.apply(current + 0) == 5);
}

/// What an older version of it has stored is too much for this one.
struct Upset {
  std::int64_t value = 0;
  bool operator==(const Upset&) const = default;
  static constexpr int atom_version = 1;
  static std::optional<Upset> atom_migrate(int, const atom::Value&) { throw std::runtime_error("upset"); }
  static constexpr auto atom_fields() { return atom::describe(atom::field("value", &Upset::value)); }
};

TEST_CASE("an equation on what cannot be read without a throw fails alone, and at once") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  number(*contract::reopen(), "upset").set(1);
  State<Upset> upset = states->get_state<Upset>({}, {.key = "upset", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return upset.apply(atom::at(&Upset::value) + 1); }) == StateErrorCode::undecodable);
  CHECK(number(*states).apply(current + 1) == 1);
  CHECK(states->stats().retries == 0);
  CHECK(number(*contract::reopen(), "upset").load() == 1);
}

TEST_CASE("an overflow is an error and leaves the state as it was", "[case84]") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(most);
  contract::Count heard;
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  const auto hears = state.on_change([&] { ++heard; });
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  const auto failed = state.try_apply(current + 1);
  CHECK(failed.error().code() == StateErrorCode::overflow);
  CHECK_THAT(failed.error().what(), support::ContainsSubstring("\"global:number\""));
  CHECK(heard == 0);
  CHECK(state.load() == most);
  CHECK(state.version() == version);
  CHECK(state.apply(current - 1) == most - 1);
}

TEST_CASE("an overflow where there is no value makes none", "[case84]") {
  const auto states = contract::open();
  State<std::int64_t> state =
      states->get_state<std::int64_t>(std::numeric_limits<std::int64_t>::max(), {.key = "n", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  CHECK_FALSE(state.has_value());
}

TEST_CASE("an error where the value has ended changes nothing, and nobody hears of it", "[case74][case84][case92]") {
  const auto states = contract::open();
  {
    State<std::int64_t> state = states->get_state<std::int64_t>(std::numeric_limits<std::int64_t>::max(),
                                                                {.key = "n", .scope = Scope::global()});
    state.set(1);
    CHECK(state.erase());
    contract::Count heard;
    const auto hears = state.on_change([&] { ++heard; });
    CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
    CHECK(heard == 0);
    CHECK(state.get() == std::numeric_limits<std::int64_t>::max());
    CHECK_FALSE(state.has_value());
  }
  // Who hears of what others write may be looking at it still.
  const StateOptions again{.key = "n", .scope = Scope::global()};
  REQUIRE(contract::eventually([&] { return states->try_get_state<std::string>("text", again).has_value(); }));
  CHECK(states->get_state<std::string>("text", again).get() == "text");
}

TEST_CASE("an equation runs on a small integer within its own bounds", "[case84]") {
  const auto states = contract::open();
  State<std::int8_t> state = states->get_state<std::int8_t>(127, {.key = "n", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  CHECK(state.apply(current - 1) == 126);
}

TEST_CASE("numbers are calculated with, in the order that is written", "[case80][case84]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  CHECK(state.apply(current * 3 + 7) == 7);
  CHECK(state.apply(current * 3 - 1) == 20);
  CHECK(state.apply((current + 1) * 2) == 42);
  CHECK(state.apply(atom::max(current, 50)) == 50);
  CHECK(state.apply(atom::min(current, 49)) == 49);
  CHECK(state.apply(atom::clamp(current - 100, 0, 10)) == 0);
  CHECK(state.apply(5 - current) == 5);
  CHECK(state.apply(-current / 2) == -2);
  CHECK(state.apply(current % 2) == 0);
  CHECK(state.load() == 0);
}

TEST_CASE("only the result must fit, and one that is no number is an error", "[case84]") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  state.set(most);
  CHECK(state.apply(current * 2 - most) == most);
  CHECK(code_thrown_by([&] { return state.apply(current / 0); }) == StateErrorCode::division_by_zero);
  CHECK(code_thrown_by([&] { return state.apply(current * 2); }) == StateErrorCode::overflow);
  CHECK(state.load() == most);
  State<double> real = states->get_state<double>(1e308, {.key = "real", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return real.apply(current * 10); }) == StateErrorCode::not_finite);
  CHECK_FALSE(real.has_value());
  real.set(0.1);
  CHECK(real.apply(current + 0.2) == 0.1 + 0.2);
}

struct Poll {
  std::int64_t up = 0;
  std::int64_t down = 0;
  std::string title;
  std::vector<std::string> voters;
  bool operator==(const Poll&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Poll::up), atom::field("down", &Poll::down),
                          atom::field("title", &Poll::title), atom::field("voters", &Poll::voters));
  }
};

TEST_CASE("fields are changed, one or several in one step", "[case80]") {
  using atom::at;
  const auto states = contract::open();
  State<Poll> poll = states->get_state(Poll{0, 0, "?", {}}, {.key = "poll", .scope = Scope::global()});
  CHECK(poll.apply(at(&Poll::up) + 1) == Poll{1, 0, "?", {}});
  CHECK(poll.apply(at(&Poll::title) = "Tea") == Poll{1, 0, "Tea", {}});
  CHECK(poll.apply(at(&Poll::voters).append("ann")) == Poll{1, 0, "Tea", {"ann"}});
  CHECK(poll.apply(atom::all(at(&Poll::down) + 2, at(&Poll::voters).append("bob"))) ==
        Poll{1, 2, "Tea", {"ann", "bob"}});
  CHECK(poll.load() == Poll{1, 2, "Tea", {"ann", "bob"}});
}

TEST_CASE("where one of several fields cannot be changed, none is", "[case80][case84]") {
  using atom::at;
  const auto states = contract::open();
  State<Poll> poll = states->get_state(Poll{}, {.key = "poll", .scope = Scope::global()});
  const Poll full{std::numeric_limits<std::int64_t>::max(), 1, "", {}};
  const std::int64_t version = poll.set(full);
  CHECK(code_thrown_by([&] { return poll.apply(atom::all(at(&Poll::down) + 1, at(&Poll::up) + 1)); }) ==
        StateErrorCode::overflow);
  CHECK(poll.load() == full);
  CHECK(poll.version() == version);
}

TEST_CASE("a list gets another element, and a listener hears of it", "[case74][case80]") {
  const auto states = contract::open();
  State<std::vector<int>> list = states->get_state<std::vector<int>>({}, {.key = "list", .scope = Scope::client("1")});
  contract::Heard<std::size_t> heard;
  const auto hears = list.on_change([&](const std::vector<int>& now) { heard.push_back(now.size()); });
  CHECK(list.apply(atom::append(1)) == std::vector<int>{1});
  CHECK(list.apply(atom::append(2)) == std::vector<int>{1, 2});
  CHECK(heard == std::vector<std::size_t>{1, 2});
}

}  // namespace
}  // namespace contract_equations

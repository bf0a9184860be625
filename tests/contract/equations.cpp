// Equations: one step, on what the value is then.
#include "contract/contract.hpp"

#include <cstdint>
#include <limits>

namespace contract_equations {
namespace {

using atom::current;
using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using contract::code_thrown_by;
using contract::number;

TEST_CASE("an equation runs on the value, and gives what came of it", "[case80]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  state.set(5);
  CHECK(state.apply(current + 1) == 6);
  CHECK(state.apply(current + -10) == -4);
  CHECK(state.load() == -4);
}

TEST_CASE("an equation begins from the default where there is no value", "[case80][case92]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(10, {.key = "n", .scope = Scope::global()});
  CHECK(state.apply(current + 1) == 11);
  CHECK(state.has_value());
  CHECK(state.version() > 0);
}

TEST_CASE("an equation makes one more version", "[case80]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(1);
  state.apply(current + 1);
  CHECK(state.version() == version + 1);
}

TEST_CASE("a delta of zero is no error", "[case87]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  CHECK(state.apply(current + 0) == 0);
  CHECK(state.has_value());
  state.set(5);
  CHECK(state.apply(current + 0) == 5);
}

TEST_CASE("an overflow is an error and leaves the state as it was", "[case84]") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(most);
  int heard = 0;
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  const auto hears = state.on_change([&] { ++heard; });
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  CHECK(state.try_apply(current + 1).error().code() == StateErrorCode::overflow);
  CHECK(heard == 0);
  CHECK(state.load() == most);
  CHECK(state.version() == version);
  CHECK(state.apply(current + -1) == most - 1);
}

TEST_CASE("an overflow where there is no value makes none", "[case84]") {
  const auto states = contract::open();
  State<std::int64_t> state =
      states->get_state<std::int64_t>(std::numeric_limits<std::int64_t>::max(), {.key = "n", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  CHECK_FALSE(state.has_value());
}

TEST_CASE("an equation runs on a small integer within its own bounds", "[case84]") {
  const auto states = contract::open();
  State<std::int8_t> state = states->get_state<std::int8_t>(127, {.key = "n", .scope = Scope::global()});
  CHECK(code_thrown_by([&] { return state.apply(current + 1); }) == StateErrorCode::overflow);
  CHECK(state.apply(current + -1) == 126);
}

}  // namespace
}  // namespace contract_equations

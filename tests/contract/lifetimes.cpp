// Time to live. No test here fails because it was slow: what must not be over yet is looked at within a time that is
// measured, and tried again if that has passed.
#include "contract/contract.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace contract_lifetimes {
namespace {

using atom::Scope;
using atom::State;
using contract::eventually;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

atom::StateOptions options(milliseconds ttl, bool sliding = false) {
  return {.key = "n", .scope = Scope{"s"}, .ttl = ttl, .sliding = sliding};
}

/// Does something every few milliseconds for twice the time to live. Whether the value is there all the time, or
/// nothing where each pause was so long that it could be over.
template <class Keep>
std::optional<bool> stays_while(State<std::int64_t>& state, milliseconds ttl, Keep keep) {
  for (int attempt = 0; attempt < 50; ++attempt) {
    Clock::time_point last = Clock::now();
    state.set(1);
    const Clock::time_point end = last + 2 * ttl;
    bool there = true;
    bool in_time = true;
    while (there && in_time && last < end) {
      std::this_thread::sleep_for(ttl / 20);
      there = state.has_value();
      const Clock::time_point now = Clock::now();
      in_time = now - last < ttl / 2;
      last = now;
      keep();
    }
    if (in_time) return there;
  }
  WARN("the machine is too busy to tell");
  return std::nullopt;
}

TEST_CASE("a state with a time to live has its default afterwards, and is not there", "[case88]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, options(milliseconds(30)));
  const Clock::time_point begin = Clock::now();
  state.set(1);
  REQUIRE(eventually([&] { return !state.has_value(); }));
  // Not before its time; what clocks round off aside.
  CHECK(Clock::now() - begin >= milliseconds(28));
  CHECK(state.get() == 7);
  CHECK(state.load() == 7);
  CHECK(*state.share() == 7);
  CHECK(state.version() == 0);
  CHECK(state.load_versioned().version == 0);
  CHECK_FALSE(states->has_state(options({})));
  CHECK(states->list().empty());
  CHECK(states->scopes().empty());
  CHECK_FALSE(state.erase());
  CHECK_FALSE(states->delete_state(options({})));
  CHECK(states->delete_scope(Scope{"s"}) == 0);
}

TEST_CASE("it is gone in each way of looking first, not only where one has looked before", "[case88]") {
  const auto states = contract::open();
  const auto written = [&](const char* key) {
    State<std::int64_t> state = states->get_state<std::int64_t>(
        7, {.key = key, .scope = Scope{"s"}, .labels = {"label"}, .ttl = milliseconds(20)});
    state.set(1);
    return state;
  };
  State<std::int64_t> get = written("get");
  State<std::int64_t> load = written("load");
  State<std::int64_t> apply = written("apply");
  State<std::int64_t> update = written("update");
  State<std::int64_t> create = written("create");
  State<std::int64_t> set_if = written("set_if");
  const std::int64_t version = set_if.set(7);
  State<std::int64_t> erase = written("erase");
  std::this_thread::sleep_for(milliseconds(40));
  CHECK(get.get() == 7);
  CHECK(load.load_versioned().version == 0);
  CHECK(apply.apply(atom::current + 1) == 8);
  CHECK(update.update([](std::int64_t n) { return n + 2; }) == 9);
  CHECK_FALSE(set_if.set_if(5, version));
  CHECK(set_if.set_if(5, 0));
  CHECK_FALSE(erase.erase());
  CHECK(contract::eventually([&] {  // each lasts as long as the first one
    return states->create_state<std::int64_t>(3, {.key = "create", .scope = Scope{"s"}}).load() == 3;
  }));
  std::this_thread::sleep_for(milliseconds(40));
  CHECK(states->purge({"label"}) == 0);
}

TEST_CASE("each write begins the time anew", "[case88]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(0, options(milliseconds(400)));
  CHECK(stays_while(state, milliseconds(400), [&] { state.set(2); }).value_or(true));
  CHECK(stays_while(state, milliseconds(400), [&] { state.apply(atom::current + 1); }).value_or(true));
}

TEST_CASE("reading begins no time anew unless it is sliding", "[case88]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, options(milliseconds(400)));
  CHECK_FALSE(stays_while(state, milliseconds(400), [&] { state.get(); }).value_or(false));
  CHECK_FALSE(stays_while(state, milliseconds(400), [&] { state.load(); }).value_or(false));
}

TEST_CASE("reading begins a sliding time anew", "[case88]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, options(milliseconds(400), true));
  CHECK(stays_while(state, milliseconds(400), [&] { state.get(); }).value_or(true));
  CHECK(stays_while(state, milliseconds(400), [&] { state.load(); }).value_or(true));
}

TEST_CASE("asking whether a state is there is not reading", "[case88]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, options(milliseconds(30), true));
  state.set(1);
  CHECK(eventually([&] { return !state.has_value(); }));
  state.set(1);
  CHECK(eventually([&] { return state.version() == 0; }));
  state.set(1);
  CHECK(eventually([&] { return !states->has_state(options({})); }));
  state.set(1);
  CHECK(eventually([&] { return states->list().empty(); }));
}

TEST_CASE("a text with a time to live is gone like a number", "[case88]") {
  const auto states = contract::open();
  State<std::string> state = states->get_state<std::string>("none", options(milliseconds(20)));
  state.set("some");
  CHECK(eventually([&] { return state.get() == "none"; }));
  CHECK(state.set("again") > 0);
  CHECK(eventually([&] { return !state.has_value(); }));
}

TEST_CASE("without a time to live, or with a very long one, a state stays", "[case88]") {
  const auto states = contract::open();
  for (const milliseconds ttl : {milliseconds(0), milliseconds(std::chrono::hours(24)), milliseconds::max()}) {
    State<std::int64_t> state = states->create_state<std::int64_t>(1, options(ttl));
    state.set(2);
    CHECK(state.has_value());
    CHECK(state.get() == 2);
    CHECK(states->has_state(options({})));
    state.erase();
  }
}

TEST_CASE("a version does not come again when the time was over", "[case88][case92]") {
  const auto states = contract::open();
  std::int64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    State<std::int64_t> state = states->get_state<std::int64_t>(0, options(milliseconds(5)));
    const std::int64_t version = state.set(1);
    CHECK(version > last);
    last = version;
    REQUIRE(eventually([&] { return !state.has_value(); }));
    CHECK_FALSE(state.set_if(2, version));
  }
}

TEST_CASE("the time of a state runs on while no store is open on it", "[case88]") {
  auto states = contract::open();
  if (!contract::persistent()) return;
  states->create_state<std::int64_t>(1, options(milliseconds(30)));
  states = contract::reopen();
  CHECK(eventually([&] { return !states->has_state(options({})); }));
}

}  // namespace
}  // namespace contract_lifetimes

// Who is told of a change, in which order, and when no more.
#include "contract/contract.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace contract_listeners {
namespace {

using atom::Scope;
using atom::State;
using atom::StateEvent;
using atom::StateSubscription;
using contract::number;

using contract::Count;
using contract::Heard;

using Values = std::vector<std::int64_t>;
using Log = std::vector<std::string>;

// ---- What is told

TEST_CASE("each change is told with the value that it makes", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> heard;
  const StateSubscription hears = number(*states).on_change([&](const std::int64_t& now) { heard.push_back(now); });
  state.set(1);
  state.apply(atom::current + 1);
  state.update([](std::int64_t n) { return n + 1; });
  state.set_if(4, state.version());
  state.set_if(99, 0);
  state.set(4);
  CHECK(heard == Values{1, 2, 3, 4, 4});
}

TEST_CASE("the end of a value is told as the default", "[case69][case74]") {
  const auto states = contract::open();
  State<std::string> state = states->get_state<std::string>("none", {.key = "text", .scope = Scope{"s"}});
  Heard<std::string> heard;
  const StateSubscription hears = state.on_change([&](const std::string& now) { heard.push_back(now); });
  state.set("a");
  state.erase();
  state.erase();
  state.set("b");
  states->delete_state({.key = "text", .scope = Scope{"s"}});
  states->create_state<std::string>("c", {.key = "text", .scope = Scope{"s"}});
  states->delete_scope(Scope{"s"});
  CHECK(heard == Log{"a", "none", "b", "none", "c", "none"});
}

TEST_CASE("a listener need not take the value", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Count heard;
  const StateSubscription hears = state.on_change([&] { ++heard; });
  state.set(1);
  state.set(2);
  CHECK(heard == 2);
}

TEST_CASE("no other state hears of a change", "[case74]") {
  const auto states = contract::open();
  const auto get = [&](const Scope& scope, const std::string& key) {
    return states->get_state<std::int64_t>(0, {.key = key, .scope = scope});
  };
  Count heard;
  std::vector<StateSubscription> others;
  for (const Scope& scope :
       {Scope{"s.t"}, Scope{"t"}, Scope::global(), Scope::client("s"), Scope::component("s"), Scope::user("s")}) {
    others.push_back(get(scope, "n").on_change([&] { ++heard; }));
  }
  others.push_back(get(Scope{"s"}, "m").on_change([&] { ++heard; }));
  Count heard_here;
  const StateSubscription hears = get(Scope{"s"}, "n").on_change([&] { ++heard_here; });
  get(Scope{"s"}, "n").set(1);
  CHECK(heard_here == 1);
  CHECK(heard == 0);
}

TEST_CASE("the value is there already when it is told, and whoever is told may read it", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> seen;
  const StateSubscription hears = state.on_change([&] {
    seen.push_back(state.get());
    seen.push_back(state.load());
    seen.push_back(states->list().size() == 1 ? 1 : 0);
  });
  state.set(5);
  CHECK(seen == Values{5, 5, 1});
}

TEST_CASE("listeners are told in the order in which they came", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::string> log;
  const StateSubscription a = state.on_change([&] { log.push_back("a"); });
  StateSubscription b = state.on_change([&] { log.push_back("b"); });
  const StateSubscription c = state.on_change([&] { log.push_back("c"); });
  state.set(1);
  CHECK(log == Log{"a", "b", "c"});
  b = state.on_change([&] { log.push_back("d"); });
  log.clear();
  state.set(2);
  CHECK(log == Log{"a", "c", "d"});
}

TEST_CASE("a listener that throws stops nobody, and on_event hears of it", "[case74]") {
  Heard<std::string> events;
  const auto states = contract::open({.on_event = [&](const StateEvent& event) {
    if (event.kind != StateEvent::Kind::listener_threw) return;
    try {
      std::rethrow_exception(event.exception);
    } catch (const std::runtime_error& error) {
      events.push_back(event.state + " " + error.what());
    }
  }});
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> heard;
  const StateSubscription throws = state.on_change([](std::int64_t now) {
    if (now == 1) throw std::runtime_error("no");
  });
  const StateSubscription hears = state.on_change([&](std::int64_t now) { heard.push_back(now); });
  CHECK_NOTHROW(state.set(1));
  CHECK(state.load() == 1);
  state.set(2);
  CHECK(heard == Values{1, 2});
  CHECK(events == Log{"global:number no"});
}

TEST_CASE("on_event is told no id of a client or user whose state it is about", "[case74]") {
  Heard<std::string> events;
  const auto states = contract::open({.on_event = [&](const StateEvent& event) {
    if (event.kind == StateEvent::Kind::listener_threw) events.push_back(event.state);
  }});
  Log wanted;
  for (const Scope& scope : {Scope::client("secret"), Scope::user("secret")}) {
    State<int> state = states->get_state(0, {.key = "cart", .scope = scope / "below"});
    const StateSubscription throws = state.on_change([] { throw std::runtime_error("no"); });
    state.set(1);
    wanted.push_back(scope == Scope::client("secret") ? "$client.*:cart" : "$user.*:cart");
    CHECK(events == wanted);
  }
}

TEST_CASE("without on_event, or if that throws, too, nothing comes out of a write", "[case74]") {
  for (const bool with_event : {false, true}) {
    atom::StoreOptions options;
    if (with_event) options.on_event = [](const StateEvent&) { throw std::runtime_error("neither"); };
    const auto states = contract::open(std::move(options));
    State<std::int64_t> state = number(*states);
    const StateSubscription throws = state.on_change([] { throw std::runtime_error("no"); });
    CHECK_NOTHROW(state.set(1));
    CHECK_NOTHROW(state.set(2));
    CHECK(state.load() == 2);
  }
}

// ---- Listeners that do something

TEST_CASE("a listener that writes is told of that next, and everybody hears both in their order", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> first;
  Heard<std::int64_t> last;
  const StateSubscription before = state.on_change([&](std::int64_t now) { first.push_back(now); });
  const StateSubscription writes = state.on_change([&](std::int64_t now) {
    if (now < 5) state.set(now + 1);
  });
  const StateSubscription after = state.on_change([&](std::int64_t now) { last.push_back(now); });
  state.set(1);
  CHECK(first == Values{1, 2, 3, 4, 5});
  CHECK(last == Values{1, 2, 3, 4, 5});
}

TEST_CASE("listeners of two states that write each other's state come to an end", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> a = number(*states, "a");
  State<std::int64_t> b = number(*states, "b");
  const StateSubscription of_a = a.on_change([&](std::int64_t now) {
    if (now < 10) b.set(now + 1);
  });
  const StateSubscription of_b = b.on_change([&](std::int64_t now) {
    if (now < 10) a.set(now + 1);
  });
  a.set(1);
  CHECK(contract::eventually([&] { return a.load() == 9 && b.load() == 10; }));
}

TEST_CASE("a listener that is added while others are told hears the next change first", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> heard;
  std::vector<StateSubscription> added;
  std::atomic<int> calls{0};
  const StateSubscription adds = state.on_change([&] {
    added.push_back(state.on_change([&](std::int64_t now) { heard.push_back(now); }));
    ++calls;
  });
  state.set(1);
  REQUIRE(contract::eventually([&] { return calls == 1; }));
  CHECK(heard.empty());
  state.set(2);
  CHECK(heard == Values{2});
}

TEST_CASE("a listener hears no change that was made before it came", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> heard;
  std::optional<StateSubscription> added;
  std::atomic<bool> is_added{false};
  const StateSubscription adds = state.on_change([&](std::int64_t now) {
    if (now != 1) return;
    state.set(2);  // is told when this one has returned
    added = state.on_change([&](std::int64_t value) { heard.push_back(value); });
    is_added = true;
  });
  state.set(1);
  REQUIRE(contract::eventually([&] { return is_added.load(); }));
  CHECK(heard.empty());
  state.set(3);
  CHECK(heard == Values{3});
}

TEST_CASE("a listener hears nothing that is older than what it can read when it comes", "[case74]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::int64_t> heard;
  std::optional<StateSubscription> added;
  StateSubscription only;
  std::atomic<bool> is_done{false};
  only = state.on_change([&](std::int64_t now) {
    if (now != 1) return;
    state.set(2);
    only.unsubscribe();
    state.set(3);  // nobody listens
    added = state.on_change([&](std::int64_t value) { heard.push_back(value); });
    is_done = true;
  });
  state.set(1);
  REQUIRE(contract::eventually([&] { return is_done.load(); }));
  CHECK(heard.empty());
  CHECK(state.load() == 3);
}

TEST_CASE("a listener may end itself", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::string> log;
  StateSubscription own;
  const StateSubscription first = state.on_change([&] { log.push_back("first"); });
  own = state.on_change([&] {
    own.unsubscribe();
    log.push_back("own");
  });
  const StateSubscription last = state.on_change([&] { log.push_back("last"); });
  state.set(1);
  CHECK(log == Log{"first", "own", "last"});
  CHECK_FALSE(own.active());
  state.set(2);
  CHECK(log == Log{"first", "own", "last", "first", "last"});
}

TEST_CASE("a listener that another one ends is not called any more, at once", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::string> log;
  StateSubscription before;
  StateSubscription after;
  before = state.on_change([&] { log.push_back("before"); });
  const StateSubscription ends = state.on_change([&] {
    before.unsubscribe();
    after.unsubscribe();
    log.push_back("ends");
  });
  after = state.on_change([&] { log.push_back("after"); });
  const StateSubscription last = state.on_change([&] { log.push_back("last"); });
  state.set(1);
  CHECK(log == Log{"before", "ends", "last"});
  state.set(2);
  CHECK(log == Log{"before", "ends", "last", "ends", "last"});
}

TEST_CASE("a listener may own its subscription, and others", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Count heard;
  auto other = std::make_shared<StateSubscription>(state.on_change([&] { ++heard; }));
  auto own = std::make_shared<StateSubscription>();
  *own = state.on_change([&heard, own, other = std::move(other)] {
    ++heard;
    own->unsubscribe();
  });
  own = nullptr;
  state.set(1);
  CHECK(heard == 2);
  state.set(2);
  CHECK(heard == 2);
}

/// Looks at the state when it is copied no more.
struct Looks {
  State<std::int64_t>* state = nullptr;
  explicit Looks(State<std::int64_t>& s) : state(&s) {}
  Looks(Looks&& other) noexcept : state(std::exchange(other.state, nullptr)) {}
  ~Looks() {
    if (state) state->apply(atom::current + 100);
  }
};

TEST_CASE("what a listener owns may use the state when it ends", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  StateSubscription own;
  own = state.on_change([&own, looks = Looks(state)] { own.unsubscribe(); });
  state.set(1);
  CHECK(contract::eventually([&] { return state.load() == 101; }));
  own = state.on_change([looks = Looks(state)] {});
  own.unsubscribe();
  CHECK(state.load() == 201);
}

// ---- The handle

TEST_CASE("a subscription ends with its handle", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Count heard;
  {
    const StateSubscription hears = state.on_change([&] { ++heard; });
    CHECK(hears.active());
    state.set(1);
    CHECK(heard == 1);
  }
  state.set(2);
  CHECK(heard == 1);
}

TEST_CASE("a subscription may be moved, replaced, and ended twice", "[case91]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  Heard<std::string> log;
  StateSubscription a = state.on_change([&] { log.push_back("a"); });
  StateSubscription moved = std::move(a);
  CHECK_FALSE(a.active());
  CHECK(moved);
  state.set(1);
  CHECK(log == Log{"a"});
  moved = state.on_change([&] { log.push_back("b"); });
  state.set(2);
  CHECK(log == Log{"a", "b"});
  moved.unsubscribe();
  moved.unsubscribe();
  CHECK_FALSE(moved);
  state.set(3);
  CHECK(log == Log{"a", "b"});
  CHECK_FALSE(StateSubscription());
}

TEST_CASE("a subscription needs no handle to its state", "[case91]") {
  const auto states = contract::open();
  Heard<std::int64_t> heard;
  const StateSubscription hears = number(*states).on_change([&](std::int64_t now) { heard.push_back(now); });
  number(*states).set(1);
  number(*states).erase();
  number(*states).set(2);
  CHECK(heard == Values{1, 0, 2});
}

TEST_CASE("subscriptions and handles may outlive the store; then an operation is an error", "[case91]") {
  auto states = contract::open();
  State<std::int64_t> state = number(*states);
  State<std::string> text = states->get_state<std::string>("", {.key = "text", .scope = Scope::global()});
  State<std::int64_t> unheard = number(*states, "unheard");
  unheard.set(1);
  state.set(1);
  Count heard;
  StateSubscription a = state.on_change([&] { ++heard; });
  const StateSubscription b = text.on_change([&] { ++heard; });
  states = nullptr;
  using atom::StateErrorCode;
  CHECK(contract::code_thrown_by([&] { return unheard.set(2); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return unheard.get(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return unheard.apply(atom::current + 1); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return unheard.version(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return state.set(2); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return state.apply(atom::current + 1); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return state.update([](std::int64_t n) { return n; }); }) ==
        StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return state.load(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return state.get(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return text.get(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return text.share(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return text.erase(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return text.scope(); }) == StateErrorCode::closed);
  CHECK(contract::code_thrown_by([&] { return text.on_change([] {}); }) == StateErrorCode::closed);
  CHECK(state.try_set_if(2, 0).error().code() == StateErrorCode::closed);
  CHECK(state.try_load_versioned().error().code() == StateErrorCode::closed);
  CHECK(state.key() == "number");
  const State<std::int64_t> copy = state;
  CHECK(copy == state);
  a.unsubscribe();
  CHECK(heard == 0);
}

// ---- Of other processes

TEST_CASE("a change that another store makes is told, too, and the last one last", "[case74][case89]") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  State<std::int64_t> state = number(*states);
  state.set(1);
  std::mutex mutex;
  Values heard;
  const StateSubscription hears = state.on_change([&](std::int64_t now) {
    const std::lock_guard lock(mutex);
    heard.push_back(now);
  });
  const auto last = [&] {
    const std::lock_guard lock(mutex);
    return heard.empty() ? -1 : heard.back();
  };
  const auto others = contract::reopen();
  State<std::int64_t> there = number(*others);
  for (std::int64_t n = 2; n <= 20; ++n) there.set(n);
  CHECK(contract::eventually([&] { return last() == 20; }));
  CHECK(state.get() == 20);
  there.erase();
  CHECK(contract::eventually([&] { return last() == 0; }));
  CHECK_FALSE(state.has_value());
}

}  // namespace
}  // namespace contract_listeners

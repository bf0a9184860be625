// What a page is sent of a scope, by whomever it is changed.
#include <atom/state/event_stream.hpp>

#include <atom/json.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/session.hpp>

#include "contract/contract.hpp"
#include "support/events.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace contract_events {
namespace {

using namespace std::chrono_literals;
using atom::EventStream;
using atom::Scope;
using atom::State;
using atom::StateStore;
using support::Page;
using Number = std::int64_t;
using Values = Page::Values;

const Scope scope{"room"};
const atom::Atom<Number> votes{"contract_events.votes", 0};
const atom::Atom<std::string> title{"contract_events.title"};

/// One that does not tell is asked so often.
atom::StoreOptions soon() {
  return {.staleness = 20ms};
}
State<Number> number(StateStore& states, std::string key, const Scope& its_scope = scope) {
  return states.get_state<Number>(0, {.key = std::move(key), .scope = its_scope});
}
/// Reads what comes until the page has that. Whether it does.
bool comes_to(EventStream& stream, Page& page, const Values& values) {
  return contract::eventually([&] { return page.read(stream.take()).values == values; });
}

TEST_CASE("a page gets all there is, and then each change, by whatever it is made", "[events]") {
  const auto states = contract::open(soon());
  number(*states, "a").set(1);
  EventStream stream = states->events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"a", "1"}});
  number(*states, "a").apply(atom::current + 1);
  states->create_state<std::string>("<\n\xe2\x80\xa8>", {.key = "text", .scope = scope, .labels = {"l"}});
  CHECK(comes_to(stream, page, {{"a", "2"}, {"text", R"("\u003c\n\u2028\u003e")"}}));
  number(*states, "a").update([](Number n) { return n * 5; });
  states->purge({"l"});
  CHECK(comes_to(stream, page, {{"a", "10"}}));
  states->transact(scope, [](atom::Session& session) {
    session.use(votes).update(3);
    session.use(title).update("t");
  });
  number(*states, "a").erase();
  CHECK(comes_to(stream, page, {{"contract_events.title", "\"t\""}, {"contract_events.votes", "3"}}));
  states->delete_state({.key = "contract_events.title", .scope = scope});
  number(*states, "a", Scope{"room.below"}).set(1);
  number(*states, "a", Scope{"other"}).set(1);
  CHECK(comes_to(stream, page, {{"contract_events.votes", "3"}}));
  states->delete_scope(scope);
  CHECK(comes_to(stream, page, {}));
  CHECK(page.snapshots == 1);
}

TEST_CASE("a client's states go, and come at the user's, when they are promoted", "[events]") {
  const auto states = contract::open(soon());
  const Scope client = Scope::client("c"), user = Scope::user("u");
  number(*states, "a", client).set(1);
  EventStream of_client = states->events(client), of_user = states->events(user);
  Page clients, users;
  REQUIRE(comes_to(of_client, clients, {{"a", "1"}}));
  states->promote(client, user);
  CHECK(comes_to(of_client, clients, {}));
  CHECK(comes_to(of_user, users, {{"a", "1"}}));
}

TEST_CASE("what another store changes is sent, too, whether its states are known here or not", "[events]") {
  const auto states = contract::open(soon());
  if (!contract::persistent()) return;
  number(*states, "known").set(1);
  const auto others = contract::reopen(soon());
  number(*others, "theirs").set(2);
  EventStream stream = states->events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"known", "1"}, {"theirs", "2"}});
  number(*others, "known").set(3);
  number(*others, "theirs").apply(atom::current + 5);
  others->create_state<std::string>("x", {.key = "new", .scope = scope});
  CHECK(comes_to(stream, page, {{"known", "3"}, {"theirs", "7"}, {"new", "\"x\""}}));
  number(*others, "known").erase();
  others->delete_state({.key = "theirs", .scope = scope});
  CHECK(comes_to(stream, page, {{"new", "\"x\""}}));
  number(*states, "known").set(4);
  number(*others, "theirs").set(5);
  CHECK(comes_to(stream, page, {{"new", "\"x\""}, {"known", "4"}, {"theirs", "5"}}));
  others->delete_scope(scope);
  CHECK(comes_to(stream, page, {}));
  number(*others, "again").set(6);
  CHECK(comes_to(stream, page, {{"again", "6"}}));
}

TEST_CASE("a page that comes again at another store gets what has changed since, and nothing if nothing has",
          "[events]") {
  const auto states = contract::open(soon());
  if (!contract::persistent()) return;
  number(*states, "a").set(1);
  number(*states, "b").set(1);
  EventStream first = states->events(scope);
  Page page;
  page.read(first.take());
  Page at_first = page;
  const auto others = contract::reopen(soon());
  EventStream second = others->events(scope, {.last_event_id = page.last_id});
  CHECK(second.take() == "retry: 1000\n\n");
  number(*states, "a").set(2);
  number(*others, "b").erase();
  CHECK(comes_to(second, page, {{"a", "2"}}));
  CHECK(page.snapshots == 1);
  // Here, where the first one has followed all of it, what has changed since is known.
  CHECK(comes_to(first, at_first, {{"a", "2"}}));
  const std::string id = page.last_id;
  number(*others, "a").set(3);
  CHECK(comes_to(first, at_first, {{"a", "3"}}));
  EventStream third = states->events(scope, {.last_event_id = id});
  CHECK(comes_to(third, page, {{"a", "3"}}));
  CHECK(page.snapshots == 1);
  // A store that has seen nothing of it, and one who was there before all of it.
  const auto late = contract::reopen(soon());
  EventStream fourth = late->events(scope, {.last_event_id = id});
  CHECK(comes_to(fourth, page, {{"a", "3"}}));
  CHECK(page.snapshots == 2);
}

TEST_CASE("whoever writes what at two stores, pages of both come to have what there is", "[events]") {
  const auto states = contract::open(soon());
  const auto others = contract::persistent() ? contract::reopen(soon()) : nullptr;
  StateStore& other = others ? *others : *states;
  EventStream stream = states->events(scope), there = other.events(scope);
  Page page, page_there;
  std::mt19937 random(7);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; ++i) {
      StateStore& writer = random() % 2 ? *states : other;
      const std::string key = "k" + std::to_string(random() % 8);
      if (random() % 3 == 0) {
        writer.delete_state({.key = key, .scope = scope});
      } else {
        number(writer, key).set(static_cast<Number>(random() % 1000));
      }
      if (i % 7 == 0) page.read(stream.take());
    }
    Values wanted;
    for (const atom::AnyState& state : states->list(scope))
      wanted[state.key()] = std::to_string(state.as<Number>().load());
    CHECK(comes_to(stream, page, wanted));
    CHECK(comes_to(there, page_there, wanted));
  }
}

TEST_CASE("while four threads at two stores write, a page never goes back, and ends with what there is", "[events]") {
  const auto states = contract::open(soon());
  const auto others = contract::persistent() ? contract::reopen(soon()) : nullptr;
  EventStream stream = states->events(scope);
  Page page;
  constexpr Number each = 25;
  std::atomic<int> writing{4};
  bool went_back = false;
  support::in_threads(5, [&](std::size_t thread) {
    if (thread == 4) {
      for (Number before = 0; writing > 0;) {
        page.read(stream.wait(1ms));
        const Number now = page.values.count("sum") ? std::stoll(page.values["sum"]) : before;
        went_back = went_back || now < before;
        before = now;
      }
      return;
    }
    StateStore& writer = others && thread % 2 ? *others : *states;
    for (Number i = 1; i <= each; ++i) {
      number(writer, "sum").apply(atom::current + 1);
      number(writer, "own" + std::to_string(thread)).set(i);
    }
    --writing;
  });
  CHECK_FALSE(went_back);
  Values wanted{{"sum", std::to_string(4 * each)}};
  for (const char* key : {"own0", "own1", "own2", "own3"}) wanted[key] = std::to_string(each);
  CHECK(comes_to(stream, page, wanted));
}

TEST_CASE("a function is woken when something comes, by whomever", "[events]") {
  const auto states = contract::open(soon());
  const auto others = contract::persistent() ? contract::reopen(soon()) : nullptr;
  EventStream stream = states->events(scope);
  (void)stream.take();
  std::atomic<int> woken{0};
  stream.on_ready([&] { ++woken; });
  number(others ? *others : *states, "a").set(1);
  CHECK(contract::eventually([&] { return woken == 1; }));
  Page page;
  CHECK(comes_to(stream, page, {{"a", "1"}}));
}

TEST_CASE("a scope of many states is shown in whole", "[events]") {
  const auto states = contract::open(soon());
  Values wanted;
  std::vector<atom::StateTask<bool>> tasks;
  for (Number i = 0; i < 150; ++i) {
    const std::string key = "k" + std::to_string(i);
    wanted[key] = std::to_string(i);
    tasks.push_back(number(*states, key).set_if_async(i, 0));
  }
  for (auto& task : tasks) (void)task.wait();
  EventStream stream = states->events(scope);
  Page page;
  CHECK(page.read(stream.take()).values.size() == 150);
  CHECK(page.values == wanted);
}

TEST_CASE("what is not JSON is left out, and reported once", "[events]") {
  if (!contract::persistent()) return;
  const auto backend = contract::open_backend();
  const atom::StoredValue bad{"{not json", 0}, good{"[1,{\"a\":null}]", 7};
  const std::vector<atom::Command> commands{
      {.kind = atom::Command::Kind::write, .name = {scope, "bad"}, .value = &bad},
      {.kind = atom::Command::Kind::write, .name = {scope, "good"}, .value = &good}};
  std::vector<atom::Outcome> outcomes(2);
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  REQUIRE_FALSE(backend->prepare(true, deadline));
  REQUIRE(backend->execute({.sequence = 1}, atom::BatchMode::independent, commands, outcomes, deadline).status ==
          atom::BatchStatus::done);
  contract::Heard<std::string> events;
  StateStore states(backend, {.staleness = 20ms, .on_event = [&](const atom::StateEvent& event) {
                                if (event.kind == atom::StateEvent::Kind::undecodable) events.push_back(event.state);
                              }});
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"good", R"([1,{"a":null}])"}});
  for (Number i = 1; i <= 3; ++i) {
    number(states, "other").set(i);
    CHECK(comes_to(stream, page, {{"good", R"([1,{"a":null}])"}, {"other", std::to_string(i)}}));
    EventStream again = states.events(scope);
  }
  CHECK(events == std::vector<std::string>{"room:bad"});
}

TEST_CASE("a stream may outlive its store, and ends when that is closed", "[events]") {
  auto states = contract::open(soon());
  number(*states, "a").set(1);
  EventStream stream = states->events(scope);
  std::atomic<int> woken{0};
  Page page;
  page.read(stream.take());
  stream.on_ready([&] { ++woken; });
  states->close(1s);
  CHECK(stream.ended());
  CHECK(woken == 1);
  CHECK(stream.wait(1h).empty());
  states = nullptr;
  CHECK(page.values == Values{{"a", "1"}});
}

}  // namespace
}  // namespace contract_events

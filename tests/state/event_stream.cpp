// What a page is sent of a scope, in memory, and before a database that fails. What any store does is in
// tests/contract.
#include <atom/state/event_stream.hpp>

#include <atom/atom.hpp>
#include <atom/backend/memory.hpp>
#include <atom/codec.hpp>
#include <atom/family.hpp>
#include <atom/json.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/events.hpp"
#include "support/eventually.hpp"
#include "support/faulty_backend.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace event_stream_test {

/// Cannot be shown.
struct NoCodec {
  int number = 0;
  bool operator==(const NoCodec&) const = default;
};
/// Cannot be shown if it is negative.
struct Fragile {
  int number = 0;
  bool operator==(const Fragile&) const = default;
};

}  // namespace event_stream_test

template <>
struct atom::codec<event_stream_test::Fragile> {
  static void write(auto& writer, const event_stream_test::Fragile& value) {
    if (value.number < 0) throw std::runtime_error("negative");
    writer.integer(value.number);
  }
  static bool read(Reader& reader, event_stream_test::Fragile& value) { return codec<int>::read(reader, value.number); }
};

namespace event_stream_test {
namespace {

using namespace std::chrono_literals;
using atom::EventStream;
using atom::EventStreamOptions;
using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using atom::StateEvent;
using atom::StateStore;
using atom::StoreOptions;
using support::eventually;
using support::Page;
using Number = std::int64_t;
using Values = Page::Values;

const Scope scope{"s"};
const atom::Atom<Number> open_one{"event_stream.open", 0}, open_two{"event_stream.two", 0};
const atom::Atom<std::string> secret{"event_stream.secret", "", {.server_only = true}};
const atom::AtomFamily<std::string, Number> secrets{"event_stream.secrets", 0, {.server_only = true}};
const atom::AtomFamily<std::uint64_t, std::string> texts{"event_stream.text"};

State<Number> number(StateStore& states, const std::string& key, const Scope& its_scope = scope) {
  return states.get_state<Number>(0, {.key = key, .scope = its_scope});
}
Values values_of(EventStream& stream) {
  return Page().read(stream.take()).values;
}
/// What a page has when it has read all that comes until it has these values.
bool comes_to(EventStream& stream, Page& page, const Values& values) {
  return eventually([&] { return page.read(stream.take()).values == values; });
}

static_assert(std::is_nothrow_move_constructible_v<EventStream>);
static_assert(std::is_nothrow_move_assignable_v<EventStream>);
static_assert(!std::is_copy_constructible_v<EventStream>);
static_assert(EventStream::content_type == "text/event-stream");

// ---- What is sent

TEST_CASE("a stream begins with how soon to connect again, and all that there is") {
  StateStore states;
  EventStream empty = states.events(scope, {.retry = 250ms});
  CHECK(empty.take() == "retry: 250\n\nid: 0000000000000000\nevent: snapshot\ndata: {}\n\n");
  CHECK(empty.take().empty());
  number(states, "a").set(1);
  states.get_state<std::string>("", {.key = "b", .scope = scope}).set("x<\n");
  EventStream stream = states.events(scope);
  const std::string text = stream.take();
  CHECK(text.starts_with("retry: 1000\n\nid: "));
  CHECK(text.ends_with("\nevent: snapshot\ndata: {\"a\":1,\"b\":\"x\\u003c\\n\"}\n\n"));
  const Page page = Page().read(text);
  CHECK(page.values == Values{{"a", "1"}, {"b", R"("x\u003c\n")"}});
  CHECK(page.last_id.size() == 16);
  CHECK(page.retry == "1000");
}

TEST_CASE("each change is sent, by whatever it was made") {
  StateStore states;
  State<Number> a = number(states, "a"), b = number(states, "b");
  a.set(1);
  EventStream stream = states.events(scope);
  Page page;
  const auto now = [&] { return page.read(stream.take()).values; };
  CHECK(now() == Values{{"a", "1"}});
  a.set(2);
  b.set(3);
  CHECK(now() == Values{{"a", "2"}, {"b", "3"}});
  CHECK(page.changes == 1);
  a.apply(atom::current + 5);
  CHECK(now()["a"] == "7");
  a.update([](Number n) { return n * 2; });
  CHECK(now()["a"] == "14");
  a.set_if(15, a.version());
  CHECK(now()["a"] == "15");
  a.set_if(16, 1);
  CHECK(stream.take().empty());
  a.erase();
  CHECK(now() == Values{{"b", "3"}});
  a.erase();
  CHECK(stream.take().empty());
  states.create_state<Number>(4, {.key = "a", .scope = scope});
  CHECK(now()["a"] == "4");
  states.delete_state({.key = "a", .scope = scope});
  CHECK(now() == Values{{"b", "3"}});
  states.transact(scope, [](atom::Session& session) {
    session.use(open_one).update(8);
    session.use(open_two).update(9);
  });
  CHECK(now() == Values{{"b", "3"}, {"event_stream.open", "8"}, {"event_stream.two", "9"}});
  states.get_state<Number>(0, {.key = "labelled", .scope = scope, .labels = {"l"}}).set(1);
  CHECK(now().size() == 4);
  states.purge({"l"});
  CHECK(now().size() == 3);
  states.delete_scope(scope);
  CHECK(now().empty());
  CHECK(page.snapshots == 1);
}

TEST_CASE("the client's scope is empty, and the user's is not, when one has become the other") {
  StateStore states;
  const Scope client = Scope::client("c"), user = Scope::user("u");
  number(states, "a", client).set(1);
  number(states, "b", client).set(2);
  number(states, "b", user).set(3);
  EventStream of_client = states.events(client), of_user = states.events(user);
  Page clients, users;
  clients.read(of_client.take());
  users.read(of_user.take());
  states.promote(client, user);
  CHECK(clients.read(of_client.take()).values.empty());
  CHECK(users.read(of_user.take()).values == Values{{"a", "1"}, {"b", "3"}});
}

TEST_CASE("only the scope itself is shown, and nothing below or beside it") {
  StateStore states;
  EventStream stream = states.events(scope);
  (void)stream.take();
  for (const Scope& other : {Scope{"s.t"}, Scope{"t"}, Scope::global(), Scope::client("s"), Scope::user("s")}) {
    number(states, "a", other).set(1);
  }
  CHECK(stream.take().empty());
  number(states, "a").set(1);
  CHECK_FALSE(stream.take().empty());
}

TEST_CASE("what has no codec is left out") {
  StateStore states;
  states.get_state<NoCodec>({}, {.key = "before", .scope = scope}).set({1});
  EventStream stream = states.events(scope);
  CHECK(values_of(stream).empty());
  states.get_state<NoCodec>({}, {.key = "after", .scope = scope}).set({1});
  states.get_state<NoCodec>({}, {.key = "before", .scope = scope}).erase();
  CHECK(stream.take().empty());
}

TEST_CASE("what a codec throws for is not shown, is reported, and harms nobody") {
  std::vector<std::string> events;
  StateStore states({.on_event = [&](const StateEvent& event) {
    if (event.kind == StateEvent::Kind::undecodable) events.push_back(event.state);
  }});
  const auto get = [&](const std::string& key) { return states.get_state<Fragile>({}, {.key = key, .scope = scope}); };
  get("a").set({-1});
  get("b").set({1});
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"b", "1"}});
  CHECK(events == std::vector<std::string>{get("a").id()});
  CHECK_NOTHROW(get("b").set({-2}));
  CHECK(page.read(stream.take()).values.empty());  // not what it was before
  CHECK(events.size() == 2);
  get("a").set({3});
  CHECK(page.read(stream.take()).values == Values{{"a", "3"}});
  EventStream second = states.events(scope);
  CHECK(values_of(second) == Values{{"a", "3"}});
  CHECK(events.size() == 2);
}

TEST_CASE("a state that is in the way of a stream does not keep its handle from being got") {
  StateStore states;
  EventStream stream = states.events(scope);
  CHECK(states.create_state<Fragile>({-1}, {.key = "a", .scope = scope}).get().number == -1);
  CHECK(values_of(stream).empty());
}

TEST_CASE("what only the server may know is left out, unless it is named") {
  StateStore states;
  states.use(secret, scope).set("x");
  states.use(open_one, scope).set(1);
  number(states, std::string(secrets("m").key())).set(2);
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"event_stream.open", "1"}});
  states.use(secret, scope).set("y");
  for (const char* id : {"m", "n"}) number(states, std::string(secrets(id).key())).set(3);
  CHECK(stream.take().empty());
  states.use(secret, scope).erase();
  CHECK(stream.take().empty());
  states.use(secret, scope).set("z");
  EventStream named = states.events(scope, {.keys = {std::string(secret.key()), std::string(secrets("m").key())}});
  CHECK(values_of(named) == Values{{"event_stream.secret", "\"z\""}, {std::string(secrets("m").key()), "3"}});
}

TEST_CASE("only the keys that are named are shown") {
  StateStore states;
  for (const char* key : {"a", "b", "c"}) number(states, key).set(1);
  EventStream stream = states.events(scope, {.keys = {"b", "none", "b"}});
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"b", "1"}});
  number(states, "a").set(2);
  CHECK(stream.take().empty());
  number(states, "b").set(2);
  number(states, "c").erase();
  CHECK(stream.take().find("\"removed\":[]") != std::string::npos);
  number(states, "none").set(1);
  CHECK(page.read(stream.take()).values.count("none") == 1);
}

TEST_CASE("a request's own scope can be streamed, and a stream opened without blocking") {
  StateStore states;
  number(states, "a", Scope::user("u")).set(1);
  EventStream stream = states.in({.user_id = "u"}).events(Scope::user());
  CHECK(values_of(stream) == Values{{"a", "1"}});
  EventStream other = states.events_async(Scope::user("u")).wait();
  CHECK(values_of(other) == Values{{"a", "1"}});
}

// ---- Going on

TEST_CASE("who comes again with the last id gets what has changed since, and nothing if nothing has") {
  StateStore states;
  number(states, "a").set(1);
  number(states, "b").set(1);
  Page page;
  {
    EventStream stream = states.events(scope);
    page.read(stream.take());
    EventStream other = states.events(scope, {.last_event_id = page.last_id});
    CHECK(other.take() == "retry: 1000\n\n");
    number(states, "a").set(2);
    number(states, "b").erase();
    EventStream third = states.events(scope, {.last_event_id = page.last_id});
    page.read(third.take());
    CHECK(page.values == Values{{"a", "2"}});
    CHECK(page.snapshots == 1);
    CHECK(page.changes == 1);
  }
  EventStream unchanged = states.events(scope, {.last_event_id = page.last_id});  // nobody has watched meanwhile
  CHECK(unchanged.take() == "retry: 1000\n\n");
  number(states, "a").set(3);
  CHECK(page.read(unchanged.take()).values == Values{{"a", "3"}});
}

TEST_CASE("an id that is none, or of other keys, gets all there is") {
  StateStore states;
  number(states, "a").set(1);
  number(states, "b").set(2);
  EventStream all = states.events(scope);
  const std::string id = Page().read(all.take()).last_id;
  std::vector<std::string> none{"", "x", id + "0", std::string(1'000'000, 'a'), "\n\n", id.substr(1)};
  for (std::size_t i = 0; i < id.size(); ++i) {  // in capitals, it is the same number
    const auto letter = std::string_view("abcdef").find(id[i]);
    if (letter != std::string_view::npos) none.push_back(id.substr(0, i) + "ABCDEF"[letter] + id.substr(i + 1));
  }
  for (const std::string& bad : none) {
    EventStream stream = states.events(scope, {.last_event_id = bad});
    CHECK(values_of(stream).size() == 2);
  }
  EventStream one = states.events(scope, {.last_event_id = id, .keys = {"b"}});
  CHECK(values_of(one) == Values{{"b", "2"}});
  EventStream again = states.events(scope, {.keys = {"a", "b"}});
  const std::string both = Page().read(again.take()).last_id;
  EventStream same = states.events(scope, {.last_event_id = both, .keys = {"b", "a"}});
  CHECK(same.take() == "retry: 1000\n\n");
}

// ---- Waiting, and being woken

TEST_CASE("waiting gives what comes, or a comment when the time is over, or nothing when the stream has ended") {
  StateStore states;
  EventStream stream = states.events(scope);
  CHECK(Page().read(stream.wait(1h)).snapshots == 1);
  const std::string comment = stream.wait(1ms);
  CHECK(comment == ":\n\n");
  CHECK(Page().read(comment).comments == 1);
  CHECK(stream.wait(0ms) == ":\n\n");
  CHECK(stream.wait(-1h) == ":\n\n");
  std::string text;
  support::in_threads(2, [&](std::size_t thread) {
    if (thread == 0) {
      number(states, "a").set(1);
      return;
    }
    text = stream.wait(std::chrono::milliseconds::max());
  });
  CHECK(text.find("\"a\":1") != std::string::npos);
  support::in_threads(2, [&](std::size_t thread) {
    if (thread == 0) return void(states.close(0ms));
    text = stream.wait(1h);
  });
  CHECK(text.empty());
  CHECK(stream.ended());
}

TEST_CASE("what is not wanted ends no waiting") {
  StateStore states;
  EventStream stream = states.events(scope, {.keys = {"a"}});
  (void)stream.take();
  number(states, "b").set(1);
  CHECK(stream.wait(1ms) == ":\n\n");
}

TEST_CASE("a function is called when there is something to take, and again when something was taken since") {
  StateStore states;
  EventStream stream = states.events(scope);
  int woken = 0;
  stream.on_ready([&] { ++woken; });
  CHECK(woken == 1);
  number(states, "a").set(1);
  CHECK(woken == 1);
  (void)stream.take();
  number(states, "a").set(2);
  number(states, "a").set(3);
  CHECK(woken == 2);
  (void)stream.take();
  states.close(0ms);
  CHECK(woken == 3);
}

TEST_CASE("a function may take, write, open a stream, and end its own") {
  StateStore states;
  Page page;
  std::optional<EventStream> stream = states.events(scope);
  std::vector<EventStream> opened;
  int calls = 0;
  stream->on_ready([&] {
    page.read(stream->take());
    opened.push_back(states.events(scope));
    if (++calls < 5) {
      number(states, "a").set(calls);
    } else {
      stream.reset();
    }
  });
  CHECK(calls == 5);
  CHECK(page.values == Values{{"a", "4"}});
  CHECK_FALSE(stream);
  CHECK(values_of(opened.front()) == Values{{"a", "4"}});
}

TEST_CASE("the only stream may be ended by its function, whoever calls that") {
  StateStore states;
  std::optional<EventStream> stream = states.events(scope);
  stream->on_ready([&] { stream.reset(); });  // at once
  CHECK_FALSE(stream);
  stream = states.events(scope);
  (void)stream->take();
  stream->on_ready([&] { stream.reset(); });
  CHECK(stream);
  number(states, "a").set(1);
  CHECK_FALSE(stream);
}

TEST_CASE("functions that are woken by the end of the store may end their streams") {
  for (const bool by_close : {true, false}) {
    auto states = std::make_unique<StateStore>();
    std::vector<std::optional<EventStream>> streams(3);
    int ended = 0;
    for (auto& stream : streams) {
      stream = states->events(scope);
      (void)stream->take();
      stream->on_ready([&] {
        ended += stream->ended();
        stream.reset();
      });
    }
    if (by_close) states->close(0ms);
    states = nullptr;
    CHECK(ended == 3);
  }
}

TEST_CASE("a function that is woken by what a new stream has found may open one, too") {
  StateStore states({.staleness = 0ms});
  const auto timed = [&](const std::string& key) {
    return states.get_state<Number>(0, {.key = key, .scope = scope, .ttl = 20ms});
  };
  EventStream stream = [&] {
    for (;;) {  // until its time is not over yet
      timed("a").set(1);
      EventStream found = states.events(scope);
      if (!values_of(found).empty()) return found;
    }
  }();
  std::optional<EventStream> inner;
  stream.on_ready([&] {
    if (!inner) inner = states.events(scope);
  });
  REQUIRE(eventually([&] {
    EventStream finds = states.events(scope);  // that the time of the state is over
    return inner.has_value();
  }));
  CHECK(values_of(*inner).empty());
}

// ---- The end

TEST_CASE("a stream may be moved, and replaced") {
  StateStore states;
  number(states, "a").set(1);
  number(states, "a", Scope{"t"}).set(2);
  EventStream one = states.events(scope);
  int woken = 0;
  one.on_ready([&] { ++woken; });
  EventStream moved = std::move(one);
  CHECK(values_of(moved) == Values{{"a", "1"}});
  number(states, "a").set(3);
  CHECK(woken == 2);
  moved = states.events(Scope{"t"});
  number(states, "a").set(4);
  CHECK(woken == 2);
  CHECK(values_of(moved) == Values{{"a", "2"}});
  EventStream& same = moved;
  moved = std::move(same);
  number(states, "a", Scope{"t"}).set(5);
  CHECK(values_of(moved) == Values{{"a", "5"}});
}

TEST_CASE("a stream ends with its store, gives what there was, and may outlive it") {
  std::optional<EventStream> stream, woken;
  int calls = 0;
  State<Number> a = [&] {
    StateStore states;
    State<Number> state = number(states, "a");
    stream = states.events(scope);
    woken = states.events(scope);
    woken->on_ready([&] { ++calls; });
    (void)woken->take();
    state.set(1);
    (void)woken->take();
    CHECK_FALSE(stream->ended());
    CHECK(calls == 2);
    return state;
  }();
  CHECK(calls == 3);
  CHECK(stream->ended());
  CHECK(Page().read(stream->wait(1h)).values == Values{{"a", "1"}});
  CHECK(stream->wait(1h).empty());
  CHECK(stream->take().empty());
  stream->on_ready([&] { ++calls; });
  CHECK(calls == 4);
  stream.reset();
  woken.reset();
  CHECK(a.key() == "a");
}

TEST_CASE("a store that is closed goes on in memory, and its streams have ended") {
  StateStore states;
  EventStream stream = states.events(scope);
  (void)stream.take();
  states.close(0ms);
  number(states, "a").set(1);
  CHECK(number(states, "a").get() == 1);
  CHECK(stream.ended());
  CHECK(stream.take().empty());
  EventStream late = states.events(scope);
  CHECK(late.ended());
  CHECK(late.wait(1h) == "retry: 1000\n\n");
  CHECK(late.wait(1h).empty());
}

TEST_CASE("a scope with too many states is refused, and a stream ends when it comes to have them") {
  StateStore states;
  std::vector<State<Number>> all;
  for (int i = 0; i < 10'000; ++i) {
    all.push_back(number(states, std::to_string(i)));
    all.back().set(i);
  }
  std::optional<EventStream> stream = states.events(scope);
  CHECK(values_of(*stream).size() == 10'000);
  const auto code = [&] {
    try {
      EventStream refused = states.events(scope);
    } catch (const atom::StateError& error) {
      return std::optional(error.code());
    }
    return std::optional<StateErrorCode>();
  };
  CHECK_FALSE(code());
  number(states, "one more").set(1);
  CHECK(stream->ended());
  CHECK(code() == StateErrorCode::too_large);  // at once
  stream.reset();
  CHECK(code() == StateErrorCode::too_large);
  number(states, "one more").erase();
  CHECK_FALSE(code());
}

// ---- Times to live

TEST_CASE("a stream does not make the time to live of what it shows begin anew") {
  StateStore states({.staleness = 0ms});
  State<Number> state = states.get_state<Number>(0, {.key = "a", .scope = scope, .ttl = 200ms, .sliding = true});
  state.set(1);
  const auto end = std::chrono::steady_clock::now() + 10s;
  std::vector<EventStream> streams;
  while (state.version() != 0 && std::chrono::steady_clock::now() < end) {
    streams.push_back(states.events(scope));
    (void)streams.back().take();
    std::this_thread::sleep_for(10ms);
  }
  CHECK(state.version() == 0);
}

TEST_CASE("the end of a time to live is seen when the scope is listed the next time") {
  StateStore states({.staleness = 0ms});
  EventStream stream = states.events(scope);
  states.get_state<Number>(0, {.key = "a", .scope = scope, .ttl = 1ms}).set(1);
  Page page;
  page.read(stream.take());
  CHECK(eventually([&] {
    EventStream other = states.events(scope);
    return page.read(stream.take()).values.empty();
  }));
  states.get_state<Number>(0, {.key = "a", .scope = scope}).set(2);
  CHECK(page.read(stream.take()).values == Values{{"a", "2"}});
}

// ---- All together

/// What the store has, as a page should.
Values listed(StateStore& states) {
  Values all;
  for (const atom::AnyState& state : states.list(scope, {.limit = 100'000})) {
    all[state.key()] = atom::to_json(state.as<std::string>().get());
  }
  return all;
}

TEST_CASE(
    "whatever is written, and whenever a page reads, loses its connection and comes again, it has what there is") {
  std::mt19937 random(GENERATE(1u, 2u, 3u, 4u));
  StateStore states({.staleness = 0ms});
  const auto key = [&] { return std::string(texts(random() % 40).key()); };
  std::vector<Page> pages(5);
  std::vector<std::optional<EventStream>> streams(pages.size());
  for (int step = 0; step < 4000; ++step) {
    const std::size_t page = random() % pages.size();
    switch (random() % 12) {
      case 0:
        states.delete_state({.key = key(), .scope = scope});
        break;
      case 1:
        states.transact(scope, [&](atom::Session& session) {
          for (int i = 0; i < 3; ++i) session.use(texts(random() % 40)).update(std::to_string(random()));
        });
        break;
      case 2:
        if (random() % 50 == 0) states.delete_scope(scope);
        break;
      case 3:
        streams[page].reset();
        break;
      case 4:
        if (!streams[page]) streams[page] = states.events(scope, {.last_event_id = pages[page].last_id});
        break;
      case 5:
      case 6:
        if (streams[page]) pages[page].read(streams[page]->take());
        break;
      default:
        states.get_state<std::string>("", {.key = key(), .scope = scope})
            .set(std::string(random() % 4, '\n') + std::to_string(random()));
    }
    if (step % 100 != 99) continue;
    const Values wanted = listed(states);
    for (std::size_t i = 0; i < pages.size(); ++i) {
      if (!streams[i]) streams[i] = states.events(scope, {.last_event_id = pages[i].last_id});
      REQUIRE(pages[i].read(streams[i]->take()).values == wanted);
    }
  }
  std::size_t changes = 0;
  for (const Page& page : pages) changes += page.changes;
  CHECK(changes > 100);
}

TEST_CASE("many write while streams are opened, read and closed, and each ends with what there is at last") {
  for (int round = 0; round < 10; ++round) {
    StateStore states({.staleness = std::chrono::milliseconds(round % 2)});
    constexpr Number writes = 200;
    std::atomic<int> writing{3};
    std::mutex mutex;
    std::vector<EventStream> left;
    std::vector<Page> pages;
    std::atomic<bool> went_back{false};
    support::in_threads(6, [&](std::size_t thread) {
      if (thread < 3) {
        for (Number i = 1; i <= writes; ++i) {
          // Some keys are each writer's own, one is everybody's, and handles come and go.
          State<Number> own = number(states, "own" + std::to_string(thread));
          own.set(i);
          number(states, "all").apply(atom::current + 1);
          State<Number> comes = number(states, "comes" + std::to_string(i % 5));
          if (i % 3) {
            comes.set(i);
          } else {
            comes.erase();
          }
        }
        --writing;
        return;
      }
      std::vector<EventStream> mine;
      std::vector<Page> my_pages;
      std::string last_id;
      do {
        mine.push_back(states.events(scope, {.last_event_id = my_pages.empty() ? "" : my_pages.front().last_id}));
        my_pages.push_back(my_pages.empty() ? Page() : my_pages.front());
        for (std::size_t i = 0; i < mine.size(); ++i) {
          const Number before = std::atoll(my_pages[i].values["all"].c_str());
          my_pages[i].read(mine[i].take());
          if (std::atoll(my_pages[i].values["all"].c_str()) < before) went_back = true;
        }
        if (mine.size() > 4) {
          mine.erase(mine.begin() + 1, mine.begin() + 3);
          my_pages.erase(my_pages.begin() + 1, my_pages.begin() + 3);
        }
      } while (writing > 0);
      const std::lock_guard lock(mutex);
      for (EventStream& stream : mine) left.push_back(std::move(stream));
      pages.insert(pages.end(), my_pages.begin(), my_pages.end());
    });
    Values wanted;
    for (const atom::AnyState& state : states.list(scope))
      wanted[state.key()] = std::to_string(state.as<Number>().get());
    REQUIRE(wanted["all"] == std::to_string(3 * writes));
    REQUIRE_FALSE(went_back);
    for (std::size_t i = 0; i < left.size(); ++i) REQUIRE(pages[i].read(left[i].take()).values == wanted);
  }
}

TEST_CASE("streams that come and go while all is written leave nothing behind") {
  StateStore states;
  std::atomic<bool> is_over{false};
  std::atomic<int> woken{0};
  support::in_threads(4, [&](std::size_t thread) {
    if (thread == 0) {
      const auto goes_on = [&](int i) { return i < 2000 || (woken == 0 && i < 10'000'000); };
      for (int i = 0; goes_on(i); ++i) number(states, std::to_string(i % 20)).set(i);
      is_over = true;
      return;
    }
    while (!is_over) {
      EventStream stream = states.events(scope);
      if (thread == 1) stream.on_ready([&] { ++woken; });
      if (thread == 2) (void)stream.wait(0ms);
    }
  });
  CHECK(woken > 0);
  EventStream stream = states.events(scope);
  CHECK(values_of(stream).size() == 20);
}

TEST_CASE("a store may be closed while streams are opened, read and ended") {
  for (int round = 0; round < 20; ++round) {
    StateStore states;
    number(states, "a").set(1);
    std::atomic<bool> is_closed{false};
    support::in_threads(4, [&](std::size_t thread) {
      if (thread == 0) {
        std::this_thread::yield();
        states.close(0ms);
        is_closed = true;
        return;
      }
      for (bool last = false; !last;) {
        last = is_closed;
        EventStream stream = states.events(scope);
        (void)stream.wait(last ? 1h : 0ms);
        while (last && !stream.wait(1h).empty()) {
        }
        number(states, std::to_string(thread)).apply(atom::current + 1);
      }
    });
  }
}

TEST_CASE("ten thousand pages share one copy of a scope") {
  StateStore states;
  number(states, "a").set(1);
  std::vector<EventStream> streams;
  int woken = 0;
  for (int i = 0; i < 10'000; ++i) {
    streams.push_back(states.events(scope));
    (void)streams.back().take();
    streams.back().on_ready([&] { ++woken; });
  }
  number(states, "a").set(2);
  CHECK(woken == 10'000);
  std::size_t right = 0;
  for (EventStream& stream : streams) right += values_of(stream) == Values{{"a", "2"}};
  CHECK(right == 10'000);
}

// ---- What a stream leaves behind

using atom::detail::NodeReference;
using atom::detail::StateCore;
using atom::detail::StateNode;

NodeReference obtain(StateCore& core, const std::string& key) {
  const Number zero = 0;
  NodeReference node = core.table.obtain(scope, key, [&] {
    return atom::detail::make_state_node(core, {.key = key}, atom::detail::type_ops<Number>, &zero);
  });
  core.watch(node);
  return node;
}
std::size_t heard(StateCore& core) {
  std::size_t count = 0;
  for (const NodeReference& node : core.table.nodes(scope)) count += node->has(StateNode::heard);
  return count;
}

TEST_CASE("states are listened to from the first stream of their scope to the last, or to the end of all") {
  StateCore core({});
  std::vector<NodeReference> nodes;
  for (int i = 0; i < 10; ++i) nodes.push_back(obtain(core, std::to_string(i)));
  CHECK(heard(core) == 0);
  for (int round = 0; round < 3; ++round) {
    std::optional<EventStream> one = open_event_stream(core, scope, {}), other = open_event_stream(core, scope, {});
    nodes.push_back(obtain(core, "new" + std::to_string(round)));
    CHECK(heard(core) == nodes.size());
    for (const NodeReference& node : nodes) {
      CHECK(atom::detail::extras_of(*node).listeners.size() == 1);
    }
    one.reset();
    CHECK(heard(core) == nodes.size());
    other.reset();
    CHECK(heard(core) == 0);
    CHECK(core.watched_scopes->all().empty());
  }
  EventStream stream = open_event_stream(core, scope, {});
  core.end_watching();
  CHECK(heard(core) == 0);
  nodes.push_back(obtain(core, "late"));
  EventStream late = open_event_stream(core, scope, {});
  CHECK(heard(core) == 0);
}

TEST_CASE("a stream that is refused leaves nothing behind") {
  StateCore core({});
  std::vector<NodeReference> nodes;
  for (int i = 0; i <= 10'000; ++i) {
    nodes.push_back(obtain(core, std::to_string(i)));
    core.write(*nodes.back(), std::make_shared<const Number>(i), std::nullopt);
  }
  CHECK_THROWS_AS(open_event_stream(core, scope, {}), atom::StateError);
  CHECK(heard(core) == 0);
  CHECK(core.watched_scopes->all().empty());
}

TEST_CASE("states that come and go while they are watched are not kept") {
  StateCore core({});
  EventStream stream = open_event_stream(core, scope, {});
  Page page;
  for (int i = 0; i < 5000; ++i) {
    const NodeReference node = obtain(core, std::to_string(i));
    core.write(*node, std::make_shared<const Number>(i), std::nullopt);
    if (i % 7 == 0) page.read(stream.take());
    core.write(*node, nullptr, std::nullopt);
  }
  CHECK(core.table.size() == 0);
  CHECK(page.read(stream.take()).values.empty());
}

// ---- Before a database

using support::FaultyBackend;
using support::PassingBackend;

TEST_CASE("what a database has lost is seen when it is listed anew") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto faulty = std::make_shared<FaultyBackend>(memory);
  faulty->keep();
  StateStore states(faulty, {.staleness = 0ms});
  number(states, "a").set(1);
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"a", "1"}});
  number(states, "a").set(2);
  number(states, "b").set(3);
  REQUIRE(comes_to(stream, page, {{"a", "2"}, {"b", "3"}}));
  faulty->set_back(2);
  EventStream other = states.events(scope);
  CHECK(values_of(other) == Values{{"a", "1"}});
  CHECK(comes_to(stream, page, {{"a", "1"}}));
}

/// Tells of each change as `Postgres` tells of those of others: without value and version.
class TellsLittle final : public PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  std::unique_ptr<atom::Feed> open_feed() override { return std::make_unique<Feed>(PassingBackend::open_feed()); }

 private:
  class Feed final : public atom::Feed {
   public:
    explicit Feed(std::unique_ptr<atom::Feed> inner) : inner_(std::move(inner)) {}
    std::optional<atom::StateError> poll(atom::FeedSink& sink, atom::Deadline deadline) override {
      Sink little(sink);
      return inner_->poll(little, deadline);
    }
    void wake() noexcept override { inner_->wake(); }

   private:
    struct Sink final : atom::FeedSink {
      explicit Sink(atom::FeedSink& s) : sink(s) {}
      void changed(const Scope& its_scope, std::string_view key, std::int64_t,
                   std::optional<atom::StoredValue>) override {
        sink.changed(its_scope, key, 0, std::nullopt);
      }
      void lost_track() override { sink.lost_track(); }
      atom::FeedSink& sink;
    };
    std::unique_ptr<atom::Feed> inner_;
  };
};

TEST_CASE("a feed that tells neither values nor versions is enough") {
  StateStore states(std::make_shared<TellsLittle>(std::make_shared<atom::Memory>()), {.staleness = 1h});
  number(states, "a").set(1);
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"a", "1"}});
  number(states, "a").set(2);
  number(states, "b").set(3);
  CHECK(comes_to(stream, page, {{"a", "2"}, {"b", "3"}}));
  number(states, "a").erase();
  CHECK(comes_to(stream, page, {{"b", "3"}}));
  number(states, "a").set(4);
  CHECK(comes_to(stream, page, {{"a", "4"}, {"b", "3"}}));
}

/// Has no feed, and can be made to fail, and to stand still, where it lists.
class Lists final : public PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  std::unique_ptr<atom::Feed> open_feed() override { return has_feed ? PassingBackend::open_feed() : nullptr; }
  atom::StateResult<std::vector<atom::FoundState>> list(const Range& range, atom::Deadline deadline) override {
    ++lists;
    if (fails) return atom::StateError(StateErrorCode::unavailable, "no", atom::Effect::none, true);
    auto found = PassingBackend::list(range, deadline);
    if (after_list) after_list();
    return found;
  }
  bool has_feed = false;
  std::atomic<bool> fails{false};
  std::atomic<int> lists{0};
  std::function<void()> after_list;
};

TEST_CASE("without a feed the scope is listed again and again, as long as somebody watches") {
  const auto backend = std::make_shared<Lists>(std::make_shared<atom::Memory>());
  StateStore states(backend, {.staleness = 2ms});
  std::optional<EventStream> stream = states.events(scope);
  Page page;
  number(states, "a").set(1);
  CHECK(comes_to(*stream, page, {{"a", "1"}}));
  backend->fails = true;
  const int before = backend->lists;
  CHECK(eventually([&] { return backend->lists > before + 2; }));
  number(states, "a").set(2);
  CHECK(page.read(stream->take()).values == Values{{"a", "1"}});
  backend->fails = false;
  CHECK(comes_to(*stream, page, {{"a", "2"}}));
  stream.reset();
  const int last = backend->lists;
  std::this_thread::sleep_for(20ms);
  CHECK(backend->lists <= last + 1);
}

TEST_CASE("a database that does not answer is why a stream cannot be opened") {
  const auto backend = std::make_shared<Lists>(std::make_shared<atom::Memory>());
  StateStore states(backend, {.deadline = 20ms});
  backend->fails = true;
  CHECK_THROWS_AS(states.events(scope), atom::StateError);
  backend->fails = false;
  EventStream stream = states.events(scope);
  CHECK_FALSE(stream.take().empty());
  states.close(0ms);
  CHECK(stream.ended());
  CHECK_THROWS_AS(states.events(scope), atom::StateError);
}

TEST_CASE("streams that are opened within the staleness ask the database once") {
  const auto backend = std::make_shared<Lists>(std::make_shared<atom::Memory>());
  backend->has_feed = true;
  StateStore states(backend, {.staleness = 1h});
  number(states, "a").set(1);
  std::vector<EventStream> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(states.events(scope));
  CHECK(backend->lists <= 2);  // and once as the feed begins
  for (EventStream& stream : streams) CHECK(values_of(stream) == Values{{"a", "1"}});
}

/// Writes these states into a database, each with the value 1.
void fill(atom::Backend& backend, const Scope& its_scope, int count) {
  static std::uint32_t lanes = 0;
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back(std::to_string(i));
  const atom::StoredValue value{"1", 0};
  std::vector<atom::Command> commands;
  for (const std::string& key : keys) {
    commands.push_back({.kind = atom::Command::Kind::write, .name = {its_scope, key}, .value = &value});
  }
  std::vector<atom::Outcome> outcomes(commands.size());
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  REQUIRE(
      backend.execute({.number = ++lanes, .sequence = 1}, atom::BatchMode::independent, commands, outcomes, deadline)
          .status == atom::BatchStatus::done);
}

TEST_CASE("a scope is listed in parts, to its end") {
  const auto memory = std::make_shared<atom::Memory>();
  fill(*memory, scope, GENERATE(999, 1000, 1001, 2500));
  const auto backend = std::make_shared<Lists>(memory);
  StateStore states(backend);
  EventStream stream = states.events(scope);
  CHECK(values_of(stream).size() == states.list(scope, {.limit = 10'000}).size());
}

TEST_CASE("of a database's scopes only the one itself is listed, and nothing below or beside it") {
  const auto memory = std::make_shared<atom::Memory>();
  fill(*memory, Scope{"s"}, 2);
  for (const Scope& other : {Scope{"s.t"}, Scope{"r"}, Scope{"t"}, Scope::global()}) fill(*memory, other, 3);
  StateStore states(std::make_shared<Lists>(memory), {.staleness = 1ms});
  EventStream stream = states.events(scope);
  Page page;
  CHECK(page.read(stream.take()).values == Values{{"0", "1"}, {"1", "1"}});
  number(states, "a").set(2);
  CHECK(comes_to(stream, page, {{"0", "1"}, {"1", "1"}, {"a", "2"}}));
}

TEST_CASE("a scope that has become too large ends its own streams, and no others") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<Lists>(memory);
  std::atomic<int> down{0};
  StateStore states(backend, {.staleness = 2ms, .on_event = [&](const StateEvent& event) {
                                if (event.kind == StateEvent::Kind::feed_down) ++down;
                              }});
  EventStream large = states.events(Scope{"a"}), small = states.events(Scope{"b"});
  fill(*memory, Scope{"a"}, 10'001);
  CHECK(eventually([&] { return large.ended(); }));
  number(states, "x", Scope{"b"}).set(1);
  Page page;
  CHECK(comes_to(small, page, {{"x", "1"}}));
  CHECK(down == 0);
  CHECK_FALSE(small.ended());
  CHECK_THROWS_AS(states.events(Scope{"a"}), atom::StateError);
}

TEST_CASE("what comes while a scope is listed is not lost, and whoever is woken by a list may open a stream") {
  const auto backend = std::make_shared<Lists>(std::make_shared<atom::Memory>());
  StateStore states(backend, {.staleness = 1ms});
  std::optional<EventStream> stream = states.events(scope);
  (void)stream->take();
  std::mutex mutex;
  std::optional<EventStream> inner;
  std::atomic<bool> is_open{false};
  stream->on_ready([&] {
    const std::lock_guard lock(mutex);
    if (inner) return;
    inner = states.events(scope);
    is_open = true;
  });
  number(states, "a").set(1);
  REQUIRE(eventually([&] { return is_open.load(); }));
  stream.reset();
  Page page;
  CHECK(comes_to(*inner, page, {{"a", "1"}}));
}

TEST_CASE("a stream is of no use in a process that was forked from its own, and can be left there") {
  const auto states = std::make_unique<StateStore>(std::make_shared<atom::Memory>());
  std::optional<EventStream> stream = states->events(scope), waits = states->events(scope);
  (void)waits->take();
  std::thread waiting([&] {
    while (!waits->ended()) (void)waits->wait(1h);
  });
  CHECK(support::exit_code_of_child([&] {
          bool is_refused = false;
          try {
            (void)states->events(Scope{"t"});
          } catch (const atom::StateError& error) {
            is_refused = error.code() == StateErrorCode::closed;
          }
          const bool is_closed = states->close(1s);
          stream.reset();
          return is_refused && !is_closed;
        }) == 0);
  CHECK_FALSE(states->events(scope).ended());
  states->close(1s);
  waiting.join();
}

TEST_CASE("a database's values that cannot be read are left out, and reported once for each version") {
  const auto memory = std::make_shared<atom::Memory>();
  std::mutex mutex;
  std::vector<std::string> events;
  StateStore states(memory, {.staleness = 1h, .on_event = [&](const StateEvent& event) {
                               const std::lock_guard lock(mutex);
                               if (event.kind == StateEvent::Kind::undecodable) events.push_back(event.state);
                             }});
  std::uint64_t sequence = 0;
  const auto plant = [&](const std::string& text) {
    const atom::StoredValue value{text, 0};
    const atom::Command command{.kind = atom::Command::Kind::write, .name = {scope, "a"}, .value = &value};
    atom::Outcome outcome;
    (void)memory->execute({.sequence = ++sequence}, atom::BatchMode::independent, {&command, 1}, {&outcome, 1},
                          std::chrono::steady_clock::now() + 10s);
  };
  const auto reported = [&] {
    const std::lock_guard lock(mutex);
    return events.size();
  };
  plant("{no json");
  number(states, "b").set(1);
  EventStream stream = states.events(scope);
  Page page;
  REQUIRE(comes_to(stream, page, {{"b", "1"}}));
  CHECK(eventually([&] { return reported() == 1; }));
  EventStream other = states.events(scope);
  CHECK(values_of(other) == Values{{"b", "1"}});
  plant("5");
  CHECK(comes_to(stream, page, {{"a", "5"}, {"b", "1"}}));
  plant("[");
  CHECK(comes_to(stream, page, {{"b", "1"}}));
  CHECK(reported() == 2);
  CHECK(events.front() == atom::detail::id_in_message(scope, "a"));
}

}  // namespace
}  // namespace event_stream_test

// Sessions before a database: how often it is asked, and what happens when it fails. What any store does is in
// tests/contract.
#include <atom/state/session.hpp>

#include <atom/backend/memory.hpp>
#include <atom/context.hpp>
#include <atom/family.hpp>
#include <atom/fields.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/visitor.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/faulty_backend.hpp"
#include "support/misuse.hpp"
#include "support/task.hpp"
#include "support/threads.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace session_test {

/// Takes its time to be written as text.
struct Slow {
  int number = 0;
  bool operator==(const Slow&) const = default;
};

}  // namespace session_test

template <>
struct atom::codec<session_test::Slow> {
  static void write(auto& writer, const session_test::Slow& value) {
    std::this_thread::sleep_for(std::chrono::milliseconds(value.number));
    writer.integer(value.number);
  }
  static bool read(Reader& reader, session_test::Slow& value) { return codec<int>::read(reader, value.number); }
};

namespace session_test {
namespace {

using namespace std::chrono_literals;
using atom::Effect;
using atom::Scope;
using atom::Session;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateEvent;
using atom::StateStore;
using support::ContainsSubstring;
using support::Fault;
using support::FaultyBackend;
using support::Task;
using Number = std::int64_t;

const atom::Atom<Number> a{"session.a"}, b{"session.b"}, c{"session.c"}, d{"session.d"}, e{"session.e"};
const atom::Atom<std::string> text{"session.text"};
const Scope client = Scope::client("c");

struct NoCodec {
  int number = 0;
  bool operator==(const NoCodec&) const = default;
};
const atom::Atom<NoCodec> plain{"session.plain"};
const atom::Atom<std::unique_ptr<int>> handle{"session.handle", atom::Factory{[] { return std::make_unique<int>(1); }}};

template <class T>
T stored(StateStore& states, const atom::Atom<T>& atom, const Scope& scope = client) {
  return states.use(atom, scope).load();
}
template <class F>
StateError error_of(F f) {
  try {
    f();
  } catch (const StateError& error) {
    return error;
  }
  FAIL("it should have thrown");
  return {StateErrorCode::conflict, ""};
}

/// Counts, and has traits that tests change; runs equations itself if it is told to.
class Watched : public support::PassingBackend {
 public:
  explicit Watched(std::shared_ptr<atom::Backend> inner = std::make_shared<atom::Memory>())
      : PassingBackend(std::move(inner)) {}
  atom::BackendTraits traits() const noexcept override {
    atom::BackendTraits traits = inner().traits();
    traits.all_or_nothing = all_or_nothing;
    traits.most_commands = most_commands;
    traits.most_bytes = most_bytes;
    return traits;
  }
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    ++batches;
    if (before_execute) before_execute();
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 atom::Deadline deadline) override {
    ++reads;
    names_read += names.size();
    return inner().read(names, outcomes, deadline);
  }
  void reset() {
    batches = reads = 0;
    names_read = 0;
  }

  bool all_or_nothing = true;
  std::size_t most_commands = 1000;
  std::size_t most_bytes = 1u << 20;
  std::function<void()> before_execute;
  std::atomic<int> batches{0}, reads{0};
  std::atomic<std::size_t> names_read{0};
};

/// Writes what is no value of ours, as another program may have.
void put(atom::Backend& backend, const Scope& scope, std::string_view key, std::string json, int format = 0) {
  const atom::StoredValue value{std::move(json), format};
  const atom::Command command{.kind = atom::Command::Kind::write, .name = {scope, key}, .value = &value};
  atom::Lane lane{.sequence = 1};
  static std::uint32_t number = 1000;
  lane.number = ++number;
  atom::Outcome outcome;
  REQUIRE(backend.execute(lane, atom::BatchMode::independent, {&command, 1}, {&outcome, 1}, {}).status ==
          atom::BatchStatus::done);
}

// ---- Round trips

TEST_CASE("A request with five atoms takes two round trips once its route is known", "[case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend};
  const auto request = [&](const Scope& scope) {
    backend->reset();
    Session session{states, scope, {.route = "/cart"}};
    for (const auto* atom : {&a, &b, &c, &d}) session.use(*atom).update(session.use(*atom).value() + 1);
    session.use(e, Scope::global()).update(session.use(e).value() + 1);
    session.commit();
  };
  request(client);
  CHECK(backend->reads == 5);
  CHECK(backend->batches == 1);
  for (Number n = 2; n <= 3; ++n) {
    request(client);
    CHECK(backend->reads == 1);
    CHECK(backend->names_read == 5);
    CHECK(backend->batches == 1);
    CHECK(stored(states, a) == n);
    CHECK(stored(states, e, Scope::global()) == n);
  }
  request(Scope::client("other"));
  CHECK(backend->reads == 1);
  CHECK(stored(states, a, Scope::client("other")) == 1);
  CHECK(stored(states, e, Scope::global()) == 4);
}

TEST_CASE("A shared counter that the database counts itself takes no further round trip", "[case80][case90]") {
  static const atom::Atom<Number> shared{"session.shared"};
  const auto backend =
      std::make_shared<Watched>(std::make_shared<support::EquationBackend>(std::make_shared<atom::Memory>(), true));
  StateStore states{backend};
  for (Number n = 1; n <= 2; ++n) {
    backend->reset();
    Session session{states, client, {.route = "/"}};
    for (const auto* atom : {&a, &b, &c, &d, &e}) session.use(*atom).update(n);
    session.apply(shared, Scope::global(), atom::current + 1);
    session.commit();
  }
  CHECK(backend->reads == 1);
  CHECK(backend->batches == 1);
  CHECK(stored(states, shared, Scope::global()) == 2);
}

TEST_CASE("A route is learnt from sessions that only read, and not across clients", "[case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend};
  for (int i = 0; i < 2; ++i) {
    backend->reset();
    Session session{states, client, {.route = "/read"}};
    session.use(a);
    session.use(b);
    session.use(c, Scope::client("another") / "cart");
  }
  CHECK(backend->reads == 2);
  CHECK(backend->names_read == 3);
  backend->reset();
  Session session{states, client, {.route = "/other"}};
  session.use(a);
  CHECK(backend->names_read == 1);
}

/// Runs `other` in another thread while this one is inside a batch of the session.
template <class Other>
void while_inside(Session& session, Other other) {
  session.batch([&] { std::thread(other).join(); });
}

TEST_CASE("Two threads inside one session are reported, whatever the second one does") {
  const support::ListeningToMisuse listening;
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a);
  while_inside(session, [&] { CHECK_FALSE(session.has_changes()); });
  while_inside(session, [&] { CHECK_FALSE(session.try_commit()); });
  while_inside(session, [&] { CHECK_FALSE(session.try_commit_async().wait()); });
  while_inside(session, [&] { session.load(b); });
  const std::string twice = "a store is used by two threads at once";
  CHECK(listening.reports() == support::if_checked({twice, twice, twice, twice}));
}

TEST_CASE("A second thread that is at an atom of a session is reported with the atom") {
  const support::ListeningToMisuse listening;
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a);
  while_inside(session, [&] { CHECK(session.version(a) == 0); });
  while_inside(session, [&] { session.apply(b, atom::current + 1); });
  session.discard();
  const std::string near = "a store is used by two threads at once, near its atom ";
  CHECK(listening.reports() == support::if_checked({near + "\"session.a\"", near + "\"session.b\""}));
}

TEST_CASE("A second thread that takes over what a session has written or read is reported") {
  const support::ListeningToMisuse listening;
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a).update(1);
  auto commit = session.try_commit_async();
  while_inside(session, [&] { CHECK_FALSE(commit.wait()); });
  auto load = session.try_load_async(b);
  while_inside(session, [&] { CHECK_FALSE(load.wait()); });
  const std::string twice = "a store is used by two threads at once";
  CHECK(listening.reports() == support::if_checked({twice, twice}));
}

TEST_CASE("A second thread is reported while a session waits for the database") {
  struct Calls final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                              std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
      meanwhile();
      return inner().execute(lane, mode, commands, outcomes, deadline);
    }
    std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                   atom::Deadline deadline) override {
      meanwhile();
      return inner().read(names, outcomes, deadline);
    }
    std::function<void()> meanwhile = [] {};
  };
  const support::ListeningToMisuse listening;
  const auto backend = std::make_shared<Calls>(std::make_shared<atom::Memory>());
  StateStore states{backend};
  Session session{states, client};
  backend->meanwhile = [&] { std::thread([&] { (void)session.has_changes(); }).join(); };
  session.load(a);
  session.use(a).update(1);
  session.commit();
  const std::string twice = "a store is used by two threads at once";
  CHECK(listening.reports() == support::if_checked({twice, twice}));
}

TEST_CASE("A session that goes from thread to thread is no misuse") {
  const support::ListeningToMisuse listening;
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  for (Number i = 1; i <= 3; ++i) {
    std::thread([&] {
      session.load(a, b);
      session.use(a).update(i);
      session.apply(c, Scope::global(), atom::current + 1);
      CHECK(session.has_changes());
      auto commit = session.try_commit_async();
      std::thread([&] { CHECK_FALSE(commit.wait()); }).join();
    }).join();
  }
  CHECK(listening.reports().empty());
}

TEST_CASE("Without a route each atom is read when it is first used, and only then", "[case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend};
  Session session{states, client};
  CHECK(backend->reads == 0);
  session.use(a);
  session.use(a);
  session.use(b);
  CHECK(backend->reads == 2);
  session.commit();
  CHECK(backend->batches == 0);
}

TEST_CASE("A transaction that runs again reads all it needs in one go", "[case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend};
  int runs = 0;
  states.transact(client, [&](Session& session) {
    if (++runs == 2) backend->reset();
    session.use(a).update(1);
    session.use(b).update(1);
    session.use(c);
    if (runs == 1) states.use(a, client).set(9);
  });
  CHECK(runs == 2);
  CHECK(backend->reads == 1);
  CHECK(backend->names_read == 3);
  CHECK(backend->batches == 1);
}

TEST_CASE("Atoms that are loaded together take one round trip, and none at their first use", "[case90][case93]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend};
  states.use(b, client).set(2);
  backend->reset();
  {
    Session session{states, client, {.route = "/load"}};
    const bool is_asynchronous = GENERATE(false, true);
    if (is_asynchronous) {
      session.load_async(a, b, plain).wait();
      CHECK_FALSE(session.try_load_async(a).wait());
    } else {
      session.load(a, b, plain);
      session.load(a);
    }
    CHECK(session.use(a).value() == 0);
    CHECK(session.use(b).value() == 2);
    session.load(a, b);
    CHECK(backend->reads == 1);
    CHECK(backend->names_read == 2);
    session.use(c);
  }
  backend->reset();
  Session session{states, client, {.route = "/load"}};
  session.load();
  for (const auto* atom : {&a, &b, &c}) session.use(*atom);
  CHECK(backend->reads == 1);
  CHECK(backend->names_read == 3);
  StateStore in_memory;
  Session plain_session{in_memory, client};
  plain_session.load(a, b);
  plain_session.load_async(a, b).wait();
}

// ---- Limits

TEST_CASE("A backend without all or nothing takes sessions of one state, and says so at the second", "[case90]") {
  const support::ListeningToMisuse quiet;
  const auto backend = std::make_shared<Watched>();
  backend->all_or_nothing = false;
  StateStore states{backend};
  {
    Session session{states, client};
    session.use(a).update(1);
    const StateError error = error_of([&] { session.use(b); });
    CHECK(error.code() == StateErrorCode::refused);
    CHECK(error.effect() == Effect::none);
    CHECK_THAT(error.message(), ContainsSubstring("all or nothing"));
    CHECK(error_of([&] { session.use(c, Scope::global()); }).code() == StateErrorCode::refused);
    CHECK(error_of([&] { session.apply(d, atom::current + 1); }).code() == StateErrorCode::refused);
    session.use(plain).update(NoCodec{1});
    session.commit();
  }
  CHECK(stored(states, a) == 1);
  CHECK_FALSE(states.has_state({.key = "session.b", .scope = client}));
  atom::Visitor visitor{states, ""};
  CHECK(error_of([&] { visitor.session().use(a); }).code() == StateErrorCode::refused);
  CHECK(error_of([&] { states.promote(client, Scope::user("u")); }).code() == StateErrorCode::refused);
  CHECK(stored(states, a) == 1);
}

TEST_CASE("More than the backend takes in one batch is an error, and nothing is written", "[case90]") {
  const auto backend = std::make_shared<Watched>();
  backend->most_commands = 3;
  backend->most_bytes = 100;
  StateStore states{backend};
  Session session{states, client};
  for (const auto* atom : {&a, &b, &c, &d}) session.use(*atom).update(1);
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::too_large);
  CHECK(error_of([&] { session.commit(); }).effect() == Effect::none);
  session.use(d).reset();
  session.use(c).reset();
  session.use(text).update(std::string(100, 'x'));
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::too_large);
  CHECK(backend->batches == 0);
  session.use(text).update(std::string(90, 'x'));
  session.commit();
  CHECK(states.list(client).size() == 3);
  CHECK(error_of([&] { states.promote(client, Scope::user("u")); }).code() == StateErrorCode::too_large);
  CHECK(states.list(client).size() == 3);
}

TEST_CASE("An atom that cannot be stored is the request's alone, and says so where it is placed", "[case90]") {
  const support::ListeningToMisuse quiet;  // of what the next case is about
  StateStore states{std::make_shared<Watched>()};
  Session session{states, client};
  session.use(plain).update(NoCodec{3});
  session.use(handle).mutate([](std::unique_ptr<int>& pointer) { *pointer = 2; });
  CHECK_FALSE(session.has_changes());
  session.commit();
  CHECK(states.list().empty());
  Session other{states, client};
  CHECK(other.use(plain).value().number == 0);
  CHECK_THROWS_WITH(Session(states, client).use(plain, Scope::global()), ContainsSubstring("cannot be a state"));
}

TEST_CASE("A value that a database does not keep for want of a codec is reported while a program is developed",
          "[case90]") {
  static const atom::Atom<NoCodec> made{"session.made", atom::Factory{[] { return NoCodec(); }}};
  const support::ListeningToMisuse listening;
  StateStore in_memory;
  Session(in_memory, client).use(plain);  // which keeps it
  StateStore states{std::make_shared<Watched>()};
  Session session{states, client};
  session.use(a);
  session.use(handle);  // nobody takes it for a state
  session.use(made);    // nor that
  CHECK(support::ListeningToMisuse::reports().empty());
  session.use(plain);
  for (const std::string& report : support::ListeningToMisuse::reports()) {
    CHECK_THAT(report, ContainsSubstring("\"session.plain\" is used in a session, which does not keep it: "));
    CHECK_THAT(report, ContainsSubstring("NoCodec has no codec; describe it with atom_fields()"));
  }
  CHECK(support::ListeningToMisuse::reports().size() == support::if_checked({"one"}).size());
}

TEST_CASE("A change that a database does not keep for want of a codec is told where it is committed", "[case90]") {
  static const atom::Atom<NoCodec> made{"session.made there", atom::Factory{[] { return NoCodec(); }}};
  static const atom::AtomFamily<int, NoCodec> rows{"session.row"};
  const support::ListeningToMisuse quiet;
  std::vector<std::string> lost;
  StateStore states{std::make_shared<Watched>(), {.on_event = [&](const atom::StateEvent& event) {
                      CHECK(event.kind == atom::StateEvent::Kind::dropped);
                      lost.push_back(event.message);
                    }}};
  {
    Session session{states, client};
    session.use(plain);  // as it was
    session.use(made).update(NoCodec{4});
    session.use(a).update(1);
    session.commit();
    CHECK(lost.empty());
    session.use(plain).update(NoCodec{3});
    session.use(rows(7)).update(NoCodec{3});
    session.commit();
    session.use(a).update(2);
    session.commit();  // and not once more
  }
  REQUIRE(lost.size() == 2);
  CHECK_THAT(lost[1], ContainsSubstring("\"session.row/7\""));
  CHECK_THAT(lost[0], ContainsSubstring("\"session.plain\" is used in a session, which does not keep it: "));
  states.transact(client, [](Session& session) { session.use(plain).update(NoCodec{3}); });
  CHECK(lost.size() == 3);
  Session forgotten{states, client};  // is not committed
  forgotten.use(plain).update(NoCodec{3});
  CHECK(lost.size() == 3);
}

// ---- What is stored does not read

TEST_CASE("What does not read as its type is an error of that atom's, and is not written over", "[case76][case90]") {
  const auto memory = std::make_shared<atom::Memory>();
  StateStore states{memory};
  put(*memory, client, "session.a", "\"no number\"");
  put(*memory, client, "session.b", "7");
  put(*memory, client, "session.c", "8", 3);
  for (int i = 0; i < 2; ++i) {
    Session session{states, client, {.route = "/"}};
    const StateError error = error_of([&] { session.use(a); });
    CHECK(error.code() == StateErrorCode::undecodable);
    CHECK(error.effect() == Effect::none);
    CHECK_THAT(error.message(), ContainsSubstring("session.a"));
    CHECK_THAT(error.message(), !ContainsSubstring("no number"));
    CHECK(error_of([&] { session.use(c); }).code() == StateErrorCode::undecodable);
    CHECK(session.use(b).value() == 7 + i);
    session.use(b).update(8 + i);
    session.commit();
    CHECK(error_of([&] { session.use(a); }).code() == StateErrorCode::undecodable);
    session.apply(a, atom::current + 1);
    CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::undecodable);
    session.discard();
  }
  atom::Outcome outcome;
  const atom::StateName name{client, "session.a"};
  REQUIRE_FALSE(memory->read({&name, 1}, {&outcome, 1}, {}));
  CHECK(outcome.value->text == "\"no number\"");
  put(*memory, client, "session.a", "5");
  CHECK(Session(states, client).use(a).value() == 5);
}

TEST_CASE("What a session writes has the labels and the time to live that its state was declared with", "[case69]") {
  StateStore states{std::make_shared<atom::Memory>()};
  const auto declared =
      states.get_state<Number>(0, {.key = std::string(a.key()), .scope = client, .labels = {"mine"}, .ttl = 3000ms});
  const auto write = [&] {
    Session session{states, client};
    session.use(a).update(session.use(a).value() + 1);
    session.use(b).update(1);
    session.commit();
  };
  write();
  CHECK(declared.load() == 1);
  CHECK(states.purge({"mine"}) == 1);
  CHECK(declared.load() == 0);
  write();
  std::this_thread::sleep_for(3100ms);
  CHECK(declared.load() == 0);
  CHECK(stored(states, b) == 1);
}

TEST_CASE("An atom whose key cannot be that of a state is an error, and leaves the session as it was", "[case72]") {
  static const atom::Atom<Number> control{"session.\n"}, endless{std::string(300, 'k')};
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  CHECK(error_of([&] { session.use(control); }).code() == StateErrorCode::invalid_name);
  CHECK(error_of([&] { session.use(endless); }).code() == StateErrorCode::too_large);
  CHECK(error_of([&] { session.load(a, control); }).code() == StateErrorCode::invalid_name);
  session.use(a).update(1);
  session.commit();
  CHECK(stored(states, a) == 1);
}

TEST_CASE("A handle of another type to the same state is not harmed by a commit", "[case58][case90]") {
  StateStore states{std::make_shared<atom::Memory>()};
  const auto other = states.get_state<std::string>("default", {.key = "session.a", .scope = client});
  CHECK(other.get() == "default");
  Session session{states, client};
  session.use(a).update(4);
  session.commit();
  CHECK(error_of([&] { other.get(); }).code() == StateErrorCode::undecodable);
  CHECK(stored(states, b) == 0);
}

TEST_CASE("What cannot be written as text is an error, and nothing is written", "[case84][case90]") {
  static const atom::Atom<double> real{"session.real"};
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a).update(1);
  session.use(real).update(1e308 * 10);
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::not_finite);
  CHECK(states.list().empty());
  session.use(real).update(1.5);
  session.commit();
  CHECK(states.list().size() == 2);
}

// ---- A database that fails

struct Faulty {
  std::shared_ptr<atom::Memory> memory = std::make_shared<atom::Memory>();
  std::shared_ptr<FaultyBackend> backend = std::make_shared<FaultyBackend>(memory);
};

TEST_CASE("A database that is away for a moment is asked again, and each commit counts once", "[case79][case83]") {
  const Faulty faulty;
  StateStore states{faulty.backend};
  faulty.backend->script({Fault::answer_lost, Fault::request_lost, Fault::duplicated, Fault::refused_for_now});
  for (Number n = 1; n <= 4; ++n) {
    Session session{states, client};
    session.use(a).update(session.use(a).value() + 1);
    session.apply(b, atom::current + 1);
    session.commit();
  }
  faulty.backend->deliver_late_ones();
  CHECK(stored(states, a) == 4);
  CHECK(stored(states, b) == 4);
}

TEST_CASE("A database that stays away is an error that says that nothing was written", "[case79]") {
  const Faulty faulty;
  StateStore states{faulty.backend, {.deadline = 100ms}};
  Session session{states, client};
  session.use(a).update(1);
  faulty.backend->set_down(true);
  CHECK(error_of([&] { session.load(b, c); }).code() == StateErrorCode::unavailable);
  CHECK(error_of([&] { session.load_async(b).wait(); }).effect() == Effect::none);
  const StateError unread = error_of([&] { session.use(b); });
  CHECK(unread.code() == StateErrorCode::unavailable);
  CHECK(unread.effect() == Effect::none);
  CHECK(unread.retryable());
  const StateError unwritten = error_of([&] { session.commit(); });
  CHECK(unwritten.effect() == Effect::none);
  CHECK(unwritten.retryable());
  CHECK(session.has_changes());
  CHECK(error_of([&] { atom::Visitor(states, "session=" + atom::SessionId::random().text()); }).retryable());
  faulty.backend->set_down(false);
  CHECK(session.use(b).value() == 0);
  session.commit();
  CHECK(stored(states, a) == 1);
}

TEST_CASE("A session and a visitor may have a deadline of their own, for all that they wait for", "[case79][case90]") {
  const Faulty faulty;
  StateStore states{faulty.backend, {.deadline = 60s}};
  const std::string cookie = [&] {
    atom::Visitor visitor{states, ""};
    visitor.transact([](Session& session) { session.use(a).update(1); });
    return *visitor.set_cookie();
  }();
  atom::Visitor visitor{states, cookie, {.deadline = 1s}};
  Session of_visitor = visitor.session();
  Session session{states, client, {.deadline = 1s}};
  session.use(a).update(1);
  of_visitor.use(a).update(2);
  faulty.backend->set_down(true);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of([&] { session.use(b); }).effect() == Effect::none);
  CHECK(error_of([&] { session.commit(); }).effect() == Effect::none);  // has no time any more
  CHECK(error_of([&] { of_visitor.commit(); }).effect() == Effect::none);
  CHECK(error_of([&] { visitor.transact([](Session& s) { s.use(a).update(3); }); }).effect() == Effect::none);
  CHECK(error_of([&] { visitor.sign_in("u"); }).effect() == Effect::none);
  CHECK(error_of([&] {
          states.transact(client, [](Session& s) { s.use(a).update(3); }, {.deadline = 100ms});
        }).effect() == Effect::none);
  CHECK(std::chrono::steady_clock::now() - begin < 20s);  // not even once as long as the store's
  faulty.backend->set_down(false);
  CHECK_THROWS_AS(session.commit(), StateError);  // its time stays over
  CHECK(stored(states, a) == 0);
  Session later{states, client, {.deadline = std::chrono::milliseconds::max()}};
  later.use(a).update(5);
  later.commit();
  CHECK(stored(states, a) == 5);
}

TEST_CASE("A transaction with a deadline of its own ends there, however often others are faster", "[case79][case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend, {.deadline = 60s}}, others{backend};
  const auto begin = std::chrono::steady_clock::now();
  const auto overtaken = [&](Session& session) {
    session.use(a).update(session.use(a).value() + 1);
    others.use(a, client).apply(atom::current + 1);
  };
  CHECK(error_of([&] { states.transact(client, overtaken, {.deadline = 200ms}); }).effect() == Effect::none);
  CHECK(std::chrono::steady_clock::now() - begin < 20s);
}

TEST_CASE("A commit whose effect is unknown says so, and is not run again", "[case79][case83]") {
  const Fault fault = GENERATE(Fault::answer_lost, Fault::request_lost, Fault::delayed);
  const Faulty faulty;
  std::atomic<int> losses = 0;
  StateStore states{faulty.backend, {.deadline = 500ms, .on_event = [&](const StateEvent& event) {
                                       if (event.kind == StateEvent::Kind::history_lost) ++losses;
                                     }}};
  faulty.backend->script({fault});
  for (int i = 0; i < 200; ++i) faulty.backend->script({Fault::request_lost});
  int runs = 0;
  const StateError error = error_of([&] {
    states.transact(client, [&](Session& session) {
      ++runs;
      session.use(a).update(session.use(a).value() + 1);
    });
  });
  CHECK(error.effect() == Effect::unknown);
  CHECK(error.retryable());
  CHECK(runs == 1);
  faulty.backend->calm_down();
  const Number written = fault == Fault::answer_lost ? 1 : 0;
  CHECK(stored(states, a) == written);
  states.transact(client, [](Session& session) { session.use(a).update(session.use(a).value() + 1); });
  CHECK(stored(states, a) == written + 1);
  faulty.backend->deliver_late_ones();
  CHECK(stored(states, a) == written + 1);
  CHECK(losses == 0);
}

TEST_CASE("Sessions under a database that fails at random lose and double nothing", "[case81][case83]") {
  const Faulty faulty;
  const auto backend = std::make_shared<FaultyBackend>(faulty.memory, support::Faults{.seed = 7}
                                                                          .with(Fault::answer_lost, 60)
                                                                          .with(Fault::request_lost, 60)
                                                                          .with(Fault::duplicated, 60)
                                                                          .with(Fault::refused_for_now, 60));
  StateStore states{backend, {.deadline = 5min}};
  support::in_threads(4, [&](std::size_t) {
    for (int i = 0; i < 25; ++i) {
      states.transact(client, [&](Session& session) {
        session.use(a).update(session.use(a).value() + 1);
        session.apply(b, Scope::global(), atom::current + 1);
      });
    }
  });
  backend->calm_down();
  CHECK(stored(states, a) == 100);
  CHECK(stored(states, b, Scope::global()) == 100);
}

TEST_CASE("A conflict whose fresh values cannot be read leaves the session as it was", "[case79][case90]") {
  const Faulty faulty;
  const auto backend = std::make_shared<Watched>(faulty.backend);
  StateStore states{backend, {.deadline = 2s}};
  Session session{states, client};
  session.use(a).update(1);
  put(*faulty.memory, client, "session.a", "7");
  backend->before_execute = [&] { put(*faulty.memory, client, "session.a", "\"bad\""); };
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::undecodable);
  backend->before_execute = nullptr;
  CHECK(session.has_changes());
  CHECK(session.use(a).value() == 1);
  put(*faulty.memory, client, "session.a", "8");
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::conflict);
  CHECK(session.use(a).value() == 8);
}

TEST_CASE("What is written while an equation is committed is for the next commit", "[case90]") {
  for (const bool in_memory : {true, false}) {
    StateStore states = in_memory ? StateStore() : StateStore(std::make_shared<atom::Memory>());
    Session session{states, client};
    auto& counted = session.use(a);
    session.apply(a, atom::current + 1);
    auto commit = session.commit_async();
    counted.update(100);
    commit.wait();
    CHECK(counted.value() == 100);
    CHECK(session.has_changes());
    CHECK(stored(states, a) == 1);
    session.commit();
    CHECK(stored(states, a) == 100);
    session.apply(a, atom::current + 1);
    session.commit();
    CHECK(counted.value() == 101);
  }
}

TEST_CASE("A factory may use other atoms also where the session asks it what there is without a value", "[case90]") {
  const atom::AtomFamily<int, Number> others{"session.other", 1};
  int count = 20;  // more than there is room for
  const atom::Atom<Number> sum{"session.sum", atom::Factory{[&] {
                                 Number all = 0;
                                 for (int i = 0; i < count; ++i) all += atom::current_store()->use(others(i)).value();
                                 return all;
                               }}};
  for (const bool in_memory : {true, false}) {
    StateStore states = in_memory ? StateStore() : StateStore(std::make_shared<atom::Memory>());
    {
      Session session{states, client};
      const atom::StoreScope current{session};
      session.apply(sum, atom::current + 1);
      session.commit();
      CHECK(states.get_state<Number>(0, {.key = "session.sum", .scope = client}).load() == 21);
    }
    const Scope another = Scope::client("another");
    Session session{states, another};
    const atom::StoreScope current{session};
    session.use(a).update(1);
    count = 0;
    CHECK(session.use(sum).value() == 0);
    states.use(a, another).set(7);
    count = 20;
    CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::conflict);
    CHECK(session.use(sum).value() == 20);
    CHECK(session.use(a).value() == 7);
  }
}

TEST_CASE("Nothing is sent once the deadline is over, though it was not when the commit began", "[case79][case90]") {
  const auto backend = std::make_shared<Watched>();
  StateStore states{backend, {.deadline = 300ms}};
  const atom::Atom<Slow> slow{"session.slow"};
  Session session{states, client};
  session.use(slow).update({400});
  backend->reset();
  const StateError error = error_of([&] { session.commit(); });
  CHECK(error.code() == StateErrorCode::timed_out);
  CHECK(error.effect() == Effect::none);
  CHECK(backend->batches == 0);
  CHECK(session.has_changes());
}

TEST_CASE("An equation that others overtake each time ends at the deadline", "[case85][case90]") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto watched = std::make_shared<Watched>(memory);
  StateStore states{watched, {.deadline = 500ms}};
  Number n = 0;
  watched->before_execute = [&] { put(*memory, client, "session.a", std::to_string(++n)); };
  Session session{states, client};
  session.apply(a, atom::current + 1);
  const StateError error = error_of([&] { session.commit(); });
  // The last attempt may be too late.
  CHECK((error.code() == StateErrorCode::conflict || error.code() == StateErrorCode::timed_out));
  CHECK(error.effect() == Effect::none);
  CHECK(n > 1);
  watched->before_execute = nullptr;
  session.discard();
  CHECK(stored(states, a) == n);
}

TEST_CASE("A sign-in that the database refuses has changed nothing", "[case73][case79]") {
  const Faulty faulty;
  StateStore states{faulty.backend};
  atom::Visitor visitor{states, ""};
  visitor.transact([](Session& session) { session.use(a).update(1); });
  const std::string cookie = *visitor.set_cookie();
  faulty.backend->script({Fault::refused});
  CHECK(error_of([&] { visitor.sign_in("u"); }).effect() == Effect::none);
  CHECK_FALSE(visitor.is_signed_in());
  CHECK(*visitor.set_cookie() == cookie);
  CHECK(visitor.session().use(a).value() == 1);
  visitor.sign_in("u");
  CHECK(stored(states, a, Scope::user("u")) == 1);
}

TEST_CASE("A visitor whose record cannot be renewed is one all the same, and the next request renews it", "[case79]") {
  const Faulty faulty;
  StateStore states{faulty.backend};
  const atom::VisitorOptions options{.ttl = 3000ms};
  atom::Visitor first{states, "", options};
  first.transact([](Session& session) { session.use(a).update(1); });
  const std::string cookie = *first.set_cookie();
  std::this_thread::sleep_for(350ms);
  faulty.backend->script({Fault::refused});
  const atom::Visitor visitor{states, cookie.substr(0, cookie.find(';')), options};
  CHECK_FALSE(visitor.set_cookie());
  CHECK(visitor.session().use(a).value() == 1);
  CHECK(atom::Visitor{states, cookie.substr(0, cookie.find(';')), options}.set_cookie());
}

TEST_CASE("A context that the database refuses makes nobody known", "[case70][case79]") {
  const Faulty faulty;
  StateStore states{faulty.backend};
  atom::Visitor visitor{states, ""};
  faulty.backend->script({Fault::refused});
  CHECK(error_of([&] { visitor.context(); }).effect() == Effect::none);
  CHECK_FALSE(visitor.set_cookie());
  visitor.context();
  CHECK(visitor.set_cookie());
}

TEST_CASE("A sign-out says whether the client is signed out, where the database fails", "[case73][case79]") {
  struct Keeping final : support::PassingBackend {
    explicit Keeping(std::shared_ptr<atom::Backend> inner) : PassingBackend(std::move(inner)) {}
    atom::StateResult<std::vector<atom::FoundState>> erase_scope(const Scope&, atom::Deadline) override {
      return StateError(StateErrorCode::refused, "no rights to delete");
    }
  };
  const Faulty faulty;
  StateStore states{std::make_shared<Keeping>(faulty.backend)};
  atom::Visitor visitor{states, ""};
  visitor.transact([](Session& session) { session.use(a).update(1); });
  const std::string cookie = *visitor.set_cookie();
  faulty.backend->script({Fault::refused});
  CHECK(error_of([&] { visitor.sign_out(); }).effect() == Effect::none);
  CHECK(*visitor.set_cookie() == cookie);
  const StateError kept = error_of([&] { visitor.sign_out(); });
  CHECK(kept.effect() == Effect::applied);
  CHECK_THAT(kept.what(), ContainsSubstring("no rights to delete"));
  CHECK_THAT(*visitor.set_cookie(), ContainsSubstring("Max-Age=0"));
  CHECK(atom::Visitor(states, cookie.substr(0, cookie.find(';'))).session().use(a).value() == 0);
}

TEST_CASE("What a sign-out deletes is waited for no longer than the visitor's deadline", "[case73][case79]") {
  struct Stuck final : support::PassingBackend {
    using PassingBackend::PassingBackend;
    atom::StateResult<std::vector<atom::FoundState>> erase_scope(const Scope&, atom::Deadline) override {
      return StateError(StateErrorCode::unavailable, "nobody is there", Effect::none, true);
    }
  };
  StateStore states{std::make_shared<Stuck>(std::make_shared<atom::Memory>()), {.deadline = 30s}};
  atom::Visitor visitor{states, "", {.deadline = 300ms}};
  visitor.transact([](Session& session) { session.use(a).update(1); });
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of([&] { visitor.sign_out(); }).effect() == Effect::applied);
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
}

TEST_CASE("A sign-out of a client whose record is renewed meanwhile is one", "[case73]") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto backend = std::make_shared<Watched>(memory);
  StateStore states{backend}, others{memory};
  const atom::VisitorOptions options{.ttl = 3000ms};
  atom::Visitor visitor{states, "", options};
  visitor.transact([](Session& session) { session.use(a).update(1); });
  const std::string cookie = *visitor.set_cookie();
  const std::string cookies = cookie.substr(0, cookie.find(';'));
  std::this_thread::sleep_for(350ms);
  backend->before_execute = [&, is_first = true]() mutable {
    if (std::exchange(is_first, false)) CHECK(atom::Visitor(others, cookies, options).set_cookie());
  };
  visitor.sign_out();
  CHECK(atom::Visitor(others, cookies, options).session().use(a).value() == 0);
}

TEST_CASE("A store that is closed takes no commits any more", "[case79]") {
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a).update(1);
  CHECK(states.close(1s));
  CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::closed);
  CHECK(error_of([&] { session.commit_async().wait(); }).code() == StateErrorCode::closed);
  session.discard();
}

TEST_CASE("A session is of no use in a process that was forked from its store's", "[case93]") {
  StateStore states{std::make_shared<atom::Memory>()};
  Session session{states, client};
  session.use(a).update(1);
  session.commit_async().wait();
  session.use(a).update(2);
  (void)session.load_async(b, c);
  CHECK(support::exit_code_of_child([&] {
          const auto is_closed = [](auto use) { return error_of(use).code() == StateErrorCode::closed; };
          return is_closed([&] { session.commit(); }) && is_closed([&] { session.load_async(d).wait(); }) &&
                 is_closed([&] { states.promote(client, Scope::user("u")); });
        }) == 0);
  session.commit();
  CHECK(stored(states, a) == 2);
}

// ---- Without waiting

/// A database whose batches wait until they may go on.
class Gate final : public support::PassingBackend {
 public:
  Gate() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    {
      std::unique_lock lock(mutex_);
      ++arrived;
      changed_.wait(lock, [&] { return is_open_; });
    }
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
  void open(bool is_open) {
    const std::lock_guard lock(mutex_);
    is_open_ = is_open;
    changed_.notify_all();
  }
  std::atomic<int> arrived{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = true;
};
template <class Is>
bool soon(Is is) {
  for (int i = 0; i < 20'000 && !is(); ++i) std::this_thread::sleep_for(1ms);
  return is();
}

TEST_CASE("A commit does not block the thread that begins it", "[case93]") {
  const auto gate = std::make_shared<Gate>();
  StateStore states{gate};
  Session session{states, client};
  session.use(a).update(1);
  gate->open(false);
  auto commit = session.commit_async();
  CHECK(soon([&] { return gate->arrived == 1; }));
  CHECK_FALSE(commit.is_ready());
  session.use(a).update(2);  // is for the next one
  gate->open(true);
  commit.wait();
  CHECK(stored(states, a) == 1);
  CHECK(session.has_changes());
  session.commit();
  CHECK(stored(states, a) == 2);
  CHECK_FALSE(session.has_changes());
}

Task<void> commit_twice(StateStore& states, Session& session, std::atomic<int>& done, std::thread::id& resumed_in) {
  co_await session.load_async(a, b);
  session.use(a).update(1);
  co_await session.commit_async();
  resumed_in = std::this_thread::get_id();
  states.use(a, client).set(5);
  session.use(a).update(2);
  const std::optional<StateError> error = co_await session.try_commit_async();
  if (error && error->code() == StateErrorCode::conflict && session.use(a).value() == 5) ++done;
  session.use(a).update(6);
  co_await session.commit_async();
  ++done;
}

TEST_CASE("A coroutine waits for commits, and goes on in a thread of the store's or where it is told", "[case93]") {
  std::mutex mutex;
  std::vector<std::function<void()>> posted;
  const bool has_executor = GENERATE(false, true);
  atom::StoreOptions options;
  options.threads = 1;  // so that it has left a coroutine when it does something else
  if (has_executor) {
    options.executor = [&](std::function<void()> work) {
      const std::lock_guard lock(mutex);
      posted.push_back(std::move(work));
    };
  }
  const auto gate = std::make_shared<Gate>();
  StateStore states{gate, options};
  std::atomic<int> done{0};
  std::thread::id resumed_in;
  Session session{states, client};
  {
    Task<void> task = commit_twice(states, session, done, resumed_in);
    gate->open(false);  // what has come already is not waited for: it would go on here
    task.start();
    gate->open(true);
    CHECK(soon([&] {
      std::vector<std::function<void()>> work;
      {
        const std::lock_guard lock(mutex);
        work = std::exchange(posted, {});
      }
      for (const auto& run : work) run();
      return done == 2;
    }));
    CHECK((resumed_in == std::this_thread::get_id()) == has_executor);
    if (!has_executor) {
      Session other{states, Scope::client("other")};
      other.use(a).update(1);
      auto commit = other.commit_async();
      CHECK(soon([&] { return commit.is_ready(); }));
      commit.wait();
    }
    task.result();
  }
  CHECK(stored(states, a) == 6);
}

TEST_CASE("A commit goes on when its task, its coroutine and its session are gone", "[case93]") {
  const auto gate = std::make_shared<Gate>();
  std::atomic<int> dropped{0};
  StateStore states{gate,
                    {.on_event = [&](const StateEvent& event) { dropped += event.kind == StateEvent::Kind::dropped; }}};
  gate->open(false);
  {
    Session session{states, client};
    session.use(a).update(1);
    const auto task = session.commit_async();
  }
  {
    Session session{states, client};
    session.use(a).update(1);
    bool went_on = false;
    const auto work = [&]() -> Task<void> {
      co_await session.commit_async();
      went_on = true;
    };
    Task<void> task = work();
    task.start();
    CHECK_FALSE(went_on);
  }
  gate->open(true);
  CHECK(soon([&] { return stored(states, a) == 1; }));
  CHECK(dropped == 0);
}

TEST_CASE("A store that ends waits for commits that are under way", "[case93]") {
  const auto gate = std::make_shared<Gate>();
  gate->open(false);
  std::thread opens;
  {
    StateStore states{gate};
    {
      Session session{states, client};
      session.use(a).update(1);
      const auto task = session.commit_async();
    }
    CHECK(soon([&] { return gate->arrived == 1; }));
    opens = std::thread([&] {
      std::this_thread::sleep_for(10ms);
      gate->open(true);
    });
  }
  opens.join();
  StateStore states{gate};
  CHECK(stored(states, a) == 1);
}

TEST_CASE("What a commit that nobody has waited for ran into, the next one says", "[case93]") {
  const Faulty faulty;
  std::atomic<int> dropped{0};
  StateStore states{faulty.backend,
                    {.on_event = [&](const StateEvent& event) { dropped += event.kind == StateEvent::Kind::dropped; }}};
  {
    Session session{states, client};
    session.use(a).update(1);
    states.use(a, client).set(7);
    {
      const auto task = session.commit_async();
    }
    CHECK(error_of([&] { session.commit(); }).code() == StateErrorCode::conflict);
    CHECK(session.use(a).value() == 7);
    session.use(a).update(8);
    faulty.backend->script({Fault::refused});
    auto task = session.commit_async();
    CHECK(soon([&] { return task.is_ready(); }));
  }
  CHECK(dropped == 1);
  CHECK(stored(states, a) == 7);
}

/// Throws when it is compared or copied too often.
struct Fragile {
  int number = 0;
  static inline int copies_left = -1;
  Fragile() = default;
  explicit Fragile(int n) : number(n) {}
  Fragile(const Fragile& other) : number(other.number) {
    if (copies_left == 0) throw std::runtime_error("no copies");
    if (copies_left > 0) --copies_left;
  }
  Fragile& operator=(const Fragile&) = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("number", &Fragile::number)); }
};

TEST_CASE("What a value throws while it is committed comes out, and nothing is written", "[case90]") {
  static const atom::Atom<Fragile> fragile{"session.fragile"};
  const bool has_database = GENERATE(false, true);
  const auto states =
      has_database ? std::make_unique<StateStore>(std::make_shared<atom::Memory>()) : std::make_unique<StateStore>();
  Session session{*states, client};
  session.use(a).update(1);
  session.use(fragile).mutate([](Fragile& value) { value.number = 3; });
  int failures = 0;
  for (int copies = 0;; ++copies) {
    Fragile::copies_left = copies;
    try {
      session.commit();
      break;
    } catch (const std::runtime_error&) {
      ++failures;
    }
    Fragile::copies_left = -1;
    CHECK(session.has_changes());
    CHECK(states->list().empty());
  }
  Fragile::copies_left = -1;
  CHECK(failures > 0);
  CHECK(stored(*states, fragile).number == 3);
  CHECK(stored(*states, a) == 1);
}

}  // namespace
}  // namespace session_test

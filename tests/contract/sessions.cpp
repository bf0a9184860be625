// The atoms of a request as states: loaded when they are used, and committed all or nothing.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/family.hpp>
#include <atom/fields.hpp>
#include <atom/json.hpp>
#include <atom/state/session.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/threads.hpp"

namespace contract_sessions {
namespace {

using atom::Scope;
using atom::Session;
using atom::StateErrorCode;
using atom::StateEvent;
using atom::StateStore;
using contract::code_thrown_by;
using support::ContainsSubstring;
using Number = std::int64_t;

struct Cart : atom::Atom<std::vector<int>> {
  using Atom::Atom;
  void add(int item) {
    mutate([&](std::vector<int>& items) { items.push_back(item); });
  }
};
/// Whose copies cannot be compared.
struct Opaque {
  int number = 0;
  static constexpr auto atom_fields() { return atom::describe(atom::field("number", &Opaque::number)); }
};

const Cart cart{"sessions.cart"};
const atom::Atom<Number> count{"sessions.count", 5};
const atom::Atom<Number> total{"sessions.total", 0};
const atom::Atom<std::string> name{"sessions.name", "Anon"};
const atom::Atom<std::string> secret{"sessions.secret", "", {.server_only = true}};
const atom::Atom<std::vector<int>> made{"sessions.made", atom::Factory{[] { return std::vector<int>{1, 2}; }}};
const atom::Atom<Opaque> opaque{"sessions.opaque"};
const atom::AtomFamily<int, Number> scores{"sessions.scores", 0};

const Scope client = Scope::client("c");

template <class T>
T stored(StateStore& states, const atom::Atom<T>& atom, const Scope& scope = client) {
  return states.use(atom, scope).load();
}
template <class T>
bool is_stored(StateStore& states, const atom::Atom<T>& atom, const Scope& scope = client) {
  return states.has_state({.key = std::string(atom.key()), .scope = scope});
}

/// Kinds of what is told, in any thread.
struct Events {
  std::shared_ptr<contract::Heard<int>> heard = std::make_shared<contract::Heard<int>>();
  atom::StoreOptions options() const {
    return {.on_event = [all = heard](const StateEvent& event) { all->push_back(static_cast<int>(event.kind)); }};
  }
};
const std::vector<int> one_dropped{static_cast<int>(StateEvent::Kind::dropped)};

// ---- Reading

TEST_CASE("an atom of a session has its default until its state is written, and that writes nothing", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  CHECK(session.use(count).value() == 5);
  CHECK(session.use(cart).value().empty());
  CHECK_FALSE(session.has_changes());
  session.commit();
  CHECK(states->list().empty());
}

TEST_CASE("an atom of a session is loaded when it is first used", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  states->use(count, client).set(7);
  CHECK(session.use(count).value() == 7);
  states->use(count, client).set(8);
  CHECK(session.use(count).value() == 7);
  CHECK_FALSE(session.has_changes());
  CHECK(Session(*states, Scope::client("d")).use(count).value() == 5);
}

TEST_CASE("what one session has committed the next one loads", "[case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client};
    session.use(cart).add(1);
    session.use(cart).add(2);
    session.use(name).update("Alice");
    CHECK(session.has_changes());
    session.commit();
    CHECK_FALSE(session.has_changes());
  }
  Session next{*states, client};
  CHECK(next.use(cart).value() == std::vector{1, 2});
  CHECK(next.use(name).value() == "Alice");
  if (!contract::persistent()) return;
  const auto other = contract::reopen();
  CHECK(Session(*other, client).use(cart).value() == std::vector{1, 2});
}

TEST_CASE("a session goes on after a commit", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  for (Number i = 1; i <= 3; ++i) {
    session.use(count).update(i);
    session.use(opaque).update(Opaque{static_cast<int>(i)});
    CHECK(session.has_changes());
    session.commit();
    CHECK_FALSE(session.has_changes());
    CHECK(stored(*states, count) == i);
    CHECK(stored(*states, opaque).number == i);
  }
  session.use(count).update(9);
  session.use(count).update(3);
  CHECK_FALSE(session.has_changes());
}

TEST_CASE("a value that was back where it began is not written", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.use(count).update(6);
  session.use(count).reset();
  CHECK_FALSE(session.has_changes());
  session.commit();
  CHECK(states->list().empty());
}

TEST_CASE("an atom may be reset to its default, which then is the value", "[case75][case90]") {
  const auto states = contract::open();
  states->use(count, client).set(7);
  Session session{*states, client};
  session.use(count).reset();
  session.commit();
  CHECK(is_stored(*states, count));
  CHECK(stored(*states, count) == 5);
}

TEST_CASE("an atom that is dropped from a session loses its changes", "[case90]") {
  const auto states = contract::open();
  states->use(count, client).set(7);
  Session session{*states, client};
  session.use(count).update(9);
  session.use(scores(1)).update(3);
  session.drop(count);
  session.drop(scores(1));
  CHECK_FALSE(session.has_changes());
  CHECK(session.use(count).value() == 7);
  CHECK(session.use(scores(1)).value() == 0);
  session.use(scores(1)).update(4);
  session.destroy();
  CHECK_FALSE(session.has_changes());
  states->use(count, client).set(8);
  CHECK(session.use(count).value() == 8);
}

TEST_CASE("each atom of a family is a state", "[case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client};
    session.use(scores(1)).update(10);
    session.use(scores(2), Scope::global()).update(20);
    session.commit();
  }
  Session session{*states, client};
  CHECK(session.use(scores(1)).value() == 10);
  CHECK(session.use(scores(2)).value() == 0);
  CHECK(states->get_state<Number>(0, {.key = "sessions.scores/2", .scope = Scope::global()}).load() == 20);
}

TEST_CASE("an atom with a factory is built anew until it is stored", "[case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client};
    CHECK(session.use(made).value() == std::vector{1, 2});
    CHECK_FALSE(session.has_changes());
    session.use(made).mutate([](std::vector<int>& items) { items.push_back(3); });
    session.commit();
    CHECK_FALSE(session.has_changes());
  }
  CHECK(Session(*states, client).use(made).value() == std::vector{1, 2, 3});
  states->transact(Scope::client("d"), [](Session& s) { s.apply(made, atom::append(4)); });
  CHECK(Session(*states, Scope::client("d")).use(made).value() == std::vector{1, 2, 4});
}

TEST_CASE("an atom that is server_only is stored, and never shown to a client", "[case64][case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client};
    session.use(secret).update("hidden");
    session.commit();
  }
  Session session{*states, client};
  CHECK(session.use(secret).value() == "hidden");
  session.use(name).update("Alice");
  const std::string text = atom::to_json(session.snapshot());
  CHECK_THAT(text, ContainsSubstring("Alice"));
  CHECK_THAT(text, !ContainsSubstring("hidden"));
}

TEST_CASE("a value that a client has sent counts more than the stored one, and is committed", "[case90]") {
  static const atom::Atom<std::string> locale{"sessions.locale", "en", {.client_writable = true}};
  const auto states = contract::open();
  states->use(locale, client).set("de");
  Session session{*states, client};
  atom::Snapshot sent;
  sent.set("sessions.locale", atom::Value(std::string("fr"))).set_trust(atom::Trust::client);
  session.hydrate(std::move(sent));
  CHECK(session.use(locale).value() == "fr");
  session.commit();
  CHECK(stored(*states, locale) == "fr");
}

// ---- Scopes

TEST_CASE("an atom of a session may be another scope's", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.use(total, Scope::global()).update(3);
  session.use(count).update(4);
  session.commit();
  CHECK(stored(*states, total, Scope::global()) == 3);
  CHECK_FALSE(is_stored(*states, total));
  CHECK(stored(*states, count) == 4);
}

TEST_CASE("one atom in two scopes in one session is an error", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.use(total, Scope::global());
  CHECK_NOTHROW(session.use(total, Scope::global()));
  CHECK_NOTHROW(session.use(total));
  CHECK_THROWS_WITH(session.use(total, client), ContainsSubstring("two scopes"));
  CHECK_THROWS_WITH(session.apply(total, Scope{"shop"}, atom::current + 1), ContainsSubstring("two scopes"));
  session.use(count);
  CHECK_NOTHROW(session.use(count, client));
  CHECK_THROWS_AS(session.use(count, Scope::global()), atom::Error);
  CHECK_FALSE(session.has_changes());
}

TEST_CASE("a session of a context is the user's, or else the client's", "[case71][case73][case90]") {
  const auto states = contract::open();
  CHECK(Session(*states, {.client_id = "c"}).scope() == client);
  CHECK(Session(*states, {.client_id = "c", .user_id = "u"}).scope() == Scope::user("u"));
  CHECK(code_thrown_by([&] { return Session(*states, atom::RequestContext()).size(); }) == StateErrorCode::no_context);
  CHECK(code_thrown_by([&] { states->transact(atom::RequestContext{}, [](Session&) {}); }) ==
        StateErrorCode::no_context);
  Session session{*states, {.client_id = "c", .user_id = "u"}};
  session.use(count).update(1);
  session.use(total, Scope::client()).update(2);
  CHECK(code_thrown_by([&] { session.use(name, Scope::component()); }) == StateErrorCode::no_context);
  session.commit();
  CHECK(stored(*states, count, Scope::user("u")) == 1);
  CHECK(stored(*states, total) == 2);
  Session plain{*states, client};
  CHECK(code_thrown_by([&] { plain.use(name, Scope::user()); }) == StateErrorCode::no_context);
}

// ---- Committing

TEST_CASE("what is not committed is not written, and somebody is told", "[case90]") {
  const Events events;
  const auto states = contract::open(events.options());
  {
    Session(*states, client).use(count).update(9);
  }
  CHECK(states->list().empty());
  CHECK(*events.heard == one_dropped);
  {
    Session(*states, client).apply(count, atom::current + 1);
  }
  CHECK(*events.heard == std::vector{one_dropped[0], one_dropped[0]});
}

TEST_CASE("nobody is told of changes that are discarded, committed, or none", "[case90]") {
  const Events events;
  const auto states = contract::open(events.options());
  {
    Session session{*states, client};
    session.use(count).update(9);
    session.discard();
  }
  {
    Session session{*states, client};
    session.use(count).update(9);
    session.commit();
  }
  {
    Session(*states, client).use(count).value();
  }
  CHECK_THROWS_AS(states->transact(client,
                                   [](Session& s) {
                                     s.use(count).update(10);
                                     throw std::runtime_error("no");
                                   }),
                  std::runtime_error);
  CHECK(events.heard->empty());
  CHECK(stored(*states, count) == 9);
}

TEST_CASE("a commit is all or nothing, and a conflict leaves fresh values behind", "[case90]") {
  const auto states = contract::open();
  states->use(count, client).set(1);
  Session session{*states, client};
  session.use(cart).add(1);
  session.use(count).update(session.use(count).value() + 1);
  session.use(name).update("Alice");
  session.apply(total, Scope::global(), atom::current + 1);
  states->use(count, client).set(10);
  states->use(name, client).set("Bob");
  const auto error = session.try_commit();
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::conflict);
  CHECK(error->effect() == atom::Effect::none);
  CHECK(error->retryable());
  CHECK_THAT(error->message(), !ContainsSubstring("$client.c"));
  CHECK(stored(*states, count) == 10);
  CHECK(stored(*states, name) == "Bob");
  CHECK_FALSE(is_stored(*states, cart));
  CHECK_FALSE(is_stored(*states, total, Scope::global()));

  CHECK_FALSE(session.has_changes());
  CHECK(session.use(count).value() == 10);
  CHECK(session.use(name).value() == "Bob");
  CHECK(session.use(cart).value().empty());
  session.use(count).update(session.use(count).value() + 1);
  session.commit();
  CHECK(stored(*states, count) == 11);
  CHECK_FALSE(is_stored(*states, total, Scope::global()));
}

TEST_CASE("a state that has come, or gone, since it was looked at is a conflict", "[case77][case90]") {
  const auto states = contract::open();
  states->use(name, client).set("Alice");
  Session session{*states, client};
  session.use(count).update(6);
  session.use(name);
  states->use(count, client).set(5);  // the same as the default, and yet a value
  CHECK(code_thrown_by([&] { session.commit(); }) == StateErrorCode::conflict);
  CHECK(session.use(count).value() == 5);
  session.use(name).update("Bob");
  states->use(name, client).erase();
  CHECK(code_thrown_by([&] { session.commit(); }) == StateErrorCode::conflict);
  CHECK(session.use(name).value() == "Anon");
  session.use(name).update("Carol");
  session.commit();
  CHECK(stored(*states, name) == "Carol");
}

TEST_CASE("a session tells the version that it has seen of a state, as a page may carry it", "[case77][case90]") {
  const auto states = contract::open();
  Session first{*states, client};
  CHECK(first.version(count) == 0);
  first.use(count).update(1);
  CHECK(first.version(count) == 0);
  first.commit();
  const std::int64_t shown = first.version(count);
  CHECK(shown > 0);
  CHECK(states->use(count, client).version() == shown);

  Session second{*states, client};
  CHECK(second.version(count) == shown);  // also before it is used
  states->use(count, client).set(2);
  CHECK(second.version(count) == shown);
  CHECK(second.use(count).value() == 1);
  second.use(count).update(3);
  CHECK(second.try_commit()->code() == StateErrorCode::conflict);
  CHECK(second.version(count) > shown);  // the page that has it is stale

  static const atom::Atom<std::unique_ptr<int>> plain{"sessions.plain",
                                                      atom::Factory{[] { return std::make_unique<int>(1); }}};
  CHECK_THROWS_AS(second.version(plain), atom::Error);
}

TEST_CASE("what a session only reads is not compared", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.use(name);
  session.use(count).update(1);
  states->use(name, client).set("Bob");
  session.commit();
  CHECK(stored(*states, count) == 1);
}

TEST_CASE("equations of sessions run on what is there at the commit", "[case80][case90]") {
  const auto states = contract::open();
  Session first{*states, client}, second{*states, client};
  first.apply(count, atom::current + 1);
  first.apply(count, atom::current * 2);
  second.use(count);
  second.apply(count, atom::current + 100);
  CHECK(second.use(count).value() == 5);
  first.commit();
  CHECK(stored(*states, count) == 12);
  second.commit();
  CHECK(stored(*states, count) == 112);
  CHECK(second.use(count).value() == 112);
  CHECK(first.use(count).value() == 12);
  CHECK_FALSE(first.has_changes());
}

TEST_CASE("an equation of a session begins from the atom's default where there is no value", "[case90][case92]") {
  const auto states = contract::open();
  const auto held = states->get_state<Number>(9, {.key = "sessions.count", .scope = client});
  Session session{*states, client};
  CHECK(session.use(count).value() == 5);
  session.apply(count, atom::current + 1);
  session.commit();
  CHECK(session.use(count).value() == 6);
  CHECK(held.load() == 6);
}

TEST_CASE("an atom that is used after an equation was said is loaded", "[case90]") {
  const auto states = contract::open();
  states->use(count, client).set(7);
  Session session{*states, client};
  session.apply(count, atom::current + 1);
  CHECK(session.use(count).value() == 7);
  session.commit();
  CHECK(session.use(count).value() == 8);
}

TEST_CASE("equations run on what the session itself writes", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.apply(count, atom::current + 1);
  session.use(count).update(50);
  session.commit();
  CHECK(stored(*states, count) == 51);
  CHECK(session.use(count).value() == 51);
  CHECK_FALSE(session.has_changes());
}

TEST_CASE("an equation that fails is an error, and nothing is written", "[case84][case90]") {
  const auto states = contract::open();
  states->use(count, client).set(std::numeric_limits<Number>::max());
  Session session{*states, client};
  session.use(name).update("Alice");
  session.apply(count, atom::current + 1);
  CHECK(code_thrown_by([&] { session.commit(); }) == StateErrorCode::overflow);
  CHECK_FALSE(is_stored(*states, name));
  CHECK(session.has_changes());
  states->use(count, client).set(1);
  session.commit();
  CHECK(stored(*states, count) == 2);
  CHECK(stored(*states, name) == "Alice");
}

TEST_CASE("a state that is there with another type is an error, and stays", "[case58][case66][case90]") {
  const auto states = contract::open();
  auto other = states->get_state<std::vector<int>>({}, {.key = "sessions.count", .scope = client});
  other.set({1, 2});
  Session session{*states, client};
  const StateErrorCode code = code_thrown_by([&] { session.use(count); });
  CHECK((code == StateErrorCode::type_mismatch || code == StateErrorCode::undecodable));
  session.use(name).update("Alice");
  session.commit();
  CHECK(other.load() == std::vector{1, 2});
  session.apply(count, atom::current + 1);
  CHECK(session.try_commit());
  CHECK(other.load() == std::vector{1, 2});
}

TEST_CASE("a session's states end with its time to live", "[case88][case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client, {.ttl = std::chrono::milliseconds(40)}};
    session.use(count).update(9);
    session.commit();
  }
  CHECK(contract::eventually([&] { return !is_stored(*states, count); }));
  Session session{*states, client, {.ttl = std::chrono::hours(1)}};
  CHECK(session.use(count).value() == 5);
  session.use(count).update(10);
  session.commit();
  CHECK(stored(*states, count) == 10);
}

TEST_CASE("what all share does not end with a session's time to live", "[case88][case90]") {
  const auto states = contract::open();
  {
    Session session{*states, client, {.ttl = std::chrono::milliseconds(40)}};
    session.use(name).update("Alice");
    session.use(total, Scope::user("alice")).update(1);
    session.apply(count, Scope::global(), atom::current + 1);
    session.commit();
  }
  CHECK(contract::eventually([&] { return !is_stored(*states, name); }));
  CHECK(contract::eventually([&] { return !is_stored(*states, total, Scope::user("alice")); }));
  CHECK(states->use(count, Scope::global()).load() == 6);
}

TEST_CASE("listeners of a state hear what sessions commit", "[case74][case90]") {
  const auto states = contract::open();
  const contract::Heard<Number> heard;
  auto& all = const_cast<contract::Heard<Number>&>(heard);
  const auto hears = states->use(count, client).on_change([&](const Number& now) { all.push_back(now); });
  Session session{*states, client};
  session.use(count).update(6);
  session.commit();
  CHECK(heard == std::vector<Number>{6});
  session.apply(count, atom::current + 1);
  session.commit();
  CHECK(heard == std::vector<Number>{6, 7});
}

TEST_CASE("a commit inside a transaction of the store is an error", "[case90]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.use(count).update(6);
  CHECK_THROWS_WITH(session.transaction([&] { session.commit(); }), ContainsSubstring("inside a transaction"));
  CHECK(states->list().empty());
  session.discard();
}

TEST_CASE("a commit that is not waited for in a thread is done all the same", "[case90][case93]") {
  const auto states = contract::open();
  Session session{*states, client};
  session.commit_async().wait();
  session.use(count).update(6);
  session.commit_async().wait();
  CHECK(stored(*states, count) == 6);
  states->use(count, client).set(7);
  session.use(count).update(8);
  CHECK(code_thrown_by([&] { session.commit_async().wait(); }) == StateErrorCode::conflict);
  CHECK(session.use(count).value() == 7);
  session.use(count).update(9);
  {
    const auto dropped = session.try_commit_async();
  }
  session.use(name).update("Alice");
  session.commit();
  CHECK(stored(*states, count) == 9);
  CHECK(stored(*states, name) == "Alice");
  CHECK_FALSE(session.has_changes());
}

TEST_CASE("an atom that is first used in a transaction of the store which fails has its state's value", "[case90]") {
  const auto states = contract::open();
  {
    Session session(*states, client);
    session.use(count).update(9);
    session.commit();
  }
  Session session(*states, client);
  CHECK_THROWS_AS(session.transaction([&] {
    session.use(count).update(5);
    throw 1;
  }),
                  int);
  CHECK(session.use(count).value() == 9);
  CHECK_FALSE(session.has_changes());
}

// ---- Transactions

TEST_CASE("a transaction gives what its function returns", "[case90]") {
  const auto states = contract::open();
  CHECK(states->transact(client, [](Session& s) {
    s.use(count).update(6);
    return s.use(count).value();
  }) == 6);
  CHECK(states->transact({.client_id = "c"}, [](Session& s) { return s.use(count).value(); }) == 6);
  CHECK(states->transact({.client_id = "c", .user_id = "u"}, [](Session& s) { return s.scope(); }) == Scope::user("u"));
}

TEST_CASE("a transaction runs again on fresh values where somebody else has written", "[case90]") {
  const auto states = contract::open();
  states->use(count, client).set(0);
  int runs = 0;
  std::vector<Number> seen;
  states->transact(client, [&](Session& s) {
    auto& mine = s.use(count);
    seen.push_back(mine.value());
    if (++runs <= 3) states->use(count, client).set(runs);
    mine.update(mine.value() + 10);
  });
  CHECK(seen == std::vector<Number>{0, 1, 2, 3});
  CHECK(stored(*states, count) == 13);
}

TEST_CASE("a transaction gives up at the deadline, and has written nothing", "[case90]") {
  const auto states = contract::open({.deadline = std::chrono::seconds(3)});
  Number runs = 0;
  const auto always_late = [&](Session& s) {
    s.use(name).update("Alice");
    s.use(count).update(-1);
    states->use(count, client).set(++runs);
  };
  contract::check_is_overtaken([&] { states->transact(client, always_late); });
  CHECK(runs > 1);
  CHECK(stored(*states, count) == runs);
  CHECK_FALSE(is_stored(*states, name));
}

TEST_CASE("of 64 threads that each add to one client's cart, none is lost", "[case81][case90]") {
  const auto states = contract::open({.deadline = std::chrono::minutes(5)});
  support::in_threads(64, [&](std::size_t i) {
    states->transact(client, [&](Session& s) {
      s.use(cart).add(static_cast<int>(i) + 1);
      s.apply(total, Scope::global(), atom::current + 1);
    });
  });
  std::vector<int> items = stored(*states, cart);
  std::sort(items.begin(), items.end());
  CHECK(items == contract::one_to(64));
  CHECK(stored(*states, total, Scope::global()) == 64);
}

TEST_CASE("transactions that move between two states never lose or make anything", "[case90]") {
  const auto states = contract::open({.deadline = std::chrono::minutes(5)});
  states->use(count, client).set(100);
  states->use(total, client).set(100);
  support::in_threads(4, [&](std::size_t i) {
    for (int n = 0; n < 20; ++n) {
      states->transact(client, [&](Session& s) {
        auto& from = i % 2 ? s.use(count) : s.use(total);
        auto& to = i % 2 ? s.use(total) : s.use(count);
        from.update(from.value() - 1);
        to.update(to.value() + 1);
      });
    }
  });
  CHECK(stored(*states, count) + stored(*states, total) == 200);
}

}  // namespace
}  // namespace contract_sessions

// Clients that become users: what is theirs moves in one step, and no old id or slow request reaches it later.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/family.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/session.hpp>
#include <atom/state/visitor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/threads.hpp"

namespace contract_visitors {
namespace {

using namespace std::chrono_literals;
using atom::Merge;
using atom::Scope;
using atom::Session;
using atom::StateErrorCode;
using atom::StateStore;
using atom::Visitor;
using contract::code_thrown_by;
using support::ContainsSubstring;
using Number = std::int64_t;
using Items = std::vector<int>;

const atom::Atom<Items> cart{"visitors.cart"};
const atom::Atom<Number> count{"visitors.count", 0};
const atom::Atom<std::string> name{"visitors.name", "Anon"};
const atom::AtomFamily<int, int> marks{"visitors.marks"};

const Scope client = Scope::client("c");
const Scope user = Scope::user("alice");

template <class T>
T stored(StateStore& states, const atom::Atom<T>& atom, const Scope& scope) {
  return states.use(atom, scope).load();
}
template <class T>
bool is_stored(StateStore& states, const atom::Atom<T>& atom, const Scope& scope) {
  return states.has_state({.key = std::string(atom.key()), .scope = scope});
}
const auto joined = [](const Items& users, const Items& clients) {
  Items all = users;
  all.insert(all.end(), clients.begin(), clients.end());
  return all;
};

// ---- Promotion

TEST_CASE("a client's states become the user's", "[case73]") {
  const auto states = contract::open();
  states->use(cart, client).set({1, 2});
  states->use(count, client / "below").set(3);
  states->use(name, Scope::client("d")).set("Dora");
  CHECK(states->promote(client, user) == 2);
  CHECK(stored(*states, cart, user) == Items{1, 2});
  CHECK(stored(*states, count, user / "below") == 3);
  CHECK(states->list(client, {.below = true}).empty());
  CHECK(stored(*states, name, Scope::client("d")) == "Dora");
  CHECK(states->promote(client, user) == 0);
  CHECK(stored(*states, cart, user) == Items{1, 2});
}

TEST_CASE("where both have a state the user's stays, unless it is said how to merge", "[case73]") {
  const auto states = contract::open();
  for (const Scope& scope : {client, user}) {
    const int who = scope == user ? 10 : 1;
    states->use(cart, scope).set({who});
    states->use(count, scope).set(who);
    states->use(name, scope).set(scope == user ? "Alice" : "Bob");
  }
  const Merge merge = Merge().with(cart, joined).with<Number>("visitors.count", std::plus());
  CHECK(states->promote(client, user, merge) == 3);
  CHECK(stored(*states, cart, user) == Items{10, 1});
  CHECK(stored(*states, count, user) == 11);
  CHECK(stored(*states, name, user) == "Alice");
  CHECK(states->list(client).empty());
}

TEST_CASE("a promotion that cannot be is an error, and changes nothing", "[case73]") {
  const auto states = contract::open();
  states->use(name, client).set("Bob");
  for (const Scope& scope : {client, user}) states->use(count, scope).set(1);
  const auto is_as_before = [&] {
    return stored(*states, name, client) == "Bob" && stored(*states, count, client) == 1 &&
           stored(*states, count, user) == 1 && !is_stored(*states, name, user);
  };
  CHECK(code_thrown_by([&] { return states->promote(client, client); }) == StateErrorCode::invalid_name);
  CHECK(code_thrown_by([&] { return states->promote(client, client / "a"); }) == StateErrorCode::invalid_name);
  const auto refuses = [](Number, Number) -> Number { throw std::runtime_error("refused"); };
  CHECK_THROWS_AS(states->promote(client, user, Merge().with(count, refuses)), std::runtime_error);
  CHECK(is_as_before());
  const Merge of_another_type = Merge().with<std::string>("visitors.count", std::plus());
  const StateErrorCode code = code_thrown_by([&] { return states->promote(client, user, of_another_type); });
  CHECK((code == StateErrorCode::type_mismatch || code == StateErrorCode::undecodable));
  CHECK(is_as_before());
}

TEST_CASE("a promotion merges what is there when it takes effect", "[case73]") {
  const auto states = contract::open();
  for (const Scope& scope : {client, user}) states->use(count, scope).set(1);
  int runs = 0;
  const auto slowly = [&](Number users, Number clients) {
    if (++runs == 1) states->use(count, client).set(5);
    if (runs == 2) states->use(count, user).set(20);
    return users + clients;
  };
  CHECK(states->promote(client, user, Merge().with(count, slowly)) == 1);
  CHECK(runs == 3);
  CHECK(stored(*states, count, user) == 25);
  CHECK_FALSE(is_stored(*states, count, client));
}

TEST_CASE("a promotion that others overtake until the deadline changes nothing", "[case73]") {
  const auto states = contract::open({.deadline = 1s});
  for (const Scope& scope : {client, user}) states->use(count, scope).set(1);
  Number runs = 1;
  const auto too_slowly = [&](Number users, Number clients) {
    states->use(count, client).set(++runs);
    return users + clients;
  };
  contract::check_is_overtaken([&] { states->promote(client, user, Merge().with(count, too_slowly)); });
  CHECK(stored(*states, count, client) == runs);
  CHECK(stored(*states, count, user) == 1);
}

TEST_CASE("of what is added while a client is promoted, nothing is lost", "[case73][case81]") {
  const auto states = contract::open({.deadline = 5min});
  support::in_threads(4, [&](std::size_t i) {
    for (int n = 0; n < 15; ++n) {
      if (i == 0) {
        states->promote(client, user, Merge().with<Number>("visitors.count", std::plus()));
      } else {
        states->transact(client, [](Session& s) { s.use(count).update(s.use(count).value() + 1); });
      }
    }
  });
  states->promote(client, user, Merge().with(count, std::plus()));
  CHECK(stored(*states, count, user) == 45);
}

TEST_CASE("listeners hear of a promotion, and the user's state may have a time to live", "[case73][case74][case88]") {
  const auto states = contract::open();
  states->use(count, client).set(3);
  contract::Heard<Number> clients, users;
  const auto hears_client = states->use(count, client).on_change([&](Number now) { clients.push_back(now); });
  {
    const auto hears_user = states->use(count, user).on_change([&](Number now) { users.push_back(now); });
    states->promote(client, user);
    CHECK(clients == std::vector<Number>{0});
    CHECK(users == std::vector<Number>{3});
  }
  states->use(name, client).set("Bob");
  states->promote(client, user, {}, {.ttl = 40ms});
  CHECK(contract::eventually([&] { return !is_stored(*states, name, user); }));
  CHECK(stored(*states, count, user) == 3);
}

// ---- Visitors

/// A browser: what it sends, and what it keeps of what it is told.
class Browser {
 public:
  std::string cookies;

  void takes(const std::optional<std::string>& header) {
    if (header) cookies = header->substr(0, header->find(';'));
    if (cookies == "session=") cookies = "";
  }
  /// A request that adds an item.
  void add(StateStore& states, int item, const atom::VisitorOptions& options = {}) {
    Visitor visitor{states, cookies, options};
    visitor.transact([&](Session& s) { s.use(cart).mutate([&](Items& items) { items.push_back(item); }); });
    takes(visitor.set_cookie());
  }
  Items items(StateStore& states, const atom::VisitorOptions& options = {}) const {
    return Visitor(states, cookies, options).session().use(cart).value();
  }
  void sign_in(StateStore& states, const std::string& user_id, const atom::VisitorOptions& options = {}) {
    Visitor visitor{states, cookies, options};
    visitor.sign_in(user_id, Merge().with(cart, joined));
    takes(visitor.set_cookie());
  }
  void sign_out(StateStore& states) {
    Visitor visitor{states, cookies};
    visitor.sign_out();
    takes(visitor.set_cookie());
  }
  std::string user(StateStore& states) const { return Visitor(states, cookies).user_id(); }
};

TEST_CASE("a visitor is told its id when something is kept, and found by it", "[case70]") {
  const auto states = contract::open();
  Browser browser;
  {
    Visitor visitor{*states, browser.cookies};
    Session session = visitor.session();
    session.use(cart);
    session.commit();
    CHECK_FALSE(visitor.set_cookie());
    CHECK_FALSE(visitor.is_signed_in());
  }
  CHECK(states->list().empty());
  browser.add(*states, 1);
  CHECK(browser.cookies.size() == std::string("session=").size() + 32);
  const std::string first = browser.cookies;
  browser.add(*states, 2);
  CHECK(browser.cookies == first);
  CHECK(browser.items(*states) == Items{1, 2});
  CHECK(Browser().items(*states).empty());
  CHECK_FALSE(Visitor(*states, browser.cookies).set_cookie());
}

TEST_CASE("two sessions of one request are the same client's", "[case70]") {
  const auto states = contract::open();
  Browser browser;
  Visitor visitor{*states, ""};
  Session first = visitor.session(), second = visitor.session();
  first.use(count).update(1);
  second.use(name).update("Alice");
  second.commit();
  first.commit();
  browser.takes(visitor.set_cookie());
  Visitor later{*states, browser.cookies};
  CHECK(later.session().use(count).value() == 1);
  CHECK(later.session().use(name).value() == "Alice");
}

TEST_CASE("a forged, foreign or malformed cookie is a new client, which reaches nobody's data", "[case72]") {
  const auto states = contract::open();
  Browser victim;
  victim.add(*states, 1);
  victim.sign_in(*states, "alice");
  const std::string id = victim.cookies.substr(8);
  const std::vector<std::string> bad = {"session=" + atom::SessionId::random().text(),
                                        "session=",
                                        "session=alice",
                                        "session=$user.alice",
                                        "session=" + id.substr(1) + "g",
                                        "session=" + id + "; session=" + atom::SessionId::random().text(),
                                        "other=" + id,
                                        std::string(100'000, 'a'),
                                        "session=\xff\xfe; \0"};
  for (const std::string& cookies : bad) {
    Browser attacker{cookies};
    CHECK(attacker.user(*states).empty());
    CHECK(attacker.items(*states).empty());
    attacker.add(*states, 66);
    CHECK(attacker.cookies != cookies);
    CHECK(attacker.items(*states) == Items{66});
  }
  CHECK(victim.items(*states) == Items{1});
  CHECK(victim.user(*states) == "alice");
}

TEST_CASE("who signs in has a new id, and what the client had is the user's", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  const std::string before = browser.cookies;
  browser.sign_in(*states, "alice");
  CHECK(browser.cookies != before);
  CHECK(browser.user(*states) == "alice");
  CHECK(browser.items(*states) == Items{1});
  CHECK(stored(*states, cart, user) == Items{1});
  browser.add(*states, 2);
  Browser other;
  other.add(*states, 3);
  other.sign_in(*states, "alice");
  CHECK(other.items(*states) == Items{1, 2, 3});
  CHECK(browser.items(*states) == Items{1, 2, 3});
  Browser unknown;
  unknown.sign_in(*states, "alice");
  CHECK(unknown.items(*states) == Items{1, 2, 3});
}

TEST_CASE("an id of before a sign-in leads to the new session for a while, then to nothing", "[case73]") {
  const auto states = contract::open();
  const atom::VisitorOptions options{.grace = 500ms};
  Browser browser;
  browser.add(*states, 1);
  Browser late{browser.cookies};
  const auto before = std::chrono::steady_clock::now();  // its grace begins after this
  browser.sign_in(*states, "alice", options);
  const auto signed_in = std::chrono::steady_clock::now();
  {
    Visitor visitor{*states, late.cookies};
    const bool is_alice = visitor.user_id() == "alice";
    if (std::chrono::steady_clock::now() < before + 400ms) CHECK(is_alice);
    CHECK_FALSE((is_alice && visitor.set_cookie()));  // who knows the old id only is not told the new one
  }
  std::this_thread::sleep_until(signed_in + 600ms);
  CHECK(late.user(*states).empty());
  CHECK(late.items(*states).empty());
  late.add(*states, 66);
  CHECK(stored(*states, cart, user) == Items{1});
  CHECK(browser.items(*states) == Items{1});
}

TEST_CASE("without a grace an old id reaches nothing at once", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Browser attacker{browser.cookies};  // it has planted the id
  browser.sign_in(*states, "alice", {.grace = 0ms});
  CHECK(attacker.user(*states).empty());
  CHECK(attacker.items(*states).empty());
}

TEST_CASE("a request of before a sign-in cannot write any more", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Visitor slow{*states, browser.cookies};
  Session session = slow.session();
  session.use(count).update(66);
  browser.sign_in(*states, "alice");
  const auto error = session.try_commit();
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::session_ended);
  CHECK(error->effect() == atom::Effect::none);
  CHECK_FALSE(error->retryable());
  int runs = 0;
  CHECK(code_thrown_by([&] {
          slow.transact([&](Session& s) {
            ++runs;
            s.use(count).update(66);
          });
        }) == StateErrorCode::session_ended);
  CHECK(runs == 1);
  for (const atom::AnyState& state : states->list()) CHECK(state.key() != count.key());
  session.discard();
}

TEST_CASE("a request of before a sign-out brings nothing back", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  const bool has_signed_in = GENERATE(false, true);
  browser.add(*states, 1);
  if (has_signed_in) browser.sign_in(*states, "alice", {.grace = 0ms});
  const std::string before = browser.cookies;
  Visitor slow{*states, browser.cookies};
  Session session = slow.session();
  session.use(count).update(66);
  browser.sign_out(*states);
  CHECK(browser.cookies.empty());
  CHECK(code_thrown_by([&] { session.commit(); }) == StateErrorCode::session_ended);
  session.discard();
  CHECK(Browser{before}.user(*states).empty());
  CHECK(Browser{before}.items(*states).empty());
  CHECK_FALSE(is_stored(*states, count, user));
  CHECK(states->list().size() == (has_signed_in ? 1 : 0));  // what is Alice's
  browser.sign_in(*states, "alice");
  CHECK(browser.items(*states) == (has_signed_in ? Items{1} : Items{}));
}

TEST_CASE("a visitor goes on as somebody else after it has signed in or out", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  Visitor visitor{*states, ""};
  visitor.transact([](Session& s) { s.use(count).update(1); });
  visitor.sign_in("alice");
  CHECK(visitor.user_id() == "alice");
  visitor.transact([](Session& s) { s.use(count).update(s.use(count).value() + 1); });
  CHECK(stored(*states, count, user) == 2);
  visitor.sign_out();
  CHECK_FALSE(visitor.is_signed_in());
  REQUIRE(visitor.set_cookie());
  CHECK_THAT(*visitor.set_cookie(), ContainsSubstring("Max-Age=0"));
  visitor.transact([](Session& s) { s.use(count).update(s.use(count).value() + 7); });
  browser.takes(visitor.set_cookie());
  CHECK(Visitor(*states, browser.cookies).session().use(count).value() == 7);
  CHECK(stored(*states, count, user) == 2);
}

TEST_CASE("two sign-ins of one client at once end in one session, and one that lost says so", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Visitor first{*states, browser.cookies}, second{*states, browser.cookies}, third{*states, browser.cookies};
  first.sign_in("alice", Merge().with(cart, joined));
  second.sign_in("alice", Merge().with(cart, joined));
  CHECK(first.set_cookie() == second.set_cookie());
  CHECK(stored(*states, cart, user) == Items{1});
  CHECK(code_thrown_by([&] { third.sign_in("mallory"); }) == StateErrorCode::session_ended);
  CHECK(states->list(Scope::user("mallory")).empty());
}

TEST_CASE("a sign-in as another user takes nothing along", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  browser.sign_in(*states, "alice");
  const std::string alices = browser.cookies;
  browser.sign_in(*states, "bob");
  CHECK(browser.user(*states) == "bob");
  CHECK(browser.items(*states).empty());
  CHECK(Browser{alices}.user(*states).empty());
  CHECK(stored(*states, cart, user) == Items{1});
}

TEST_CASE("who knows an old id only and signs in as another user leaves the session alone", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Browser attacker{browser.cookies};
  browser.sign_in(*states, "alice");
  attacker.sign_in(*states, "mallory");
  CHECK(attacker.user(*states) == "mallory");
  CHECK(attacker.items(*states).empty());
  CHECK(browser.user(*states) == "alice");
  CHECK(browser.items(*states) == Items{1});
}

TEST_CASE("what is the client's own stays with a user who signs in again, and goes with a sign-out", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.sign_in(*states, "alice");
  Visitor(*states, browser.cookies).transact([](Session& s) { s.use(name, Scope::client()).update("tablet"); });
  const std::string before = browser.cookies;
  browser.sign_in(*states, "alice");
  CHECK(browser.cookies != before);
  Visitor visitor{*states, browser.cookies};
  CHECK(visitor.session().use(name, Scope::client()).value() == "tablet");
  CHECK_FALSE(is_stored(*states, name, user));
  browser.sign_out(*states);
  CHECK(Browser{before}.user(*states).empty());
  CHECK(states->list(user).empty());
}

TEST_CASE("a sign-out reaches the session that a sign-in has made meanwhile", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Visitor slow{*states, browser.cookies};
  browser.sign_in(*states, "alice");
  slow.sign_out();
  CHECK(browser.user(*states).empty());
}

TEST_CASE("a sign-out of a client that is not known does nothing, but the browser is told to forget it", "[case73]") {
  const auto states = contract::open();
  Visitor visitor{*states, ""};
  visitor.sign_out();
  CHECK_FALSE(visitor.is_signed_in());
  CHECK_THAT(*visitor.set_cookie(), ContainsSubstring("Max-Age=0"));
  CHECK(states->list().empty());
}

TEST_CASE("who knows an old id only and signs in as the same user is let into the session that there is", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Browser late{browser.cookies};
  browser.sign_in(*states, "alice");
  late.sign_in(*states, "alice");
  CHECK(late.cookies == browser.cookies);
  CHECK(late.items(*states) == Items{1});
}

TEST_CASE("a sign-in of a client whose record was renewed meanwhile is one", "[case73][case88]") {
  const auto states = contract::open();
  const atom::VisitorOptions options{.ttl = 3000ms};
  Browser browser;
  browser.add(*states, 1, options);
  Visitor slow{*states, browser.cookies, options};
  std::this_thread::sleep_for(350ms);
  REQUIRE(Visitor(*states, browser.cookies, options).set_cookie());
  slow.sign_in("alice");
  CHECK(slow.user_id() == "alice");
  CHECK(stored(*states, cart, user) == Items{1});
}

TEST_CASE("a sign-in of a client that has signed in elsewhere, without a grace, says so", "[case73]") {
  const auto states = contract::open();
  const atom::VisitorOptions options{.grace = 0ms};
  Browser browser;
  browser.add(*states, 1);
  Visitor slow{*states, browser.cookies, options};
  browser.sign_in(*states, "alice", options);
  CHECK(code_thrown_by([&] { slow.sign_in("alice"); }) == StateErrorCode::session_ended);
  CHECK_FALSE(slow.is_signed_in());
  CHECK(browser.items(*states) == Items{1});
}

TEST_CASE("a client's record is renewed, which ends no request that is under way", "[case88]") {
  const auto states = contract::open();
  const atom::VisitorOptions options{.ttl = 3000ms};
  Browser browser;
  browser.add(*states, 1, options);
  Visitor slow{*states, browser.cookies, options};
  Session session = slow.session();
  session.use(count).update(3);
  std::this_thread::sleep_for(350ms);
  Visitor next{*states, browser.cookies, options};
  CHECK(next.set_cookie());
  session.commit();
  CHECK(next.session().use(count).value() == 3);
}

TEST_CASE("a clock that was ahead ends the session of nobody who keeps coming", "[case88]") {
  using Record = atom::detail::VisitorRecord;
  const auto states = contract::open();
  const atom::VisitorOptions options{.ttl = 1h};
  Browser browser;
  browser.add(*states, 1, options);
  const Scope own = atom::session_id_from(browser.cookies)->scope();
  auto record = states->get_state<Record>({}, {.key = std::string(Record::key), .scope = own});
  const auto is_renewed = [&](std::chrono::milliseconds ahead) {
    record.update([&](Record now) {
      now.renewed = Record::now() + ahead.count();
      return now;
    });
    const std::int64_t version = record.version();
    (void)Visitor(*states, browser.cookies, options);
    const bool is_written = record.load_versioned().version != version;
    const std::int64_t renewed = record.load().renewed;
    CHECK(renewed <= Record::now() + (is_written ? 0 : ahead.count()));
    (void)Visitor(*states, browser.cookies, options);
    CHECK(record.load().renewed == renewed);  // once is enough
    return is_written;
  };
  CHECK(is_renewed(2h));
  CHECK(is_renewed(24h * 365 * 1000));
  CHECK_FALSE(is_renewed(1min));  // nor is each request a write where clocks are not quite the same
}

TEST_CASE("a grace that is too long for a clock is a long one", "[case73]") {
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 1);
  Browser late{browser.cookies};
  browser.sign_in(*states, "alice", {.grace = std::chrono::milliseconds::max()});
  CHECK(late.user(*states) == "alice");
}

TEST_CASE("a visitor's context is for states that are no atoms, and makes the client known", "[case70]") {
  const auto states = contract::open();
  Browser browser;
  Visitor visitor{*states, ""};
  states->in(visitor.context()).get_state<Number>(0, {.key = "n", .scope = Scope::client()}).set(4);
  browser.takes(visitor.set_cookie());
  CHECK_FALSE(browser.cookies.empty());
  Visitor later{*states, browser.cookies};
  CHECK(states->in(later.context()).get_state<Number>(0, {.key = "n", .scope = Scope::client()}).load() == 4);
  later.sign_in("alice");
  CHECK(states->get_state<Number>(0, {.key = "n", .scope = user}).load() == 4);
}

TEST_CASE("no atom takes the place of a client's record", "[case72]") {
  static const atom::Atom<std::string> forged{"atom.visitor", ""};
  const auto states = contract::open();
  Visitor visitor{*states, ""};
  Session session = visitor.session();
  CHECK_THROWS_WITH(session.use(forged), ContainsSubstring("not the program's"));
  CHECK_FALSE(session.has_changes());
}

TEST_CASE("no user's id is anybody else's, and what cannot be one changes nothing", "[case72]") {
  const auto states = contract::open();
  for (const char* id : {"$global", "alice.cart", "../alice", "$user.alice", "alice ", "\x01", "\xc3\xa9"}) {
    Browser browser;
    browser.add(*states, 1);
    browser.sign_in(*states, id);
    CHECK(browser.user(*states) == id);
    CHECK(browser.items(*states) == Items{1});
  }
  CHECK(states->list(user, {.below = true}).empty());
  CHECK(states->list(Scope::global(), {.below = true}).empty());
  Browser browser;
  browser.add(*states, 1);
  Visitor visitor{*states, browser.cookies};
  CHECK(code_thrown_by([&] { visitor.sign_in(""); }) == StateErrorCode::invalid_name);
  CHECK(code_thrown_by([&] { visitor.sign_in(std::string(10'000, '.')); }) == StateErrorCode::too_large);
  CHECK(code_thrown_by([&] { visitor.sign_in("\xff"); }) == StateErrorCode::invalid_name);
  CHECK_FALSE(visitor.is_signed_in());
  CHECK_FALSE(visitor.set_cookie());
  CHECK(browser.items(*states) == Items{1});
}

TEST_CASE("whatever a client writes while it signs in or out is kept, or refused and gone", "[case73][case81]") {
  const auto states = contract::open({.deadline = 5min});
  for (int round = 0; round < 10; ++round) {
    const bool signs_in = round % 2 == 0;
    const std::string me = "user" + std::to_string(round);
    Browser browser;
    browser.add(*states, 0);
    const Scope own = atom::session_id_from(browser.cookies)->scope();
    std::vector<int> acknowledged;
    std::optional<StateErrorCode> end;
    Visitor writer{*states, browser.cookies};
    support::in_threads(2, [&](std::size_t i) {
      if (i == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(round));
        Visitor visitor{*states, browser.cookies};
        return signs_in ? visitor.sign_in(me) : visitor.sign_out();
      }
      try {
        const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        for (int n = 0; std::chrono::steady_clock::now() < last; ++n) {
          writer.transact([&](Session& s) { s.use(marks(n % 50)).update(n + 1); });
          acknowledged.push_back(n);
        }
      } catch (const atom::StateError& error) {
        end = error.code();
      }
    });
    CHECK(end == StateErrorCode::session_ended);
    for (const atom::AnyState& state : states->list(own)) CHECK((signs_in && state.key() == "atom.visitor"));
    for (const int n : acknowledged) {
      const bool is_last = n + 50 > acknowledged.back();
      if (!is_last || !signs_in) continue;
      CHECK(states->get_state<int>(-1, {.key = "visitors.marks/" + std::to_string(n % 50), .scope = Scope::user(me)})
                .load() == n + 1);
    }
    if (!signs_in) CHECK(states->list(Scope::user(me)).empty());
  }
}

TEST_CASE("a sign-in that is under way holds a commit of the client's until it is done, or has had its time",
          "[case73]") {
  using Record = atom::detail::VisitorRecord;
  const auto states = contract::open();
  Browser browser;
  browser.add(*states, 0);
  const Scope own = atom::session_id_from(browser.cookies)->scope();
  const auto hold_until = [&](std::int64_t until) {
    states->get_state<Record>({}, {.key = std::string(Record::key), .scope = own}).update([&](Record record) {
      record.until = until;
      return record;
    });
  };
  const auto write = [&](int n) {
    Visitor(*states, browser.cookies).transact([&](Session& s) { s.use(count).update(n); });
  };
  Visitor before{*states, browser.cookies};
  const std::int64_t end = Record::now() + 300;
  hold_until(end);
  write(3);
  CHECK(Record::now() >= end);
  CHECK(stored(*states, count, own) == 3);
  before.transact([](Session& s) { s.use(count).update(s.use(count).value() + 1); });
  CHECK(stored(*states, count, own) == 4);

  // What no sign-in writes, but a clock that is an hour ahead does.
  const std::int64_t begun = Record::now();
  hold_until(begun + 3'600'000);
  write(5);
  CHECK(Record::now() < begun + 60'000);
  CHECK(stored(*states, count, own) == 5);
}

TEST_CASE("of many sign-ins, sign-outs and writes at once, none reaches another client's data", "[case52][case73]") {
  const auto states = contract::open({.deadline = 5min});
  std::vector<std::string> wrong(4);
  support::in_threads(4, [&](std::size_t i) {
    const std::string me = "user" + std::to_string(i);
    const int first = static_cast<int>(i) * 1000;
    for (int n = 0; n < 5; ++n) {
      Browser browser;
      browser.add(*states, first + 2 * n);
      browser.sign_in(*states, me);
      browser.add(*states, first + 2 * n + 1);
      if (browser.user(*states) != me) wrong[i] = browser.user(*states);
      for (const int item : browser.items(*states)) {
        if (item / 1000 != static_cast<int>(i)) wrong[i] = std::to_string(item);
      }
      browser.sign_out(*states);
      if (!browser.items(*states).empty()) wrong[i] = "after the end";
    }
  });
  CHECK(wrong == std::vector<std::string>(4));
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(stored(*states, cart, Scope::user("user" + std::to_string(i))).size() == 10);
  }
}

}  // namespace
}  // namespace contract_visitors

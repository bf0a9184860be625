// What asks a database and is no operation of one state, without blocking the thread that begins it.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/session.hpp>
#include <atom/state/visitor.hpp>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/threads.hpp"

namespace contract_async {
namespace {

using namespace std::chrono_literals;
using atom::Scope;
using atom::Session;
using atom::State;
using atom::StateErrorCode;
using atom::StateOptions;
using atom::Visitor;
using contract::code_thrown_by;
using Items = std::vector<int>;

const atom::Atom<Items> cart{"async.cart"};
const atom::Atom<int> count{"async.count", 0};

const Scope offers{"offers"};
const StateOptions pens{.key = "pens", .scope = offers / "spring", .labels = {"paper"}};
const StateOptions inks{.key = "inks", .scope = offers / "spring"};

TEST_CASE("states are made, looked for, listed and deleted without blocking", "[case69][case93]") {
  const auto states = contract::open();
  const State<int> made = states->create_state_async(3, pens).wait();
  CHECK(made.load() == 3);
  CHECK(states->create_state_async(9, pens).wait().load() == 3);
  states->create_state_async(4, inks).wait();
  CHECK(states->has_state_async(pens).wait());
  CHECK_FALSE(states->has_state_async({.key = "pens", .scope = offers}).wait());
  CHECK(states->list_async(offers, {.below = true}).wait().size() == 2);
  CHECK(states->list_async(offers).wait().empty());
  CHECK(states->list_async({.limit = 1}).wait().next == states->list({.limit = 1}).next);
  CHECK(states->scopes_async().wait()[0] == offers / "spring");
  CHECK(states->purge_async({"paper"}).wait() == 1);
  CHECK_FALSE(made.has_value());
  CHECK(states->delete_state_async(inks).wait());
  CHECK_FALSE(states->delete_state_async(inks).wait());
  states->create_state_async(4, inks).wait();
  CHECK(states->delete_scope_async(offers).wait() == 1);
  CHECK(states->list_async().wait().empty());
}

TEST_CASE("placeholders are the request's without blocking, too", "[case71][case93]") {
  const auto states = contract::open();
  const StateOptions open{.key = "open", .scope = Scope::client()};
  {
    const auto mine = states->in({.client_id = "c"});
    CHECK(mine.create_state_async(true, open).wait().load());
    CHECK(mine.has_state_async(open).wait());
    CHECK(states->has_state({.key = "open", .scope = Scope::client("c")}));
    CHECK(mine.delete_state_async(open).wait());
  }
  auto task = states->in({.client_id = "d"}).create_state_async(true, open);  // what it is asked of is gone
  CHECK(task.wait().scope() == Scope::client("d"));
}

TEST_CASE("an error comes out where it is waited for", "[case79][case93]") {
  const auto states = contract::open();
  auto unnamed = states->has_state_async({.key = "", .scope = offers});
  CHECK(code_thrown_by([&] { return unnamed.wait(); }) == StateErrorCode::invalid_name);
  auto nobodys = states->create_state_async(1, {.key = "n", .scope = Scope::user()});
  CHECK(code_thrown_by([&] { return nobodys.wait(); }) == StateErrorCode::no_context);
  auto thrown = states->async([]() -> int { throw std::runtime_error("the user's"); });
  CHECK_THROWS_WITH(thrown.wait(), "the user's");
}

TEST_CASE("any work is done without blocking, and gives what it returns", "[case93]") {
  const auto states = contract::open();
  CHECK(*states->async([] { return std::make_unique<int>(7); }).wait() == 7);
  auto moved = std::make_unique<int>(8);
  CHECK(states->async([moved = std::move(moved)] { return *moved; }).wait() == 8);
  int done = 0;
  states->async([&] { ++done; }).wait();
  auto first = states->async([&] { return ++done; });
  auto second = std::move(first);
  CHECK(second.wait() == 2);
  first = states->async([&] { return ++done; });
  CHECK(first.wait() == 3);
}

TEST_CASE("a transaction that does not block runs again like any other", "[case90][case93]") {
  const auto states = contract::open();
  const Scope scope = Scope::client("c");
  bool is_first = true;
  const int result = states
                         ->transact_async(scope,
                                          [&](Session& session) {
                                            const int next = session.use(count).value() + 1;
                                            session.use(count).update(next);
                                            if (std::exchange(is_first, false)) states->use(count, scope).set(10);
                                            return next;
                                          })
                         .wait();
  CHECK(result == 11);
  states->transact_async(atom::RequestContext{.client_id = "c"}, [](Session& s) { s.use(count).update(3); }).wait();
  CHECK(states->use(count, scope).load() == 3);
}

TEST_CASE("a visitor's transaction does not block, either", "[case70][case90][case93]") {
  const auto states = contract::open();
  Visitor visitor{*states, ""};
  const auto add = [](Session& session) {
    session.use(count).update(session.use(count).value() + 1);
    return session.use(count).value();
  };
  CHECK(visitor.transact_async(add).wait() == 1);
  CHECK(visitor.transact_async(add, {.route = "/add"}).wait() == 2);
  const std::string cookie = *visitor.set_cookie();
  CHECK(Visitor(*states, cookie).session().use(count).value() == 2);
}

TEST_CASE("a visitor may go before its transaction is done", "[case70][case90][case93]") {
  const auto states = contract::open();
  auto visitor = std::make_unique<Visitor>(*states, "");
  std::promise<void> has_gone;
  if (!contract::persistent()) has_gone.set_value();  // it is done at once
  auto task = visitor->transact_async([&, gone = has_gone.get_future().share()](Session& session) {
    gone.wait();
    session.use(count).update(1);
    return session.scope();
  });
  visitor = nullptr;
  if (contract::persistent()) has_gone.set_value();
  CHECK(states->use(count, task.wait()).load() == 1);
}

TEST_CASE("of transactions that do not block, by many threads, none is lost", "[case81][case93]") {
  const auto states = contract::open({.deadline = 5min});
  support::in_threads(4, [&](std::size_t) {
    std::vector<atom::StateTask<void>> tasks;
    for (int i = 0; i < 25; ++i) {
      tasks.push_back(states->transact_async(
          Scope::global(), [](Session& session) { session.use(count).update(session.use(count).value() + 1); }));
    }
    for (auto& task : tasks) task.wait();
  });
  CHECK(states->use(count, Scope::global()).load() == 100);
}

TEST_CASE("what nobody waits for is done all the same, at the latest when the store goes", "[case93]") {
  auto states = contract::open();
  for (int i = 0; i < 50; ++i) {
    static_cast<void>(states->create_state_async(i, {.key = std::to_string(i), .scope = offers}));
  }
  if (!contract::persistent()) {
    CHECK(states->list(offers).size() == 50);
    return;
  }
  states = nullptr;
  CHECK(contract::reopen()->list(offers).size() == 50);
}

TEST_CASE("a client becomes a user without blocking", "[case73][case93]") {
  const auto states = contract::open();
  std::string cookie;
  {
    const auto visitor = Visitor::find_async(*states, "").wait();
    visitor->transact([](Session& session) { session.use(cart).update({1}); });
    cookie = visitor->set_cookie()->substr(0, visitor->set_cookie()->find(';'));
  }
  const auto visitor = Visitor::find_async(*states, cookie).wait();
  CHECK_FALSE(visitor->is_signed_in());
  visitor->sign_in_async("alice").wait();
  CHECK(visitor->user_id() == "alice");
  CHECK(states->use(cart, Scope::user("alice")).load() == Items{1});
  visitor->sign_out_async().wait();
  CHECK_FALSE(visitor->is_signed_in());

  states->use(count, Scope::client("c")).set(1);
  CHECK(states->promote_async(Scope::client("c"), Scope::user("bob")).wait() == 1);
  CHECK(states->use(count, Scope::user("bob")).load() == 1);
}

TEST_CASE("a store that is closed refuses all that asks its database", "[case79]") {
  if (!contract::persistent()) return;
  const auto states = contract::open();
  const State<int> made = states->create_state(3, pens);
  REQUIRE(states->close(5s));
  CHECK(code_thrown_by([&] { return states->list(offers).size(); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->scopes().size(); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->has_state(pens); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->delete_state(pens); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->delete_state(inks); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->purge({"paper"}); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->delete_scope(offers); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->promote(Scope::client("c"), Scope::user("u")); }) ==
        StateErrorCode::closed);
  CHECK(code_thrown_by([&] { return states->list_async(offers).wait().size(); }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] {
          Session session{*states, Scope::client("c")};
          return session.use(count).value();
        }) == StateErrorCode::closed);
  CHECK(code_thrown_by([&] {
          const std::string cookie = "session=" + atom::SessionId::random().text();
          return Visitor(*states, cookie).is_signed_in();
        }) == StateErrorCode::closed);
}

}  // namespace
}  // namespace contract_async

// The scopes of a store that are watched: who shares one, and when it ends.
#include <atom/state/detail/watched_scopes.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

namespace state_watched_scopes_test {
namespace {

using atom::Scope;
using atom::detail::WatchedScope;
using atom::detail::WatchedScopes;

TEST_CASE("who watches the same scope shares it, and it ends with the last one") {
  WatchedScopes scopes;
  std::vector<std::string> ended;
  const auto end = [&](const WatchedScope& watched) { ended.push_back(watched.scope.text()); };
  CHECK_FALSE(scopes.find(Scope{"s"}));
  const auto a = scopes.enter(Scope{"s"}), b = scopes.enter(Scope{"s"}), c = scopes.enter(Scope{"t"});
  CHECK(a == b);
  CHECK(scopes.find(Scope{"s"}) == a);
  CHECK(scopes.all().size() == 2);
  scopes.leave(*a, end);
  CHECK(ended.empty());
  scopes.leave(*b, end);
  CHECK(ended == std::vector<std::string>{Scope{"s"}.text()});
  CHECK_FALSE(scopes.find(Scope{"s"}));
  const auto again = scopes.enter(Scope{"s"});
  CHECK(again != a);
  scopes.leave(*again, end);
  scopes.leave(*c, end);
  CHECK(scopes.all().empty());
}

TEST_CASE("when all are closed each is ended once, and whoever comes later has a closed one") {
  WatchedScopes scopes;
  int ended = 0;
  const auto end = [&](const WatchedScope&) { ++ended; };
  const auto a = scopes.enter(Scope{"s"});
  scopes.close(end);
  scopes.close(end);
  CHECK(ended == 1);
  CHECK(a->is_closed());
  CHECK_FALSE(scopes.find(Scope{"s"}));
  const auto b = scopes.enter(Scope{"s"}), c = scopes.enter(Scope{"t"});
  CHECK(b->is_closed());
  CHECK(c->is_closed());
  for (const auto* watched : {&a, &b, &c}) scopes.leave(**watched, end);
  CHECK(ended == 1);
}

TEST_CASE("who is woken as all are closed may leave") {
  WatchedScopes scopes;
  const auto watched = scopes.enter(Scope{"s"});
  WatchedScope::Watcher watcher;
  int woken = 0;
  const auto leave = [&] {
    ++woken;
    scopes.leave(*watched, [](const WatchedScope&) {});
  };
  watched->add(watcher);
  watched->set_waker(watcher, std::make_shared<atom::detail::ScopeWakerOf<decltype(leave)>>(decltype(leave)(leave)));
  scopes.close([](const WatchedScope&) {});
  CHECK(woken == 1);
  watched->remove(watcher);
}

}  // namespace
}  // namespace state_watched_scopes_test

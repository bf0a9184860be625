// What the tests of several backends check alike.
#pragma once

#include <atom/backend/open.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

namespace support {

/// Of the states that were found, in their order.
inline std::vector<std::string> names(const atom::StateResult<std::vector<atom::FoundState>>& found) {
  std::vector<std::string> all;
  for (const atom::FoundState& state : found.value()) {
    all.push_back(atom::detail::state_id(state.scope, state.key));
  }
  return all;
}

/// That what came of a batch is what came of it before.
inline void check_same(const std::vector<atom::Outcome>& now, const std::vector<atom::Outcome>& before) {
  REQUIRE(now.size() == before.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    CHECK(now[i].error == before[i].error);
    CHECK(now[i].version == before[i].version);
    CHECK(now[i].value.has_value() == before[i].value.has_value());
    if (before[i].value) CHECK(now[i].value->text == before[i].value->text);
  }
}

/// That this is what a feed says which was woken while it had no connection.
inline void check_was_woken(const std::optional<atom::StateError>& error) {
  REQUIRE(error);
  CHECK(error->code() == atom::StateErrorCode::unavailable);
  CHECK(error->effect() == atom::Effect::none);
  CHECK(error->retryable());
  CHECK_THAT(error->what(), ContainsSubstring("it was woken"));
}

/// Lists, and the end of a scope, in a database in which nothing is.
inline void check_lists(atom::Backend& backend, Client& client) {
  const std::vector<atom::Scope> scopes{atom::Scope{"a"},
                                        atom::Scope{"a-b"},
                                        atom::Scope{"a.b"},
                                        atom::Scope{"a.b.c"},
                                        atom::Scope{"a_"},
                                        atom::Scope{"a~"},
                                        atom::Scope{"ab"},
                                        atom::Scope::client("a"),
                                        atom::Scope{"a"} / "\xff",
                                        atom::Scope{"a"} / "../x",
                                        atom::Scope{"a"} / "'",
                                        atom::Scope{"A"},
                                        atom::Scope{"a"} / "\U0001f600",
                                        atom::Scope::user("a")};
  Batch batch;
  std::vector<std::pair<atom::Scope, std::string>> all;
  for (const atom::Scope& scope : scopes) {
    for (const char* key : {"k", "K", "k.1"}) {
      batch.write(scope, key, "1");
      all.emplace_back(scope, key);
    }
  }
  client.run(batch);
  std::sort(all.begin(), all.end());
  const auto expected = [&](auto wanted) {
    std::vector<std::string> ids;
    for (const auto& [scope, key] : all) {
      if (wanted(scope)) ids.push_back(atom::detail::state_id(scope, key));
    }
    return ids;
  };
  for (const atom::Scope& scope : scopes) {
    CHECK(names(backend.list({.scope = &scope}, soon())) == expected([&](auto& s) { return s == scope; }));
    const auto below = expected([&](auto& s) { return scope.contains(s); });
    CHECK(names(backend.list({.scope = &scope, .below = true}, soon())) == below);
    std::vector<std::string> parts;
    for (atom::FoundState last{scope, "", 0, {}};;) {
      const auto part = backend.list(
          {.scope = &scope, .below = true, .after_scope = last.scope.text(), .after_key = last.key, .limit = 2},
          soon());
      for (const std::string& name : names(part)) parts.push_back(name);
      if (part->size() < 2) break;
      last = part->back();
    }
    CHECK(parts == below);
  }
  CHECK(names(backend.list({}, soon())) == expected([](auto&) { return true; }));
  CHECK(backend.list({.limit = static_cast<std::size_t>(-1)}, soon())->size() == all.size());
  CHECK(backend.list({.limit = 0}, soon())->empty());

  std::vector<atom::Scope> found;
  while (found.size() < 100) {
    const auto some = backend.scopes(found.empty() ? "" : found.back().text(), 3, soon()).value();
    if (some.empty()) break;
    found.insert(found.end(), some.begin(), some.end());
  }
  std::vector<atom::Scope> sorted = scopes;
  std::sort(sorted.begin(), sorted.end());
  CHECK(found == sorted);

  const atom::Scope a{"a"};
  std::vector<std::string> erased = names(backend.erase_scope(a, soon()));
  std::vector<std::string> wanted = expected([&](auto& s) { return a.contains(s); });
  std::sort(erased.begin(), erased.end());
  std::sort(wanted.begin(), wanted.end());
  CHECK(erased == wanted);
  CHECK(names(backend.list({}, soon())) == expected([&](auto& s) { return !a.contains(s); }));
}

/// That what somebody else has written, in scopes that are none, is not told, and keeps nobody from what is ours.
/// `put(scope, key, label)` writes it.
template <class Put>
void check_foreign_scopes(atom::Backend& backend, Client& client, Put put) {
  const atom::Scope a{"a"};
  const std::vector<std::string> label{"x"}, ours{"a:k", "a.b:k"};
  const auto write = [&] {
    client.run(Batch().write(a, "k", "1", {.labels = label}).write(a / "b", "k", "1", {.labels = label}));
  };
  client.run(Batch().write(atom::Scope{"b"}, "k", "1"));
  write();
  for (const char* scope : {"$", "a.", "a.%", "a.%41", "a.a b", "a.b c", "a.b.", "a:", "c d"}) {
    put(scope, "k", label[0]);
    put(scope, "l", std::string("y"));  // is not purged
  }
  for (const std::size_t limit : {1u, 2u, 3u, 1000u}) {
    CAPTURE(limit);
    std::vector<std::string> all, scopes;
    std::string after_scope, after_key;
    for (bool has_more = true; has_more;) {
      const auto part = backend.list({.after_scope = after_scope, .after_key = after_key, .limit = limit}, soon());
      for (const std::string& name : names(part)) all.push_back(name);
      has_more = part->size() == limit;
      if (has_more) after_scope = part->back().scope.text(), after_key = part->back().key;
    }
    for (bool has_more = true; has_more;) {
      const auto part = backend.scopes(scopes.empty() ? "" : scopes.back(), limit, soon()).value();
      for (const atom::Scope& scope : part) scopes.push_back(scope.text());
      has_more = part.size() == limit;
    }
    CHECK(all == std::vector<std::string>{"a:k", "a.b:k", "b:k"});
    CHECK(scopes == std::vector<std::string>{"a", "a.b", "b"});
    CHECK(names(backend.list({.scope = &a, .below = true, .limit = limit}, soon())).size() ==
          std::min<std::size_t>(limit, 2));
  }
  const auto check_same_names = [&](std::vector<std::string> ended) {
    std::sort(ended.begin(), ended.end(), std::greater<>());  // a colon comes after a dot
    CHECK(ended == ours);
  };
  check_same_names(names(backend.purge(label, soon())));
  write();
  check_same_names(names(backend.erase_scope(a, soon())));
  CHECK(names(backend.list({}, soon())) == std::vector<std::string>{"b:k"});
}

/// That `open_backend` makes a B of the good ones, which is called `name`, and repeats nothing of a bad one, in which
/// `secret` stands perhaps.
template <class B>
void check_urls(std::string_view name, const std::vector<std::string>& good, const std::vector<std::string>& bad,
                const std::string& secret) {
  for (const std::string& url : good) {
    INFO(url);
    CHECK(atom::open_backend<B>(url)->traits().name == name);
  }
  for (const std::string& url : bad) {
    INFO(url);
    try {
      static_cast<void>(atom::open_backend<B>(url));
      FAIL("it was taken");
    } catch (const atom::StateError& error) {
      CHECK(error.code() == atom::StateErrorCode::refused);
      CHECK_THAT(error.what(), !ContainsSubstring(secret));
    }
  }
}

/// Forks: there nothing is done, and that is said; then `let_go()` ends what it has of the backend's. Here all goes on.
template <class LetGo>
void check_forked(atom::Backend& backend, Client& client, LetGo let_go) {
  const atom::Scope shop{"shop"};
  client.run(Batch().apply(shop, "n", {}, atom::current + 1));
  CHECK(exit_code_of_child([&] {
          ++client.lane.sequence;
          const atom::BatchResult result = client.send(Batch().apply(shop, "n", {}, atom::current + 1));
          const atom::StateName name{shop, "n"};
          atom::Outcome outcome;
          const auto read = backend.read({&name, 1}, {&outcome, 1}, soon());
          let_go();
          return result.status == atom::BatchStatus::not_applied &&
                 result.error->code() == atom::StateErrorCode::closed && read &&
                 read->code() == atom::StateErrorCode::closed;
        }) == 0);
  client.run(Batch().apply(shop, "n", {}, atom::current + 1));
  CHECK(client.text(shop, "n") == "2");
}

}  // namespace support

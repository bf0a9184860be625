// What one client does at the same time, in memory and in SQLite, and what a visitor sees where the database fails.
#include "../../examples/ssr_server/database.hpp"
#include "../../examples/ssr_server/shop.hpp"

#include "support/catch.hpp"
#include "support/faulty_backend.hpp"
#include "support/log.hpp"
#include "support/threads.hpp"

#include <atom/backend/memory.hpp>
#include <atom/state/state_store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace ssr_sessions_test {
namespace {

using namespace std::chrono_literals;
using support::ContainsSubstring;
using support::Fault;

constexpr std::size_t tabs = 64;

shop::Response post(atom::StateStore& states, const std::string& form, const std::string& cookies = {}) {
  return shop::answer(states, {.method = "POST", .body = form, .cookies = cookies});
}
std::string session_of(const shop::Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (name == "Set-Cookie" && value.starts_with("session=")) return value.substr(0, value.find(';'));
  }
  return {};
}
std::vector<shop::Item> cart_of(atom::StateStore& states, const std::string& cookie) {
  return atom::Visitor(states, cookie).session().use(shop::cart_atom).value();
}

/// One client, and as many requests as there are tabs, which begin together. Their statuses, in order.
std::vector<int> post_at_once(atom::StateStore& states, const std::string& cookie, const std::string& form) {
  std::vector<int> statuses(tabs);
  support::in_threads(tabs, [&](std::size_t i) {
    statuses[i] = post(states, form + "&item=thing+" + std::to_string(i), cookie).status;
  });
  std::sort(statuses.begin(), statuses.end());
  return statuses;
}

void check_that_nothing_is_lost(atom::StateStore& states) {
  const std::string cookie = session_of(post(states, "name=Ada"));
  REQUIRE_FALSE(cookie.empty());
  CHECK(post_at_once(states, cookie, {}) == std::vector<int>(tabs, 200));

  std::set<std::string> titles;
  for (const shop::Item& item : cart_of(states, cookie)) titles.insert(item.title);
  CHECK(titles.size() == tabs);
  CHECK(cart_of(states, cookie).size() == tabs);
  CHECK(atom::Visitor(states, cookie).session().use(shop::seen_atom).value() == static_cast<std::int64_t>(tabs) + 1);
}

void check_that_the_limit_holds(atom::StateStore& states) {
  const std::string cookie = session_of(post(states, "name=Ada"));
  std::vector<int> expected(shop::most_pieces / 2, 200);  // two pieces each
  expected.resize(tabs, 400);
  CHECK(post_at_once(states, cookie, "item=tea") == expected);
  int pieces = 0;
  for (const shop::Item& item : cart_of(states, cookie)) pieces += item.quantity;
  CHECK(pieces == static_cast<int>(shop::most_pieces));
}

TEST_CASE("many requests of one client at once lose nothing and keep to the limit, in memory") {
  atom::StateStore states;
  check_that_nothing_is_lost(states);
  check_that_the_limit_holds(states);
}

TEST_CASE("where the database is away a visitor gets a plain page, and the log says what came of it") {
  const auto database = std::make_shared<support::UnreachableBackend>(std::make_shared<atom::Memory>());
  atom::StateStore states{database};
  const std::string cookie = session_of(post(states, "name=Ada&item=tea"));
  database->is_away = true;
  for (const char* method : {"GET", "POST"}) {
    CAPTURE(method);
    support::Log log;
    const shop::Response response = shop::answer(states, {.method = method, .body = "item=cake", .cookies = cookie});
    CHECK(response.status == 503);
    CHECK_THAT(response.body, ContainsSubstring("<!doctype html>") && ContainsSubstring("Nothing was changed"));
    CHECK_THAT(log.text(), ContainsSubstring("ssr_server: a request failed: ") && ContainsSubstring("without effect"));
    CHECK(log.text().find(cookie.substr(8)) == std::string::npos);
    CHECK(session_of(response).empty());
  }
  CHECK(shop::answer(states, {.path = "/style.css"}).status == 200);
  database->is_away = false;
  CHECK(cart_of(states, cookie) == std::vector<shop::Item>{{"tea", 1}});
}

TEST_CASE("where nobody knows what came of a form, the page says so") {
  const auto memory = std::make_shared<atom::Memory>();
  support::Faults faults;
  const auto database = std::make_shared<support::FaultyBackend>(memory, faults.with(Fault::answer_lost, 1000));
  atom::StateStore states{database, {.deadline = 1s}};
  const support::Log log;
  const shop::Response response = post(states, "item=cake");
  CHECK(response.status == 503);
  CHECK_THAT(response.body, ContainsSubstring("look into your cart"));
  CHECK_THAT(log.text(), ContainsSubstring("unknown"));
}

#ifdef SHOP_HAS_SQLITE
TEST_CASE("many requests of one client at once lose nothing and keep to the limit, in SQLite") {
  const shop::TemporaryFolder folder;
  atom::StateStore states = shop::open_states(folder / "shop.db", false);
  check_that_nothing_is_lost(states);
  check_that_the_limit_holds(states);
}

TEST_CASE("a cart is there when the shop opens again, and a file that cannot be opened is an error") {
  const shop::TemporaryFolder folder;
  std::string cookie;
  {
    atom::StateStore states = shop::open_states(folder / "shop.db");
    cookie = session_of(post(states, "item=tea"));
  }
  atom::StateStore states = shop::open_states(folder / "shop.db");
  CHECK(cart_of(states, cookie) == std::vector<shop::Item>{{"tea", 1}});
  CHECK_THROWS_AS(shop::open_states(folder / "no/such/folder/shop.db"), atom::StateError);
}
#endif

}  // namespace
}  // namespace ssr_sessions_test

// The check of `ssr_server --once`: it must be silent for a right server, and find each kind of leak.
#include "../../examples/ssr_server/self_check.hpp"

#include "support/catch.hpp"

#include <atom/state/state_store.hpp>

#include <chrono>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace ssr_self_check_test {
namespace {

using namespace std::chrono_literals;
using namespace shop::self_check;
using support::ContainsSubstring;

/// The shop, for all tests of this file.
shop::Response answer(const shop::Request& request) {
  static atom::StateStore states;
  return shop::answer(states, request);
}

constexpr auto a_long_time = 60s;  // a wait for what will come

/// All orders, by `clients` clients that share one handler.
Outcome run(int orders, std::size_t clients, const Send& handler) {
  Crowd crowd(orders, clients, [&] { return handler; });
  REQUIRE(crowd.wait_for(a_long_time));
  return crowd.outcome();
}

TEST_CASE("a thousand requests on eight threads get their own answers and nothing else") {
  const Outcome outcome = run(1000, 8, answer);
  CHECK(outcome.answered == 1000);
  CHECK(outcome.users.size() == 1000);
  CHECK(outcome.faults.empty());
}

TEST_CASE("every order differs from every other in its form, session and page") {
  std::set<std::string> forms, cookies, pages;
  for (int i = 0; i < 300; ++i) {
    const Order o = order(i);
    forms.insert(o.request.query + o.request.body);
    cookies.insert(o.request.cookies);
    pages.insert(answer(o.request).body);
  }
  CHECK(forms.size() == 300);
  CHECK(cookies.size() == 300);
  CHECK(pages.size() == 300);
}

TEST_CASE("the orders use both methods, all languages, and each way to choose one") {
  std::set<std::string> methods, languages;
  int with_cookie = 0, with_state = 0, with_change = 0;
  for (int i = 0; i < 60; ++i) {
    const Order o = order(i);
    methods.insert(o.request.method);
    languages.insert(o.state.get(shop::locale_atom));
    with_cookie += o.request.cookies.find("locale=") != std::string::npos;
    with_state += (o.request.query + o.request.body).find("state=") != std::string::npos;
    with_change += !o.cookies.empty();
  }
  CHECK(methods == std::set<std::string>{"GET", "POST"});
  CHECK(languages.size() == shop::words.size());
  CHECK(with_cookie == 20);
  CHECK(with_state == 12);
  CHECK(with_change > 5);
}

TEST_CASE("an answer that went to another client is found out") {
  shop::Response last = answer(order(99).request);
  const Outcome outcome = run(20, 1, [&](const shop::Request& request) {
    shop::Response mine = answer(request);
    std::swap(mine, last);
    return mine;
  });
  CHECK(outcome.faults.size() == 20);
}

TEST_CASE("a foreign mark is found where no person would see it") {
  const Order o = order(1);
  const shop::Response good = answer(o.request);
  REQUIRE(fault(o, good).empty());

  shop::Response in_comment = good;
  in_comment.body += "<!--" + mark(2) + "-->";
  CHECK_THAT(fault(o, in_comment), ContainsSubstring(mark(2) + ", which is of another request"));

  shop::Response in_header = good;
  in_header.headers.emplace_back("X-Debug", mark(3));
  CHECK_THAT(fault(o, in_header), ContainsSubstring(mark(3) + ", which is of another request"));
}

TEST_CASE("a page that is wrong without a mark is found out") {
  const Order o = order(7);
  const auto fault_of = [&](shop::Request request) { return fault(o, answer(request)); };
  REQUIRE(fault_of(o.request).empty());

  shop::Request request = o.request;
  request.accept_language = "de";
  CHECK_THAT(fault_of(request), ContainsSubstring("not the one that was asked for"));

  request = o.request;
  request.body = shop::encode_query("no form");
  CHECK_THAT(fault_of(request), ContainsSubstring("not the one that was asked for"));
}

TEST_CASE("a secret of one's own is found where a page shows it") {
  const Order o = order(1);
  shop::Response response = answer(o.request);
  response.body += "<!--" + o.session + "-->";
  CHECK_THAT(fault(o, response), ContainsSubstring("the session, which is secret"));
}

TEST_CASE("a cookie too many, too few or of another value is found out") {
  const Order o = order(10);
  REQUIRE(o.cookies == std::vector<std::string>{"locale=\"fr\";"});
  shop::Response response = answer(o.request);

  SECTION("too many") {
    response.headers.emplace_back("Set-Cookie", "theme=7; Path=/");
  }
  SECTION("too few") {
    std::erase_if(response.headers, [](const auto& header) { return header.second.starts_with("locale"); });
  }
  SECTION("another value") {
    for (auto& [name, value] : response.headers) {
      if (value.starts_with("locale")) value = "locale=%22en%22; Path=/";
    }
  }
  CHECK_THAT(fault(o, response), ContainsSubstring("cookies"));
}

TEST_CASE("a client that does not find again what it left is found out") {
  const Outcome outcome = run(4, 1, [](const shop::Request& request) {
    atom::StateStore forgetful;
    return shop::answer(forgetful, request);
  });
  REQUIRE(outcome.faults.size() == 2);  // those that sent a form
  CHECK_THAT(outcome.faults[0], ContainsSubstring("request 1: the page is not the one that was asked for"));
}

TEST_CASE("one session for two clients is found out") {
  std::string first;
  const Outcome outcome = run(20, 1, [&](shop::Request request) {
    if (request.method == "POST" && !first.empty()) request.cookies = first;
    const shop::Response response = answer(request);
    for (const auto& [name, value] : response.headers) {
      if (value.starts_with("session=")) first = value.substr(0, value.find(';'));
    }
    return response;
  });
  CHECK(outcome.faults.size() == 9);
  CHECK_THAT(outcome.faults.at(0), ContainsSubstring("which is of another request"));
}

TEST_CASE("another status is found out") {
  const Order o = order(5);
  shop::Response response = answer(o.request);
  response.status = 500;
  CHECK_THAT(fault(o, response), ContainsSubstring("status 500"));
}

TEST_CASE("a mark is recognised whole, and one's own is not foreign") {
  CHECK(mark(42) == "zq00042x");
  CHECK(foreign_marks("zq00042x zqzq00042x", mark(42)).empty());
  CHECK(foreign_marks("zqzq00043xzq00042x", mark(42)) == std::set<std::string>{"zq00043x"});
  CHECK(foreign_marks("zq0004", mark(42)).empty());
}

TEST_CASE("a request without an answer is a fault that says why") {
  const Outcome outcome = run(3, 2, [](const shop::Request& request) {
    if (request.body.find(mark(1)) != request.body.npos) throw std::runtime_error("connection lost");
    return answer(request);
  });
  CHECK(outcome.answered == 2);
  REQUIRE(outcome.faults.size() == 1);
  CHECK(outcome.faults[0] == "request 1: no answer: connection lost");
}

TEST_CASE("a crowd that waits for ever is told by number") {
  std::promise<void> reached, released;
  Crowd crowd(3, 1, [&] {
    return [&, release = released.get_future().share()](const shop::Request& request) {
      if (request.body.find(mark(1)) != request.body.npos) {
        reached.set_value();
        release.wait();
      }
      return answer(request);
    };
  });
  reached.get_future().wait();
  CHECK_FALSE(crowd.wait_for(0ms));
  CHECK(crowd.waiting() == std::vector<int>{1});
  CHECK(crowd.outcome().answered == 1);

  released.set_value();
  CHECK(crowd.wait_for(a_long_time));
  CHECK(crowd.waiting().empty());
}

TEST_CASE("a page in short is its text, line by line") {
  const Order o = order(sample_order);
  CHECK(in_short(answer(o.request).body) ==
        std::vector<std::string>{"Bonjour, Guest <zq00007x> & \"Co\"!", "Votre panier", "thing 0 of zq00007x × 1",
                                 "thing 1 of zq00007x × 2", "thing 2 of zq00007x × 3", "Pièces en tout : 6"});
  CHECK(in_short("").empty());
  CHECK(in_short("<h1>broken").front() == "broken");
}

}  // namespace
}  // namespace ssr_self_check_test

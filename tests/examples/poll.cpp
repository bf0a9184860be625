// The poll's handlers, from a request to a response: what is counted, for whom, and what somebody hostile can do.
#include "../../examples/live_poll/poll.hpp"

#include "../../examples/live_poll/database.hpp"

#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/faulty_backend.hpp"
#include "support/log.hpp"
#include "support/threads.hpp"

#include <atom/backend/memory.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace poll_test {
namespace {

using namespace std::chrono_literals;
using live_poll::Request;
using live_poll::Response;
using support::ContainsSubstring;
using support::Fault;
using Votes = std::vector<std::int64_t>;  // pizza, noodles, salad, soup

std::optional<std::string> header(const Response& response, std::string_view name) {
  for (const auto& [n, value] : response.headers) {
    if (n == name) return value;
  }
  return std::nullopt;
}
/// What a browser sends back; empty: it was told nothing.
std::string cookie_of(const Response& response) {
  const std::string cookie = header(response, "Set-Cookie").value_or("");
  return cookie.substr(0, cookie.find(';'));
}
Votes votes(atom::StateStore& states) {
  Votes votes;
  for (const live_poll::Line& line : live_poll::lines(states)) votes.push_back(line.votes);
  return votes;
}
Response get(atom::StateStore& states, const std::string& cookies = {}) {
  return live_poll::answer(states, {.cookies = cookies});
}
Response post(atom::StateStore& states, const std::string& path, const std::string& cookies = {}) {
  return live_poll::answer(states, {.method = "POST", .path = path, .cookies = cookies, .accept = "application/json"});
}
/// The path of the option with this number.
std::string vote_for(std::size_t option) {
  return "/vote/" + std::string(live_poll::options()[option].votes.key());
}
/// Somebody who has opened the page.
std::string newcomer(atom::StateStore& states) {
  const std::string cookie = cookie_of(get(states));
  REQUIRE_FALSE(cookie.empty());
  return cookie;
}
/// The key that the page marks as this client's.
std::string marked(const Response& page) {
  const std::string pressed = R"(" aria-pressed="true")", key = R"(data-key=")";
  const std::size_t end = page.body.find(pressed);
  if (end == page.body.npos) return {};
  CHECK(page.body.find(pressed, end + 1) == page.body.npos);
  const std::size_t begin = page.body.rfind(key, end) + key.size();
  return page.body.substr(begin, end - begin);
}
std::string id_of_nobody(char digit) {
  return "live_poll=" + std::string(32, digit);
}

// -------------------------------------------------------------------------------------------------------------- votes

TEST_CASE("a vote counts, and is marked in the client's page and in nobody else's") {
  atom::StateStore states;
  const std::string mine = newcomer(states), another = newcomer(states);
  const Response answer = post(states, "/vote/noodles", mine);
  CHECK(answer.status == 200);
  CHECK(answer.type == "application/json");
  CHECK(answer.body == R"({"voted":"noodles"})");
  CHECK(votes(states) == Votes{0, 1, 0, 0});
  CHECK(marked(get(states, mine)) == "noodles");
  CHECK(marked(get(states, another)).empty());
  CHECK_THAT(get(states, another).body, ContainsSubstring("Votes in all: <span id=\"all\">1</span>"));
}

TEST_CASE("who changes their mind, votes twice for the same, or takes the vote back has one vote, or none") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  const auto after = [&](const std::string& path) {
    CHECK(post(states, path, me).status == 200);
    return votes(states);
  };
  CHECK(after("/revert") == Votes{0, 0, 0, 0});
  CHECK(after("/vote/pizza") == Votes{1, 0, 0, 0});
  CHECK(after("/vote/soup") == Votes{0, 0, 0, 1});
  CHECK(after("/vote/soup") == Votes{0, 0, 0, 1});
  CHECK(after("/revert") == Votes{0, 0, 0, 0});
  CHECK(after("/revert") == Votes{0, 0, 0, 0});
  CHECK(after("/vote/pizza") == Votes{1, 0, 0, 0});
}

TEST_CASE("a page's script is told what its client has voted for") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  const auto voted = [&] { return live_poll::answer(states, {.cookies = me, .accept = "application/json"}); };
  CHECK(voted().body == R"({"voted":""})");
  post(states, "/vote/soup", me);
  CHECK(voted().body == R"({"voted":"soup"})");
  CHECK(voted().type == "application/json");
}

TEST_CASE("without JavaScript a vote leads back to the page") {
  atom::StateStore states;
  const Response answer =
      live_poll::answer(states, {.method = "POST", .path = "/vote/salad", .cookies = newcomer(states)});
  CHECK(answer.status == 303);
  CHECK(header(answer, "Location") == "/");
  CHECK(answer.body.empty());
  CHECK(votes(states) == Votes{0, 0, 1, 0});
}

TEST_CASE("a page that is read gives its client an id, so that the first two clicks are one vote") {
  atom::StateStore states;
  const Response page = get(states);
  const std::string me = cookie_of(page);
  REQUIRE_FALSE(me.empty());
  CHECK_THAT(*header(page, "Set-Cookie"), ContainsSubstring("HttpOnly") && ContainsSubstring("SameSite=Lax"));
  CHECK_FALSE(header(get(states, me), "Set-Cookie"));
  support::in_threads(2, [&](std::size_t) { post(states, "/vote/pizza", me); });
  CHECK(votes(states) == Votes{1, 0, 0, 0});
}

TEST_CASE("a head and a refusal make nobody known") {
  atom::StateStore states;
  for (const Request& request : {Request{.method = "HEAD"}, Request{.method = "POST", .path = "/vote/cake"},
                                 Request{.method = "POST", .path = "/revert"}, Request{.path = "/cake"},
                                 Request{.method = "POST", .path = "/vote/soup", .fetch_site = "cross-site"}}) {
    CAPTURE(request.method, request.path);
    CHECK_FALSE(header(live_poll::answer(states, request), "Set-Cookie"));
  }
  CHECK(states.stats().states <= 4);  // those of the votes
}

TEST_CASE("what a client has voted for is forgotten after a while, and its vote stays") {
  atom::StateStore states;
  const live_poll::Settings settings{.kept_for = 1s};
  const auto ask = [&](const std::string& method, const std::string& path, const std::string& cookie) {
    return live_poll::answer(states, {.method = method, .path = path, .cookies = cookie}, settings);
  };
  const std::string me = cookie_of(ask("GET", "/", {}));
  const auto begin = std::chrono::steady_clock::now();
  ask("POST", "/vote/pizza", me);
  const std::string at_first = marked(ask("GET", "/", me));
  if (std::chrono::steady_clock::now() - begin < 1s) CHECK(at_first == "pizza");
  std::this_thread::sleep_for(1100ms);
  CHECK(marked(ask("GET", "/", me)).empty());
  CHECK(votes(states) == Votes{1, 0, 0, 0});
}

// ------------------------------------------------------------------------------------------------------------ at once

void check_clicks_at_once(atom::StateStore& states) {
  const std::string me = newcomer(states);
  support::in_threads(16, [&](std::size_t) { post(states, "/vote/pizza", me); });
  CHECK(votes(states) == Votes{1, 0, 0, 0});

  // Whatever comes last, the votes and the mark say the same.
  for (int round = 0; round < 5; ++round) {
    support::in_threads(16, [&](std::size_t i) { post(states, i % 5 == 4 ? "/revert" : vote_for(i % 5), me); });
    const std::string voted = marked(get(states, me));
    Votes expected(4);
    for (std::size_t i = 0; i < 4; ++i) expected[i] = live_poll::options()[i].votes.key() == voted;
    CHECK(votes(states) == expected);
  }
}
void check_clients_at_once(atom::StateStore& states) {
  const Votes before = votes(states);
  support::in_threads(64, [&](std::size_t i) {
    const std::string me = cookie_of(get(states));
    for (std::size_t click = 0; click < 4; ++click) {
      if (post(states, vote_for((i + click) % 4), me).status != 200) throw std::runtime_error("not counted");
    }
    if (i % 8 == 0) post(states, "/revert", me);
  });
  // The last click of client i is for option (i + 3) % 4; those of each eighth, which are for soup, are taken back.
  Votes expected{16, 16, 16, 8};
  for (std::size_t i = 0; i < 4; ++i) expected[i] += before[i];
  CHECK(votes(states) == expected);
}

TEST_CASE("the clicks of one client at once are one vote") {
  atom::StateStore in_memory;
  check_clicks_at_once(in_memory);
  atom::StateStore with_database{std::make_shared<atom::Memory>(), {.staleness = {}}};
  check_clicks_at_once(with_database);
}

TEST_CASE("of many clients at once each vote is counted") {
  atom::StateStore in_memory;
  check_clients_at_once(in_memory);
  atom::StateStore with_database{std::make_shared<atom::Memory>(), {.deadline = 60s, .staleness = {}}};
  check_clients_at_once(with_database);
}

#ifdef LIVE_POLL_HAS_SQLITE
TEST_CASE("the poll counts as exactly in SQLite, and goes on where it was") {
  const support::TemporaryFolder folder;
  const std::string url = "sqlite:" + (folder / "poll.db");
  std::string me;
  {
    const auto states = live_poll::open_states(url);
    me = newcomer(*states);
    post(*states, "/vote/soup", me);
    check_clients_at_once(*states);
  }
  const auto states = live_poll::open_states(url);
  CHECK(votes(*states) == Votes{16, 16, 16, 9});
  CHECK(marked(get(*states, me)) == "soup");
  post(*states, "/vote/pizza", me);
  std::this_thread::sleep_for(600ms);  // what is read may be so old
  CHECK(votes(*states) == Votes{17, 16, 16, 8});
}
#endif

// ------------------------------------------------------------------------------------------------------------ cookies

TEST_CASE("an id that was not given out becomes nobody's, and whoever brings one gets another") {
  atom::StateStore states;
  const std::string victim = newcomer(states);
  post(states, "/vote/pizza", victim);
  const std::string id = victim.substr(victim.find('=') + 1);
  for (const std::string& forged : {
           id_of_nobody('0'),
           id_of_nobody('f'),
           id_of_nobody('F'),
           id_of_nobody('g'),  //
           std::string("live_poll="),
           std::string("live_poll"),
           std::string("=") + id,
           std::string(";;; ; =;"),
           victim + "0",
           victim.substr(0, victim.size() - 1),
           "live_poll=\"" + id + '"',
           "LIVE_POLL=" + id,
           "xlive_poll=" + id,
           "live_poll =" + id,
           "live_poll=" + id + "%00",
           victim + '\0',
           "live_poll=" + std::string(100'000, '0'),
           victim + "; " + id_of_nobody('0'),  // two: nobody can tell which one another site has set
           id_of_nobody('0') + "; " + victim,
           victim + "; live_poll=",
           "live_poll=" + std::string(32, '\xff'),
           "live_poll=../" + id.substr(3),
       }) {
    CAPTURE(forged.substr(0, 100));
    const Response page = get(states, forged);
    CHECK(page.status == 200);
    CHECK(marked(page).empty());
    const std::string given = cookie_of(page);
    CHECK(given.size() == victim.size());
    CHECK(given != victim);
    CHECK(forged.find(given.substr(given.find('='))) == forged.npos);
    CHECK(post(states, "/revert", forged).body == R"({"voted":""})");
    CHECK(cookie_of(post(states, "/vote/soup", forged)) != victim);
  }
  CHECK(votes(states).front() == 1);
  CHECK(marked(get(states, victim)) == "pizza");
}

TEST_CASE("the client's cookie is found among others, twice, and with whatever space there is") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  post(states, "/vote/pizza", me);
  for (const std::string& cookies : {"a=b; " + me, me + "; session=" + std::string(32, '0'), me + "; " + me,
                                     "\t " + me + " \t;;", "a=b;" + me + ";c", "live_polls=1; " + me}) {
    CAPTURE(cookies);
    CHECK(marked(get(states, cookies)) == "pizza");
    CHECK_FALSE(header(get(states, cookies), "Set-Cookie"));
  }
}

TEST_CASE("an id that has ended is nobody's, and what it had voted for stays") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  post(states, "/vote/pizza", me);
  atom::Visitor(states, me, {.cookie = {.name = "live_poll"}}).sign_out();
  CHECK(marked(get(states, me)).empty());
  const Response again = post(states, "/vote/soup", me);
  CHECK(cookie_of(again) != me);
  CHECK_FALSE(cookie_of(again).empty());
  CHECK(votes(states) == Votes{1, 0, 0, 1});
}

// -------------------------------------------------------------------------------------------------------- other sites

TEST_CASE("what another site has sent is refused, and counts nothing") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  const std::string host = "127.0.0.1:8080";
  struct Case {
    const char *origin, *fetch_site;
    int status;
  };
  for (const Case& c : {
           Case{"", "", 200},  // no browser
           {"http://127.0.0.1:8080", "", 200},
           {"https://127.0.0.1:8080", "", 200},  // behind what does TLS
           {"http://127.0.0.1:8080", "same-origin", 200},
           {"", "none", 200},  // as the visitor has asked for
           {"http://evil.example", "", 403},
           {"http://127.0.0.1:8081", "", 403},
           {"http://127.0.0.1", "", 403},
           {"http://127.0.0.1:8080.evil.example", "", 403},
           {"http://evil.example/http://127.0.0.1:8080", "", 403},
           {"http://127.0.0.1:8080@evil.example", "", 403},
           {"http://LOCALHOST:8080", "", 403},
           {"null", "", 403},
           {"127.0.0.1:8080", "", 403},
           {"://", "", 403},
           {"http://127.0.0.1:8080", "cross-site", 403},
           {"http://127.0.0.1:8080", "same-site", 403},  // another port of this machine
           {"http://127.0.0.1:8080", "SAME-ORIGIN", 403},
           {"http://127.0.0.1:8080", "same-origin, cross-site", 403},
       }) {
    CAPTURE(c.origin, c.fetch_site);
    const Votes before = votes(states);
    for (const char* path : {"/vote/pizza", "/revert"}) {
      const Response answer = live_poll::answer(states, {.method = "POST",
                                                         .path = path,
                                                         .cookies = me,
                                                         .accept = "application/json",
                                                         .host = host,
                                                         .origin = c.origin,
                                                         .fetch_site = c.fetch_site});
      CHECK(answer.status == c.status);
      if (c.status != 200) CHECK(votes(states) == before);
    }
  }
  CHECK(live_poll::answer(states, {.origin = "http://evil.example", .fetch_site = "cross-site"}).status == 200);
}

// ----------------------------------------------------------------------------------------------------------- requests

TEST_CASE("what there is not to vote for is refused, and counts nothing") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  post(states, "/vote/pizza", me);
  for (const std::string& path : {std::string("/"),
                                  std::string(),
                                  std::string("/vote"),
                                  std::string("/vote/"),
                                  std::string("/vote/cake"),
                                  std::string("/vote/Pizza"),
                                  std::string("/vote/pizza/"),
                                  std::string("/vote//pizza"),
                                  std::string("//vote/soup"),
                                  std::string("/vote/%70izza"),
                                  std::string("/vote/soup%00"),
                                  std::string("/vote/soup\0", 11),
                                  std::string("/vote/voted"),
                                  std::string("/vote/atom.visitor"),
                                  std::string("/vote/../vote/soup"),
                                  std::string("/Vote/soup"),
                                  std::string("/revert/"),
                                  std::string("/revert/soup"),
                                  std::string("/revertsoup"),
                                  std::string("/events"),
                                  std::string("/style.css"),
                                  std::string("/vote/<script>alert(1)</script>"),
                                  "/vote/" + std::string(100'000, 'x')}) {
    CAPTURE(path.substr(0, 100));
    const Response answer = post(states, path, me);
    CHECK(answer.status == 404);
    CHECK(answer.body.find("alert(1)") == std::string::npos);
    CHECK(answer.body.size() < 1000);
    CHECK(votes(states) == Votes{1, 0, 0, 0});
  }
}

TEST_CASE("only a post changes anything") {
  atom::StateStore states;
  const std::string me = newcomer(states);
  post(states, "/vote/pizza", me);
  for (const char* method : {"GET", "HEAD"}) {
    for (const char* path : {"/vote/soup", "/revert", "/vote/pizza"}) {
      CHECK(live_poll::answer(states, {.method = method, .path = path, .cookies = me}).status == 404);
    }
    CHECK(live_poll::answer(states, {.method = method, .cookies = me}).status == 200);
  }
  for (const char* method :
       {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "post", "POST ", "", "BREW"}) {
    CAPTURE(method);
    for (const char* path : {"/", "/vote/soup", "/style.css", "/cake"}) {
      const Response answer = live_poll::answer(states, {.method = method, .path = path, .cookies = me});
      CHECK(answer.status == 405);
      CHECK(header(answer, "Allow") == "GET, HEAD, POST");
    }
  }
  CHECK(votes(states) == Votes{1, 0, 0, 0});
}

TEST_CASE("each answer says what a browser may do with it") {
  atom::StateStore states;
  for (const Request& request :
       {Request{}, Request{.path = "/style.css"}, Request{.path = "/app.js"}, Request{.path = "/favicon.ico"},
        Request{.path = "/cake"}, Request{.method = "PUT"}, Request{.method = "POST", .path = "/vote/soup"}}) {
    CAPTURE(request.method, request.path);
    const Response answer = live_poll::answer(states, request);
    CHECK(header(answer, "X-Content-Type-Options") == "nosniff");
    CHECK(header(answer, "Cache-Control") == "no-store");
    REQUIRE(header(answer, "Content-Security-Policy"));
    CHECK_THAT(*header(answer, "Content-Security-Policy"),
               ContainsSubstring("default-src 'none'") && ContainsSubstring("frame-ancestors 'none'"));
    CHECK(header(answer, "Content-Security-Policy")->find("unsafe") == std::string::npos);
  }
}

TEST_CASE("pages have no script and no style of their own, which their policy would refuse") {
  atom::StateStore states;
  for (const std::string& html : {get(states).body, post(states, "/vote/cake").body}) {
    CHECK(html.starts_with("<!doctype html>"));
    for (const char* part : {"<script>", "<style", " style=", " onclick=", "javascript:"}) {
      CHECK(html.find(part) == std::string::npos);
    }
  }
}

// -------------------------------------------------------------------------------------------- where the database fails

TEST_CASE("where the database is away the answer says that the vote is as it was, and the log says why") {
  const auto memory = std::make_shared<atom::Memory>();
  const auto database = std::make_shared<support::UnreachableBackend>(memory);
  atom::StateStore good{memory, {.staleness = {}}};
  atom::StateStore states{database, {.deadline = 200ms, .staleness = {}}};
  const std::string me = newcomer(good);
  post(good, "/vote/pizza", me);
  database->is_away = true;
  for (const Request& request :
       {Request{.cookies = me}, Request{.method = "HEAD", .cookies = me}, Request{},
        Request{.method = "POST", .path = "/vote/soup", .cookies = me}, Request{.method = "POST", .path = "/vote/soup"},
        Request{.method = "POST", .path = "/revert", .cookies = me}}) {
    CAPTURE(request.method, request.path, request.cookies);
    const support::Log log;
    const Response answer = live_poll::answer(states, request);
    CHECK(answer.status == 503);
    CHECK(header(answer, "Retry-After") == "2");
    CHECK_FALSE(header(answer, "Set-Cookie"));
    CHECK_THAT(answer.body, ContainsSubstring("Your vote is as it was"));
    CHECK_THAT(log.text(), ContainsSubstring("live_poll: a request failed: "));
    CHECK(log.text().find(me.substr(me.find('=') + 1)) == std::string::npos);
    CHECK(answer.body.find("nobody is there") == std::string::npos);
  }
  CHECK(live_poll::answer(states, {.path = "/app.js"}).status == 200);
  CHECK(live_poll::answer(states, {.path = "/cake"}).status == 404);
  CHECK(votes(good) == Votes{1, 0, 0, 0});
  CHECK(marked(get(good, me)) == "pizza");
}

TEST_CASE("where nobody knows what came of a vote the answer says that it may have been counted") {
  const auto memory = std::make_shared<atom::Memory>();
  atom::StateStore states{memory, {.staleness = {}}};
  const std::string me = newcomer(states);
  for (const Fault fault : {Fault::answer_lost, Fault::request_lost}) {
    support::Faults faults;
    atom::StateStore faulty{std::make_shared<support::FaultyBackend>(memory, faults.with(fault, 1000)),
                            {.deadline = 1s}};
    const support::Log log;
    const Response answer = post(faulty, "/vote/pizza", me);
    CHECK(answer.status == 503);
    CHECK(header(answer, "Retry-After") == "2");
    CHECK_THAT(answer.body, ContainsSubstring("may have been counted"));
    CHECK_THAT(log.text(), ContainsSubstring("unknown"));
    CHECK(post(states, "/vote/pizza", me).status == 200);  // in another process
    CHECK(votes(states) == Votes{1, 0, 0, 0});
    post(states, "/revert", me);
  }
}

}  // namespace
}  // namespace poll_test

// The shop's server over HTTP, and servers with a planted leak: what no check finds, no check has looked for.
#include "../../examples/ssr_server/self_check.hpp"
#include "../../examples/ssr_server/server.hpp"

#include "support/catch.hpp"

#include <atom/state/state_store.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ssr_http_test {
namespace {

using namespace std::chrono_literals;
using namespace shop::self_check;
using shop::Request;
using shop::Response;

/// The shop, for all tests of this file.
Response answer(const Request& request) {
  static atom::StateStore states;
  return shop::answer(states, request);
}

/// What a thousand requests from eight threads find out about a server.
Outcome ask_over_http(shop::Server::Answer answer) {
  shop::Server server(std::move(answer));
  const int port = server.bind(0);
  server.start();
  shop::connect_to(port)({});  // alone: the library sets up what it sets up at its first request
  Crowd crowd(1000, 8, [port] { return shop::connect_to(port); });
  REQUIRE(crowd.wait_for(120s));
  CHECK(server.stop());
  return crowd.outcome();
}

int with(const Outcome& outcome, const std::string& what) {
  int number = 0;
  for (const std::string& fault : outcome.faults) number += fault.find(what) != fault.npos;
  return number;
}

/// The steps of a request, on a store that somebody else may use as well.
Response serve_with(atom::AtomStore& store, const Request& request) {
  Response response;
  const shop::Form form = shop::form_of(request);
  store.use(shop::locale_atom).silent_update(shop::best_language(request));
  shop::believe(store, form);
  shop::handle(store, form);
  store.use(shop::offered_atom);
  shop::finish(store.snapshot({.derived = true}), {}, response);
  return response;
}

/// Answers like the shop, but for one request in fifty.
class Leaky {
 public:
  explicit Leaky(std::function<Response(const Request&)> leak) : leak_(std::move(leak)) {}
  Response operator()(const Request& request) {
    if (number_++ % 50 != 49) return answer(request);
    const std::lock_guard lock(mutex_);
    ++leaked_;
    return leak_(request);
  }
  int leaked() const { return leaked_; }

 private:
  std::function<Response(const Request&)> leak_;
  std::atomic<int> number_ = 0;
  std::atomic<int> leaked_ = 0;
  std::mutex mutex_;
};

TEST_CASE("a form of another site is refused over HTTP") {
  shop::Server server(answer);
  const int port = server.bind(0);
  server.start();
  const auto ask = shop::connect_to(port);
  const auto status = [&](const std::string& origin, const std::string& fetch_site) {
    return ask({.method = "POST", .body = "item=tea", .origin = origin, .fetch_site = fetch_site}).status;
  };
  CHECK(status("http://127.0.0.1:" + std::to_string(port), "") == 200);
  CHECK(status("http://evil.example", "") == 403);
  CHECK(status("", "cross-site") == 403);
  CHECK(server.stop());
}

TEST_CASE("a thousand requests over HTTP, eight at a time, see nothing of each other") {
  const Outcome outcome = ask_over_http(answer);
  for (const std::string& fault : outcome.faults) UNSCOPED_INFO(fault);
  CHECK(outcome.faults.empty());
  CHECK(outcome.answered == 1000);
  CHECK(outcome.users.size() == 1000);
}

TEST_CASE("one store for two requests is found out over HTTP") {
  // The cart of the first is still there when the second comes.
  std::vector<std::unique_ptr<atom::AtomStore>> stores;
  int uses = 0;
  Leaky leaky([&](const Request& request) {
    if (uses++ % 2 == 0) stores.push_back(std::make_unique<atom::AtomStore>());
    return serve_with(*stores.back(), request);
  });
  const Outcome outcome = ask_over_http(std::ref(leaky));
  CHECK(leaky.leaked() >= 20);
  CHECK(with(outcome, "which is of another request") > 0);
}

TEST_CASE("a template that somebody writes to is found out over HTTP") {
  // Only by force: a template is const. This one is another than the shop's, so that the shop stays as it is.
  static const atom::Atom<std::string> greeting{"ssr_http.greeting", ""};
  Leaky leaky([](const Request& request) {
    const shop::Form form = shop::form_of(request);
    atom::AtomStore store;
    Response response = serve_with(store, request);
    response.body += "<p>" + store.use(greeting).value() + "</p>";
    const_cast<std::string&>(greeting.value()) = form.name;
    return response;
  });
  const Outcome outcome = ask_over_http(std::ref(leaky));
  CHECK(with(outcome, "which is of another request") > 0);
}

TEST_CASE("a listener that outlives its request is found out over HTTP") {
  // One store for all, whose values each request resets: but what listened for the one before still does.
  atom::AtomStore shared;
  std::string heard;
  Leaky leaky([&](const Request& request) {
    const shop::Form form = shop::form_of(request);
    heard.clear();
    shared.use(shop::user_atom).reset();
    shared.use(shop::user_atom).on_change([&heard, name = form.name] { heard += name; });
    shared.use(shop::user_atom).change(&shop::User::name, form.name);
    Response response = answer(request);
    response.headers.emplace_back("X-Heard", shop::encode_query(heard));
    return response;
  });
  const Outcome outcome = ask_over_http(std::ref(leaky));
  CHECK(with(outcome, "which is of another request") > 0);
}

TEST_CASE("answers that are swapped between two requests are found out over HTTP") {
  Response other = answer(order(5000).request);
  Leaky leaky([&other](const Request& request) {
    Response mine = answer(request);
    std::swap(mine, other);
    return mine;
  });
  const Outcome outcome = ask_over_http(std::ref(leaky));
  CHECK(static_cast<int>(outcome.faults.size()) >= leaky.leaked() - 1);
}

}  // namespace
}  // namespace ssr_http_test

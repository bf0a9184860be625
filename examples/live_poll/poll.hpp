// The poll, without a socket: so it runs under any server, and in tests.
// The votes are states that all share, in the global scope; what a client has voted for is its own. One commit changes
// both, or neither, so each client has one vote, however often it clicks and in however many tabs.
#pragma once

#include "../elsewhere.hpp"
#include "assets.hpp"
#include "page.hpp"

#include <atom/json.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace live_poll {

inline const atom::Atom<std::int64_t> pizza_atom{"pizza", 0};
inline const atom::Atom<std::int64_t> noodles_atom{"noodles", 0};
inline const atom::Atom<std::int64_t> salad_atom{"salad", 0};
inline const atom::Atom<std::int64_t> soup_atom{"soup", 0};
inline const atom::Atom<std::string> voted_atom{"voted"};  // the key of one of these; empty: none

struct Option {
  const atom::Atom<std::int64_t>& votes;
  std::string_view label;
};
inline const std::vector<Option>& options() {
  static const std::vector<Option> all{
      {pizza_atom, "Pizza"}, {noodles_atom, "Noodles"}, {salad_atom, "Salad"}, {soup_atom, "Soup"}};
  return all;
}
inline const Option* find_option(std::string_view key) {
  const auto found =
      std::find_if(options().begin(), options().end(), [&](const Option& option) { return option.votes.key() == key; });
  return found == options().end() ? nullptr : &*found;
}
/// Where the votes are, and what `events` shows.
inline const atom::Scope& scope() {
  static const atom::Scope lunch = atom::Scope::global() / "lunch";
  return lunch;
}

/// A browser has one jar for all ports of this machine, and other programs have a "session" in it.
inline constexpr std::string_view cookie_name = "live_poll";

struct Settings {
  /// So long after its vote a client is known to have it, and after its last visit to be the same.
  std::chrono::milliseconds kept_for = std::chrono::hours(24 * 30);
};

struct Request {
  std::string method = "GET";
  std::string path = "/";
  std::string cookies = {};
  std::string accept = {};
  std::string host = {};
  std::string origin = {};      // as a browser says it of a post: "http://127.0.0.1:8080"
  std::string fetch_site = {};  // Sec-Fetch-Site: "same-origin", "cross-site", ...
};
struct Response {
  int status = 200;
  std::string type = "text/html; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// ---------------------------------------------------------------------------------------------------------- the poll

/// Votes for the option, or for none any more: whatever the client has voted for before counts no longer. Where another
/// request of this client is faster, it is done again on what there is then. Throws StateError.
inline void vote(const atom::Visitor& visitor, std::string_view choice, const Settings& settings) {
  const atom::SessionOptions of_session{.route = "/vote", .ttl = settings.kept_for};
  visitor.transact(
      [&](atom::Session& session) {
        auto& voted = session.use(voted_atom);
        if (voted.value() == choice) return;
        if (const Option* const before = find_option(voted.value())) {
          session.apply(before->votes, scope(), atom::current - 1);
        }
        if (const Option* const next = find_option(choice)) session.apply(next->votes, scope(), atom::current + 1);
        voted.update(std::string(choice));
      },
      of_session);
}

inline std::string voted_by(const atom::Visitor& visitor) {
  atom::Session session = visitor.session({.route = "/"});
  return session.use(voted_atom).value();
}

inline std::vector<Line> lines(atom::StateStore& states) {
  std::vector<Line> lines;
  for (const Option& option : options()) {
    lines.push_back({option.votes.key(), option.label, states.use(option.votes, scope()).get()});
  }
  return lines;
}

// ------------------------------------------------------------------------------------------------------- any request

inline Response refusal(int status, std::string_view why) {
  return {.status = status, .body = render_refusal(why)};
}

inline Response serve(atom::StateStore& states, const Request& request, const Settings& settings) {
  constexpr std::string_view of_vote = "/vote/";
  const bool is_post = request.method == "POST";
  std::string_view choice;
  if (is_post && request.path != "/revert") {
    if (request.path.starts_with(of_vote)) choice = std::string_view(request.path).substr(of_vote.size());
    if (!find_option(choice)) return refusal(404, "There is no such thing to vote for.");
  }
  if (is_post && is_from_elsewhere(request.fetch_site, request.origin, request.host)) {
    return refusal(403, "Another site has sent this.");  // or it would be a vote more
  }
  atom::VisitorOptions of_client{.ttl = settings.kept_for};
  of_client.cookie.name = cookie_name;
  of_client.cookie.max_age = std::chrono::duration_cast<std::chrono::seconds>(settings.kept_for);
  // This is plain HTTP, on this machine only: a server for the world leaves it at HTTPS.
  of_client.cookie.secure = false;
  atom::Visitor visitor{states, request.cookies, of_client};
  Response response;
  const auto say = [&](std::string_view voted) {  // to the page's script
    response = {.type = "application/json", .body = "{\"voted\":" + atom::to_json(voted) + "}"};
  };
  const bool is_script = request.accept == "application/json";
  if (is_post) {
    vote(visitor, choice, settings);
    if (is_script) {
      say(choice);
    } else {
      response = {.status = 303, .headers = {{"Location", "/"}}};
    }
  } else {
    if (is_script) {
      say(voted_by(visitor));
    } else {
      response.body = render(lines(states), voted_by(visitor));
    }
    // Before it votes, so that two clicks at once, or two tabs, are of one client from the first one on.
    if (request.method == "GET") visitor.context();
  }
  if (const auto cookie = visitor.set_cookie()) response.headers.emplace_back("Set-Cookie", *cookie);
  return response;
}

/// Where the database fails: what a visitor sees. Why is for whoever runs the poll.
inline Response out_of_order(const atom::StateError& error) {
  std::cerr << std::string("live_poll: a request failed: ") + error.what() + '\n' << std::flush;
  Response response =
      refusal(503, error.effect() == atom::Effect::none
                       ? "The poll's database does not answer. Your vote is as it was; please try again."
                       : "The poll's database does not answer. Your vote may have been counted; please "
                         "look again in a moment.");
  response.headers.emplace_back("Retry-After", "2");
  return response;
}

inline void add_headers_of_all(Response& response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                                "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
}

/// Any request but that for the events. Any number of threads may call it at once.
inline Response answer(atom::StateStore& states, const Request& request, const Settings& settings = {}) {
  Response response;
  const bool is_post = request.method == "POST";
  if (request.method != "GET" && request.method != "HEAD" && !is_post) {
    response = refusal(405, "This poll answers GET, HEAD and POST only.");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
  } else if (request.path == "/" || is_post) {
    try {
      response = serve(states, request, settings);
    } catch (const atom::StateError& error) {
      response = out_of_order(error);
    }
  } else if (request.path == "/style.css") {
    response = {.type = "text/css; charset=utf-8", .body = std::string(style)};
  } else if (request.path == "/app.js") {
    response = {.type = "text/javascript; charset=utf-8", .body = std::string(script)};
  } else if (request.path == "/favicon.ico") {
    response = {.type = "image/svg+xml", .body = std::string(icon)};
  } else {
    response = refusal(404, "There is no page at this address.");
  }
  add_headers_of_all(response);
  return response;
}

}  // namespace live_poll

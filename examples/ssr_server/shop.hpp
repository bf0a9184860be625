// From a request to a response, without a socket: so it runs under any server, and in tests.
// The one rule: each request has stores of its own, local variables of `serve`, and hands them from step to step. What
// outlives it is in a Session, which is the client's; what does not, in a plain AtomStore.
#pragma once

#include "../elsewhere.hpp"
#include "assets.hpp"
#include "form.hpp"
#include "page.hpp"
#include "state.hpp"
#include "text.hpp"

#include <atom/json_reader.hpp>
#include <atom/persist.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shop {

struct Request {
  std::string method = "GET";
  std::string path = "/";
  std::string query = {};  // as it was sent: "name=Ada&item=Earl+Grey"
  std::string content_type = "application/x-www-form-urlencoded";
  std::string body = {};  // of a post, in that type: the same
  std::string accept_language = {};
  std::string cookies = {};
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

inline Response refusal(int status, std::string_view title, std::string_view why) {
  return {.status = status, .body = render_refusal(title, why)};
}

inline constexpr std::size_t most_header_bytes = 4000;  // of one that we read; a longer one is as if it were not there
inline constexpr std::chrono::hours kept_for{24 * 30};  // what is known of a client that does not come back

/// What the browser keeps for us from visit to visit: one cookie for each atom that persists, and who it is.
class Cookies {
 public:
  Cookies(const Request& request, Response& response)
      : sent_(request.cookies.size() > most_header_bytes ? std::string_view() : request.cookies), response_(response) {}

  std::optional<std::string> get(std::string_view key) const {
    const std::optional<std::string_view> cookie = find_cookie(sent_, key);
    return cookie ? decode_query(*cookie) : std::nullopt;
  }
  void set(std::string_view key, std::string_view text) { send(key, encode_query(text), "31536000"); }
  void remove(std::string_view key) { send(key, "", "0"); }

  std::string_view sent() const noexcept { return sent_; }

 private:
  void send(std::string_view key, std::string_view value, std::string_view seconds) {
    std::string cookie(key);
    cookie.append("=").append(value).append("; Path=/; Max-Age=").append(seconds);
    response_.headers.emplace_back("Set-Cookie", cookie.append("; SameSite=Lax; HttpOnly"));
  }

  std::string_view sent_;
  Response& response_;
};

/// What it asks for: a post in its body, else in the address.
inline Form form_of(const Request& request) {
  return read_form(request.method == "POST" ? request.body : request.query);
}

inline std::string best_language(const Request& request) {
  std::array<std::string_view, words.size()> languages;
  std::transform(words.begin(), words.end(), languages.begin(), [](const Words& w) { return w.language; });
  const bool is_short = request.accept_language.size() <= most_header_bytes;
  return std::string(choose_language(is_short ? request.accept_language : "", languages));
}

// ----------------------------------------------------------------------------------------------------------- the steps

/// Middleware: what is known before anything is asked.
inline void recognise(atom::AtomStore& store, const Request& request, Cookies& cookies) {
  store.persist_with(cookies);
  auto& locale = store.use(locale_atom);  // by its cookie, if there is a good one
  if (locale->empty()) locale.silent_update(best_language(request));
}

/// What the browser says about the state may be forged: it reaches what a client may write, and nothing else. Returns
/// what is wrong with it; empty: nothing.
inline std::string believe(atom::AtomStore& store, const Form& form) {
  if (!form.state.empty()) {
    const atom::Result<atom::Snapshot> claimed = atom::snapshot_from_json(form.state, {.max_bytes = most_form_bytes});
    if (!claimed) return "The state of the page is not valid: " + claimed.error().message();
    store.hydrate(*claimed, {.notify = true});
  }
  if (!form.locale.empty()) {
    store.hydrate(atom::Snapshot{{"locale", form.locale}}, {.notify = true, .trust = atom::Trust::client});
  }
  return {};
}

/// The handler: does what was asked, in a session or any other store. Returns what is wrong with it; empty: nothing.
inline std::string handle(atom::AtomStore& store, const Form& form) {
  auto& user = store.use(user_atom);
  auto& cart = store.use(cart_atom);
  auto& pieces = store.use(pieces_atom);
  if (static_cast<std::size_t>(pieces.value()) + form.items.size() > most_pieces) {
    return "A cart holds at most " + std::to_string(most_pieces) + " pieces.";
  }
  // Many writes, and each listener is told once, afterwards.
  store.batch([&] {
    if (!form.name.empty()) user.change(&User::name, form.name);
    for (const std::string& item : form.items) cart.add(item);
  });
  return {};
}

/// The after-hook: a page of what the stores have come to.
inline void finish(atom::Snapshot state, const atom::Snapshot& kept, Response& response) {
  response.body = render(state.merge(kept));
  response.headers.emplace_back("Vary", "Accept-Language, Cookie");
}

// -------------------------------------------------------------------------------------------------------- any request

/// The shop's page. A form that is sent is kept; a link only shows, so that nobody else's link changes a cart. Throws
/// StateError if the database fails.
inline Response serve(atom::StateStore& states, const Request& request) {
  const Form form = form_of(request);
  if (!form.fault.empty()) return refusal(400, "That does not work", form.fault);
  Response response;
  Cookies cookies(request, response);
  atom::AtomStore store;  // gone with the block, and before what it persists with
  auto& offered = store.use(offered_atom);
  recognise(store, request, cookies);
  std::string fault = believe(store, form);
  if (!fault.empty()) return refusal(400, "That does not work", fault);

  // `secure` is for HTTPS, and this is plain HTTP, on this machine only: a server for the world leaves it as it is.
  atom::Visitor visitor{states, cookies.sent(), {.cookie = {.max_age = kept_for, .secure = false}, .ttl = kept_for}};
  const atom::SessionOptions options{.route = "/", .ttl = kept_for};
  atom::Snapshot kept;
  if (request.method == "POST") {
    // Where another request of this client has written meanwhile, it is done again on what there is then.
    visitor.transact(
        [&](atom::Session& session) {
          fault = handle(session, form);
          if (fault.empty()) session.apply(seen_atom, atom::current + 1);
          kept = session.snapshot({.derived = true});
        },
        options);
  } else {
    atom::Session session = visitor.session(options);
    fault = handle(session, form);
    kept = session.snapshot({.derived = true});
    session.discard();
    offered.update(form.items);
  }
  if (!fault.empty()) return refusal(400, "That does not work", fault);
  finish(store.snapshot(), kept, response);
  if (const auto cookie = visitor.set_cookie()) response.headers.emplace_back("Set-Cookie", *cookie);
  return response;
}

/// What a visitor sees where the database fails; why is for whoever runs the shop.
inline Response out_of_order(const atom::StateError& error) {
  std::cerr << std::string("ssr_server: a request failed: ") + error.what() + '\n' << std::flush;
  const bool is_undone = error.effect() == atom::Effect::none;
  Response response = refusal(
      503, "Sorry",
      is_undone ? "The shop's database does not answer. Nothing was changed; please try again in a moment."
                : "The shop's database does not answer. Please look into your cart in a moment, before you try again.");
  response.headers.emplace_back("Retry-After", "5");
  return response;
}

/// Any request, with what the shop keeps. Any number of threads may call it at once.
inline Response answer(atom::StateStore& states, const Request& request) {
  Response response;
  const bool is_post = request.method == "POST";
  if (request.method != "GET" && request.method != "HEAD" && !is_post) {
    response = refusal(405, "Not allowed", "This shop answers GET, HEAD and POST only.");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
  } else if (is_post && !request.content_type.starts_with("application/x-www-form-urlencoded")) {
    response = refusal(415, "That does not work", "This shop reads forms only.");
  } else if (is_post && is_from_elsewhere(request.fetch_site, request.origin, request.host)) {
    response = refusal(403, "That does not work", "Another site has sent this form.");
  } else if (request.path == "/") {
    try {
      response = serve(states, request);
    } catch (const atom::StateError& error) {
      response = out_of_order(error);
    }
  } else if (request.path == "/style.css" && !is_post) {
    response = {.type = "text/css; charset=utf-8", .body = std::string(style)};
  } else if (request.path == "/app.js" && !is_post) {
    response = {.type = "text/javascript; charset=utf-8", .body = std::string(script)};
  } else if (request.path == "/favicon.ico" && !is_post) {
    response = {.type = "image/svg+xml", .body = std::string(icon)};
  } else {
    response = refusal(404, "Not here", "There is no page at this address.");
  }
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                                "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
  return response;
}

}  // namespace shop

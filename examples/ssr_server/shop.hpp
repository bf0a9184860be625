// From a request to a response, without a socket: so it runs under any server, and in tests.
// The one rule: each request has an AtomStore of its own, a local variable of `serve`, and hands it from step to step.
#pragma once

#include "assets.hpp"
#include "form.hpp"
#include "page.hpp"
#include "state.hpp"
#include "text.hpp"

#include <atom/json_reader.hpp>
#include <atom/persist.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <random>
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

/// What the browser keeps for us from visit to visit: one cookie for each atom that persists.
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

/// 128 random bits in hexadecimal.
inline std::string new_session() {
  std::random_device random;
  std::string token;
  for (int i = 0; i < 32; ++i) token += "0123456789abcdef"[random() & 15];
  return token;
}
inline bool is_session(std::string_view token) {
  constexpr std::string_view allowed = "0123456789abcdefghijklmnopqrstuvwxyz-";
  return !token.empty() && token.size() <= 64 && token.find_first_not_of(allowed) == token.npos;
}

// --------------------------------------------------------------------------------------------------- the three steps

/// Middleware: what is known about the visitor before anything is asked.
inline void recognise(atom::AtomStore& store, const Request& request, Cookies& cookies) {
  store.persist_with(cookies);
  auto& locale = store.use(locale_atom);  // by its cookie, if there is a good one
  if (locale->empty()) locale.silent_update(best_language(request));

  const std::optional<std::string> session = cookies.get("session");
  const bool is_known = session && is_session(*session);
  store.use(session_atom).update(is_known ? *session : new_session());
  if (!is_known) cookies.set("session", store.value(session_atom));
}

/// The handler: does what was asked. Returns what is wrong with it; empty: nothing.
inline std::string handle(atom::AtomStore& store, const Form& form) {
  if (!form.fault.empty()) return form.fault;
  auto& user = store.use(user_atom);
  auto& cart = store.use(cart_atom);
  auto& pieces = store.use(pieces_atom);
  // The store owns the listener; there is nothing to remove.
  cart.on_change([&pieces](const std::vector<Item>& items) {
    int sum = 0;
    for (const Item& item : items) sum += item.quantity;
    pieces.update(sum);
  });

  // What the browser says about the state may be forged: it reaches what a client may write, and nothing else.
  if (!form.state.empty()) {
    const atom::Result<atom::Snapshot> claimed = atom::snapshot_from_json(form.state, {.max_bytes = most_form_bytes});
    if (!claimed) return "The state of the page is not valid: " + claimed.error().message();
    store.hydrate(*claimed, {.notify = true});
  }
  if (!form.locale.empty()) {
    store.hydrate(atom::Snapshot{{"locale", form.locale}}, {.notify = true, .trust = atom::Trust::client});
  }

  // Many writes, and each listener is told once, afterwards.
  store.batch([&] {
    user.change(&User::name, form.name);
    for (const std::string& item : form.items) cart.add(item);
  });
  return {};
}

/// The after-hook: a page of what the store has come to.
inline void finish(atom::AtomStore& store, Response& response) {
  response.body = render(store.snapshot());
  response.headers.emplace_back("Vary", "Accept-Language, Cookie");
}

// -------------------------------------------------------------------------------------------------------- any request

/// The shop's page.
inline Response serve(const Request& request) {
  Response response;
  Cookies cookies(request, response);
  atom::AtomStore store;  // this request's own: gone with the block, and before what it persists with
  recognise(store, request, cookies);
  const std::string fault = handle(store, form_of(request));
  if (!fault.empty()) return refusal(400, "That does not work", fault);
  finish(store, response);
  return response;
}

/// Any request. Safe to call on any number of threads.
inline Response answer(const Request& request) {
  Response response;
  const bool is_post = request.method == "POST";
  if (request.method != "GET" && request.method != "HEAD" && !is_post) {
    response = refusal(405, "Not allowed", "This shop answers GET, HEAD and POST only.");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
  } else if (is_post && !request.content_type.starts_with("application/x-www-form-urlencoded")) {
    response = refusal(415, "That does not work", "This shop reads forms only.");
  } else if (request.path == "/") {
    response = serve(request);
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

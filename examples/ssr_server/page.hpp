// From a request to a response, without a socket: so it runs under any server, and in tests.
// The one rule: each request has an AtomStore of its own, a local variable. All that is told by a stranger is bounded
// here; what is out of bounds in the address is answered with 400, in a header it is as if it were not there.
#pragma once

#include "assets.hpp"
#include "state.hpp"
#include "text.hpp"

#include <atom/html.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
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
  std::string accept_language = {};
  std::string cookies = {};
};

struct Response {
  int status = 200;
  std::string type = "text/html; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

inline constexpr std::size_t most_query_bytes = 6000;
inline constexpr std::size_t most_header_bytes = 4000;  // of one that we read
inline constexpr std::size_t most_items = 20;
inline constexpr std::size_t most_characters = 60;  // of a name or an item

// ------------------------------------------------------------------------------------------------------ what was asked

/// What a query asks for.
struct Wish {
  std::string name = {};
  std::vector<std::string> items = {};
  std::optional<Theme> theme = {};
  std::string fault = {};  // what is wrong with it, for people; empty: nothing
};

inline std::string_view name_of(Theme theme) {
  return theme == Theme::dark ? "dark" : "light";
}

inline std::optional<Theme> to_theme(std::string_view text) {
  for (const Theme theme : {Theme::light, Theme::dark}) {
    if (text == name_of(theme)) return theme;
  }
  return std::nullopt;
}

/// `name` and `theme` are the last ones given, `item` may be repeated, an empty one is ignored, as is what is unknown.
inline Wish read_query(std::string_view query) {
  Wish wish;
  const auto refuse = [&](std::string fault) {
    wish.fault = std::move(fault);
    return wish;
  };
  if (query.size() > most_query_bytes) return refuse("The address is too long.");
  while (!query.empty()) {
    std::string_view rest = take_until(query, '&');
    const std::string_view key = take_until(rest, '=');
    const std::optional<std::string> value = decode_query(rest);
    if (!value) return refuse("A % in the address is not followed by two hexadecimal digits.");
    if (key != "name" && key != "item" && key != "theme") continue;
    const std::optional<std::size_t> characters = count_characters(*value);
    if (!characters) return refuse("The address holds something that is not text.");
    if (*characters > most_characters) {
      return refuse("A name or an item is longer than " + std::to_string(most_characters) + " characters.");
    }
    const std::string_view text = trim(*value);
    if (key == "name") wish.name = text;
    if (key == "item" && !text.empty()) wish.items.emplace_back(text);
    if (key == "theme" && !(wish.theme = to_theme(text))) return refuse("The theme is either light or dark.");
    if (wish.items.size() > most_items) {
      return refuse("A cart holds at most " + std::to_string(most_items) + " items.");
    }
  }
  return wish;
}

/// What the browser was told to remember. It may have been forged: see `client_writable` in state.hpp.
inline atom::Snapshot read_cookies(std::string_view cookies) {
  atom::Snapshot remembered;
  if (cookies.size() > most_header_bytes) return remembered;
  if (const auto theme = to_theme(find_cookie(cookies, "theme").value_or(""))) remembered.set(theme_atom, *theme);
  if (const auto visits = to_number(find_cookie(cookies, "visits").value_or(""))) remembered.set(visits_atom, *visits);
  return remembered;
}

inline std::string read_language(const std::string& accept_language) {
  std::array<std::string_view, words.size()> languages;
  std::transform(words.begin(), words.end(), languages.begin(), [](const Words& w) { return w.language; });
  return std::string(choose_language(accept_language.size() > most_header_bytes ? "" : accept_language, languages));
}

// ----------------------------------------------------------------------------------------------------------- the pages

inline std::string document(std::string_view language, Theme theme, std::string_view body) {
  std::string html = "<!doctype html>\n<html lang=\"";
  html.append(language).append("\" data-theme=\"").append(name_of(theme));
  html.append("\">\n<head>\n<meta charset=\"utf-8\">\n<title>Atom shop</title>\n");
  html.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
  html.append("<link rel=\"icon\" href=\"/favicon.ico\" type=\"image/svg+xml\">\n");
  html.append("<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n").append(body);
  return html.append("</body>\n</html>\n");
}

/// The page, from nothing but the values of one request.
inline std::string render(const atom::Snapshot& state) {
  const std::string& locale = state.get(locale_atom);
  const std::string& name = state.get(user_atom).name;
  const std::vector<Item>& cart = state.get(cart_atom);
  const Theme theme = state.get(theme_atom);
  const int pieces = state.get(pieces_atom);
  const auto is_spoken = [&](const Words& w) { return w.language == locale; };
  const Words& say = *std::find_if(words.begin(), words.end() - 1, is_spoken);

  const auto text = [](std::string_view t) { return "<bdi>" + atom::html_escape(t) + "</bdi>"; };
  const auto number = [](int n) { return std::to_string(n); };
  std::string html = "<main>\n<h1>";
  html.append(say.hello).append(name.empty() ? "" : ", " + text(name)).append("!</h1>\n<p class=\"visit\">");
  html.append(say.visit).append(" ").append(number(state.get(visits_atom))).append("</p>\n<h2>");
  html.append(say.cart).append("</h2>\n");
  if (cart.empty()) {
    html.append("<p>").append(say.empty).append("</p>\n");
  } else {
    html.append("<ul>\n");
    for (const Item& item : cart) html += "<li>" + text(item.title) + " × " + number(item.quantity) + "</li>\n";
    html.append("</ul>\n<p>").append(say.pieces).append(" ").append(number(pieces)).append("</p>\n");
  }

  const std::string limit = " maxlength=\"" + std::to_string(most_characters) + "\"";
  html.append("<form action=\"/\">\n<label>").append(say.name).append(" <input name=\"name\"").append(limit);
  html.append(" value=\"").append(atom::html_escape(name)).append("\"></label>\n");
  for (const Item& item : cart) {
    const std::string hidden =
        "<input type=\"hidden\" name=\"item\" value=\"" + atom::html_escape(item.title) + "\">\n";
    for (int i = 0; i < item.quantity; ++i) html += hidden;
  }
  if (static_cast<std::size_t>(pieces) < most_items) {
    html.append("<label>").append(say.another).append(" <input name=\"item\"").append(limit).append("></label>\n");
  }
  html.append("<button>").append(say.add).append("</button>\n<button name=\"theme\" value=\"");
  html.append(theme == Theme::dark ? "light\">" : "dark\">").append(theme == Theme::dark ? say.light : say.dark);
  html.append("</button>\n</form>\n</main>\n<footer>\n<p>").append(say.store);
  std::string_view separator = " ";
  for (const auto& [key, value] : state) html.append(std::exchange(separator, ", ")).append(atom::html_escape(key));
  html.append("</p>\n</footer>\n");
  return document(locale, theme, html);
}

inline Response refusal(int status, std::string_view title, std::string_view why) {
  std::string html = "<main>\n<h1>" + atom::html_escape(title) + "</h1>\n<p>" + atom::html_escape(why);
  html.append("</p>\n<p><a href=\"/\">To the shop</a></p>\n</main>\n");
  return {.status = status, .body = document("en", Theme::light, html)};
}

// --------------------------------------------------------------------------------------------------------- the request

/// The shop's page, made with `store`, which should be this request's own.
inline Response serve(atom::AtomStore& store, const Request& request) {
  const Wish wish = read_query(request.query);
  if (!wish.fault.empty()) return refusal(400, "That does not work", wish.fault);

  // What the browser remembers goes in silently, and only into atoms that a client may write.
  store.hydrate(read_cookies(request.cookies), {.trust = atom::Trust::client});
  auto& user = store.use(user_atom);
  auto& cart = store.use(cart_atom);
  auto& pieces = store.use(pieces_atom);
  auto& locale = store.use(locale_atom);
  auto& theme = store.use(theme_atom);
  auto& visits = store.use(visits_atom);

  // Listeners belong to the store; these end with the block as well, because the response that they write to does.
  Response response;
  const auto remember = [&response](std::string_view name, std::string_view value) {
    std::string cookie(name);
    cookie.append("=").append(value).append("; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    response.headers.emplace_back("Set-Cookie", std::move(cookie));
  };
  const atom::ScopedSubscription count = cart.on_change([&](const std::vector<Item>& items) {
    int sum = 0;
    for (const Item& item : items) sum += item.quantity;
    pieces.update(sum);
  });
  const atom::ScopedSubscription keep_theme =
      theme.on_change([&](const Theme& now) { remember("theme", name_of(now)); });
  const atom::ScopedSubscription keep_visits =
      visits.on_change([&](const int& now) { remember("visits", std::to_string(now)); });

  // Many writes, and each listener is told once, afterwards.
  store.batch([&] {
    user.change(&User::name, wish.name);
    for (const std::string& item : wish.items) cart.add(item);
    locale.update(read_language(request.accept_language));
    if (wish.theme) theme.update(*wish.theme);
    visits.update([](const int& before) { return before + 1; });
  });

  response.body = render(store.snapshot());
  response.headers.emplace_back("Vary", "Accept-Language, Cookie");
  return response;
}

/// Any request. Safe to call on any number of threads.
inline Response answer(const Request& request) {
  Response response;
  if (request.method != "GET" && request.method != "HEAD") {
    response = refusal(405, "Not allowed", "This shop answers GET and HEAD only.");
    response.headers.emplace_back("Allow", "GET, HEAD");
  } else if (request.path == "/style.css") {
    response = {.type = "text/css; charset=utf-8", .body = std::string(style)};
  } else if (request.path == "/favicon.ico") {
    response = {.type = "image/svg+xml", .body = std::string(icon)};
  } else if (request.path != "/") {
    response = refusal(404, "Not here", "There is no page at this address.");
  } else {
    atom::AtomStore store;  // this request's own, gone with the block
    response = serve(store, request);
  }
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                                "base-uri 'none'; frame-ancestors 'none'");
  return response;
}

}  // namespace shop

// The shop's handler, from a request to a response.
#include "../../examples/ssr_server/page.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using support::ContainsSubstring;

namespace {

std::vector<std::string> headers(const shop::Response& response, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [n, value] : response.headers) {
    if (n == name) values.push_back(value);
  }
  return values;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

std::string repeat(std::string_view part, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += part;
  return all;
}

shop::Response ask(const std::string& query) {
  return shop::answer({.query = query});
}

void check_refused(const std::string& query, const std::string& why) {
  const shop::Response response = ask(query);
  CHECK(response.status == 400);
  CHECK_THAT(response.body, ContainsSubstring("<!doctype html>"));
  CHECK_THAT(response.body, ContainsSubstring(why));
  CHECK(headers(response, "Set-Cookie").empty());
}

}  // namespace

TEST_CASE("a request without anything gets a page with an empty cart") {
  const shop::Response response = shop::answer({});
  CHECK(response.status == 200);
  CHECK(response.type == "text/html; charset=utf-8");
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"en\" data-theme=\"light\">"));
  CHECK_THAT(response.body, ContainsSubstring("<h1>Hello!</h1>"));
  CHECK_THAT(response.body, ContainsSubstring("Nothing in it yet."));
}

TEST_CASE("name and items come from the query, and equal items are one line") {
  const std::string page = ask("name=Ada&item=tea&item=Earl+Grey&item=tea").body;
  CHECK_THAT(page, ContainsSubstring("<h1>Hello, <bdi>Ada</bdi>!</h1>"));
  CHECK_THAT(page, ContainsSubstring("<li><bdi>tea</bdi> × 2</li>\n<li><bdi>Earl Grey</bdi> × 1</li>"));
}

TEST_CASE("the number of pieces follows the cart") {
  CHECK_THAT(ask("item=a&item=b&item=a").body, ContainsSubstring("Pieces in all: 3"));
}

TEST_CASE("the form carries the cart on, piece by piece") {
  const std::string page = ask("item=tea&item=tea").body;
  CHECK(count(page, "<input type=\"hidden\" name=\"item\" value=\"tea\">") == 2);
}

TEST_CASE("what a visitor writes is shown as text") {
  const std::string page = ask("name=%3Cscript%3Ealert(1)%3C/script%3E&item=%22%3E%3Cimg%20src=x%3E").body;
  CHECK_THAT(page, ContainsSubstring("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"));
  CHECK_THAT(page, ContainsSubstring("value=\"&quot;&gt;&lt;img src=x&gt;\""));
  CHECK(page.find("<script") == page.npos);
  CHECK(page.find("<img") == page.npos);
}

TEST_CASE("the language comes from Accept-Language") {
  const std::string page = shop::answer({.query = "name=Ada", .accept_language = "fr-CH, en;q=0.5"}).body;
  CHECK_THAT(page, ContainsSubstring("<html lang=\"fr\""));
  CHECK_THAT(page, ContainsSubstring("Bonjour, <bdi>Ada</bdi>"));
}

TEST_CASE("the theme comes from the cookie, and then there is nothing to remember") {
  const shop::Response response = shop::answer({.cookies = "theme=dark"});
  CHECK_THAT(response.body, ContainsSubstring("data-theme=\"dark\""));
  CHECK(headers(response, "Set-Cookie").size() == 1);
  CHECK_THAT(headers(response, "Set-Cookie").at(0), ContainsSubstring("visits="));
}

TEST_CASE("a theme that was changed is shown and remembered") {
  const shop::Response response = shop::answer({.query = "theme=light", .cookies = "theme=dark"});
  CHECK_THAT(response.body, ContainsSubstring("data-theme=\"light\""));
  CHECK_THAT(headers(response, "Set-Cookie").at(0),
             ContainsSubstring("theme=light; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"));
}

TEST_CASE("visits are counted by a cookie") {
  const shop::Response response = shop::answer({.cookies = "visits=41"});
  CHECK_THAT(response.body, ContainsSubstring("Visit number 42<"));
  CHECK_THAT(headers(response, "Set-Cookie").at(0), ContainsSubstring("visits=42;"));
}

TEST_CASE("a forged counter goes no further than the atom lets it") {
  CHECK_THAT(shop::answer({.cookies = "visits=2000000000"}).body, ContainsSubstring("Visit number 1000000<"));
}

TEST_CASE("a cookie that makes no sense is as if it were not there") {
  for (const char* cookies : {"visits=-5", "visits=", "visits=9999999999999", "visits=1e9", "theme=pink", "theme",
                              ";;;=", "=", "theme=<script>", "\xFF\xFE=\x01"}) {
    CAPTURE(cookies);
    CHECK(shop::answer({.cookies = cookies}).body == shop::answer({}).body);
  }
}

TEST_CASE("headers that are too long are as if they were not there") {
  const std::string padding(shop::most_header_bytes, ' ');
  CHECK(shop::answer({.cookies = "visits=41;" + padding}).body == shop::answer({}).body);
  CHECK(shop::answer({.accept_language = "fr," + padding}).body == shop::answer({}).body);
}

TEST_CASE("a client cannot set an atom that is not for clients") {
  CHECK(shop::answer({.cookies = "user=Eve; name=Eve; cart=x; pieces=9; locale=fr"}).body == shop::answer({}).body);
}

TEST_CASE("unknown, empty and odd parts of a query are ignored") {
  const std::string plain = ask("name=Ada&item=tea").body;
  for (const char* query : {"name=Ada&item=tea&x=1", "&&&name=Ada&&item=tea&", "name=Eve&name=Ada&item=tea&item=",
                            "=&=x&name=Ada&item=tea&?", "name=+Ada+&item=%20tea&item=+", "Name=x&name=Ada&item=tea"}) {
    CAPTURE(query);
    CHECK(ask(query).body == plain);
  }
}

TEST_CASE("a cart takes twenty items, then the page offers no more, and one more is refused") {
  const shop::Response full = ask(repeat("&item=x", 20));
  CHECK(full.status == 200);
  CHECK_THAT(full.body, ContainsSubstring("Pieces in all: 20"));
  CHECK(full.body.find("One more thing") == full.body.npos);
  CHECK_THAT(ask(repeat("&item=x", 19)).body, ContainsSubstring("One more thing"));
  check_refused(repeat("&item=x", 21), "at most 20 items");
}

TEST_CASE("a name or an item has at most sixty characters") {
  CHECK(ask("name=" + repeat("%C3%A9", 60)).status == 200);
  check_refused("name=" + repeat("%C3%A9", 61), "longer than 60 characters");
  CHECK(ask("item=" + repeat("x", 60)).status == 200);
  check_refused("item=" + repeat("x", 61), "longer than 60 characters");
}

TEST_CASE("a query that is too long is refused, whatever it says") {
  CHECK(ask(repeat("&", shop::most_query_bytes)).status == 200);
  check_refused(repeat("&", shop::most_query_bytes + 1), "too long");
}

TEST_CASE("a query with something else than text is refused") {
  check_refused("name=%FF", "not text");
  check_refused("name=\xFF", "not text");
  check_refused("name=a%00b", "not text");
  check_refused("item=a%0D%0ASet-Cookie:%20x=y", "not text");
  check_refused("item=%C0%BC", "not text");
}

TEST_CASE("a query with a broken escape is refused") {
  check_refused("x=%4", "two hexadecimal digits");
}

TEST_CASE("a theme that does not exist is refused") {
  check_refused("theme=pink", "either light or dark");
}

TEST_CASE("the largest page that can be asked for stays small") {
  const std::string query = "name=" + repeat("'", 60) + repeat("&item=" + repeat("'", 60), 20);
  const shop::Response response = ask(query);
  CHECK(response.status == 200);
  CHECK(response.body.size() < 20'000);
}

TEST_CASE("another path is not found, and its name is not repeated") {
  const shop::Response response = shop::answer({.path = "/<script>"});
  CHECK(response.status == 404);
  CHECK(response.body.find("script") == response.body.npos);
}

TEST_CASE("another method is not allowed, on any path") {
  for (const char* path : {"/", "/nowhere", "/style.css"}) {
    const shop::Response response = shop::answer({.method = "POST", .path = path});
    CHECK(response.status == 405);
    CHECK(headers(response, "Allow") == std::vector<std::string>{"GET, HEAD"});
  }
}

TEST_CASE("the style and the icon that a page asks for are there") {
  const std::string page = shop::answer({}).body;
  for (const char* path : {"/style.css", "/favicon.ico"}) {
    CHECK_THAT(page, ContainsSubstring("href=\"" + std::string(path) + "\""));
    CHECK(shop::answer({.path = path}).status == 200);
    CHECK_FALSE(shop::answer({.path = path}).body.empty());
  }
  CHECK(shop::answer({.path = "/favicon.ico"}).type == "image/svg+xml");
}

TEST_CASE("no page may run a script or be kept by a cache, error pages included") {
  for (const char* path : {"/", "/nowhere"}) {
    const shop::Response response = shop::answer({.path = path});
    CHECK_THAT(headers(response, "Content-Security-Policy").at(0), ContainsSubstring("default-src 'none'"));
    CHECK(headers(response, "Cache-Control") == std::vector<std::string>{"no-store"});
  }
}

TEST_CASE("every language has all its words") {
  for (const shop::Words& w : shop::words) {
    CAPTURE(w.language);
    for (const std::string_view word :
         {w.hello, w.visit, w.cart, w.empty, w.pieces, w.name, w.another, w.add, w.dark, w.light, w.store}) {
      CHECK_FALSE(word.empty());
    }
  }
}

TEST_CASE("a request leaves nothing to the next one") {
  const std::string before = shop::answer({}).body;
  shop::answer({.query = "name=Ada&item=tea&theme=dark", .accept_language = "fr", .cookies = "visits=7"});
  CHECK(shop::answer({}).body == before);
}

TEST_CASE("the cart is told once for all the items of a request") {
  atom::AtomStore store;
  int told = 0;
  store.use(shop::cart_atom).on_change([&] { ++told; });
  shop::serve(store, {.query = "item=a&item=b&item=c"});
  CHECK(told == 1);
}

TEST_CASE("a store that outlives its request has no listener of it left") {
  atom::AtomStore store;
  shop::serve(store, {.query = "item=a&theme=dark"});
  store.use(shop::cart_atom).add("b");  // would be counted, and written to a response that is gone
  store.use(shop::theme_atom).reset();
  CHECK(store.value(shop::pieces_atom) == 1);
}

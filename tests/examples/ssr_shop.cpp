// The shop's handlers, from a request to a response.
#include "../../examples/ssr_server/shop.hpp"

#include "support/catch.hpp"

#include <atom/state/state_store.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ssr_shop_test {
namespace {

using support::ContainsSubstring;

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

/// In a shop that has just opened.
shop::Response answer(const shop::Request& request) {
  atom::StateStore states;
  return shop::answer(states, request);
}
shop::Response post(const std::string& form, const std::string& cookies = {}) {
  return answer({.method = "POST", .body = form, .cookies = cookies});
}
shop::Response link(const std::string& form) {
  return answer({.query = form});
}
/// What a browser sends back of the cookie that says who it is.
std::string session_of(const shop::Response& response) {
  for (const std::string& cookie : headers(response, "Set-Cookie")) {
    if (cookie.starts_with("session=")) return cookie.substr(0, cookie.find(';'));
  }
  FAIL("no session");
  return {};
}
/// The cookies but for the one that says who it is.
std::vector<std::string> other_cookies(const shop::Response& response) {
  std::vector<std::string> cookies = headers(response, "Set-Cookie");
  std::erase_if(cookies, [](const std::string& cookie) { return cookie.starts_with("session="); });
  return cookies;
}
shop::Response post_state(const std::string& json, const std::string& more = {}) {
  return post("state=" + shop::encode_query(json) + more);
}

/// What the page gives to its script.
std::string state_in(const shop::Response& response) {
  const std::string begin = R"(<script type="application/json" id="atom-state">)";
  const std::size_t at = response.body.find(begin);
  REQUIRE(at != response.body.npos);
  const std::size_t first = at + begin.size();
  return response.body.substr(first, response.body.find("</script>", first) - first);
}

void check_refused(const std::string& form, const std::string& why) {
  const shop::Response response = answer({.method = "POST", .body = form});
  CHECK(response.status == 400);
  CHECK_THAT(response.body, ContainsSubstring("<!doctype html>"));
  CHECK_THAT(response.body, ContainsSubstring(why));
  CHECK(headers(response, "Set-Cookie").empty());
}

TEST_CASE("a request without anything gets a page with an empty cart") {
  const shop::Response response = answer({});
  CHECK(response.status == 200);
  CHECK(response.type == "text/html; charset=utf-8");
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"en\">"));
  CHECK_THAT(response.body,
             ContainsSubstring("Hello, <bdi data-atom=\"user.name\" data-otherwise=\"guest\">guest</bdi>!"));
  CHECK_THAT(response.body, ContainsSubstring("Nothing in it yet."));
}

TEST_CASE("a form of another site is refused, and takes nobody's session away") {
  const auto status = [](const std::string& origin, const std::string& fetch_site) {
    const shop::Response response = answer({.method = "POST",
                                            .body = "name=Mallory&item=tea",
                                            .host = "127.0.0.1:8080",
                                            .origin = origin,
                                            .fetch_site = fetch_site});
    CHECK(headers(response, "Set-Cookie").empty() == (response.status == 403));
    return response.status;
  };
  CHECK(status("", "") == 200);  // no browser
  CHECK(status("http://127.0.0.1:8080", "") == 200);
  CHECK(status("http://127.0.0.1:8080", "same-origin") == 200);
  CHECK(status("http://evil.example", "") == 403);
  CHECK(status("null", "") == 403);
  CHECK(status("", "cross-site") == 403);
  CHECK(status("http://127.0.0.1:8081", "same-site") == 403);
  // A link from there is one to the page, which keeps nothing.
  CHECK(answer({.query = "item=tea", .host = "127.0.0.1:8080", .fetch_site = "cross-site"}).status == 200);
}

TEST_CASE("name and items come from the form, and equal items are one line") {
  const std::string page = post("name=Ada&item=tea&item=Earl+Grey&item=tea").body;
  CHECK_THAT(page, ContainsSubstring("\">Ada</bdi>!"));
  CHECK_THAT(page, ContainsSubstring("\">tea</bdi> × <bdi data-atom=\"cart.0.quantity\">2</bdi>"));
  CHECK_THAT(page, ContainsSubstring("\">Earl Grey</bdi> × <bdi data-atom=\"cart.1.quantity\">1</bdi>"));
}

TEST_CASE("a link shows what a form says, and its form carries that on") {
  const std::string form = "name=Ada&item=tea&item=tea&locale=fr";
  const shop::Response link = answer({.query = form});
  CHECK(state_in(link) == state_in(post(form)));
  const std::string hidden = "<input type=\"hidden\" name=\"item\" value=\"tea\">\n";
  CHECK(count(link.body, hidden) == 2);
  CHECK(count(post(form).body, hidden) == 0);  // as it is kept
}

TEST_CASE("the number of pieces follows the cart") {
  CHECK_THAT(post("item=a&item=b&item=a").body, ContainsSubstring("Pieces in all: <bdi data-atom=\"pieces\">3<"));
}

TEST_CASE("what a visitor writes is shown as text") {
  const std::string page =
      link("name=%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E%3C!--&item=%22%3E%3Cimg%20src=x%3E").body;
  CHECK_THAT(page, ContainsSubstring(">&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--</bdi>"));
  CHECK_THAT(page, ContainsSubstring("value=\"&quot;&gt;&lt;img src=x&gt;\""));
  CHECK(count(page, "<script") == 2);  // the state, and what reads it
  CHECK(count(page, "</script") == 2);
  CHECK(page.find("<!--") == page.npos);
  CHECK(page.find("<img") == page.npos);
}

// --------------------------------------------------------------------------------------------------------- the state

TEST_CASE("the page carries the state, without what is secret") {
  const shop::Response response = post("name=Ada&item=tea&item=tea&locale=de", "session=top-secret");
  CHECK(state_in(response) ==
        R"({"locale":"de","user":{"name":"Ada"},"cart":[{"title":"tea","quantity":2}],"pieces":2})");
  CHECK(response.body.find("top-secret") == response.body.npos);
  CHECK(response.body.find("seen") == response.body.npos);
}

TEST_CASE("the state of a page, read again, is what the page was made from") {
  const auto state = atom::snapshot_from_json(state_in(post("name=Ada&item=</script>")));
  REQUIRE(state);
  atom::AtomStore store;
  const atom::HydrateReport report = store.hydrate(*state, {.trust = atom::Trust::server});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].key == "pieces");  // which is computed
  CHECK(store.use(shop::user_atom)->name == "Ada");
  CHECK(store.use(shop::cart_atom).value() == std::vector<shop::Item>{{"</script>", 1}});
}

TEST_CASE("a forged state changes the locale and nothing else") {
  const shop::Response forged = post_state(
      R"({"user":{"name":"Eve"},"cart":[{"title":"gold","quantity":9}],"pieces":9,"session":"x","seen":9,"offered":["gold"],"locale":"fr","admin":true})",
      "&name=Ada&item=tea");
  CHECK(forged.status == 200);
  CHECK(forged.body == post("name=Ada&item=tea&locale=fr").body);
}

TEST_CASE("a state that is no JSON, or too much of it, is refused with the reason") {
  check_refused("state=%7B", "The state of the page is not valid");
  check_refused("state=[1]", "expected");
  check_refused("state=%7B%22a%22:1,%22a%22:2%7D", "the key once");
  check_refused("state=" + repeat("[", 2000), "The state of the page is not valid");
  check_refused("state=%7B%22%FF%22:1%7D", "The state of the page is not valid");
}

// ----------------------------------------------------------------------------------------------------- the language

TEST_CASE("the language comes from Accept-Language, and is not kept") {
  const shop::Response response = answer({.accept_language = "fr-CH, en;q=0.5"});
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"fr\""));
  CHECK_THAT(response.body, ContainsSubstring("Bonjour, "));
  CHECK(headers(response, "Set-Cookie").empty());
}

TEST_CASE("the language that was chosen is kept in a cookie, as JSON") {
  const shop::Response response = post("locale=de");
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"de\""));
  CHECK(other_cookies(response) ==
        std::vector<std::string>{"locale=%22de%22; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"});
}

TEST_CASE("the cookie wins over Accept-Language, and then there is nothing to keep") {
  const shop::Response response = answer({.accept_language = "fr", .cookies = "locale=%22de%22"});
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"de\""));
  CHECK(headers(response, "Set-Cookie").empty());
}

TEST_CASE("the form wins over the state, and the state over the cookie") {
  const std::string state = "state=%7B%22locale%22:%22fr%22%7D";
  const std::string cookies = "locale=%22de%22";
  CHECK_THAT(post(state, cookies).body, ContainsSubstring("<html lang=\"fr\""));
  CHECK_THAT(post(state + "&locale=es", cookies).body, ContainsSubstring("<html lang=\"es\""));
}

TEST_CASE("a language that the shop does not speak changes nothing") {
  const std::string plain = post("name=Ada").body;
  for (const char* form : {"name=Ada&locale=xx", "name=Ada&locale=%3Cscript%3E", "name=Ada&state=%7B%22locale%22:7%7D",
                           "name=Ada&state=%7B%22locale%22:%22xx%22%7D"}) {
    CAPTURE(form);
    CHECK(post(form).body == plain);
    CHECK(other_cookies(post(form)).empty());
  }
}

TEST_CASE("a cookie that makes no sense is as if it were not there") {
  const std::string plain = answer({.accept_language = "fr"}).body;
  for (const char* cookies :
       {"locale=", "locale=de", "locale=%22xx%22", "locale=7", "locale=%22de", "locale=%zz", "locale", ";;;=", "=",
        "locale=%22%FF%22", "user=%7B%22name%22:%22Eve%22%7D; pieces=9", "\xFF\xFE=\x01"}) {
    CAPTURE(cookies);
    CHECK(answer({.accept_language = "fr", .cookies = cookies}).body == plain);
  }
}

TEST_CASE("headers that are too long are as if they were not there") {
  const std::string padding(shop::most_header_bytes, ' ');
  CHECK(answer({.cookies = "locale=%22fr%22;" + padding}).body == answer({}).body);
  CHECK(answer({.accept_language = "fr," + padding}).body == answer({}).body);
}

// ------------------------------------------------------------------------------------------------------ the session

TEST_CASE("who sends a form gets a session that no script can read, and no page shows") {
  std::set<std::string> cookies;
  for (int i = 0; i < 100; ++i) {
    const shop::Response response = post("item=tea");
    REQUIRE(headers(response, "Set-Cookie").size() == 1);
    const std::string cookie = headers(response, "Set-Cookie").front();
    CHECK(cookie.starts_with("session="));
    CHECK(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"));
    const std::string token = cookie.substr(8, cookie.find(';') - 8);
    CHECK(token.size() == 32);
    CHECK(response.body.find(token) == response.body.npos);
    CHECK(response.body.find("session") == response.body.npos);
    cookies.insert(cookie);
  }
  CHECK(cookies.size() == 100);
}

TEST_CASE("a link keeps nothing, and nobody gets a session for it") {
  atom::StateStore states;
  const shop::Response link = shop::answer(states, {.query = "name=Eve&item=gold"});
  CHECK(headers(link, "Set-Cookie").empty());
  CHECK(states.scopes().empty());

  const std::string cookie = session_of(shop::answer(states, {.method = "POST", .body = "item=tea", .cookies = {}}));
  shop::answer(states, {.query = "name=Eve&item=gold", .cookies = cookie});
  CHECK_THAT(state_in(shop::answer(states, {.cookies = cookie})),
             ContainsSubstring(R"("user":{"name":""},"cart":[{"title":"tea","quantity":1}])"));
}

TEST_CASE("name and cart are there at the next visit, and the next form adds to them") {
  atom::StateStore states;
  const shop::Response first = shop::answer(states, {.method = "POST", .body = "name=Ada&item=tea"});
  const std::string cookie = session_of(first);
  const shop::Response second = shop::answer(states, {.cookies = cookie});
  CHECK(second.body == first.body);
  CHECK(headers(second, "Set-Cookie").empty());
  CHECK(state_in(shop::answer(states, {.method = "POST", .body = "name=&item=tea&item=cake", .cookies = cookie})) ==
        R"({"locale":"en","user":{"name":"Ada"},"cart":[{"title":"tea","quantity":2},{"title":"cake","quantity":1}],)"
        R"("pieces":3})");
}

TEST_CASE("a forged or malformed session is a new one, and reaches nobody's data") {
  atom::StateStore states;
  const std::string ada = session_of(shop::answer(states, {.method = "POST", .body = "name=Ada&item=tea"}));
  const std::string forged = "session=" + std::string(32, 'a');
  std::string upper = ada, other = ada;
  for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  other.back() = other.back() == '0' ? '1' : '0';
  const std::string empty = shop::answer(states, {}).body;
  for (const std::string& odd :
       {std::string("session="), std::string("session"), forged, other, ada + "0", ada.substr(0, ada.size() - 1),
        ada + "; " + forged, "session=%22" + ada.substr(8) + "%22", "session=../" + ada.substr(8),
        std::string("session=client.*"), "Session=" + ada.substr(8), upper + "x"}) {
    CAPTURE(odd);
    CHECK(shop::answer(states, {.cookies = odd}).body == empty);
    const shop::Response kept = shop::answer(states, {.method = "POST", .body = "name=Eve", .cookies = odd});
    CHECK_THAT(state_in(kept), ContainsSubstring(R"("user":{"name":"Eve"},"cart":[])"));
    CHECK(session_of(kept) != odd);
    CHECK(session_of(kept) != ada);
  }
  CHECK_THAT(state_in(shop::answer(states, {.cookies = ada})), ContainsSubstring(R"({"name":"Ada"})"));
}

// --------------------------------------------------------------------------------------------------- hostile forms

TEST_CASE("unknown, empty and odd parts of a form are ignored") {
  const std::string plain = post("name=Ada&item=tea").body;
  for (const char* form : {"name=Ada&item=tea&x=1", "&&&name=Ada&&item=tea&", "name=Eve&name=Ada&item=tea&item=",
                           "=&=x&name=Ada&item=tea&?", "name=+Ada+&item=%20tea&item=+", "Name=x&name=Ada&item=tea",
                           "name=Ada&item=tea&state=&locale="}) {
    CAPTURE(form);
    CHECK(post(form).body == plain);
  }
}

TEST_CASE("a form takes twenty items, and a link that has them offers no more") {
  CHECK(post(repeat("&item=x", 20)).status == 200);
  check_refused(repeat("&item=x", 21), "at most 20 items");
  CHECK_THAT(answer({.query = repeat("&item=x", 19)}).body, ContainsSubstring("One more thing"));
  CHECK(answer({.query = repeat("&item=x", 20)}).body.find("One more thing") == std::string::npos);
}

TEST_CASE("a cart takes a hundred pieces, then the page offers no more, and one more is refused") {
  atom::StateStore states;
  std::string cookie;
  shop::Response full;
  for (int i = 0; i < 5; ++i) {
    full = shop::answer(states, {.method = "POST", .body = repeat("&item=x", 20), .cookies = cookie});
    REQUIRE(full.status == 200);
    if (i == 0) cookie = session_of(full);
  }
  CHECK_THAT(full.body, ContainsSubstring("<bdi data-atom=\"pieces\">100<"));
  CHECK(full.body.find("One more thing") == full.body.npos);
  for (const char* method : {"GET", "POST"}) {
    const shop::Response refused =
        shop::answer(states, {.method = method, .query = "item=y", .body = "item=y", .cookies = cookie});
    CHECK(refused.status == 400);
    CHECK_THAT(refused.body, ContainsSubstring("at most 100 pieces"));
  }
  CHECK(shop::answer(states, {.cookies = cookie}).body == full.body);
}

TEST_CASE("a name or an item has at most sixty characters") {
  CHECK(post("name=" + repeat("%C3%A9", 60)).status == 200);
  check_refused("name=" + repeat("%C3%A9", 61), "longer than 60 characters");
  CHECK(post("item=" + repeat("x", 60)).status == 200);
  check_refused("item=" + repeat("x", 61), "longer than 60 characters");
}

TEST_CASE("a form that is too long is refused, whatever it says") {
  CHECK(post(repeat("&", shop::most_form_bytes)).status == 200);
  check_refused(repeat("&", shop::most_form_bytes + 1), "too long");
}

TEST_CASE("a form with something else than text is refused") {
  check_refused("name=%FF", "not text");
  check_refused("name=\xFF", "not text");
  check_refused("name=a%00b", "not text");
  check_refused("item=a%0D%0ASet-Cookie:%20x=y", "not text");
  check_refused("item=%C0%BC", "not text");
}

TEST_CASE("a form with a broken escape is refused") {
  check_refused("x=%4", "two hexadecimal digits");
}

TEST_CASE("a body that is no form is refused") {
  for (const char* type : {"", "application/json", "multipart/form-data; boundary=x", "text/plain"}) {
    CHECK(answer({.method = "POST", .content_type = type, .body = "name=Ada"}).status == 415);
  }
}

TEST_CASE("the largest page that can be asked for stays small") {
  const shop::Response response = post("name=" + repeat("'", 60) + repeat("&item=" + repeat("'", 60), 20));
  CHECK(response.status == 200);
  CHECK(response.body.size() < 30'000);
}

// -------------------------------------------------------------------------------------------------- everything else

TEST_CASE("another path is not found, and its name is not repeated") {
  for (const char* method : {"GET", "POST"}) {
    const shop::Response response = answer({.method = method, .path = "/<script>"});
    CHECK(response.status == 404);
    CHECK(response.body.find("script") == response.body.npos);
  }
}

TEST_CASE("another method is not allowed, on any path") {
  for (const char* path : {"/", "/nowhere", "/style.css"}) {
    const shop::Response response = answer({.method = "PUT", .path = path});
    CHECK(response.status == 405);
    CHECK(headers(response, "Allow") == std::vector<std::string>{"GET, HEAD, POST"});
  }
}

TEST_CASE("the style, the script and the icon that a page asks for are there") {
  const std::string page = answer({}).body;
  for (const char* path : {"/style.css", "/app.js", "/favicon.ico"}) {
    CHECK_THAT(page, ContainsSubstring("=\"" + std::string(path) + "\""));
    CHECK(answer({.path = path}).status == 200);
    CHECK_FALSE(answer({.path = path}).body.empty());
  }
  CHECK(answer({.path = "/favicon.ico"}).type == "image/svg+xml");
}

TEST_CASE("no page may run a script of others or be kept by a cache, error pages included") {
  for (const char* path : {"/", "/nowhere"}) {
    const shop::Response response = answer({.path = path});
    CHECK_THAT(headers(response, "Content-Security-Policy").at(0),
               ContainsSubstring("default-src 'none'; script-src 'self'; "));
    CHECK(headers(response, "Cache-Control") == std::vector<std::string>{"no-store"});
  }
}

TEST_CASE("every language has all its words") {
  for (const shop::Words& w : shop::words) {
    CAPTURE(w.language);
    CHECK(shop::words_in(w.language) == &w);
    for (const std::string_view word :
         {w.itself, w.hello, w.guest, w.cart, w.empty, w.pieces, w.name, w.another, w.add, w.choose, w.store}) {
      CHECK_FALSE(word.empty());
    }
  }
  CHECK(shop::words_in("xx") == nullptr);
}

TEST_CASE("a request leaves nothing to another client") {
  atom::StateStore states;
  const std::string before = shop::answer(states, {}).body;
  shop::answer(states, {.method = "POST", .body = "name=Ada&item=tea&locale=fr"});
  CHECK(shop::answer(states, {}).body == before);
}

TEST_CASE("the cart is told once for all the items of a request") {
  atom::AtomStore store;
  int told = 0;
  store.use(shop::cart_atom).on_change([&] { ++told; });
  CHECK(shop::handle(store, shop::read_form("item=a&item=b&item=c")).empty());
  CHECK(told == 1);
}

}  // namespace
}  // namespace ssr_shop_test

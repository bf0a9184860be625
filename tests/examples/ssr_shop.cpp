// The shop's handlers, from a request to a response.
#include "../../examples/ssr_server/shop.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <set>
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

/// A form that a browser with a session posts.
shop::Response post(const std::string& form, const std::string& cookies = "session=s") {
  return shop::answer({.method = "POST", .body = form, .cookies = cookies});
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
  const shop::Response response = shop::answer({.method = "POST", .body = form});
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
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"en\">"));
  CHECK_THAT(response.body,
             ContainsSubstring("Hello, <bdi data-atom=\"user.name\" data-otherwise=\"guest\">guest</bdi>!"));
  CHECK_THAT(response.body, ContainsSubstring("Nothing in it yet."));
}

TEST_CASE("name and items come from the form, and equal items are one line") {
  const std::string page = post("name=Ada&item=tea&item=Earl+Grey&item=tea").body;
  CHECK_THAT(page, ContainsSubstring("\">Ada</bdi>!"));
  CHECK_THAT(page, ContainsSubstring("\">tea</bdi> × <bdi data-atom=\"cart.0.quantity\">2</bdi>"));
  CHECK_THAT(page, ContainsSubstring("\">Earl Grey</bdi> × <bdi data-atom=\"cart.1.quantity\">1</bdi>"));
}

TEST_CASE("a link can say what a form says") {
  const std::string form = "name=Ada&item=tea&locale=fr";
  CHECK(shop::answer({.query = form, .cookies = "session=s"}).body == post(form).body);
}

TEST_CASE("the number of pieces follows the cart") {
  CHECK_THAT(post("item=a&item=b&item=a").body, ContainsSubstring("Pieces in all: <bdi data-atom=\"pieces\">3<"));
}

TEST_CASE("the form carries the cart on, piece by piece") {
  CHECK(count(post("item=tea&item=tea").body, "<input type=\"hidden\" name=\"item\" value=\"tea\">") == 2);
}

TEST_CASE("what a visitor writes is shown as text") {
  const std::string page =
      post("name=%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E%3C!--&item=%22%3E%3Cimg%20src=x%3E").body;
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
}

TEST_CASE("the state of a page, read again, is what the page was made from") {
  const auto state = atom::snapshot_from_json(state_in(post("name=Ada&item=</script>")));
  REQUIRE(state);
  atom::AtomStore store;
  const atom::HydrateReport report = store.hydrate(*state, {.trust = atom::Trust::server});
  CHECK(report.ok());
  CHECK(store.use(shop::user_atom)->name == "Ada");
  CHECK(store.use(shop::cart_atom).value() == std::vector<shop::Item>{{"</script>", 1}});
}

TEST_CASE("a forged state changes the locale and nothing else") {
  const shop::Response forged = post_state(
      R"({"user":{"name":"Eve"},"cart":[{"title":"gold","quantity":9}],"pieces":9,"session":"x","locale":"fr","admin":true})",
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
  const shop::Response response = shop::answer({.accept_language = "fr-CH, en;q=0.5", .cookies = "session=s"});
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"fr\""));
  CHECK_THAT(response.body, ContainsSubstring("Bonjour, "));
  CHECK(headers(response, "Set-Cookie").empty());
}

TEST_CASE("the language that was chosen is kept in a cookie, as JSON") {
  const shop::Response response = post("locale=de");
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"de\""));
  CHECK(headers(response, "Set-Cookie") ==
        std::vector<std::string>{"locale=%22de%22; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"});
}

TEST_CASE("the cookie wins over Accept-Language, and then there is nothing to keep") {
  const shop::Response response = shop::answer({.accept_language = "fr", .cookies = "locale=%22de%22; session=s"});
  CHECK_THAT(response.body, ContainsSubstring("<html lang=\"de\""));
  CHECK(headers(response, "Set-Cookie").empty());
}

TEST_CASE("the form wins over the state, and the state over the cookie") {
  const std::string state = "state=%7B%22locale%22:%22fr%22%7D";
  const std::string cookies = "session=s; locale=%22de%22";
  CHECK_THAT(post(state, cookies).body, ContainsSubstring("<html lang=\"fr\""));
  CHECK_THAT(post(state + "&locale=es", cookies).body, ContainsSubstring("<html lang=\"es\""));
}

TEST_CASE("a language that the shop does not speak changes nothing") {
  const std::string plain = post("name=Ada").body;
  for (const char* form : {"name=Ada&locale=xx", "name=Ada&locale=%3Cscript%3E", "name=Ada&state=%7B%22locale%22:7%7D",
                           "name=Ada&state=%7B%22locale%22:%22xx%22%7D"}) {
    CAPTURE(form);
    CHECK(post(form).body == plain);
    CHECK(headers(post(form), "Set-Cookie").empty());
  }
}

TEST_CASE("a cookie that makes no sense is as if it were not there") {
  const std::string plain = shop::answer({.accept_language = "fr"}).body;
  for (const char* cookies :
       {"locale=", "locale=de", "locale=%22xx%22", "locale=7", "locale=%22de", "locale=%zz", "locale", ";;;=", "=",
        "locale=%22%FF%22", "user=%7B%22name%22:%22Eve%22%7D; pieces=9", "\xFF\xFE=\x01"}) {
    CAPTURE(cookies);
    CHECK(shop::answer({.accept_language = "fr", .cookies = cookies}).body == plain);
  }
}

TEST_CASE("headers that are too long are as if they were not there") {
  const std::string padding(shop::most_header_bytes, ' ');
  CHECK(shop::answer({.cookies = "locale=%22fr%22;" + padding}).body == shop::answer({}).body);
  CHECK(shop::answer({.accept_language = "fr," + padding}).body == shop::answer({}).body);
}

// ------------------------------------------------------------------------------------------------------ the session

TEST_CASE("a new visitor gets a session that no script can read, and no page shows") {
  std::set<std::string> cookies;
  for (int i = 0; i < 100; ++i) {
    const shop::Response response = shop::answer({});
    REQUIRE(headers(response, "Set-Cookie").size() == 1);
    const std::string cookie = headers(response, "Set-Cookie").front();
    CHECK(cookie.starts_with("session="));
    CHECK(cookie.ends_with("; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"));
    const std::string token = cookie.substr(8, cookie.find(';') - 8);
    CHECK(token.size() == 32);
    CHECK(response.body.find(token) == response.body.npos);
    CHECK(response.body.find("session") == response.body.npos);
    cookies.insert(cookie);
  }
  CHECK(cookies.size() == 100);
}

TEST_CASE("a visitor with a session keeps it, and one with an odd one gets another") {
  CHECK(headers(post("", "session=abc-123"), "Set-Cookie").empty());
  for (const std::string& odd : {std::string("session="), std::string("session=A"), "session=" + repeat("a", 65),
                                 std::string("session=a%0Ab"), std::string("session=%C3%A9")}) {
    CAPTURE(odd);
    CHECK(headers(post("", odd), "Set-Cookie").size() == 1);
  }
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

TEST_CASE("a cart takes twenty items, then the page offers no more, and one more is refused") {
  const shop::Response full = post(repeat("&item=x", 20));
  CHECK(full.status == 200);
  CHECK_THAT(full.body, ContainsSubstring("<bdi data-atom=\"pieces\">20<"));
  CHECK(full.body.find("One more thing") == full.body.npos);
  CHECK_THAT(post(repeat("&item=x", 19)).body, ContainsSubstring("One more thing"));
  check_refused(repeat("&item=x", 21), "at most 20 items");
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
    CHECK(shop::answer({.method = "POST", .content_type = type, .body = "name=Ada"}).status == 415);
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
    const shop::Response response = shop::answer({.method = method, .path = "/<script>"});
    CHECK(response.status == 404);
    CHECK(response.body.find("script") == response.body.npos);
  }
}

TEST_CASE("another method is not allowed, on any path") {
  for (const char* path : {"/", "/nowhere", "/style.css"}) {
    const shop::Response response = shop::answer({.method = "PUT", .path = path});
    CHECK(response.status == 405);
    CHECK(headers(response, "Allow") == std::vector<std::string>{"GET, HEAD, POST"});
  }
}

TEST_CASE("the style, the script and the icon that a page asks for are there") {
  const std::string page = shop::answer({}).body;
  for (const char* path : {"/style.css", "/app.js", "/favicon.ico"}) {
    CHECK_THAT(page, ContainsSubstring("=\"" + std::string(path) + "\""));
    CHECK(shop::answer({.path = path}).status == 200);
    CHECK_FALSE(shop::answer({.path = path}).body.empty());
  }
  CHECK(shop::answer({.path = "/favicon.ico"}).type == "image/svg+xml");
}

TEST_CASE("no page may run a script of others or be kept by a cache, error pages included") {
  for (const char* path : {"/", "/nowhere"}) {
    const shop::Response response = shop::answer({.path = path});
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

TEST_CASE("a request leaves nothing to the next one") {
  const std::string before = shop::answer({}).body;
  post("name=Ada&item=tea&locale=fr");
  CHECK(shop::answer({}).body == before);
}

TEST_CASE("the cart is told once for all the items of a request") {
  atom::AtomStore store;
  int told = 0;
  store.use(shop::cart_atom).on_change([&] { ++told; });
  CHECK(shop::handle(store, shop::read_form("item=a&item=b&item=c")).empty());
  CHECK(told == 1);
}

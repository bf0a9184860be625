#include <atom/html.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace html_test {
namespace {

TEST_CASE("65. A snapshot in a page is safe, whatever it holds") {
  const atom::Snapshot snapshot{{"name", "</script><script>alert(1)</script><!--"}};
  CHECK(atom::hydration_script(snapshot) ==
        "<script type=\"application/json\" id=\"atom-state\">"
        "{\"name\":\"\\u003c/script\\u003e\\u003cscript\\u003ealert(1)\\u003c/script\\u003e\\u003c!--\"}</script>");
}

TEST_CASE("The id and the nonce of a hydration script are escaped") {
  CHECK(atom::hydration_script({}, {.id = "a\"b", .nonce = "<c>"}) ==
        "<script type=\"application/json\" id=\"a&quot;b\" nonce=\"&lt;c&gt;\">{}</script>");
}

TEST_CASE("Text is escaped for elements and for attributes with either quote") {
  CHECK(atom::html_escape("<a href=\"x\">'&amp;'</a>") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt;");
  CHECK(atom::html_escape("").empty());
}

TEST_CASE("HTML's special characters are escaped, also for attributes, and nothing else is") {
  CHECK(atom::html_escape("<script>alert('1' & \"2\")</script>") ==
        "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;");
  CHECK(atom::html_escape("Zoë, 北京 (a+b)/2") == "Zoë, 北京 (a+b)/2");
  CHECK(atom::html_escape("").empty());
}

TEST_CASE("65. Whatever a snapshot holds, a hydration script ends once, and is read back from what lies between") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const atom::Snapshot snapshot{{"</script>", "<!--<script>]]>"}, {"all", all + "\xe2\x80\xa8</SCRIPT\n>"}};
  const std::string script = atom::hydration_script(snapshot);
  const std::size_t begin = script.find('>') + 1;
  const std::size_t end = script.find('<', begin);
  CHECK(script.substr(end) == "</script>");
  CHECK(script.substr(begin, end - begin) == atom::to_json(snapshot));
  CHECK(script.find('>', begin) == script.size() - 1);
}

const atom::Atom<std::string> token_atom{"html.token", "secret", {.server_only = true}};

TEST_CASE("64. What is server-only is not in a page, and the report says so") {
  atom::AtomStore store;
  store.use(token_atom);
  std::vector<atom::Omission> omitted;
  const std::string script = atom::hydration_script(store.snapshot(), {.omitted = &omitted});
  CHECK(script == "<script type=\"application/json\" id=\"atom-state\">{}</script>");
  REQUIRE(omitted.size() == 1);
  CHECK(omitted[0].path == "html.token");
  CHECK(omitted[0].cause == atom::Omission::Cause::server_only);
}

TEST_CASE("JSON stands in a single-quoted attribute as it is, and in a double-quoted one escaped") {
  const std::string json = atom::to_json(std::string("it's \"<&>\""));
  CHECK(json.find('\'') == std::string::npos);
  const std::string escaped = atom::html_escape(json);
  CHECK(escaped.find_first_of("\"'<>") == std::string::npos);
  CHECK(escaped == "&quot;it\\u0027s \\&quot;\\u003c\\u0026\\u003e\\&quot;&quot;");
}

TEST_CASE("Escaping for HTML changes five characters and leaves all others as they are") {
  for (int code = 0; code < 256; ++code) {
    const std::string text(1, static_cast<char>(code));
    const bool is_special = std::string("&<>\"'").find(text) != std::string::npos;
    CAPTURE(code);
    CHECK((atom::html_escape(text) == text) == !is_special);
  }
  CHECK(atom::html_escape("\xc3\xa9\xff") == "\xc3\xa9\xff");
  CHECK(atom::html_escape(std::string(1000, '&')).size() == 5000);
}

}  // namespace
}  // namespace html_test

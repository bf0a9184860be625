#include <atom/html.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <string>

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

}  // namespace

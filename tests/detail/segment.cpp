#include <atom/detail/segment.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

using namespace std::string_literals;

namespace segment_test {
namespace {

using atom::detail::is_dotted;
using atom::detail::is_segment;
using atom::detail::unescape;

std::string escaped(std::string_view bytes) {
  std::string text;
  atom::detail::escape(text, bytes);
  return text;
}

/// All texts of 1 to `longest` bytes of an alphabet.
std::vector<std::string> words(std::string_view alphabet, std::size_t longest) {
  std::vector<std::string> all;
  std::size_t first = 0;
  for (const char c : alphabet) all.emplace_back(1, c);
  for (std::size_t length = 2; length <= longest; ++length) {
    const std::size_t end = all.size();
    for (; first < end; ++first) {
      for (const char c : alphabet) all.push_back(all[first] + c);
    }
  }
  return all;
}

TEST_CASE("letters, digits, three signs and what is UTF-8 beyond ASCII stand in a segment as they are") {
  const std::string plain = "azAZ09-_~\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  CHECK(escaped(plain) == plain);
  CHECK(escaped("a.b") == "a%2Eb");
  CHECK(escaped("%41") == "%2541");
  CHECK(escaped("$global:{x}#/*") == "%24global%3A%7Bx%7D%23%2F%2A");
  CHECK(escaped("'\"`\\<>& \x7f") == "%27%22%60%5C%3C%3E%26%20%7F");
  CHECK(escaped("\0\n\x1f"s) == "%00%0A%1F");
}

TEST_CASE("of what is not UTF-8 each byte is escaped") {
  CHECK(escaped("\xff\xfe") == "%FF%FE");
  CHECK(escaped("\xc3") == "%C3");
  CHECK(escaped("\xc3.\xa9") == "%C3%2E%A9");
  CHECK(escaped("\xed\xa0\x80") == "%ED%A0%80");
  CHECK(escaped("\xe2\x82\xc3\xa9") == "%E2%82\xc3\xa9");
}

TEST_CASE("a byte may be left as it is") {
  std::string text = "key ";
  atom::detail::escape(text, "a.b:c", '.');
  CHECK(text == "key a.b%3Ac");
}

TEST_CASE("each byte alone comes back, and only what must be is escaped") {
  for (unsigned byte = 0; byte <= 0xff; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    const std::string text = escaped(bytes);
    const bool is_plain = std::string_view("-_~").find(bytes) != std::string_view::npos ||
                          (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    CHECK(text.size() == (is_plain ? 1 : 3));
    CHECK(unescape(text) == bytes);
  }
}

TEST_CASE("whatever bytes there are, their text is a segment, another one than any other's, and gives them back") {
  std::size_t wrong = 0;
  for (const std::string_view alphabet : {std::string_view("a.:%$23\0", 8), std::string_view("C3A9%\xc3\xa9\xe2")}) {
    const std::vector<std::string> all = words(alphabet, 4);
    REQUIRE(all.size() == 8 + 64 + 512 + 4096);
    std::unordered_set<std::string> texts;
    for (const std::string& bytes : all) {
      const std::string text = escaped(bytes);
      if (!is_segment(text) || unescape(text) != bytes || !texts.insert(text).second) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a text is a segment only if it is what its bytes are escaped to") {
  std::size_t wrong = 0;
  std::size_t good = 0;
  for (const std::string& text : words("%C3A9c\xc3\xa9", 4)) {
    if (is_segment(text) != (escaped(unescape(text)) == text)) ++wrong;
    if (is_segment(text)) ++good;
  }
  CHECK(wrong == 0);
  CHECK(good > 0);
  // Too long for the above: an é, a € and an emoji that need no escaping, and what comes close to them.
  for (const std::string_view text :
       {"%C3%A9", "%41%C3%A9", "%E2%82%AC", "%F0%9F%98%80", "%FF%F0%9F%98%80", "%C3%a9"}) {
    CHECK_FALSE(is_segment(text));
  }
  for (const std::string_view text : {"%C3%C3", "%C3%2E%A9", "%E2%82", "%E2%82a%AC", "%F0%9F%98", "%C3\xc3\xa9"}) {
    CHECK(is_segment(text));
  }
}

TEST_CASE("a dotted text has a segment before and after each dot") {
  for (const std::string_view text : {"a", "a.b", "global.foo.bar", "a%2Eb.c", "\xc3\xa9.\xc3\xa9"})
    CHECK(is_dotted(text));
  for (const std::string_view text :
       {"", ".", "a.", ".a", "a..b", "a.b ", "a.%2e", "a.%2", "a.%", "a.$b", "\xc3.\xa9"}) {
    CHECK_FALSE(is_dotted(text));
  }
  STATIC_REQUIRE(is_dotted("a.b"));
  STATIC_REQUIRE_FALSE(is_dotted("a..b"));
}

}  // namespace
}  // namespace segment_test

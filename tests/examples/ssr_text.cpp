// Text from strangers: decoding, judging.
#include "../../examples/ssr_server/text.hpp"

#include "support/catch.hpp"

#include <array>
#include <string>
#include <string_view>

namespace ssr_text_test {
namespace {

using namespace std::string_literals;

TEST_CASE("characters are counted, not bytes") {
  CHECK(shop::count_characters("") == 0);
  CHECK(shop::count_characters("tea") == 3);
  CHECK(shop::count_characters("é") == 1);
  CHECK(shop::count_characters("北京") == 2);
  CHECK(shop::count_characters("\U0001F375!") == 2);
  CHECK(shop::count_characters("\xF4\x8F\xBF\xBF") == 1);  // the last one of Unicode
}

TEST_CASE("what is not UTF-8 is not text") {
  CHECK_FALSE(shop::count_characters("\xFF"));
  CHECK_FALSE(shop::count_characters("\x80"));
  CHECK_FALSE(shop::count_characters("a\xC3"));             // ends too early
  CHECK_FALSE(shop::count_characters("\xE2\x82"));          // too
  CHECK_FALSE(shop::count_characters("\xC3("));             // no continuation
  CHECK_FALSE(shop::count_characters("\xC0\xBC"));          // "<" said in two bytes
  CHECK_FALSE(shop::count_characters("\xE0\x80\xBC"));      // in three
  CHECK_FALSE(shop::count_characters("\xF0\x80\x80\xBC"));  // in four
  CHECK_FALSE(shop::count_characters("\xED\xA0\x80"));      // half of a surrogate pair
  CHECK_FALSE(shop::count_characters("\xF4\x90\x80\x80"));  // beyond the last one
  CHECK_FALSE(shop::count_characters("\xF8\x88\x80\x80\x80"));
}

TEST_CASE("control characters are not text") {
  CHECK_FALSE(shop::count_characters("a\nb"));
  CHECK_FALSE(shop::count_characters("a\0b"s));
  CHECK_FALSE(shop::count_characters("\x1B[31m"));
  CHECK_FALSE(shop::count_characters("\x7F"));
  CHECK_FALSE(shop::count_characters("\xC2\x85"));  // one of the upper ones
  CHECK(shop::count_characters("\xC2\xA0") == 1);   // the first after them
}

TEST_CASE("a query's value is decoded") {
  CHECK(shop::decode_query("Earl+Grey%21%2b%C3%A9") == "Earl Grey!+é");
  CHECK(shop::decode_query("") == "");
  CHECK(shop::decode_query("%00") == "\0"s);
}

TEST_CASE("a percent sign without two hex digits is refused") {
  for (const std::string_view text : {"%", "%4", "a%", "%G1", "%1G", "%%41", "%-1", "% 1", "%+1"}) {
    CAPTURE(text);
    CHECK_FALSE(shop::decode_query(text));
  }
}

TEST_CASE("what was encoded for a query is decoded to the same bytes") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  CHECK(shop::decode_query(shop::encode_query(all)) == all);
}

TEST_CASE("parts are taken off the front until nothing is left") {
  std::string_view rest = "a;;b";
  CHECK(shop::take_until(rest, ';') == "a");
  CHECK(shop::take_until(rest, ';').empty());
  CHECK(shop::take_until(rest, ';') == "b");
  CHECK(rest.empty());
  CHECK(shop::take_until(rest, ';').empty());
}

TEST_CASE("a cookie is found by its whole name, and the first one counts") {
  CHECK(shop::find_cookie("theme=dark", "theme") == "dark");
  CHECK(shop::find_cookie("a=1; theme = dark ; theme=light", "theme") == "dark");
  CHECK(shop::find_cookie("theme=", "theme") == "");
  CHECK(shop::find_cookie("theme", "theme") == "");
  CHECK(shop::find_cookie("theme=a=b", "theme") == "a=b");
  CHECK_FALSE(shop::find_cookie("mytheme=dark; themes=dark; x=theme=dark", "theme"));
  CHECK_FALSE(shop::find_cookie("", "theme"));
  CHECK_FALSE(shop::find_cookie(";;; ; =;", "theme"));
}

TEST_CASE("a number is digits and nothing else") {
  CHECK(shop::to_number("0") == 0);
  CHECK(shop::to_number("8080") == 8080);
  for (const std::string_view text : {"", " 1", "1 ", "-1", "+1", "0x10", "1e3", "4.5", "99999999999", "eight"}) {
    CAPTURE(text);
    CHECK_FALSE(shop::to_number(text));
  }
}

TEST_CASE("the language that is liked best is chosen among the known ones") {
  const std::array<std::string_view, 3> known{"en", "fr", "de"};
  CHECK(shop::choose_language("fr", known) == "fr");
  CHECK(shop::choose_language("fr-CH, fr;q=0.9, en;q=0.8", known) == "fr");
  CHECK(shop::choose_language("en;q=0.8, de;q=0.95, fr;q=0.9", known) == "de");
  CHECK(shop::choose_language("xx, FR-be;Q=0.2", known) == "fr");
  CHECK(shop::choose_language("de;q=0.5,fr;q=0.5", known) == "de");  // both the same: the one that was named first
  CHECK(shop::choose_language("fr;q=1.000,de;q=0.999", known) == "fr");
}

TEST_CASE("where no known language is liked it is the first") {
  const std::array<std::string_view, 3> known{"en", "fr", "de"};
  for (const char* header : {"", "*", "xx", "fr;q=0", "fr;q=0.000", "fr;q=2", "fr;q=1.5", "fr;q=-1", "fr;q=", "fr;q=x",
                             "fr;q=0.1234", "french", ",,;;==", "q=1", ";q=1"}) {
    CAPTURE(header);
    CHECK(shop::choose_language(header, known) == "en");
  }
}

}  // namespace
}  // namespace ssr_text_test

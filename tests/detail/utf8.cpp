#include <atom/detail/utf8.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace utf8_test {
namespace {

using atom::detail::utf8_length;

/// The bits of a code point, in a sequence that may be longer than it has to be.
std::string sequence(unsigned code, std::size_t length) {
  if (length == 1) return std::string(1, static_cast<char>(code));
  std::string bytes(length, '\0');
  for (std::size_t i = length - 1; i > 0; --i, code >>= 6) bytes[i] = static_cast<char>(0x80u | (code & 0x3fu));
  bytes[0] = static_cast<char>((0xf00u >> length) | code);
  return bytes;
}

TEST_CASE("each code point is a character in its shortest form, and in no other; a surrogate is none") {
  constexpr unsigned beyond[] = {0, 0x80, 0x800, 0x10000, 0x110000};  // what does not fit a length any more
  unsigned wrong = 0;
  for (unsigned code = 0; code < 0x200000; ++code) {
    for (std::size_t length = 1; length <= 4; ++length) {
      if (code >= (length == 1 ? 0x80u : 1u << (5 * length + 1))) continue;
      const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
      const bool is_character = code >= beyond[length - 1] && code < beyond[length] && !is_surrogate;
      if (utf8_length(sequence(code, length)) != (is_character ? length : 0)) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a character ends where the next one begins, and not beyond the end of its text") {
  for (const std::string_view character : {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    CHECK(utf8_length(std::string(character) + "b") == character.size());
    CHECK(utf8_length(std::string(character) + "\xbf") == character.size());
    for (std::size_t size = 0; size < character.size(); ++size) {
      CHECK(utf8_length(character.substr(0, size)) == 0);
      CHECK(utf8_length(std::string(character.substr(0, size)) + "\xff") == 0);
    }
  }
}

TEST_CASE("what begins with a byte that begins nothing is no character") {
  for (unsigned byte = 0x80; byte <= 0xff; ++byte) {
    const std::string text = std::string(1, static_cast<char>(byte)) + "\x80\x80\x80\x80\x80";
    const bool begins = byte >= 0xc2 && byte <= 0xf4 && byte != 0xe0 && byte != 0xf0;  // these two need more than \x80
    CHECK((utf8_length(text) > 0) == begins);
  }
}

TEST_CASE("the compiler can ask, too") {
  STATIC_REQUIRE(utf8_length("\xc3\xa9") == 2);
  STATIC_REQUIRE(utf8_length("\xa9") == 0);
}

}  // namespace
}  // namespace utf8_test

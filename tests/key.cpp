#include <atom/key.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

namespace key_test {
namespace {

using atom::Key;
using atom::detail::hash_key;
using atom::detail::same_text;

constexpr Key declared{"key.declared"};
constexpr unsigned line_after = __LINE__;

TEST_CASE("a key knows the file and the line that define it") {
  CHECK(declared.name == "key.declared");
  CHECK(std::string_view(declared.file) == __FILE__);
  CHECK(declared.line == line_after - 1);
}

TEST_CASE("a key may be given another place") {
  constexpr Key key("key.elsewhere", "other.cpp", 12);
  CHECK(std::string_view(key.file) == "other.cpp");
  CHECK(key.line == 12);
}

TEST_CASE("a key is made from a literal, a string and a string_view alike") {
  const std::string text = "key.text";
  const Key from_literal = "key.text";
  const Key from_string = text;
  const Key from_view = std::string_view(text);
  CHECK(from_literal.name == from_string.name);
  CHECK(from_string.name == from_view.name);
  CHECK(from_literal.hash == from_string.hash);
  CHECK(from_string.hash == from_view.hash);
}

TEST_CASE("a key is hashed by the compiler, as it is when the program runs") {
  constexpr std::uint32_t compiled = hash_key("key.compiled");
  const std::string text = "key.compiled";
  CHECK(hash_key(text) == compiled);
  STATIC_REQUIRE(declared.hash == hash_key("key.declared"));
}

TEST_CASE("texts of any length are the same if each byte is") {
  std::string text;
  for (std::size_t size = 0; size <= 40; ++size) {
    std::string other = text;
    CHECK(same_text(text, other));
    CHECK_FALSE(same_text(text, text + '\0'));
    bool differs = true;
    for (char& byte : other) {
      byte = static_cast<char>(byte ^ 0x80);
      differs = differs && !same_text(text, other);
      byte = static_cast<char>(byte ^ 0x80);
    }
    CHECK(differs);
    text += static_cast<char>('a' + size);
  }
  STATIC_REQUIRE(same_text("compiled text", "compiled text"));
  STATIC_REQUIRE_FALSE(same_text("compiled text", "compiled test"));
}

TEST_CASE("a key of any length is hashed by the compiler, as it is when the program runs") {
  static constexpr std::string_view text = "a key of 26 bytes: \xC3\xA9 \xFF\x80z";
  constexpr auto compiled = [] {
    std::array<std::uint32_t, text.size() + 1> hashes{};
    for (std::size_t n = 0; n < hashes.size(); ++n) hashes[n] = hash_key(text.substr(0, n));
    return hashes;
  }();
  for (std::size_t n = 0; n < compiled.size(); ++n) {
    CHECK(hash_key(std::string(text.substr(0, n))) == compiled[n]);
    if (n > 0) CHECK(compiled[n] != compiled[n - 1]);
  }
}

TEST_CASE("keys that differ in zero bytes only, or in length only, hash differently") {
  using namespace std::string_view_literals;
  CHECK(hash_key(""sv) != hash_key("\0"sv));
  CHECK(hash_key("a"sv) != hash_key("a\0"sv));
  CHECK(hash_key("\0a"sv) != hash_key("a\0"sv));
  CHECK(hash_key("12345678"sv) != hash_key("12345678\0"sv));
  CHECK(hash_key("12345678\0"sv) != hash_key("12345678\0\0\0\0\0\0\0\0"sv));
}

TEST_CASE("bytes above 127 are hashed as bytes, whatever the sign of char") {
  CHECK(hash_key("\xC3\xA9") != hash_key("\xC3\xA8"));
  CHECK(hash_key("\xFF") != hash_key("\x7F"));
}

TEST_CASE("the hashes of ten thousand numbered keys are nearly all distinct, also in their upper bits") {
  std::unordered_set<std::uint32_t> hashes;
  std::unordered_set<std::uint32_t> upper;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint32_t hash = hash_key("item." + std::to_string(i));
    hashes.insert(hash);
    upper.insert(hash >> 24);
  }
  CHECK(hashes.size() > 9'990);
  CHECK(upper.size() == 256);
}

}  // namespace
}  // namespace key_test

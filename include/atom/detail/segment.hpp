// Any bytes as one segment of a dotted text, and back: what could be taken for something else is escaped as `%XX`. Each
// sequence of bytes has one escaped form, and no other text passes for it.
#pragma once

#include <atom/detail/utf8.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view hex_digits = "0123456789ABCDEF";

/// How many bytes the character has that the text begins with, if it stands in a segment as it is: letters, digits,
/// `-`, `_` and `~` do, as in a URL (RFC 3986, 2.3), and all of UTF-8 that is not ASCII. 0: its first byte is escaped.
constexpr std::size_t plain_length(std::string_view text) noexcept {
  const char c = text[0];
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) return 1;
  if (c == '-' || c == '_' || c == '~') return 1;
  const std::size_t length = utf8_length(text);
  return length == 1 ? 0 : length;
}

/// Adds the bytes, escaped but for what is plain and for `also_plain`.
inline void escape(std::string& to, std::string_view bytes, char also_plain = '-') {
  std::size_t plain = 0;  // so many of them are, at least
  while (plain < bytes.size()) {
    const std::size_t length = bytes[plain] == also_plain ? 1 : plain_length(bytes.substr(plain));
    plain += length;
    if (length > 0) continue;
    const auto byte = static_cast<unsigned char>(bytes[plain]);
    to.append(bytes.substr(0, plain)) += {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
    bytes.remove_prefix(plain + 1);
    plain = 0;
  }
  to += bytes;
}

/// The byte that stands escaped at the beginning of the text, or nothing.
constexpr std::optional<char> escaped_byte(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] != '%') return std::nullopt;
  const std::size_t high = hex_digits.find(text[1]);
  const std::size_t low = hex_digits.find(text[2]);
  if (high == hex_digits.npos || low == hex_digits.npos) return std::nullopt;
  return static_cast<char>(high << 4 | low);
}

/// The bytes that were escaped.
inline std::string unescape(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const std::optional<char> escaped = escaped_byte(text);
    bytes += escaped.value_or(text[0]);
    text.remove_prefix(escaped ? 3 : 1);
  }
  return bytes;
}

/// Whether the byte at the beginning of the text is escaped, and had to be: not with those behind it a plain character.
constexpr bool begins_escaped(std::string_view text) noexcept {
  char bytes[4] = {};  // the longest character
  std::size_t count = 0;
  while (count < 4) {
    const std::optional<char> byte = escaped_byte(text.substr(3 * count));
    if (!byte) break;
    bytes[count++] = *byte;
  }
  return count > 0 && plain_length({bytes, count}) == 0;
}
/// Whether the text is what `escape` makes of some bytes, one or more.
constexpr bool is_segment(std::string_view text) noexcept {
  if (text.empty()) return false;
  while (!text.empty()) {
    std::size_t length = plain_length(text);
    if (length == 0 && begins_escaped(text)) length = 3;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}
/// Whether the text is one segment, or several joined by dots.
constexpr bool is_dotted(std::string_view text) noexcept {
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!is_segment(text.substr(0, dot))) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace atom::inline v0_1::detail

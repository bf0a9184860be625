// What is UTF-8, and what is not.
#pragma once

#include <cstddef>
#include <string_view>

namespace atom::inline v0_1::detail {

/// How many bytes the character has that the text begins with; 0: it begins with none. The shortest form alone counts,
/// and no surrogates do (RFC 3629).
constexpr std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first <= 0x7f) return text.empty() ? 0 : 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if ((first & 0xf0) == 0xe0) {
    const bool shortest = first != 0xe0 || second >= 0xa0;
    const bool no_surrogate = first != 0xed || second <= 0x9f;
    return continues(1) && continues(2) && shortest && no_surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool shortest = first != 0xf0 || second >= 0x90;
    const bool in_range = first != 0xf4 || second <= 0x8f;
    return continues(1) && continues(2) && continues(3) && shortest && in_range ? 4 : 0;
  }
  return 0;
}

}  // namespace atom::inline v0_1::detail

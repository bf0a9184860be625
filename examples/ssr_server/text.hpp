// Text that comes from strangers: taken apart and judged. Nothing here throws for what it is given.
#pragma once

#include <charconv>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace shop {

/// The number of characters, if it is valid UTF-8 without control characters.
inline std::optional<std::size_t> count_characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (length == 0 || first > 0xF4 || text.size() - i < length) return std::nullopt;
    char32_t code = length == 1 ? first : first & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0u) != 0x80u) return std::nullopt;
      code = code << 6 | (next & 0x3Fu);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};  // by length; less could have been said shorter
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
    if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return std::nullopt;
    i += length;
  }
  return count;
}

/// One value of a query, with its `+` and `%41` resolved; nothing if a `%` is not followed by two hex digits.
inline std::optional<std::string> decode_query(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

/// The other way round.
inline std::string encode_query(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-') {
      encoded += c;
    } else {
      constexpr std::string_view digits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

inline std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// What stands before the next `separator`, taken off the front of `rest`.
inline std::string_view take_until(std::string_view& rest, char separator) {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(part.size() == rest.size() ? part.size() : part.size() + 1);
  return part;
}

/// The cookie `name` of a Cookie header; the first if it is there twice, which is the one nearest to the path.
inline std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    std::string_view value = trim(take_until(header, ';'));
    if (trim(take_until(value, '=')) == name) return trim(value);
  }
  return std::nullopt;
}

/// A whole number, written in digits and nothing else.
inline std::optional<int> to_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
  return number;
}

/// The `q` of one part of an Accept header, in thousandths; 0 if it makes no sense.
inline int quality(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = trim(take_until(parameters, ';'));
    if (trim(take_until(value, '=')) != "q") continue;
    const std::optional<int> whole = to_number(take_until(value, '.'));
    std::string thousandths(value.substr(0, 3));
    thousandths.resize(3, '0');
    const std::optional<int> fraction = to_number(thousandths);
    if (!whole || !fraction || value.size() > 3) return 0;
    const bool in_range = *whole == 0 || (*whole == 1 && *fraction == 0);
    return in_range ? 1000 * *whole + *fraction : 0;
  }
  return 1000;
}

/// Which of `languages` (such as "fr") an Accept-Language header likes best; the first of them if none.
template <class Languages>
std::string_view choose_language(std::string header, const Languages& languages) {
  for (char& c : header) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string_view rest = header;
  std::string_view best = *std::begin(languages);
  int best_quality = 0;
  while (!rest.empty()) {
    std::string_view parameters = take_until(rest, ',');
    std::string_view tag = trim(take_until(parameters, ';'));
    const std::string_view language = take_until(tag, '-');
    for (const std::string_view known : languages) {
      const int q = known == language ? quality(parameters) : 0;
      if (q <= best_quality) continue;
      best = known;
      best_quality = q;
    }
  }
  return best;
}

}  // namespace shop

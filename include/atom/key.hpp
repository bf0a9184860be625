// The key of an atom: its name, where it is declared, and its hash.
#pragma once

#include <atom/config.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace atom::inline v0_1 {

namespace detail {

/// The first `size` bytes of a text, eight at most, the first of them lowest.
constexpr std::uint64_t word_of(const char* text, std::size_t size) noexcept {
  if (std::is_constant_evaluated() || std::endian::native != std::endian::little) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < size; ++i) word |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
    return word;
  }
  const auto load = [text](auto part, std::size_t at) {
    std::memcpy(&part, text + at, sizeof part);
    return std::uint64_t{part} << (8 * at);
  };
  // Two parts that overlap have the same bytes there.
  if (size == 8) return load(std::uint64_t{}, 0);
  if (size >= 4) return load(std::uint32_t{}, 0) | load(std::uint32_t{}, size - 4);
  if (size >= 2) return load(std::uint16_t{}, 0) | load(std::uint16_t{}, size - 2);
  return size == 1 ? load(std::uint8_t{}, 0) : 0;
}
/// Eight bytes at a time, in constant expressions too.
constexpr std::uint32_t hash_key(std::string_view key) noexcept {
  constexpr std::uint64_t multiplier = 0xD6E8FEB86659FD93u;  // the one of xmx (Jon Maiga, 2018)
  std::uint64_t hash = key.size() * 0x9E3779B97F4A7C15u;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * multiplier;
    hash ^= hash >> 32;
  };
  const char* text = key.data();
  std::size_t size = key.size();
  for (; size >= 8; text += 8, size -= 8) mix(word_of(text, 8));
  mix(word_of(text, size));
  return static_cast<std::uint32_t>((hash * multiplier) >> 32);
}

/// The same as ==, without a call for the few bytes that a key has.
constexpr bool same_text(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  std::size_t size = a.size();
  const char* mine = a.data();
  const char* theirs = b.data();
  for (; size > 8; mine += 8, theirs += 8, size -= 8) {
    if (word_of(mine, 8) != word_of(theirs, 8)) return false;
  }
  return word_of(mine, size) == word_of(theirs, size);
}

}  // namespace detail

/// The name of an atom, together with the place that defines it. Made from any text, on its own.
struct Key {
  template <std::convertible_to<std::string_view> Text>
  constexpr Key(const Text& text, const char* defined_in = __builtin_FILE(), unsigned at_line = __builtin_LINE())
      : name(text), file(defined_in), line(at_line), hash(detail::hash_key(name)) {}

  std::string_view name;
  const char* file;
  unsigned line;
  std::uint32_t hash;
};

}  // namespace atom::inline v0_1

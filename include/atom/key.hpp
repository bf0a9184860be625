// The key of an atom: its name, where it is declared, and its hash.
#pragma once

#include <atom/config.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>

namespace atom::inline v0_1 {

namespace detail {

/// Eight bytes at a time, in constant expressions too.
constexpr std::uint32_t hash_key(std::string_view key) noexcept {
  constexpr std::uint64_t multiplier = 0xD6E8FEB86659FD93u;  // the one of xmx (Jon Maiga, 2018)
  std::uint64_t hash = key.size() * 0x9E3779B97F4A7C15u;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * multiplier;
    hash ^= hash >> 32;
  };
  std::uint64_t word = 0;
  unsigned filled = 0;
  for (const char c : key) {
    word |= std::uint64_t{static_cast<unsigned char>(c)} << (8 * filled);
    if (++filled < 8) continue;
    mix(word);
    word = 0;
    filled = 0;
  }
  mix(word);
  return static_cast<std::uint32_t>((hash * multiplier) >> 32);
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

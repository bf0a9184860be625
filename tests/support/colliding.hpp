// Keys such as a stranger chooses: all with one hash.
#pragma once

#include <atom/key.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// So many texts of 16 bytes, none of them '/' or '%', that have one hash behind a prefix of whole words of eight
/// bytes. Not hard: each step of the hash can be undone.
inline std::vector<std::string> colliding(std::size_t count, std::string_view prefix = {}) {
  constexpr std::uint64_t multiplier = 0xD6E8FEB86659FD93u;
  std::uint64_t inverse = multiplier;
  for (int i = 0; i < 6; ++i) inverse *= 2 - multiplier * inverse;
  const auto mixed = [](std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * multiplier;
    return hash ^ (hash >> 32);
  };
  std::uint64_t start = (prefix.size() + 16) * 0x9E3779B97F4A7C15u;
  for (std::size_t i = 0; i < prefix.size(); i += 8) start = mixed(start, atom::detail::word_of(&prefix[i], 8));
  constexpr std::uint64_t state = 0x0123456789abcdefu;  // after all words
  constexpr std::uint64_t before = state ^ (state >> 32);
  std::vector<std::string> all;
  for (std::uint64_t first = 0x4141414141414141u; all.size() < count; first += 0x9E3779B97F4A7C15u) {
    const std::uint64_t words[] = {first, (before * inverse) ^ mixed(start, first)};
    std::string text(16, '\0');
    std::memcpy(text.data(), words, 16);
    if (text.find_first_of("/%") == text.npos) all.push_back(std::move(text));
  }
  const auto hash_of = [&](const std::string& text) { return atom::detail::hash_key(std::string(prefix) + text); };
  if (count > 0 && hash_of(all.front()) != hash_of(all.back())) throw std::logic_error("hash_key is another one now");
  return all;
}

}  // namespace support

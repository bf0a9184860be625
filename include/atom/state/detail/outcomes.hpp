// The outcomes of a batch as bytes: what a database keeps with its lane, for the case that the batch comes again.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

// Of each outcome: what it has, as bits; the error; the version; of the value, format, size and text. Numbers are in
// groups of seven bits, the least first, of which each but the last has the eighth bit set.
inline constexpr unsigned char has_error = 1;
inline constexpr unsigned char has_value = 2;

inline void pack_number(std::string& bytes, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) bytes += static_cast<char>(number | 0x80);
  bytes += static_cast<char>(number);
}

inline std::string pack_outcomes(std::span<const Outcome> outcomes) {
  std::string bytes;
  for (const Outcome& outcome : outcomes) {
    bytes += static_cast<char>((outcome.error ? has_error : 0) | (outcome.value ? has_value : 0));
    if (outcome.error) bytes += static_cast<char>(*outcome.error);
    pack_number(bytes, static_cast<std::uint64_t>(outcome.version));
    if (outcome.value) {
      pack_number(bytes, static_cast<std::uint32_t>(outcome.value->format));
      pack_number(bytes, outcome.value->text.size());
      bytes += outcome.value->text;
    }
  }
  return bytes;
}

/// Whether the bytes are those of as many outcomes.
inline bool unpack_outcomes(std::string_view bytes, std::span<Outcome> outcomes) {
  bool good = true;
  const auto byte = [&]() -> unsigned char {
    if (bytes.empty()) {
      good = false;
      return 0;
    }
    const char first = bytes.front();
    bytes.remove_prefix(1);
    return static_cast<unsigned char>(first);
  };
  const auto number = [&] {
    std::uint64_t all = 0;
    for (unsigned shift = 0;; shift += 7) {
      const unsigned char group = byte();
      if (shift > 63) good = false;
      if (!good) return std::uint64_t{0};
      all |= static_cast<std::uint64_t>(group & 0x7f) << shift;
      if (group < 0x80) return all;
    }
  };
  for (Outcome& outcome : outcomes) {
    outcome = {};
    const unsigned char what = byte();
    if (what & has_error) outcome.error = static_cast<StateErrorCode>(byte());
    outcome.version = static_cast<std::int64_t>(number());
    if (what & has_value) {
      const int format = static_cast<int>(static_cast<std::uint32_t>(number()));
      const std::uint64_t size = number();
      if (size > bytes.size()) return false;
      outcome.value = StoredValue{std::string(bytes.substr(0, static_cast<std::size_t>(size))), format};
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  return good && bytes.empty();
}

}  // namespace atom::inline v0_1::detail

// The bytes of a fuzzer as what a target asks for. When they are used up, all that is asked for is zero or empty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

class Bytes {
 public:
  Bytes(const std::uint8_t* bytes, std::size_t size) : rest_(reinterpret_cast<const char*>(bytes), size) {}

  bool empty() const noexcept { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const char first = rest_.front();
    rest_.remove_prefix(1);
    return static_cast<std::uint8_t>(first);
  }
  /// A choice of so many, 256 at most.
  std::size_t below(std::size_t count) { return byte() % count; }
  bool flag() { return byte() % 2 == 1; }
  std::uint64_t number() {
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | byte();
    return number;
  }
  /// So many bytes as the first one says.
  std::string_view text() { return take(byte()); }
  std::string_view take(std::size_t size) {
    const std::string_view first = rest_.substr(0, size);
    rest_.remove_prefix(first.size());
    return first;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }

 private:
  std::string_view rest_;
};

}  // namespace fuzz

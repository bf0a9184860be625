// A value that counts what is done to it. All counts are per thread, so tests may run beside each other.
#pragma once

#include <cstddef>
#include <utility>

namespace support {

struct Counts {
  int copies = 0;
  int moves = 0;
  int alive = 0;
  int comparisons = 0;
};

/// Tag makes counts of its own: Counted<struct A> and Counted<struct B> do not share.
template <class Tag>
class Counted {
 public:
  static Counts& counts() {
    thread_local Counts counts;
    return counts;
  }
  /// Everything but `alive` back to 0.
  static void forget() { counts() = Counts{.alive = counts().alive}; }

  explicit Counted(int v = 0) : value(v) { ++counts().alive; }
  Counted(const Counted& other) : value(other.value) {
    ++counts().copies;
    ++counts().alive;
  }
  Counted(Counted&& other) noexcept : value(std::exchange(other.value, -1)) {
    ++counts().moves;
    ++counts().alive;
  }
  Counted& operator=(const Counted& other) {
    value = other.value;
    ++counts().copies;
    return *this;
  }
  Counted& operator=(Counted&& other) noexcept {
    value = std::exchange(other.value, -1);
    ++counts().moves;
    return *this;
  }
  ~Counted() { --counts().alive; }
  friend bool operator==(const Counted& a, const Counted& b) {
    ++counts().comparisons;
    return a.value == b.value;
  }

  int value;
};

}  // namespace support

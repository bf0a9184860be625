// The numbers of the batches that go down one lane, and how much of what was acknowledged a database has lost.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>

namespace atom::inline v0_1::detail {

class NumberedLane {
 public:
  explicit NumberedLane(std::uint32_t number) {
    std::random_device random;
    for (std::byte& byte : lane_.session) byte = static_cast<std::byte>(random());
    lane_.number = number;
  }

  const Lane& lane() const noexcept { return lane_; }

  /// A batch begins.
  void next() noexcept { acknowledged_[++lane_.sequence % remembered] = 0; }
  /// It has had no effect, so its number is free again.
  void give_back() noexcept { --lane_.sequence; }
  /// It was carried out, and so many of its operations are told that.
  void acknowledge(std::size_t operations) noexcept {
    acknowledged_[lane_.sequence % remembered] = operations;
    lane_.after_loss = false;
  }
  /// The database knows none after `known`. How many acknowledged operations are lost, at least; none is counted twice.
  std::uint64_t lose(std::optional<std::uint64_t> known) noexcept {
    lane_.after_loss = true;
    std::uint64_t lost = 0;
    const std::uint64_t oldest = lane_.sequence - std::min<std::uint64_t>(lane_.sequence, remembered);
    for (std::uint64_t number = lane_.sequence - 1; known && number > std::max(*known, oldest); --number) {
      lost += acknowledged_[number % remembered];
      acknowledged_[number % remembered] = 0;
    }
    return lost;
  }

 private:
  static constexpr std::size_t remembered = 1024;

  Lane lane_;
  std::array<std::uint64_t, remembered> acknowledged_{};
};

}  // namespace atom::inline v0_1::detail

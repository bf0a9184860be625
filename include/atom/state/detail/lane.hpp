// What lanes have in common: the numbers of their batches, how much of what was acknowledged a database has lost, how
// one is sent, and what whoever runs the program is told of that.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

/// Why there are no more of them.
inline StateError store_is_closed() {
  return {StateErrorCode::closed, "the store is closed"};
}

/// To be told when nothing is locked any more.
struct LaneEvents {
  std::vector<StateEvent> all;
  bool was_lost = false;  // something of what is cached, perhaps

  void add(StateEvent::Kind kind, const char* message, std::uint64_t lost = 0) noexcept {
    try {
      all.push_back({.kind = kind, .message = message, .lost = lost});
    } catch (...) {  // no memory: it is not told
    }
  }
  /// Of many in a row the first is told, and then each time they have become twice as many.
  void add_retry(unsigned failures, const std::optional<StateError>& why) noexcept {
    if (!std::has_single_bit(failures)) return;
    try {
      std::string message = "the database is asked again";
      if (failures > 1) message += ", after " + std::to_string(failures) + " failures in a row";
      if (why) message += ": " + reason(*why);
      add(StateEvent::Kind::retry, message.c_str());
    } catch (...) {  // no memory: it is not told
    }
  }
  void add_loss(std::uint64_t operations) noexcept {
    was_lost = true;
    add(StateEvent::Kind::history_lost, "the database has lost operations that it had acknowledged", operations);
  }
};

/// A backend that throws nothing, and counts.
class BackendCalls {
 public:
  explicit BackendCalls(Backend& backend) noexcept : backend_(backend), traits_(backend.traits()) {}

  const BackendTraits& traits() const noexcept { return traits_; }
  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline deadline) noexcept {
    batches_.fetch_add(1, std::memory_order_relaxed);
    BatchResult result{.status = BatchStatus::in_doubt};
    try {
      result = backend_.execute(lane, mode, commands, outcomes, deadline);
      if (result.status != BatchStatus::done && !result.error) {
        result.error = StateError(StateErrorCode::unavailable, "it gives no reason", Effect::none, true);
      }
    } catch (const std::exception& exception) {
      try {
        result.error = StateError(StateErrorCode::unavailable, exception.what(), Effect::unknown, true);
      } catch (...) {  // no memory for a reason
      }
    } catch (...) {  // nobody can tell why
    }
    return result;
  }
  void count_retry() noexcept { retries_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t batches() const noexcept { return batches_.load(std::memory_order_relaxed); }
  std::uint64_t retries() const noexcept { return retries_.load(std::memory_order_relaxed); }

 private:
  Backend& backend_;
  const BackendTraits traits_;
  std::atomic<std::uint64_t> batches_{0}, retries_{0};
};

}  // namespace atom::inline v0_1::detail

// What a process remembers of the lanes that it has sent batches on.
#pragma once

#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// What this process knows of its lanes. It saves no request; but it knows of batches that had no effect, of which
/// nothing is stored, and sees that a table has lost what was in it.
class DynamoDbLanes {
 public:
  using Clock = std::chrono::system_clock;

  /// Of one lane. Its batches come one after the other, so nobody else uses it meanwhile.
  struct Known {
    /// What it has left in a state.
    struct Mark {
      std::uint64_t number;
      Clock::time_point time;
    };
    /// A partition, and a key.
    using Key = std::pair<std::string, std::string>;

    std::uint64_t last = 0;              ///< the number of the last batch that is done; 0: nothing is known
    std::vector<Outcome> outcomes = {};  ///< of that one
    std::string table = {};              ///< where that was, see DynamoDbClient::table_id
    std::map<Key, Mark> marks = {};      ///< of the states that were written last
    std::uint64_t doubtful = 0;          ///< the number of one of which nobody knows what became of it
    Clock::time_point doubtful_since = {};
    std::set<Key> certain = {};  ///< states in which that one has no effect, and will have none

    void done(std::uint64_t number, std::span<const Outcome> its_outcomes, std::string its_table) {
      last = number;
      outcomes.assign(its_outcomes.begin(), its_outcomes.end());
      table = std::move(its_table);
      doubtful = 0;
      certain.clear();
    }
    void mark(Key state, std::uint64_t number) {
      constexpr std::size_t most = 100;  // that are read at once
      marks.insert_or_assign(std::move(state), Mark{number, Clock::now()});
      if (marks.size() <= most) return;
      marks.erase(std::min_element(marks.begin(), marks.end(),
                                   [](const auto& a, const auto& b) { return a.second.number < b.second.number; }));
    }
    /// In all of its states, for the time being.
    void in_doubt(std::uint64_t number) noexcept {
      certain.clear();
      if (std::exchange(doubtful, number) != number) doubtful_since = Clock::now();
    }
    /// Whether what was left in a state then is still there: others remove it later, by their clocks.
    static bool lasts(Clock::time_point time) {
      return Clock::now() - time <= std::chrono::seconds(dynamodb_lane_life / 2);
    }
  };

  std::shared_ptr<Known> find(const Lane& lane) {
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);
    if (lanes_.size() >= next_tidy_) {
      std::erase_if(lanes_,
                    [&](const auto& one) { return one.second.used + std::chrono::seconds(dynamodb_lane_life) < now; });
      next_tidy_ = 2 * lanes_.size() + 64;
    }
    Entry& entry = lanes_[std::pair(lane.session, lane.number)];
    if (!entry.known) entry.known = std::make_shared<Known>();
    entry.used = now;
    return entry.known;
  }

 private:
  struct Entry {
    std::shared_ptr<Known> known = {};
    Clock::time_point used = {};
  };

  std::mutex mutex_;
  std::map<std::pair<std::array<std::byte, 16>, std::uint32_t>, Entry> lanes_;
  std::size_t next_tidy_ = 64;
};

}  // namespace atom::inline v0_1::detail

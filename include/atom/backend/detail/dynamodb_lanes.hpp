// What a process remembers of the lanes that it has sent batches on.
#pragma once

#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// What this process knows of its lanes. It saves no request; but it knows of batches that had no effect, of which
/// nothing is stored, and sees that a table has lost what was in it.
class DynamoDbLanes {
 public:
  struct Known {
    std::uint64_t last = 0;  ///< the number of the last batch that is done; 0: nothing is known
    std::shared_ptr<const std::vector<Outcome>> outcomes = {};  ///< of that one
    std::vector<std::string> written;  ///< the states in which its number was stored, by `state_id`
    std::uint64_t doubtful = 0;        ///< the number of one of which nobody knows what became of it
    std::chrono::system_clock::time_point time = {}, doubtful_since = {};
  };

  Known find(const Lane& lane) {
    const std::lock_guard lock(mutex_);
    const auto found = lanes_.find(Key(lane.session, lane.number));
    return found == lanes_.end() ? Known() : found->second;
  }
  void done(const Lane& lane, std::span<const Outcome> outcomes, std::vector<std::string> written) {
    const std::lock_guard lock(mutex_);
    Known& known = of(lane);
    if (known.last >= lane.sequence) return;
    known.last = lane.sequence;
    known.outcomes = std::make_shared<const std::vector<Outcome>>(outcomes.begin(), outcomes.end());
    known.written = std::move(written);
    known.doubtful = 0;
  }
  void in_doubt(const Lane& lane) {
    const std::lock_guard lock(mutex_);
    Known& known = of(lane);
    if (std::exchange(known.doubtful, lane.sequence) != lane.sequence) known.doubtful_since = known.time;
  }

 private:
  using Key = std::pair<std::array<std::byte, 16>, std::uint32_t>;

  Known& of(const Lane& lane) {
    const auto now = std::chrono::system_clock::now();
    if (lanes_.size() >= next_tidy_) {
      std::erase_if(lanes_,
                    [&](const auto& one) { return one.second.time + std::chrono::seconds(dynamodb_lane_life) < now; });
      next_tidy_ = 2 * lanes_.size() + 64;
    }
    Known& known = lanes_[Key(lane.session, lane.number)];
    known.time = now;
    return known;
  }

  std::mutex mutex_;
  std::map<Key, Known> lanes_;
  std::size_t next_tidy_ = 64;
};

}  // namespace atom::inline v0_1::detail

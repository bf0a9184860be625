// What a feed has to tell of the changes that its own process makes: they wait here for the thread that polls.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/scope.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class ChangeQueue {
 public:
  /// Null: the value has ended. If too many wait already, or there is no memory, the sink will be told that track was
  /// lost.
  void add(const StateName& name, std::int64_t version, const StoredValue* value) noexcept {
    const std::lock_guard lock(mutex_);
    try {
      if (changes_.size() == most) lose();
      changes_.push_back({name.scope, std::string(name.key), version, value ? std::optional(*value) : std::nullopt});
    } catch (...) {
      lose();
    }
    news_.notify_one();
  }
  void wake() noexcept {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
    news_.notify_one();
  }
  /// Waits until there is something to tell, and tells it; or until the deadline, or until it is woken: whether it was.
  bool wait(FeedSink& sink, Deadline deadline) {
    std::unique_lock lock(mutex_);
    news_.wait_until(lock, deadline, [&] { return is_woken_ || is_lost_ || !changes_.empty(); });
    const std::vector<Change> changes = std::exchange(changes_, {});
    const bool is_lost = std::exchange(is_lost_, false);
    const bool is_woken = std::exchange(is_woken_, false);
    lock.unlock();
    if (is_lost) sink.lost_track();
    for (const Change& change : changes) sink.changed(change.scope, change.key, change.version, change.value);
    return is_woken;
  }

 private:
  static constexpr std::size_t most = 10'000;
  struct Change {
    Scope scope;
    std::string key;
    std::int64_t version;
    std::optional<StoredValue> value;
  };
  void lose() noexcept {
    changes_.clear();
    is_lost_ = true;
  }

  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<Change> changes_;
  bool is_lost_ = false;
  bool is_woken_ = false;
};

}  // namespace atom::inline v0_1::detail

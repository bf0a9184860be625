// The scopes of a store that somebody watches.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/scope.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// It is shared by who watches, as they may outlive the store.
class WatchedScopes {
 public:
  /// Another thread keeps them up to date from now on, that of a database.
  void are_followed() noexcept { is_followed_.store(true, std::memory_order_relaxed); }
  /// Whether this process was forked from the one in which that thread is, and others that may hold what is locked:
  /// then all is left as it is.
  bool is_foreign() const noexcept { return is_followed_.load(std::memory_order_relaxed) && !home_.is_here(); }

  /// One more watches it.
  std::shared_ptr<WatchedScope> enter(const atom::Scope& scope) {
    const std::lock_guard lock(mutex_);
    const auto found = scopes_.find(scope);
    if (found != scopes_.end()) return ++found->second.watchers, found->second.watched;
    auto watched = std::make_shared<WatchedScope>(scope);
    if (is_closed_) watched->close();
    scopes_.emplace(scope, Entry{watched, 1});
    count_.store(scopes_.size());
    return watched;
  }
  /// One less. After the last one, `end(scope)` is called, unless the store is closed.
  template <class End>
  void leave(const WatchedScope& watched, End end) {
    const std::lock_guard ending(ending_);
    {
      const std::lock_guard lock(mutex_);
      const auto found = scopes_.find(watched.scope);
      if (--found->second.watchers > 0) return;
      scopes_.erase(found);
      count_.store(scopes_.size());
      if (is_closed_) return;
    }
    end(watched);
  }
  /// Null where nobody watches it.
  std::shared_ptr<WatchedScope> find(const atom::Scope& scope) const {
    if (count_.load() == 0) [[likely]]
      return nullptr;
    const std::lock_guard lock(mutex_);
    const auto found = scopes_.find(scope);
    return is_closed_ || found == scopes_.end() ? nullptr : found->second.watched;
  }
  std::vector<std::shared_ptr<WatchedScope>> all() const {
    std::vector<std::shared_ptr<WatchedScope>> all;
    const std::lock_guard lock(mutex_);
    all.reserve(scopes_.size());
    for (const auto& [scope, entry] : scopes_) all.push_back(entry.watched);
    return all;
  }
  /// Nothing is told any more: calls `end(scope)` for each. On return no `end` runs.
  template <class End>
  void close(End end) {
    if (is_foreign()) return;
    std::vector<std::shared_ptr<WatchedScope>> closed;
    {
      const std::lock_guard ending(ending_);
      {
        const std::lock_guard lock(mutex_);
        if (std::exchange(is_closed_, true)) return;
      }
      closed = all();
      for (const auto& watched : closed) end(*watched);
    }
    for (const auto& watched : closed) watched->close();  // without a lock: those who are woken may leave
  }

 private:
  struct Entry {
    std::shared_ptr<WatchedScope> watched;
    std::size_t watchers = 0;
  };
  const HomeProcess home_;
  std::atomic<bool> is_followed_{false};
  std::mutex ending_;  // locked before the other, and while `end` runs
  mutable std::mutex mutex_;
  std::map<atom::Scope, Entry> scopes_;
  std::atomic<std::size_t> count_{0};
  bool is_closed_ = false;
};

}  // namespace atom::inline v0_1::detail

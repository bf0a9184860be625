// What others change in a database, brought to the states that know of it here, by a thread of its own.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/error.hpp>
#include <atom/state/must_not_block.hpp>
#include <atom/state/options.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class StateFollower final : public FeedSink {
 public:
  StateFollower(StateCore& core, StateCache& cache, Backend& backend) : core_(core), cache_(cache), backend_(backend) {}
  StateFollower(const StateFollower&) = delete;
  StateFollower& operator=(const StateFollower&) = delete;
  ~StateFollower() override { end(); }

  /// From now on it follows. May be called again.
  void start() {
    if (is_started_.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(mutex_);
    if (is_started_.load(std::memory_order_relaxed) || ends_.load()) return;
    about_to_block();  // what is written once this returns is heard, so there must be a feed by then
    feed_ = backend_.open_feed();
    thread_ = std::thread([this] { follow(); });
    is_started_.store(true, std::memory_order_release);
  }
  /// Anything may have changed that no feed tells of.
  void look_again() {
    const std::lock_guard lock(mutex_);
    is_behind_.store(true);
    if (feed_) feed_->wake();
  }
  /// Nothing more is told, but for what is being told just now.
  void stop() noexcept {
    const std::lock_guard lock(mutex_);
    ends_.store(true);
    changed_.notify_all();
    if (feed_) feed_->wake();
  }
  /// The same, and waits for that, too.
  void end() noexcept {
    stop();
    if (thread_.joinable()) thread_.join();
  }
  /// In a process that was forked from the one where it follows: there is no thread to be stopped here.
  void forget_thread() noexcept {
    if (thread_.joinable()) static_cast<void>(new (std::nothrow) std::thread(std::move(thread_)));
    static_cast<void>(feed_.release());
  }

  void changed(const atom::Scope& scope, std::string_view key, std::int64_t version,
               std::optional<StoredValue> value) override {
    if (ends_.load()) return;
    if (!value) {
      const ChangedState state(scope, key, version);
      return to_be_read({&state, 1});
    }
    if (const auto watched = core_.watched_scopes->find(scope)) {
      if (watched->is_in_doubt(key)) {
        show({{watched, key}});
      } else {
        watched->changed(key, version, cache_.shown(scope, key, *value));
      }
    }
    const NodeReference node = core_.table.find(scope, key);
    if (!node) return;
    std::vector<StateEvent> events;
    const StateResult<SharedValue> next = cache_.value_of(*node, {.value = std::move(value)}, events);
    core_.report(events);
    if (!next) return is_read_later(next.error());
    if (core_.accept(*node, *next, version)) core_.tell_news(*node);
  }
  void to_be_read(std::span<const ChangedState> states) override {
    if (ends_.load()) return;
    std::vector<Shown> shown;
    std::vector<NodeReference> heard;
    for (const ChangedState& state : states) {
      if (auto watched = core_.watched_scopes->find(state.scope)) shown.push_back({std::move(watched), state.key});
      NodeReference node = core_.table.find(state.scope, state.key);
      if (!node) continue;
      StateCache::is_old(*node);
      if (node->has(StateNode::heard)) heard.push_back(std::move(node));
    }
    show(std::move(shown));
    if (read(heard)) is_behind_.store(true);
  }
  void lost_track() override {
    if (catch_up()) is_behind_.store(true);
  }

 private:
  /// A state in a scope that somebody watches.
  struct Shown {
    std::shared_ptr<WatchedScope> watched;
    std::string_view key;
    std::uint64_t since = 0;
  };
  /// Reads them, and shows what they are; those that have changed meanwhile once more.
  void show(std::vector<Shown> states) {
    while (!states.empty() && !ends_.load()) {
      std::vector<StateName> names;
      std::vector<Outcome> found(states.size());
      for (Shown& state : states) {
        state.since = state.watched->number();
        names.push_back({state.watched->scope, state.key});
      }
      if (backend_.read(names, found, soon())) return is_behind_.store(true);
      std::vector<Shown> left;
      for (std::size_t i = 0; i < states.size(); ++i) {
        const Shown& state = states[i];
        const std::optional<StoredValue>& value = found[i].value;
        std::string json = value ? cache_.shown(state.watched->scope, state.key, *value) : std::string();
        const bool is_told = state.watched->is(state.key, value ? found[i].version : 0, std::move(json), state.since);
        if (!is_told) left.push_back(state);
      }
      states = std::move(left);
    }
  }
  void follow() noexcept {
    Outage outage;
    while (!ends_.load()) {
      std::optional<StateError> error = attempt([&] { return feed_ ? feed_->poll(*this, soon()) : look(); });
      if (error) is_behind_.store(true);  // what came meanwhile may be missed
      if (is_behind_.exchange(false)) {
        const std::optional<StateError> why = attempt([&] { return catch_up(); });
        if (why) is_behind_.store(true);
        if (!error) error = why;
      }
      if (ends_.load()) return;  // it was woken for that
      if (!error) {
        is_up(outage);
        continue;
      }
      is_down(outage, *error);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, pause_after(outage.failures, longest_pause), [&] { return ends_.load(); });
    }
  }
  /// Since when, and how often, it has failed in a row.
  struct Outage {
    unsigned failures = 0;
    Deadline began{};
    std::chrono::seconds told_after{};  // how long it lasts when it is told the next time
  };
  /// Tells it at once, after a second, and then each time it has lasted twice as long.
  void is_down(Outage& outage, const StateError& why) const noexcept {
    if (outage.failures++ == 0) outage.began = std::chrono::steady_clock::now();
    const std::chrono::seconds lasted = seconds_since(outage.began);
    if (lasted < outage.told_after) return;
    outage.told_after = std::max(2 * lasted, std::chrono::seconds(1));
    tell(StateEvent::Kind::feed_down, [&] { return "is down" + in_words(", for ", lasted) + ": " + reason(why); });
  }
  void is_up(Outage& outage) const noexcept {
    if (outage.failures == 0) return;
    const std::chrono::seconds lasted = seconds_since(std::exchange(outage, {}).began);
    tell(StateEvent::Kind::feed_up,
         [&] { return "is up again" + in_words(", after ", lasted) + ": what was missed is caught up with"; });
  }
  template <class Text>
  void tell(StateEvent::Kind kind, Text text) const noexcept {
    try {
      core_.report(kind, nullptr, "the feed of changes " + text());
    } catch (...) {  // no memory: it is not told
    }
  }
  static std::string in_words(const char* before, std::chrono::seconds time) {
    return time.count() > 0 ? before + std::to_string(time.count()) + " s" : std::string();
  }
  static std::chrono::seconds seconds_since(Deadline began) noexcept {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
  }
  template <class Work>
  std::optional<StateError> attempt(Work work) const noexcept {
    try {
      return work();
    } catch (const std::exception& exception) {
      try {
        return StateError(StateErrorCode::unavailable, exception.what(), Effect::none, true);
      } catch (...) {  // no memory for a reason
      }
    } catch (...) {  // nobody can tell why
    }
    return no_reason_;
  }
  /// Of a database that does not tell: asks, as often as what is cached is asked for anew.
  std::optional<StateError> look() {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::max(core_.options.staleness, shortest_pause), [&] { return ends_.load(); });
    }
    return read_heard();
  }
  /// Reads what somebody listens to or watches, and lets the rest be read when it is asked for.
  std::optional<StateError> catch_up() {
    cache_.all_is_old();
    return read_heard();
  }
  std::optional<StateError> read_heard() {
    if (auto error = read(cache_.heard())) return error;
    for (const auto& watched : core_.watched_scopes->all()) {
      if (ends_.load()) break;
      if (watched->is_closed()) continue;
      auto error = cache_.list(*watched, std::nullopt, soon());
      if (error && !watched->is_closed()) return error;
    }
    return std::nullopt;
  }
  std::optional<StateError> read(std::span<const NodeReference> nodes) {
    constexpr std::size_t at_once = 256;
    for (; !nodes.empty() && !ends_.load(); nodes = nodes.subspan(std::min(at_once, nodes.size()))) {
      if (auto error = read_some(nodes.first(std::min(at_once, nodes.size())))) return error;
    }
    return std::nullopt;
  }
  /// What cannot be made a value of is reported, and stays.
  std::optional<StateError> read_some(std::span<const NodeReference> nodes) {
    std::vector<StateEvent> events;
    auto none = cache_.read(nodes, Asks::to_know, soon(), events,
                            [&](std::size_t i, const std::optional<StateError>& error, bool is_news) {
                              if (error) is_read_later(*error);
                              if (is_news) core_.tell_news(*nodes[i]);
                            });
    core_.report(events);
    return none;
  }
  /// Unless that is of no use.
  void is_read_later(const StateError& error) noexcept {
    if (error.retryable()) is_behind_.store(true);
  }
  /// Nothing takes longer than that, so that it can be stopped, but for a feed that connects, which is woken then.
  Deadline soon() const {
    const auto most = std::chrono::milliseconds(500);
    return std::chrono::steady_clock::now() + std::min(most, core_.options.deadline);
  }

  /// So that what is down for long is asked seldom, and yet is heard soon when it is back.
  static constexpr std::chrono::seconds longest_pause{1};
  /// So that what does not tell is not asked all the time, however little what is cached may be behind.
  static constexpr std::chrono::milliseconds shortest_pause{5};

  StateCore& core_;
  StateCache& cache_;
  Backend& backend_;
  const std::optional<StateError> no_reason_{std::in_place, StateErrorCode::unavailable, "it gives no reason",
                                             Effect::none, true};
  std::atomic<bool> is_started_{false};
  std::atomic<bool> is_behind_{false};
  std::atomic<bool> ends_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Feed> feed_;
  std::thread thread_;
};

}  // namespace atom::inline v0_1::detail

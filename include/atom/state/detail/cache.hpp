// What is known in memory of the states in a database: how old it is, and how it is read anew.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/any_json.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// How long to wait before something is tried again that has failed so many times in a row: by chance, up to twice as
/// long each time, and at most `longest`.
inline std::chrono::microseconds pause_after(unsigned failures, std::chrono::microseconds longest) {
  thread_local std::minstd_rand chance(
      static_cast<unsigned>(std::hash<std::thread::id>()(std::this_thread::get_id()) ^
                            static_cast<std::size_t>(std::chrono::steady_clock::now().time_since_epoch().count())));
  const std::int64_t most = std::min<std::int64_t>(longest.count(), std::int64_t{1000} << std::min(failures, 20u));
  return std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(0, most)(chance));
}
/// The same for what has a deadline: never so long that giving up, as the next attempt would be too late, comes much
/// before it.
inline std::chrono::microseconds delay_after(unsigned failures, std::chrono::microseconds deadline) {
  return pause_after(failures, std::clamp<std::chrono::microseconds>(deadline / 16, std::chrono::microseconds(1),
                                                                     std::chrono::milliseconds(200)));
}
/// Waits a while, by chance, longer each time; false: it would be over only after the deadline.
inline bool pause_before(const StateCore& core, unsigned failures, Deadline deadline) {
  const Deadline next = std::chrono::steady_clock::now() + delay_after(failures, core.options.deadline);
  if (next >= deadline) return false;
  std::this_thread::sleep_until(next);
  return true;
}

/// What a message calls it.
inline std::string message_id(const StateNode& node) {
  return id_in_message(node.scope->scope, node.key());
}
/// The same error, which says of which state it is.
inline StateError with_name(const StateError& error, const StateNode& node) {
  return {error.code(), "state \"" + message_id(node) + "\": " + reason(error), error.effect(), error.retryable()};
}

/// Why it is asked what a state is: reading begins a sliding time to live anew.
enum class Asks : std::uint8_t { to_read, to_know };

class StateCache {
 public:
  StateCache(StateCore& core, Backend& backend) noexcept : core_(core), backend_(backend) {}

  /// Whether what is known is no older than `staleness`.
  static bool is_fresh(const StateNode& node, std::chrono::milliseconds staleness) noexcept {
    const std::int64_t checked = node.extras.load(std::memory_order_acquire)->checked.load(std::memory_order_relaxed);
    return checked != 0 && StateTable::milliseconds_now() - checked < staleness.count() && !StateTable::has_ended(node);
  }
  /// It is as new as `time`, of `StateTable::milliseconds_now`.
  static void is_as_of(const StateNode& node, std::int64_t time) noexcept {
    std::atomic<std::int64_t>& checked = node.extras.load(std::memory_order_acquire)->checked;
    std::int64_t before = checked.load(std::memory_order_relaxed);
    while (before < time && !checked.compare_exchange_weak(before, time, std::memory_order_relaxed)) {
    }
  }
  /// Whether reading it now is to begin its time to live anew in the database. Not each time, as that is a write.
  static bool is_to_be_touched(const StateNode& node) noexcept {
    if (!node.has(StateNode::timed)) [[likely]]
      return false;
    const StateExtras& extras = *node.extras.load(std::memory_order_acquire);
    const std::int64_t since = StateTable::milliseconds_now() - extras.touched.load(std::memory_order_relaxed);
    return extras.sliding && since >= extras.time_to_live / 8;
  }
  /// It began at `time`.
  static void is_touched(const StateNode& node, std::int64_t time) noexcept {
    node.extras.load(std::memory_order_acquire)->touched.store(time, std::memory_order_relaxed);
  }
  static void is_old(const StateNode& node) noexcept {
    node.extras.load(std::memory_order_acquire)->checked.store(0, std::memory_order_relaxed);
  }
  /// Nothing that is known need be so any more.
  void all_is_old() {
    for (const atom::Scope& scope : core_.table.scopes([](const atom::Scope&) { return true; })) {
      for (const NodeReference& node : core_.table.nodes(scope)) is_old(*node);
    }
  }
  /// Those somebody listens to.
  std::vector<NodeReference> heard() {
    std::vector<NodeReference> all;
    for (const atom::Scope& scope : core_.table.scopes([](const atom::Scope&) { return true; })) {
      for (NodeReference& node : core_.table.nodes(scope)) {
        if (node->has(StateNode::heard)) all.push_back(std::move(node));
      }
    }
    return all;
  }

  /// Reads one anew, again and again until the deadline if need be, and tells what is new.
  std::optional<StateError> refresh(const NodeReference& node, Asks asks, Deadline deadline) {
    for (unsigned failures = 1;; ++failures) {
      std::optional<StateError> error;
      bool is_news = false;
      std::vector<StateEvent> events;
      auto none = read({&node, 1}, asks, deadline, events,
                       [&](std::size_t, std::optional<StateError> its_error, bool its_news) {
                         error = std::move(its_error);
                         is_news = its_news;
                       });
      if (none) error = with_name(*none, *node);
      core_.report(events);
      if (is_news) core_.tell_news(*node);
      if (!error || !error->retryable() || !pause_before(core_, failures, deadline)) return error;
    }
  }
  /// Reads all of them, at once, and calls `done(i, error, is_news)` for each; or returns why that cannot be done. What
  /// is to be told is put into `events`.
  template <class Done>
  std::optional<StateError> read(std::span<const NodeReference> nodes, Asks asks, Deadline deadline,
                                 std::vector<StateEvent>& events, Done done) {
    const std::int64_t began = StateTable::milliseconds_now();
    std::vector<StateName> names;
    std::vector<std::int64_t> known;
    std::vector<Outcome> outcomes(nodes.size());
    names.reserve(nodes.size());
    known.reserve(nodes.size());
    for (const NodeReference& node : nodes) {
      const bool touches = asks == Asks::to_read && is_to_be_touched(*node);
      const std::int64_t ttl = touches ? node->extras.load(std::memory_order_acquire)->time_to_live : 0;
      names.push_back({node->scope->scope, node->key(), ttl});
      known.push_back(node->raw_version());
    }
    if (auto error = backend_.read(names, outcomes, deadline)) return error;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      StateNode& node = *nodes[i];
      StateResult<SharedValue> value = value_of(node, outcomes[i], events);
      if (!value) {
        done(i, value.error(), false);
        continue;
      }
      const bool is_news =
          core_.accept(node, *std::move(value), outcomes[i].version, StateCore::Asked{known[i], false});
      is_as_of(node, began);
      if (names[i].ttl > 0) is_touched(node, began);
      done(i, std::nullopt, is_news);
    }
    return std::nullopt;
  }
  /// Sees to it that who watches has what is stored of a scope, no older than `staleness`; without one: reads it anew.
  std::optional<StateError> list(WatchedScope& watched, std::optional<std::chrono::milliseconds> staleness,
                                 Deadline deadline) {
    std::vector<StateEvent> events;  // to be told when nothing is locked
    auto error = watched.list(
        StateTable::milliseconds_now(), staleness,
        [&](std::vector<WatchedScope::Listed>& states) { return read(watched, states, deadline, events); });
    core_.report(events);
    return error;
  }
  /// What is stored of a state, as a page may be shown it. Empty, if it is nothing of ours; then `failed(event)` says
  /// so.
  template <class Failed>
  std::string shown(const atom::Scope& scope, std::string_view key, const StoredValue& stored, Failed failed) {
    // Of whatever version of its type: this one is of none.
    const auto value = backend_.read_value(type_ops<AnyJson>, {stored.text, 0});
    if (value) return std::static_pointer_cast<const AnyJson>(*value)->text;
    failed(StateEvent{
        .kind = StateEvent::Kind::undecodable, .state = id_in_message(scope, key), .message = value.error().what()});
    return {};
  }
  std::string shown(const atom::Scope& scope, std::string_view key, const StoredValue& stored) {
    return shown(scope, key, stored, [this](const StateEvent& event) { core_.report(event); });
  }

  /// The one of an outcome, or null where there is none. What is to be told is put into `events`.
  StateResult<SharedValue> value_of(const StateNode& node, const Outcome& outcome, std::vector<StateEvent>& events) {
    if (!outcome.value) return SharedValue();
    StateResult<SharedValue> read = backend_.read_value(node.type(), *outcome.value);
    if (read) return read;
    if (!read.error().retryable()) {
      events.push_back(
          {.kind = StateEvent::Kind::undecodable, .state = message_id(node), .message = read.error().what()});
    }
    return with_name(read.error(), node);
  }

 private:
  std::optional<StateError> read(const WatchedScope& watched, std::vector<WatchedScope::Listed>& states,
                                 Deadline deadline, std::vector<StateEvent>& events) {
    std::string after;
    for (bool is_more = true; is_more;) {
      const Backend::Range range{&watched.scope, false, watched.scope.text(), after, 1000};
      const StateResult<std::vector<FoundState>> part = backend_.list(range, deadline);
      if (!part) return part.error();
      for (const FoundState& found : *part) {
        states.push_back({found.key, found.version, {}});
        if (watched.knows(found.key, found.version)) continue;
        states.back().json =
            shown(watched.scope, found.key, found.value, [&](StateEvent event) { events.push_back(std::move(event)); });
      }
      if (states.size() > WatchedScope::most_states) return WatchedScope::too_many(watched.scope);
      is_more = part->size() == range.limit;
      if (is_more) after = part->back().key;
    }
    return std::nullopt;
  }

  StateCore& core_;
  Backend& backend_;
};

}  // namespace atom::inline v0_1::detail

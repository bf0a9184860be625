// What the handles to states and their store share: the states in memory, and how one is read and written there.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/detail/extras.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/table.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/detail/watched_scopes.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class StateEngine;

/// When waiting ends.
using Deadline = std::chrono::steady_clock::time_point;

/// What is no time at all or too long for a clock becomes one that it can add.
inline std::chrono::milliseconds clamped_time(std::chrono::milliseconds time) noexcept {
  return std::clamp(time, std::chrono::milliseconds(), longest_time_to_live);
}
/// So long from now.
inline Deadline deadline_in(std::chrono::milliseconds within) noexcept {
  return std::chrono::steady_clock::now() + clamped_time(within);
}
/// The same, but 0: never.
inline Deadline deadline_after(std::chrono::milliseconds within) noexcept {
  return within.count() <= 0 ? Deadline::max() : deadline_in(within);
}

/// While it is there, nothing that this thread begins has a later deadline.
class DeadlineBound {
 public:
  explicit DeadlineBound(Deadline deadline) noexcept : before_(latest()) { latest() = std::min(before_, deadline); }
  DeadlineBound(const DeadlineBound&) = delete;
  DeadlineBound& operator=(const DeadlineBound&) = delete;
  ~DeadlineBound() { latest() = before_; }
  static Deadline& latest() noexcept {
    static thread_local Deadline deadline = Deadline::max();
    return deadline;
  }

 private:
  const Deadline before_;
};

/// What sessions of one route used last time, to be read at once the next time.
class Routes {
 public:
  struct Used {
    std::optional<atom::Scope> scope;  // nothing: the session's own
    std::string key;
    bool operator==(const Used&) const = default;
  };
  std::vector<Used> used_by(const std::string& route) const {
    const std::lock_guard lock(mutex_);
    const auto found = routes_.find(route);
    return found == routes_.end() ? std::vector<Used>() : found->second;
  }
  void remember(const std::string& route, std::vector<Used> used) {
    if (used.size() > most_states) used.resize(most_states);
    const std::lock_guard lock(mutex_);
    const auto found = routes_.find(route);
    if (found != routes_.end()) {
      found->second = std::move(used);
    } else if (routes_.size() < most_routes) {  // a route may hold what comes from outside
      routes_.emplace(route, std::move(used));
    }
  }

 private:
  static constexpr std::size_t most_routes = 1000, most_states = 64;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Used>> routes_;
};

/// A value as it was at one moment.
struct SeenValue {
  SharedValue value;     // what the state is without one, if there is none
  std::int64_t version;  // not positive: there is none
};

class StateCore {
 public:
  explicit StateCore(StoreOptions o) : options(with_clamped_times(std::move(o))), table(*this, options) {}
  StateCore(const StateCore&) = delete;
  StateCore& operator=(const StateCore&) = delete;
  ~StateCore() { end_watching(); }

  /// The version that comes after `last`; greater than all that a state of this name ever had.
  std::int64_t version_after(std::int64_t version) noexcept {
    if (version > 0) [[likely]]
      return version + 1;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t clock = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    return std::max({clock, 1 - version, table.last_gone() + 1});
  }

  /// For who reads it, which may begin its time to live anew.
  SeenValue look(StateNode& node) {
    return look(node, [&](std::int64_t version) { touch(node, version); });
  }
  /// For who watches.
  SeenValue peek(StateNode& node) {
    return look(node, [](std::int64_t) {});
  }
  /// Of the value; 0: there is none. Asking is not reading.
  std::int64_t version(StateNode& node) noexcept {
    if (!node.has(StateNode::timed)) return node.version();
    SharedValue gone;
    const NodeLock lock(node);  // so that whoever reads meanwhile brings nothing back that was over here
    end_if_over(node, gone);
    return node.version();
  }

  /// Makes `next` the value, if the version is still `expected` (or whatever it is); an empty one ends it. The version
  /// that it has now, or nothing if it was not written.
  std::optional<std::int64_t> write(StateNode& node, SharedValue next, std::optional<std::int64_t> expected) {
    SharedValue ended = next ? nullptr : node.initial();
    SharedValue gone;    // let go when nothing is locked any more
    SharedValue before;  // likewise
    std::unique_lock<std::mutex> order;
    NodeLock lock = lock_in_order(node, order);
    end_if_over(node, gone);
    const std::int64_t version = node.raw_version();
    if ((expected && *expected != version) || (!next && version <= 0)) return std::nullopt;
    std::int64_t now = 0;
    if (next) {
      now = version_after(version);
      before = next;
      node.put(before, now);
      start_time(node);
    } else {
      end(node, before);
    }
    const std::int64_t told = node.raw_version();
    lock.unlock();
    if (order && add_news(node, {next ? std::move(next) : std::move(ended), told})) {
      tell(node, *node.extras.load(std::memory_order_acquire), order);
    }
    return now;
  }

  /// One step of several that take effect together.
  struct Step {
    NodeReference node;
    SharedValue next;       // null: the value ends, if there is one
    std::int64_t expected;  // as `SeenValue::version`
    bool is_check = false;  // nothing is written, the version is compared
    std::size_t index = 0;  // the caller's
    std::int64_t version = 0;
    std::int64_t told = 0;  // the one of the news: as `StateNews::version`
  };
  /// Takes all the steps, or none if the version of one is not as expected: that one, or null. No two are of one node.
  Step* write_all(std::vector<Step>& steps) {
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return &*a.node < &*b.node; });
    std::vector<SharedValue> gone(2 * steps.size());
    std::vector<std::unique_lock<std::mutex>> orders(steps.size());
    std::vector<NodeLock> locks(steps.size());
    lock_all(steps, orders, locks);
    Step* conflict = nullptr;
    for (std::size_t i = 0; i < steps.size() && !conflict; ++i) {
      end_if_over(*steps[i].node, gone[i]);
      if (steps[i].node->raw_version() != steps[i].expected) conflict = &steps[i];
    }
    for (std::size_t i = 0; i < steps.size() && !conflict; ++i) {
      StateNode& node = *steps[i].node;
      SharedValue& before = gone[steps.size() + i];
      if (steps[i].is_check) {
        steps[i].version = node.raw_version();
      } else if (steps[i].next) {
        steps[i].version = version_after(node.raw_version());
        before = steps[i].next;
        node.put(before, steps[i].version);
        start_time(node);
      } else if (node.raw_version() > 0) {
        end(node, before);
      }
      steps[i].told = node.raw_version();
    }
    for (NodeLock& lock : locks) lock.unlock();
    if (conflict) return conflict;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      StateNode& node = *steps[i].node;
      if (steps[i].is_check || !orders[i] ||
          !add_news(node, {steps[i].next ? steps[i].next : node.initial(), steps[i].told})) {
        orders[i] = {};
      }
    }
    for (auto& order : orders) {
      if (order) order.unlock();
    }
    for (const Step& step : steps) {
      if (step.node->has(StateNode::heard)) tell_news(*step.node);
    }
    return nullptr;
  }

  /// When the database was asked.
  struct Asked {
    std::int64_t known;  // the `raw_version` of the node then
    bool wrote;          // by a command that wrote
  };
  /// Takes over what the database has, unless something newer is known: `next`, or for null that the value ended; both
  /// with the version that the value has or had. Whether there is news to tell.
  ///
  /// Versions grow. If an answer has no greater one than was known when the question was asked, the database has lost
  /// what was known, and the answer counts (unless something has happened meanwhile).
  bool accept(StateNode& node, SharedValue next, std::int64_t version, std::optional<Asked> asked = std::nullopt) {
    SharedValue ended = next ? nullptr : node.initial();
    SharedValue before;  // let go when nothing is locked any more
    std::unique_lock<std::mutex> order;
    NodeLock lock = lock_in_order(node, order);
    const std::int64_t known = node.raw_version();
    const bool is_latest = asked && asked->known == known;
    bool counts = false;
    if (next) {
      const std::int64_t last = std::max(known, -known);
      counts = version > last || (is_latest && (version < last || asked->wrote));
    } else {
      counts = known > 0 && (version >= known || is_latest);
    }
    if (counts && next) {
      before = next;
      node.put(before, version);
      start_time(node);
    } else if (counts) {
      end(node, before, version);
    }
    const std::int64_t told = node.raw_version();
    lock.unlock();
    return counts && order && add_news(node, {next ? std::move(next) : std::move(ended), told});
  }
  /// Calls the listeners with what was accepted.
  void tell_news(StateNode& node) noexcept {
    StateExtras& extras = *node.extras.load(std::memory_order_acquire);
    std::unique_lock lock(extras.mutex);
    tell(node, extras, lock);
  }

  /// Of an operation that begins now.
  Deadline deadline() const noexcept {
    return std::min(std::chrono::steady_clock::now() + options.deadline, DeadlineBound::latest());
  }
  /// Ends the value, in the database where there is one. Whether there was one.
  StateResult<bool> erase(const NodeReference& node);

  /// Tells `on_event`; nothing that it throws comes out.
  void report(const StateEvent& event) const noexcept {
    if (!options.on_event) return;
    try {
      options.on_event(event);
    } catch (...) {  // nobody is left to tell
    }
  }
  void report(const std::vector<StateEvent>& events) const noexcept {
    for (const StateEvent& event : events) report(event);
  }
  void report(StateEvent::Kind kind, const StateNode* node, std::string_view message,
              std::exception_ptr exception = nullptr) const noexcept {
    if (!options.on_event) return;
    try {
      const std::string id = node ? id_in_message(node->scope->scope, node->key()) : std::string();
      report({.kind = kind, .state = id, .message = std::string(message), .exception = std::move(exception)});
    } catch (...) {  // no memory for it
    }
  }

  /// Adds a listener: it hears each write that begins after this, and none that was made before.
  void listen(StateNode& node, std::shared_ptr<StateListener> listener) {
    StateExtras& extras = extras_of(node);
    const std::lock_guard lock(extras.mutex);
    listen(node, extras, std::move(listener));
  }
  static void forget(StateNode& node, const StateListener& listener) noexcept {
    take_listener(node, [&](const StateListeners&) { return listener.place; });
  }

  /// In memory: whoever watches the scope of this node is told what it is, and what becomes of it.
  void watch(const NodeReference& node) {
    if (engine) return;  // there the database tells
    const std::shared_ptr<WatchedScope> watched = watched_scopes->find(node->scope->scope);
    if (!watched || !watch(node, watched)) return;
    if (watched_scopes->find(watched->scope) != watched) return stop_watching(*node, *watched);  // it has just ended
    const SeenValue seen = peek(*node);
    if (seen.version > 0) watched->changed(node->key(), seen.version, shown(*node, seen.value));
  }
  /// The same, but it is not told what it is. Whether that is new.
  bool watch(const NodeReference& node, const std::shared_ptr<WatchedScope>& watched) {
    if (!node->type().write) return false;  // what has no codec cannot be shown
    StateExtras& extras = extras_of(*node);
    const std::lock_guard lock(extras.mutex);
    const auto is_one = [&](const auto& listener) { return listener->group == watched.get(); };
    if (std::any_of(extras.listeners.begin(), extras.listeners.end(), is_one)) return false;
    listen(*node, extras, std::make_shared<Showing>(*this, watched, *node));
    return true;
  }
  static void stop_watching(StateNode& node, const WatchedScope& watched) noexcept {
    take_listener(node, [&](const StateListeners& all) {
      return std::find_if(all.begin(), all.end(), [&](const auto& listener) { return listener->group == &watched; });
    });
  }
  void stop_watching(const WatchedScope& watched) noexcept {
    if (engine) return;
    try {
      for (const NodeReference& node : table.nodes(watched.scope)) stop_watching(*node, watched);
    } catch (...) {  // no memory for the list: they go on telling, and nobody hears
    }
  }
  /// From now on nobody watches.
  void end_watching() {
    watched_scopes->close([this](const WatchedScope& watched) { stop_watching(watched); });
  }
  /// As a page may be shown it. Empty, where its codec throws; then `failed(event)` says so.
  template <class Failed>
  static std::string shown(const StateNode& node, const SharedValue& value, Failed failed) {
    try {
      JsonWriter writer;
      node.type().write(value.get(), writer);
      return std::string(writer.text());
    } catch (...) {
      failed(StateEvent{.kind = StateEvent::Kind::undecodable,
                        .state = id_in_message(node.scope->scope, node.key()),
                        .message = "the codec of " + std::string(node.type().name) + " has thrown: it is not shown",
                        .exception = std::current_exception()});
      return {};
    }
  }
  std::string shown(const StateNode& node, const SharedValue& value) const {
    return shown(node, value, [this](const StateEvent& event) { report(event); });
  }

  const StoreOptions options;
  StateTable table;
  Routes routes;
  const std::shared_ptr<WatchedScopes> watched_scopes = std::make_shared<WatchedScopes>();
  StateEngine* engine = nullptr;  // null: no database

 private:
  /// Tells a scope that is watched of one of its nodes, which is there as long as it has this listener.
  class Showing final : public StateListener {
   public:
    Showing(const StateCore& core, std::shared_ptr<WatchedScope> watched, const StateNode& node) noexcept
        : core_(core), watched_(std::move(watched)), node_(node) {
      group = watched_.get();
    }

   private:
    void hear(const StateNews& news) override {
      if (news.version <= 0) return watched_->ended(node_.key(), -news.version);
      watched_->changed(node_.key(), news.version, core_.shown(node_, news.value));
    }
    const StateCore& core_;  // there, as the node is written
    const std::shared_ptr<WatchedScope> watched_;
    const StateNode& node_;
  };

  static StoreOptions with_clamped_times(StoreOptions options) {
    options.deadline = clamped_time(options.deadline);
    options.staleness = clamped_time(options.staleness);
    return options;
  }
  template <class Touch>
  SeenValue look(StateNode& node, Touch touch) {
    SharedValue gone;
    NodeLock lock(node);
    end_if_over(node, gone);
    const std::int64_t version = node.raw_version();
    touch(version);
    if (!node.has(StateNode::inside)) return {node.shared(), version};
    alignas(std::uint64_t) std::byte copy[64];
    node.copy_to(copy);
    lock.unlock();
    return {copy_value(node.type(), copy), version};
  }
  /// While the order of the listeners is locked.
  static void listen(StateNode& node, StateExtras& extras, std::shared_ptr<StateListener> listener) {
    extras.listen(std::move(listener));
    const NodeLock node_lock(node);
    node.add(StateNode::heard);
  }
  /// `find` says where it is; at the end, if there is none.
  template <class Find>
  static void take_listener(StateNode& node, Find find) noexcept {
    StateExtras* const extras = node.extras.load(std::memory_order_acquire);
    if (!extras) return;
    StateListeners gone;  // destroyed without the lock
    const std::lock_guard lock(extras->mutex);
    const StateListeners::const_iterator place = find(extras->listeners);
    if (place == extras->listeners.end()) return;
    gone.splice(gone.end(), extras->listeners, place);
    if (extras->listeners.empty()) node.remove(StateNode::heard);
  }

  /// Locks the node, and before it, where it has listeners, their order.
  static NodeLock lock_in_order(StateNode& node, std::unique_lock<std::mutex>& order) {
    for (;;) {
      if (node.has(StateNode::heard) && !order) order = std::unique_lock(extras_of(node).mutex);
      NodeLock lock(node);
      if (order || !node.has(StateNode::heard)) return lock;
    }  // else somebody has begun to listen just now
  }
  /// All of them, each order before any node, both by address.
  static void lock_all(std::vector<Step>& steps, std::vector<std::unique_lock<std::mutex>>& orders,
                       std::vector<NodeLock>& locks) {
    for (;;) {
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i].node->has(StateNode::heard)) orders[i] = std::unique_lock(extras_of(*steps[i].node).mutex);
      }
      bool all = true;
      for (std::size_t i = 0; i < steps.size(); ++i) {
        locks[i] = NodeLock(*steps[i].node);
        all = all && (orders[i] || !steps[i].node->has(StateNode::heard));
      }
      if (all) return;
      for (NodeLock& lock : locks) lock.unlock();
      for (auto& order : orders) order = {};  // somebody has begun to listen just now
    }
  }
  void end(StateNode& node, SharedValue& before, std::int64_t version = 0) noexcept {
    const std::int64_t last = std::max(node.raw_version(), version);
    table.has_gone(last);
    node.clear(before, last);
  }
  void end_if_over(StateNode& node, SharedValue& gone) noexcept {
    if (node.has(StateNode::timed) && node.raw_version() > 0 && StateTable::has_ended(node)) [[unlikely]] {
      if (!node.has(StateNode::remote)) end(node, gone);  // else the database says when
    }
  }
  static void start_time(StateNode& node) noexcept {
    if (!node.has(StateNode::timed)) [[likely]]
      return;
    StateExtras& extras = *node.extras.load(std::memory_order_acquire);
    extras.ends.store(StateTable::milliseconds_now() + extras.time_to_live, std::memory_order_relaxed);
  }
  /// Reading counts too, if the time to live is sliding. (That of a database is begun there.)
  static void touch(StateNode& node, std::int64_t version) noexcept {
    if (version <= 0 || !node.has(StateNode::timed) || node.has(StateNode::remote)) return;
    if (node.extras.load(std::memory_order_acquire)->sliding) start_time(node);
  }
  /// While the order of the listeners is locked. Whether it could be added.
  bool add_news(StateNode& node, StateNews news) noexcept {
    try {
      node.extras.load(std::memory_order_acquire)->add(std::move(news));
      return true;
    } catch (...) {
      listener_threw(node);
      return false;
    }
  }
  void tell(StateNode& node, StateExtras& extras, std::unique_lock<std::mutex>& order) noexcept {
    extras.tell(order, [&] { listener_threw(node); });
  }
  void listener_threw(const StateNode& node) noexcept {
    report(StateEvent::Kind::listener_threw, &node, "a listener of the state has thrown", std::current_exception());
  }
};

inline OwnedNode make_state_node(const StateCore& core, const StateOptions& options, const TypeOps& type,
                                 const void* initial) {
  if (auto bad = check_labels(options.labels)) throw *std::move(bad);
  OwnedNode node(StateNode::make(options.key, type, initial));
  if (options.ttl.count() > 0) {
    StateExtras& extras = extras_of(*node);
    extras.time_to_live = std::min<std::chrono::milliseconds>(options.ttl, longest_time_to_live).count();
    extras.sliding = options.sliding;
    node->add(StateNode::timed);
  }
  if (!options.labels.empty()) {
    std::vector<std::string>& labels = extras_of(*node).labels;
    labels = options.labels;
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    if (labels.size() > most_labels) throw StateError(StateErrorCode::too_large, "a state has at most 16 labels");
    node->add(StateNode::labelled);
  }
  if (core.engine) {
    extras_of(*node);
    node->add(StateNode::remote);
  }
  return node;
}

inline void NodeReference::release_last(StateNode& node) noexcept {
  if (!node.has(StateNode::closed)) return node.scope->core.table.release_last(node);
  if (node.references.drop() == 0) node.free();
}

}  // namespace atom::inline v0_1::detail

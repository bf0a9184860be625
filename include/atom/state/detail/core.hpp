// What the handles to states and their store share: the states in memory, and how one is read and written there.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/extras.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/table.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
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

/// A value as it was at one moment.
struct SeenValue {
  SharedValue value;     // what the state is without one, if there is none
  std::int64_t version;  // not positive: there is none
};

class StateCore {
 public:
  explicit StateCore(StoreOptions o) : options(std::move(o)), table(*this, options.states_per_scope) {}
  StateCore(const StateCore&) = delete;
  StateCore& operator=(const StateCore&) = delete;

  /// The version that comes after `last`; greater than all that a state of this name ever had.
  std::int64_t version_after(std::int64_t version) noexcept {
    if (version > 0) [[likely]]
      return version + 1;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::int64_t clock = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    return std::max({clock, 1 - version, table.last_gone() + 1});
  }

  SeenValue look(StateNode& node) {
    SharedValue gone;
    node.lock();
    end_if_over(node, gone);
    const std::int64_t version = node.raw_version();
    if (!node.has(StateNode::inside)) {
      SharedValue value = node.shared();
      node.unlock();
      touch(node, version);
      return {std::move(value), version};
    }
    alignas(std::uint64_t) std::byte copy[64];
    node.copy_to(copy);
    node.unlock();
    touch(node, version);
    return {copy_value(node.type(), copy), version};
  }

  /// Makes `next` the value, if the version is still `expected` (or whatever it is); an empty one ends it. The version
  /// that it has now, or nothing if it was not written.
  std::optional<std::int64_t> write(StateNode& node, SharedValue next, std::optional<std::int64_t> expected) {
    const SharedValue ended = next ? nullptr : node.initial();
    SharedValue gone;    // let go when nothing is locked any more
    SharedValue before;  // likewise
    std::unique_lock<std::mutex> order;
    lock(node, order);
    end_if_over(node, gone);
    const std::int64_t version = node.raw_version();
    if ((expected && *expected != version) || (!next && version <= 0)) {
      node.unlock();
      return std::nullopt;
    }
    std::int64_t now = 0;
    if (next) {
      now = version_after(version);
      before = next;
      node.put(before, now);
      start_time(node);
    } else {
      end(node, before);
    }
    node.unlock();
    if (order && add_news(node, next ? std::move(next) : ended)) {
      tell(node, *node.extras.load(std::memory_order_acquire), order);
    }
    return now;
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
    const SharedValue ended = next ? nullptr : node.initial();
    SharedValue before;  // let go when nothing is locked any more
    std::unique_lock<std::mutex> order;
    lock(node, order);
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
    node.unlock();
    return counts && order && add_news(node, next ? std::move(next) : ended);
  }
  /// Calls the listeners with what was accepted.
  void tell_news(StateNode& node) noexcept {
    StateExtras& extras = *node.extras.load(std::memory_order_acquire);
    std::unique_lock lock(extras.mutex);
    tell(node, extras, lock);
  }

  /// Of an operation that begins now.
  Deadline deadline() const noexcept { return std::chrono::steady_clock::now() + options.deadline; }
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
  void report(StateEvent::Kind kind, const StateNode* node, std::string_view message,
              std::exception_ptr exception = nullptr) const noexcept {
    if (!options.on_event) return;
    try {
      const std::string id = node ? state_id(node->scope->scope, node->key()) : std::string();
      report({.kind = kind, .state = id, .message = std::string(message), .exception = std::move(exception)});
    } catch (...) {  // no memory for it
    }
  }

  /// Adds a listener: it hears each write that begins after this, and none that was made before.
  void listen(StateNode& node, std::shared_ptr<StateListener> listener) {
    StateExtras& extras = extras_of(node);
    const std::lock_guard lock(extras.mutex);
    extras.listen(std::move(listener));
    node.lock();
    node.add(StateNode::heard);
    node.unlock();
  }
  static void forget(StateNode& node, const StateListener& listener) noexcept {
    StateExtras& extras = *node.extras.load(std::memory_order_acquire);
    std::shared_ptr<StateListener> gone;  // destroyed without the lock
    const std::lock_guard lock(extras.mutex);
    const auto found = std::find_if(extras.listeners.begin(), extras.listeners.end(),
                                    [&](const auto& other) { return other.get() == &listener; });
    if (found == extras.listeners.end()) return;
    gone = std::move(*found);
    extras.listeners.erase(found);
    if (extras.listeners.empty()) node.remove(StateNode::heard);
  }

  const StoreOptions options;
  StateTable table;
  StateEngine* engine = nullptr;  // null: no database

 private:
  /// Locks the node, and before it, where it has listeners, their order.
  static void lock(StateNode& node, std::unique_lock<std::mutex>& order) {
    for (;;) {
      if (node.has(StateNode::heard) && !order) order = std::unique_lock(extras_of(node).mutex);
      node.lock();
      if (order || !node.has(StateNode::heard)) return;
      node.unlock();  // somebody has begun to listen just now
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
  /// Reading counts too, if the time to live is sliding.
  static void touch(StateNode& node, std::int64_t version) noexcept {
    if (version > 0 && node.has(StateNode::timed) && node.extras.load(std::memory_order_acquire)->sliding) {
      start_time(node);
    }
  }
  /// While the order of the listeners is locked. Whether it could be added.
  bool add_news(StateNode& node, SharedValue now) noexcept {
    try {
      node.extras.load(std::memory_order_acquire)->add(std::move(now));
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

inline void NodeReference::release(StateNode& node) noexcept {
  if (!node.has(StateNode::closed)) return node.scope->core.table.release(node);
  if (node.references.fetch_sub(1, std::memory_order_acq_rel) == 1) node.free();
}

}  // namespace atom::inline v0_1::detail

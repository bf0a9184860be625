// All states that a store knows in memory: by scope, and in a scope by key. Safe from any thread: 64 parts, with a lock
// each that is held for a few instructions. No code of the user's runs under one.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/inline_vector.hpp>
#include <atom/key.hpp>
#include <atom/state/detail/extras.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/spin_lock.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// Pointers in an open-addressing table, half to four fifths full. Hash is of an item, and Same compares with what
/// is looked for. Items are on the heap, so the lowest bits of a pointer are free: they hold four of the hash, and most
/// of what is not looked for is passed by without being touched.
template <class Item, class Hash>
class PointerTable {
 public:
  template <class Same>
  Item* find(std::uint32_t hash, Same same) const noexcept {
    if (places_ == 0) return nullptr;
    for (std::size_t i = home_of(hash); slots_[i].is_taken(); i = after(i)) {
      if (slots_[i].may_have(hash) && same(*slots_[i].item())) return slots_[i].item();
    }
    return nullptr;
  }
  /// Makes sure that one more `insert` needs no memory.
  void reserve_one() {
    if (5 * (std::uint64_t{count_} + 1) <= 4 * std::uint64_t{places_}) return;
    // An odd number of pointers, and the word that most allocators put before them, take no place that lies idle.
    const std::uint64_t more = std::max<std::uint64_t>(3, (std::uint64_t{places_} + places_ / 2) | 1);
    if (more > std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
    PointerTable bigger;
    bigger.slots_ = std::make_unique<Slot[]>(more);
    bigger.places_ = static_cast<std::uint32_t>(more);
    for_each([&](Item& item) { bigger.insert(item); });
    *this = std::move(bigger);
  }
  void insert(Item& item) noexcept {
    const std::uint32_t hash = Hash{}(item);
    std::size_t i = home_of(hash);
    while (slots_[i].is_taken()) i = after(i);
    slots_[i] = Slot(item, hash);
    ++count_;
  }
  void erase(const Item& item) noexcept {
    std::size_t gap = home_of(Hash{}(item));
    while (slots_[gap].item() != &item) gap = after(gap);
    for (std::size_t i = after(gap); slots_[i].is_taken(); i = after(i)) {
      if (distance(home_of(Hash{}(*slots_[i].item())), i) < distance(gap, i)) continue;
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = Slot();
    --count_;
  }
  std::size_t size() const noexcept { return count_; }
  template <class F>
  void for_each(F f) const {
    for (std::size_t i = 0; i < places_; ++i) {
      if (slots_[i].is_taken()) f(*slots_[i].item());
    }
  }
  /// For an endless walk over all places, which `step` counts: what lies in the next one, or null.
  Item* next(std::uint32_t& step) const noexcept {
    if (step >= places_) step = 0;
    return places_ == 0 ? nullptr : slots_[step++].item();
  }
  std::size_t places() const noexcept { return places_; }

 private:
  class Slot {
   public:
    Slot() noexcept = default;
    Slot(Item& item, std::uint32_t hash) noexcept : place_(reinterpret_cast<std::byte*>(&item) + tag_of(hash)) {}
    bool is_taken() const noexcept { return place_ != nullptr; }
    bool may_have(std::uint32_t hash) const noexcept { return tag() == tag_of(hash); }
    Item* item() const noexcept { return reinterpret_cast<Item*>(place_ - tag()); }

   private:
    static constexpr std::uintptr_t most = __STDCPP_DEFAULT_NEW_ALIGNMENT__ - 1;
    static_assert(sizeof(Item) > most);
    static std::uintptr_t tag_of(std::uint32_t hash) noexcept { return hash & most; }
    std::uintptr_t tag() const noexcept { return reinterpret_cast<std::uintptr_t>(place_) & most; }
    std::byte* place_ = nullptr;  // so many bytes into the item
  };

  /// The share of the table that the hash is of all hashes, so that its size may be any.
  std::size_t home_of(std::uint32_t hash) const noexcept { return (std::uint64_t{hash} * places_) >> 32; }
  std::size_t after(std::size_t i) const noexcept { return i + 1 < places_ ? i + 1 : 0; }
  std::size_t distance(std::size_t from, std::size_t to) const noexcept {
    return to >= from ? to - from : to + places_ - from;
  }
  std::unique_ptr<Slot[]> slots_;
  std::uint32_t places_ = 0;
  std::uint32_t count_ = 0;
};

struct NodeHash {
  std::uint32_t operator()(const StateNode& node) const noexcept { return hash_key(node.key()); }
};

/// A scope, and the states in it.
struct ScopeEntry {
  Scope scope;
  StateCore& core;
  PointerTable<StateNode, NodeHash> states = {};
  std::uint32_t next_to_sweep = 0;  // a slot of the states
};

struct ScopeHash {
  /// The lower half: the highest bits choose the part.
  static std::uint32_t of(const Scope& scope) noexcept { return static_cast<std::uint32_t>(scope.hash()); }
  std::uint32_t operator()(const ScopeEntry& entry) const noexcept { return of(entry.scope); }
};

/// A node that nobody else knows, yet or any more.
struct FreeNode {
  void operator()(StateNode* node) const noexcept { node->free(); }
};
using OwnedNode = std::unique_ptr<StateNode, FreeNode>;

/// A node that stays while this does.
class NodeReference {
 public:
  NodeReference() noexcept = default;
  /// Takes over one reference.
  explicit NodeReference(StateNode* node) noexcept : node_(node) {}
  NodeReference(const NodeReference& other) noexcept : node_(other.node_) {
    if (node_) node_->references.add();
  }
  NodeReference(NodeReference&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeReference& operator=(NodeReference other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeReference() {
    if (node_) release(*node_);
  }
  StateNode& operator*() const noexcept { return *node_; }
  StateNode* operator->() const noexcept { return node_; }
  explicit operator bool() const noexcept { return node_; }

 private:
  static void release(StateNode& node) noexcept {
    // With these the node is held by its value alone, whose time may be over, or by nothing.
    const std::int32_t last = node.has(StateNode::timed) ? 2 : 1;
    if (node.references.drop_above(last)) [[likely]]
      return;
    release_last(node);
  }
  static void release_last(StateNode& node) noexcept;
  StateNode* node_ = nullptr;
};

class StateTable {
 public:
  StateTable(StateCore& core, const StoreOptions& options) noexcept
      : core_(core), most_per_scope_(options.states_per_scope), staleness_(options.staleness.count()) {}
  StateTable(const StateTable&) = delete;
  StateTable& operator=(const StateTable&) = delete;
  /// Nodes that somebody still holds are left to them, closed.
  ~StateTable() {
    for (Part& part : parts_) {
      part.scopes.for_each([](ScopeEntry& entry) {
        entry.states.for_each([](StateNode& node) { orphan(node); });
        delete &entry;
      });
    }
  }

  /// The node, if there is one.
  NodeReference find(const Scope& scope, std::string_view key) noexcept {
    Part& part = part_of(scope);
    const std::lock_guard lock(part.mutex);
    ScopeEntry* const entry = find(part, scope);
    return NodeReference(entry ? hold(find(*entry, key)) : nullptr);
  }
  /// The node, made by `make()` if there is none. Throws StateError if there are too many.
  template <class Make>
  NodeReference obtain(const Scope& scope, std::string_view key, Make make) {
    if (NodeReference found = find(scope, key)) return found;
    OwnedNode made(make());  // without a lock: it copies a value of the user's
    Swept gone;
    Part& part = part_of(scope);
    const std::lock_guard lock(part.mutex);
    ScopeEntry* entry = find(part, scope);
    if (entry) {
      if (StateNode* const found = find(*entry, key)) return NodeReference(hold(found));
      if (entry->states.size() >= most_per_scope_ && !sweep(*entry, entry->states.places(), gone)) {
        too_many(scope);
      }
    } else {
      part.scopes.reserve_one();
      entry = new ScopeEntry{scope, core_};
      part.scopes.insert(*entry);
    }
    made->scope = entry;
    try {
      entry->states.reserve_one();
      enter_labels(*made);  // others can see it from here on
    } catch (...) {
      leave_labels(*made);
      forget_if_empty(part, *entry);
      throw;
    }
    entry->states.insert(*made);
    size_.fetch_add(1, std::memory_order_relaxed);
    NodeReference node(made.release());
    sweep(part, gone);
    return node;
  }

  /// Calls `use(node)` with a reference to each node of the scopes that `wanted(scope)` wants, in the order of scope
  /// and key, after (`after_scope`, `after_key`), until it answers false.
  template <class Wanted, class Use>
  void walk(std::string_view after_scope, std::string_view after_key, Wanted wanted, Use use) {
    for (const Scope& scope : scopes(wanted)) {
      if (scope.text() < after_scope) continue;
      const std::string_view after = scope.text() == after_scope ? after_key : std::string_view();
      for (const NodeReference& node : nodes(scope)) {
        if (node->key() > after && !use(scope, node)) return;
      }
    }
  }
  /// Sorted.
  template <class Wanted>
  std::vector<Scope> scopes(Wanted wanted) {
    std::vector<Scope> all;
    for (Part& part : parts_) {
      const std::lock_guard lock(part.mutex);
      part.scopes.for_each([&](const ScopeEntry& entry) {
        if (wanted(entry.scope)) all.push_back(entry.scope);
      });
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  /// Of one scope, sorted by key.
  std::vector<NodeReference> nodes(const Scope& scope) {
    std::vector<NodeReference> all;
    Part& part = part_of(scope);
    {
      const std::lock_guard lock(part.mutex);
      const ScopeEntry* const entry = find(part, scope);
      if (!entry) return all;
      all.reserve(entry->states.size());
      entry->states.for_each([&](StateNode& node) { all.emplace_back(hold(&node)); });
    }
    std::sort(all.begin(), all.end(),
              [](const NodeReference& a, const NodeReference& b) { return a->key() < b->key(); });
    return all;
  }

  /// The names of the states that have one of these labels, sorted.
  std::set<std::pair<Scope, std::string>> labelled(const std::vector<std::string>& labels) {
    std::set<std::pair<Scope, std::string>> all;
    const std::lock_guard lock(labels_mutex_);
    for (const std::string& label : labels) {
      const auto nodes = by_label_.find(label);
      if (nodes == by_label_.end()) continue;
      for (const StateNode* node : nodes->second) all.emplace(node->scope->scope, node->key());
    }
    return all;
  }
  /// The last reference goes, or the last but that of the value: so does the node, unless the value is to stay, or
  /// somebody finds it first.
  void release_last(StateNode& node) noexcept {
    ScopeEntry& entry = *node.scope;
    Part& part = part_of(entry.scope);
    {
      const std::lock_guard lock(part.mutex);
      const std::uint32_t left = node.references.drop();
      if (left > 0 && (is_held(node) || !has_ended(node))) return;
      take_out(entry, node);
      forget_if_empty(part, entry);
    }
    node.free();
  }

  /// How many there are, with a value or a handle.
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  /// The highest version of a value that has ended, of whatever state: one that is gone for good begins after it when
  /// it comes again.
  std::int64_t last_gone() const noexcept { return last_gone_.load(std::memory_order_relaxed); }
  void has_gone(std::int64_t version) noexcept {
    std::int64_t last = last_gone();
    while (last < version && !last_gone_.compare_exchange_weak(last, version, std::memory_order_relaxed)) {
    }
  }

  /// Whether its time to live is over.
  static bool has_ended(const StateNode& node) noexcept {
    if (!node.has(StateNode::timed)) return false;
    const std::int64_t ends = node.extras.load(std::memory_order_acquire)->ends.load(std::memory_order_relaxed);
    return ends != 0 && ends <= milliseconds_now();
  }
  /// Of a clock that is never set.
  static std::int64_t milliseconds_now() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }

 private:
  /// What has been taken out, to be freed when nothing is locked any more; room for all of it without memory.
  using Swept = InlineVector<OwnedNode, 5>;

  struct alignas(64) Part {
    SpinLock mutex;
    PointerTable<ScopeEntry, ScopeHash> scopes;
    std::uint32_t next_to_sweep = 0;
  };

  Part& part_of(const Scope& scope) noexcept { return parts_[scope.hash() >> 58]; }
  static ScopeEntry* find(const Part& part, const Scope& scope) noexcept {
    return part.scopes.find(ScopeHash::of(scope), [&](const ScopeEntry& entry) { return entry.scope == scope; });
  }
  static StateNode* find(const ScopeEntry& entry, std::string_view key) noexcept {
    return entry.states.find(hash_key(key), [&](const StateNode& node) { return same_text(node.key(), key); });
  }
  /// While the part is locked.
  static StateNode* hold(StateNode* node) noexcept {
    if (node) node->references.add_found();
    return node;
  }
  [[noreturn]] void too_many(const Scope& scope) const {
    throw StateError(StateErrorCode::too_large, "scope \"" + scope_in_message(scope) + "\" has " +
                                                    std::to_string(most_per_scope_) +
                                                    " states, and StoreOptions::states_per_scope allows no more");
  }
  void enter_labels(StateNode& node) {
    if (!node.has(StateNode::labelled)) return;
    const std::lock_guard lock(labels_mutex_);
    for (const std::string& label : extras_of(node).labels) by_label_[label].insert(&node);
  }
  void leave_labels(StateNode& node) noexcept {
    if (!node.has(StateNode::labelled)) return;
    const std::lock_guard lock(labels_mutex_);
    for (const std::string& label : extras_of(node).labels) {
      const auto nodes = by_label_.find(label);
      if (nodes == by_label_.end()) continue;  // it has not been entered everywhere
      nodes->second.erase(&node);
      if (nodes->second.empty()) by_label_.erase(nodes);
    }
  }
  void take_out(ScopeEntry& entry, StateNode& node) noexcept {
    has_gone(node.raw_version());
    leave_labels(node);
    entry.states.erase(node);
    size_.fetch_sub(1, std::memory_order_relaxed);
  }
  static void forget_if_empty(Part& part, ScopeEntry& entry) noexcept {
    if (entry.states.size() > 0) return;
    part.scopes.erase(entry);
    delete &entry;
  }
  /// Whether nothing is lost when it goes: its time is over, or it is a copy that would have to be read anew anyway.
  bool is_useless(const StateNode& node) const noexcept {
    if (has_ended(node)) return true;
    if (!node.has(StateNode::remote)) return false;
    const std::int64_t checked = node.extras.load(std::memory_order_acquire)->checked.load(std::memory_order_relaxed);
    return milliseconds_now() - checked >= staleness_;
  }
  /// Looks at a few slots of a few scopes for useless states that nobody holds, so that they do not pile up: each new
  /// state pays for that.
  void sweep(Part& part, Swept& gone) noexcept {
    for (int i = 0; i < 4; ++i) {
      ScopeEntry* const entry = part.scopes.next(part.next_to_sweep);
      if (entry && sweep(*entry, 4, gone)) forget_if_empty(part, *entry);
    }
  }
  /// Takes out the first such state in so many slots of a scope. Whether there was one.
  bool sweep(ScopeEntry& entry, std::size_t most_slots, Swept& gone) noexcept {
    for (; most_slots > 0; --most_slots) {
      StateNode* const node = entry.states.next(entry.next_to_sweep);
      if (!node || is_held(*node) || !is_useless(*node)) continue;
      --entry.next_to_sweep;  // another one may lie there next
      gone.emplace_back(node);
      take_out(entry, *node);
      return true;
    }
    return false;
  }
  /// By more than its value. While the part is locked: who does not hold it already cannot begin to.
  static bool is_held(StateNode& node) noexcept {
    if (node.references.count() != 1) return true;
    const NodeLock lock(node);
    return node.raw_version() <= 0 || node.references.count() != 1;
  }
  static void orphan(StateNode& node) noexcept {
    const bool holds_itself = node.version() > 0;
    node.scope = nullptr;
    node.add(StateNode::closed);
    if (holds_itself && node.references.drop() == 0) node.free();
  }

  StateCore& core_;
  const std::size_t most_per_scope_;
  const std::int64_t staleness_;  // milliseconds
  std::atomic<std::size_t> size_{0};
  std::array<Part, 64> parts_;
  std::atomic<std::int64_t> last_gone_{0};
  std::mutex labels_mutex_;  // locked after one of a part, never before
  std::map<std::string, std::set<StateNode*>, std::less<>> by_label_;
};

}  // namespace atom::inline v0_1::detail

// One state in memory: its value, its version, and who listens. Many threads use it at once. A small value that can be
// copied as bytes lies in the node and is read without a lock (a seqlock); any other is shared, and replaced as a
// whole.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/spin_lock.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/type.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

class StateNode;
class StateCore;
struct ScopeEntry;
struct StateExtras;

/// A value that lies in the node.
constexpr bool lies_inside(bool trivial, std::size_t size, std::size_t align) noexcept {
  return trivial && size <= 64 && align <= alignof(std::uint64_t);
}
template <class T>
inline constexpr bool inside_node = lies_inside(std::is_trivially_copyable_v<T>, sizeof(T), alignof(T));

/// How many hold a node: each handle, and its value. It is the sum of two numbers. The first changes only while the
/// node's part of the table is locked, so that finding a state takes no atomic step beside that of the lock.
class References {
 public:
  /// While the part is locked.
  void add_found() noexcept { found_.store(found_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  void add() noexcept { others_.fetch_add(1, std::memory_order_relaxed); }
  /// How many are left, if the part is locked or the node is no longer to be found.
  std::uint32_t drop() noexcept {
    const std::uint32_t found = found_.load(std::memory_order_relaxed);
    return found + others_.fetch_sub(1, std::memory_order_acq_rel) - 1;
  }
  /// Drops one, if certainly more than `least` are there. Whether it did.
  bool drop_above(std::int32_t least) noexcept {
    const std::uint32_t found = found_.load(std::memory_order_relaxed);  // since then it may have grown, at most
    std::uint32_t others = others_.load(std::memory_order_relaxed);
    while (static_cast<std::int32_t>(found + others) > least) {
      if (others_.compare_exchange_weak(others, others - 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }
  /// While the part is locked.
  std::uint32_t count() const noexcept {
    return found_.load(std::memory_order_relaxed) + others_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<std::uint32_t> found_{0};
  std::atomic<std::uint32_t> others_{1};  // less those that have gone
};

/// For as long as a node is looked at or written by one thread.
class NodeLock {
 public:
  NodeLock() noexcept = default;  // of none
  explicit NodeLock(StateNode& node) noexcept;
  NodeLock(NodeLock&& other) noexcept : node_(std::exchange(other.node_, nullptr)), sequence_(other.sequence_) {}
  NodeLock& operator=(NodeLock&& other) noexcept {
    unlock();
    node_ = std::exchange(other.node_, nullptr);
    sequence_ = other.sequence_;
    return *this;
  }
  ~NodeLock() { unlock(); }
  void unlock() noexcept;

 private:
  StateNode* node_ = nullptr;
  std::uint32_t sequence_ = 0;  // what it was before
};

/// After it in memory: the value, what it is without one, and the key.
class StateNode {
 public:
  using Word = std::atomic<std::uint64_t>;
  /// What makes an operation take the long way.
  enum Flag : std::uint8_t {
    timed = 1u << 0,     // has a time to live
    heard = 1u << 1,     // has listeners
    remote = 1u << 2,    // what lies here is a copy of what a database has
    closed = 1u << 3,    // its store is gone
    labelled = 1u << 4,  // has labels
    inside = 1u << 5,    // the value lies in the node
    plain = 1u << 6,     // without a value it is all zeros
  };

  StateNode(const StateNode&) = delete;
  StateNode& operator=(const StateNode&) = delete;

  /// With one reference. `initial` is what it is without a value.
  static StateNode* make(std::string_view key, const TypeOps& type, const void* initial) {
    const bool inside_it = lies_inside(type.trivial, type.size, type.align);
    const bool zeros = inside_it && all_zero(initial, type.size);
    const std::size_t room = inside_it ? words_of(type.size) * sizeof(Word) : sizeof(SharedValue);
    const std::size_t payload = room * (zeros ? 1 : 2);
    SharedValue shared = inside_it ? nullptr : copy_value(type, initial);
    void* const memory = ::operator new(sizeof(StateNode) + payload + key.size());
    auto* const node =
        ::new (memory) StateNode(type, payload, key.size(), (inside_it ? inside : 0) | (zeros ? plain : 0));
    std::byte* const place = node->payload();
    std::memset(place, 0, payload);
    if (inside_it) {
      for (std::size_t i = 0; i < payload / sizeof(Word); ++i) ::new (place + i * sizeof(Word)) Word(0);
      if (!zeros) {
        node->write_words(node->initial_words(), initial, type.size);
        node->write_words(node->words(), initial, type.size);
      }
    } else {
      ::new (place) SharedValue(shared);
      ::new (place + sizeof(SharedValue)) SharedValue(std::move(shared));
    }
    std::memcpy(place + payload, key.data(), key.size());
    return node;
  }
  void free() noexcept;

  std::string_view key() const noexcept {
    return {reinterpret_cast<const char*>(payload() + words_before_key_ * sizeof(Word)), key_size_};
  }
  const TypeOps& type() const noexcept { return type_; }
  bool has(int flags) const noexcept { return flags_.load(std::memory_order_acquire) & flags; }
  void add(int flags) noexcept { flags_.fetch_or(static_cast<std::uint8_t>(flags), std::memory_order_release); }
  void remove(int flags) noexcept { flags_.fetch_and(static_cast<std::uint8_t>(~flags), std::memory_order_relaxed); }

  /// Of the value; 0: there is none.
  std::int64_t version() const noexcept {
    const std::int64_t version = version_.load(std::memory_order_acquire);
    return version > 0 ? version : 0;
  }

  // ---- The value. What is written is written by one thread at a time, which has locked the node.

  /// What it is now, with its version, without waiting for more than a write that is under way.
  template <class T>
    requires inside_node<T>
  T read(std::int64_t* version = nullptr) const noexcept {
    Backoff backoff;
    for (;;) {
      const std::uint32_t before = sequence_.load(std::memory_order_acquire);
      if (!(before & 1)) [[likely]] {
        const T value = read_words<T>(words());
        const std::int64_t its_version = version_.load(std::memory_order_acquire);
        if (sequence_.load(std::memory_order_relaxed) == before) [[likely]] {
          if (version) *version = its_version > 0 ? its_version : 0;
          return value;
        }
      }
      backoff.wait();
    }
  }
  // While locked:

  template <class T>
    requires inside_node<T>
  T value() const noexcept {
    return read_words<T>(words());
  }
  template <class T>
    requires inside_node<T>
  void put(const T& value, std::int64_t version) noexcept {
    refer_if_new();
    write_words(words(), &value, sizeof value);
    version_.store(version, std::memory_order_release);
  }
  SharedValue& shared() noexcept { return *std::launder(reinterpret_cast<SharedValue*>(payload())); }
  /// What it is without a value.
  SharedValue initial() const {
    if (!has(inside)) return *std::launder(reinterpret_cast<const SharedValue*>(payload() + sizeof(SharedValue)));
    alignas(std::uint64_t) std::byte copy[64] = {};
    if (!has(plain)) read_words(words() + words_of(type_.size), copy);
    return copy_value(type_, copy);
  }
  /// A value of any type. What it was is left in `value`, to be let go when the node is unlocked.
  void put(SharedValue& value, std::int64_t version) noexcept {
    refer_if_new();
    if (has(inside)) {
      write_words(words(), value.get(), type_.size);
    } else {
      shared().swap(value);
    }
    version_.store(version, std::memory_order_release);
  }
  /// No value any more, where there was one; `last` was its version. What it was is left in `value`. The caller has a
  /// reference, so this one is not the last.
  void clear(SharedValue& value, std::int64_t last) noexcept {
    if (!has(inside)) {
      value = *std::launder(reinterpret_cast<SharedValue*>(payload() + sizeof(SharedValue)));
      shared().swap(value);
    } else {
      const std::size_t size = words_of(type_.size);
      for (std::size_t i = 0; i < size; ++i) {
        const std::uint64_t word = has(plain) ? 0 : initial_words()[i].load(std::memory_order_relaxed);
        words()[i].store(word, std::memory_order_release);
      }
    }
    version_.store(-last, std::memory_order_release);
    references.drop();
  }
  /// Not positive where there is no value: then it is minus the last version that there was.
  std::int64_t raw_version() const noexcept { return version_.load(std::memory_order_relaxed); }
  /// The bytes of a value that lies in the node; room for whole words.
  void copy_to(std::byte* to) const noexcept { read_words(words(), to); }

  // ---- What belongs to the table

  ScopeEntry* scope = nullptr;                // null: not there yet, or the store is gone
  std::atomic<StateExtras*> extras{nullptr};  // made when they are needed, and then they stay
  References references;

 private:
  friend class NodeLock;
  StateNode(const TypeOps& type, std::size_t payload, std::size_t key_size, int flags) noexcept
      : flags_(static_cast<std::uint8_t>(flags)),
        words_before_key_(static_cast<std::uint8_t>(payload / sizeof(Word))),
        key_size_(static_cast<std::uint16_t>(key_size)),
        type_(type) {}
  ~StateNode() = default;

  static constexpr std::size_t words_of(std::size_t size) noexcept { return (size + sizeof(Word) - 1) / sizeof(Word); }
  static bool all_zero(const void* object, std::size_t size) noexcept {
    const auto* const bytes = static_cast<const unsigned char*>(object);
    for (std::size_t i = 0; i < size; ++i) {
      if (bytes[i]) return false;
    }
    return true;
  }

  void refer_if_new() noexcept {
    if (raw_version() <= 0) [[unlikely]]
      references.add();
  }
  std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  const std::byte* payload() const noexcept { return reinterpret_cast<const std::byte*>(this + 1); }
  Word* words() noexcept { return std::launder(reinterpret_cast<Word*>(payload())); }
  const Word* words() const noexcept { return std::launder(reinterpret_cast<const Word*>(payload())); }
  Word* initial_words() noexcept { return words() + words_of(type_.size); }

  // Each word with acquire or release, rather than a fence for all: the same on x86, and ThreadSanitizer knows it.
  template <class T>
  static T read_words(const Word* from) noexcept {
    std::array<std::uint64_t, words_of(sizeof(T))> copy;
    for (std::uint64_t& word : copy) word = (from++)->load(std::memory_order_acquire);
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), copy.data(), sizeof(T));
    return std::bit_cast<T>(bytes);
  }
  void read_words(const Word* from, std::byte* to) const noexcept {
    const std::size_t size = words_of(type_.size);
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t word = from[i].load(std::memory_order_acquire);
      std::memcpy(to + i * sizeof word, &word, sizeof word);
    }
  }
  static void write_words(Word* to, const void* from, std::size_t size) noexcept {
    const auto* bytes = static_cast<const std::byte*>(from);
    for (; size > 0; ++to) {
      const std::size_t part = size < sizeof(Word) ? size : sizeof(Word);
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, part);
      to->store(word, std::memory_order_release);
      bytes += part;
      size -= part;
    }
  }

  /// Odd while it is locked, by an exchange rather than a comparison, which takes longer. The number that it was is
  /// given to whoever locks it.
  std::uint32_t lock() noexcept {
    std::uint32_t sequence = sequence_.exchange(1, std::memory_order_acquire);
    if (sequence & 1) [[unlikely]] {
      Backoff backoff;
      do {
        while (sequence_.load(std::memory_order_relaxed) & 1) backoff.wait();
        sequence = sequence_.exchange(1, std::memory_order_acquire);
      } while (sequence & 1);
    }
    return sequence;
  }
  void unlock(std::uint32_t sequence) noexcept { sequence_.store(sequence + 2, std::memory_order_release); }

  // All that is short side by side, so that a node is a few words.
  std::atomic<std::uint8_t> flags_;
  const std::uint8_t words_before_key_;
  const std::uint16_t key_size_;
  std::atomic<std::uint32_t> sequence_{0};  // begins anew after 2^32, as that of Linux's seqlocks
  std::atomic<std::int64_t> version_{0};    // not positive: there is no value, and this is minus the last version
  const TypeOps& type_;
};

inline NodeLock::NodeLock(StateNode& node) noexcept : node_(&node), sequence_(node.lock()) {}
inline void NodeLock::unlock() noexcept {
  if (node_) std::exchange(node_, nullptr)->unlock(sequence_);
}

static_assert(longest_key <= std::numeric_limits<std::uint16_t>::max());

}  // namespace atom::inline v0_1::detail

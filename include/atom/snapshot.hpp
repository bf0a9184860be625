// The values of a store, by key: what a request hands to the page, and what a store starts from.
// A snapshot is a plain value: it can be copied, kept, compared, and read on any thread.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/inline_vector.hpp>
#include <atom/detail/sorted_runs.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/registry.hpp>
#include <atom/value.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory_resource>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {
class Layers;
}

/// Where values come from. What comes from a client changes client-writable atoms only, after their `before_update`.
enum class Trust : std::uint8_t { server, client };

/// An insertion-ordered map of keys to values. Looking a key up takes constant time; among keys that were chosen to
/// have one hash, the square of the logarithm of how many they are.
class Snapshot {
 public:
  /// A key and its value; `const auto& [key, value] = entry` works.
  class Entry {
   public:
    std::string_view key;
    Value value;
    /// Marked server-only by its atom: text for a client leaves it out.
    bool server_only() const noexcept { return server_only_; }

    Entry(const Entry& other)
        : key(other.key), value(other.value), hash_(other.hash_), server_only_(other.server_only_) {
      if (other.owned_) own_key();
    }
    Entry(Entry&& other) noexcept
        : key(other.key),
          value(std::move(other.value)),
          hash_(other.hash_),
          server_only_(other.server_only_),
          owned_(std::exchange(other.owned_, nullptr)) {}
    Entry& operator=(const Entry&) = delete;
    ~Entry() { delete[] owned_; }

   private:
    friend class Snapshot;
    friend class AtomStore;
    friend class detail::Layers;
    template <class, std::size_t>
    friend class detail::InlineVector;
    /// With the key of a definition, which lives for ever, but for an atom of a family.
    explicit Entry(const detail::Definition& definition)
        : key(definition.key), hash_(definition.hash), server_only_(definition.server_only) {
      if (definition.family) [[unlikely]]
        own_key();
    }
    Entry(const detail::Definition& definition, Value v) : Entry(definition) { value = std::move(v); }
    Entry(std::string_view k, std::uint32_t hash, Value v) : key(k), value(std::move(v)), hash_(hash) {
      own_key();
      mark_declared();
    }
    /// A mark is never taken away.
    void mark(bool server_only) noexcept { server_only_ = server_only_ || server_only; }
    /// As the atom that has this key now is, if there is one.
    void mark_declared() noexcept {
      const auto* const definition = detail::Registry::instance().find_declared(key, hash_);
      if (definition) mark(definition->server_only);
    }
    void own_key() {
      owned_ = new char[key.size()];
      key.copy(owned_, key.size());
      key = {owned_, key.size()};
    }

    std::uint32_t hash_;
    bool server_only_ = false;
    char* owned_ = nullptr;
  };

  Snapshot() noexcept = default;
  /// `Snapshot{{"locale", "fr"}, {"theme", "dark"}}`; the last value of a key wins.
  Snapshot(std::initializer_list<std::pair<std::string_view, Value>> values) : Snapshot() {
    for (const auto& [key, value] : values) set(key, value);
  }
  Snapshot(const Snapshot& other) : Snapshot() {
    entries_ = other.entries_;
    trust_ = other.trust_;
    if (entries_.size() > searched_plainly) build_index();
  }
  Snapshot(Snapshot&& other) noexcept
      : entries_(std::move(other.entries_)), index_(std::exchange(other.index_, nullptr)), trust_(other.trust_) {}
  Snapshot& operator=(Snapshot other) noexcept {
    entries_ = std::move(other.entries_);
    std::swap(index_, other.index_);
    trust_ = other.trust_;
    return *this;
  }
  ATOM_INLINE ~Snapshot() {
    if (index_) [[unlikely]]
      drop_index();
  }

  std::size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  const Entry* begin() const noexcept { return entries_.begin(); }
  const Entry* end() const noexcept { return entries_.end(); }

  /// The value of `key`, or null.
  const Value* find(std::string_view key) const noexcept { return find(key, detail::hash_key(key)); }
  bool contains(std::string_view key) const noexcept { return find(key); }

  /// The value of `key`; throws Error if there is none, TypeMismatch if it is not exactly a T.
  template <class T>
  const T& get(std::string_view key) const {
    if (const Value* value = find(key)) return value->get<T>();
    missing(key);
  }
  template <class T>
  const T& get(const Atom<T>& atom) const {
    return get<T>(atom.key());
  }
  /// The value of `key`, or null if there is none or it is not exactly a T.
  template <class T>
  const T* try_get(std::string_view key) const noexcept {
    const Value* value = find(key);
    return value ? value->try_get<T>() : nullptr;
  }

  /// Sets the value of `key`, in its old place or at the end. It is server-only if its atom is, or if the value before
  /// was.
  Snapshot& set(std::string_view key, Value value) {
    const std::uint32_t hash = detail::hash_key(key);
    if (Entry* entry = find_entry(key, hash)) {
      entry->value = std::move(value);
      entry->mark_declared();
    } else {
      append(key, hash, std::move(value));
    }
    return *this;
  }
  template <class T>
  Snapshot& set(const Atom<T>& atom, std::type_identity_t<T> value) {
    const detail::Definition& definition = atom.definition();
    if (Entry* entry = find_entry(definition.key, definition.hash)) {
      entry->value = Value(std::move(value));
      entry->mark(definition.server_only);
    } else {
      append(definition, Value(std::move(value)));
    }
    return *this;
  }
  /// Sets all that `other` holds. A value is marked server-only if it was in either.
  Snapshot& merge(const Snapshot& other) {
    for (const Entry& theirs : other) {
      Entry* const mine = find_entry(theirs.key, theirs.hash_);
      if (mine) {
        mine->value = theirs.value;
        mine->mark(theirs.server_only_);
      } else {
        append(theirs);
      }
    }
    if (other.trust_ == Trust::client) trust_ = Trust::client;
    return *this;
  }

  /// What happened since `before`: `before.apply(after.diff(before))` equals `after`. An entry has changed if its value
  /// is not `==` to the one before or its mark is another; a value whose type has no `==` (parsed text that is not
  /// decoded, too) always has.
  SnapshotDiff diff(const Snapshot& before) const;
  /// Takes out what the diff removed, and sets what it changed as `merge` does. If this throws, nothing has changed.
  Snapshot& apply(const SnapshotDiff& diff);

  /// Where the values come from: Trust::server unless it was parsed from text, or merged with one that was.
  Trust trust() const noexcept { return trust_; }
  /// Says where they come from. What a client sent is Trust::client, whoever wrote it into a snapshot.
  Snapshot& set_trust(Trust trust) noexcept {
    trust_ = trust;
    return *this;
  }

  /// Equal values under equal keys, in any order. A value whose type has no `==` is equal to none.
  friend bool operator==(const Snapshot& a, const Snapshot& b) {
    if (a.size() != b.size()) return false;
    for (const Entry& entry : a) {
      const Value* const other = b.find(entry.key);
      if (!other || !(entry.value == *other)) return false;
    }
    return true;
  }

 private:
  friend class AtomStore;
  friend class detail::Layers;
  friend class detail::SessionHook;
  static constexpr std::size_t searched_plainly = 16;  // above that, an index is built
  /// Where a key's entry is: open addressing, 0, or one more than its place. Keys may be a stranger's, who can choose
  /// such as have one hash: those that find no place near their home are sorted by key.
  struct Index {
    static constexpr std::uint32_t nearby = 32;
    explicit Index(std::uint32_t size) : places(new std::uint32_t[size]()), mask(size - 1) {}
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;
    ~Index() { delete[] places; }
    detail::SortedRuns<std::uint32_t> crowded_out{*std::pmr::new_delete_resource()};
    std::uint32_t* const places;
    const std::uint32_t mask;
  };

  const Value* find(std::string_view key, std::uint32_t hash) const noexcept {
    const Entry* const entry = find_entry(key, hash);
    return entry ? &entry->value : nullptr;
  }
  const Entry* find_entry(std::string_view key, std::uint32_t hash) const noexcept {
    return const_cast<Snapshot*>(this)->find_entry(key, hash);
  }
  Entry* find_entry(std::string_view key, std::uint32_t hash) noexcept {
    const auto is_it = [&](const Entry& entry) { return entry.hash_ == hash && detail::same_text(entry.key, key); };
    if (!index_) {
      for (Entry& entry : entries_) {
        if (is_it(entry)) return &entry;
      }
      return nullptr;
    }
    const std::uint32_t end = hash + Index::nearby;
    for (std::uint32_t i = hash; i != end; ++i) {
      const std::uint32_t place = index_->places[i & index_->mask];
      if (place == 0) return nullptr;
      if (Entry& entry = entries_.begin()[place - 1]; is_it(entry)) return &entry;
    }
    return find_crowded_out(key);
  }
  template <class... Args>
  Entry& append(Args&&... args) {
    Entry& entry = entries_.emplace_back(std::forward<Args>(args)...);
    if (entries_.size() > searched_plainly) [[unlikely]]
      index_last();
    return entry;
  }
  void index_last() {
    if (!index_ || 2 * entries_.size() > index_->mask) return build_index();
    put_in_index(static_cast<std::uint32_t>(entries_.size()));
  }
  ATOM_NOINLINE void build_index() {
    std::uint32_t size = 64;
    while (size < 4 * entries_.size()) size *= 2;
    if (index_) drop_index();
    index_ = new Index(size);
    for (std::uint32_t place = 1; place <= entries_.size(); ++place) put_in_index(place);
  }
  void put_in_index(std::uint32_t place) {
    const Entry& entry = entries_[place - 1];
    for (std::uint32_t i = 0; i < Index::nearby; ++i) {
      std::uint32_t& there = index_->places[(entry.hash_ + i) & index_->mask];
      if (there != 0) continue;
      there = place;
      return;
    }
    crowd_out(entry.key, place);
  }
  ATOM_COLD void crowd_out(std::string_view key, std::uint32_t place) {
    try {
      index_->crowded_out.add(key, place);
    } catch (...) {
      drop_index();  // entries are searched plainly
      throw;
    }
  }
  ATOM_COLD void drop_index() noexcept { delete std::exchange(index_, nullptr); }
  ATOM_COLD Entry* find_crowded_out(std::string_view key) noexcept {
    Entry* found = nullptr;
    index_->crowded_out.each(key, [&](std::uint32_t place) { found = &entries_.begin()[place - 1]; });
    return found;
  }
  [[noreturn]] ATOM_COLD static void missing(std::string_view key) {
    throw Error("the snapshot has no value for \"" + std::string(key) + "\"");
  }

  detail::InlineVector<Entry, 6> entries_;
  Index* index_ = nullptr;
  Trust trust_ = Trust::server;
};

/// What has to be done to one snapshot to make another of it.
struct SnapshotDiff {
  Snapshot changed;  ///< what is new or differs, as it is now
  Snapshot removed;  ///< what is there no more, as it was
  bool empty() const noexcept { return changed.empty() && removed.empty(); }
};

inline SnapshotDiff Snapshot::diff(const Snapshot& before) const {
  SnapshotDiff diff;
  diff.changed.trust_ = trust_;
  diff.removed.trust_ = before.trust_;
  for (const Entry& now : *this) {
    const Entry* const old = before.find_entry(now.key, now.hash_);
    const bool same = old && old->server_only_ == now.server_only_ && old->value == now.value;
    if (!same) diff.changed.append(now);
  }
  for (const Entry& old : before) {
    if (!find(old.key, old.hash_)) diff.removed.append(old);
  }
  return diff;
}
inline Snapshot& Snapshot::apply(const SnapshotDiff& diff) {
  Snapshot next;
  next.trust_ = trust_;
  for (const Entry& entry : *this) {
    if (!diff.removed.find(entry.key, entry.hash_)) next.append(entry);
  }
  next.merge(diff.changed);
  return *this = std::move(next);
}

template <std::size_t I>
const auto& get(const Snapshot::Entry& entry) noexcept {
  if constexpr (I == 0) {
    return entry.key;
  } else {
    return (entry.value);
  }
}

}  // namespace atom::inline v0_1

template <>
struct std::tuple_size<atom::Snapshot::Entry> : std::integral_constant<std::size_t, 2> {};
template <>
struct std::tuple_element<0, atom::Snapshot::Entry> {
  using type = const std::string_view;
};
template <>
struct std::tuple_element<1, atom::Snapshot::Entry> {
  using type = const atom::Value;
};

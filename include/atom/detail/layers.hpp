// The snapshots that a store was hydrated with, newest first. Atoms refer to values in them until their first write, so
// hydrating copies nothing; a value also waits here for an atom that is used later.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/detail/encoded.hpp>
#include <atom/error.hpp>
#include <atom/hydrate.hpp>
#include <atom/registry.hpp>
#include <atom/snapshot.hpp>
#include <atom/value.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// Something that stands for a Snapshot and keeps it alive, such as a std::shared_ptr<const Snapshot>.
template <class P>
concept snapshot_pointer = std::is_nothrow_move_constructible_v<P> && !std::is_pointer_v<P> && requires(const P& p) {
  { *p } -> std::same_as<const Snapshot&>;
};

namespace detail {

/// That what an atom starts from is being made, which may run code of the program's: that must not come back for it.
/// Lies on the stack of whoever makes it.
class Underway {
 public:
  /// Throws CycleError if it is there already.
  Underway(Underway*& innermost, const Definition& definition)
      : innermost_(innermost), outer_(innermost), definition_(definition) {
    for (const Underway* other = outer_; other; other = other->outer_) {
      if (other->definition_.hash == definition.hash && other->definition_.key == definition.key) refuse();
    }
    innermost_ = this;
  }
  Underway(const Underway&) = delete;
  Underway& operator=(const Underway&) = delete;
  ~Underway() { innermost_ = outer_; }

 private:
  [[noreturn]] ATOM_COLD void refuse() const {
    throw CycleError("atom \"" + definition_.key +
                     "\" is used while it is being made, by its own Factory, before_update, codec or adapter");
  }

  Underway*& innermost_;
  Underway* const outer_;
  const Definition& definition_;
};

/// Whether a value may become an atom's, and as what.
class Judgement {
 public:
  /// `before` is what `before_update` is shown as the value before.
  Judgement(std::string_view key, const Definition& definition, const void* before, const Value& value, Trust from)
      : key_(key) {
    const TypeOps& type = definition.type;
    if (definition.derived) {
      reject(Rejection::Cause::derived, "the atom is derived: it is computed from others");
      return;
    }
    if (from == Trust::client && !definition.client_writable) {
      reject(Rejection::Cause::not_writable, "the atom is not client-writable");
      return;
    }
    if (!type.shareable) {
      reject(Rejection::Cause::shared, "a " + std::string(type.name) + " would be shared");
      return;
    }
    accepted_ = &value;
    if (!value.is(type) && !convert(definition, value)) return;
    if (from == Trust::client && definition.has_before_update) ask(definition, before);
  }
  Judgement(const Judgement&) = delete;
  Judgement& operator=(const Judgement&) = delete;

  const std::optional<Rejection>& rejection() const noexcept { return rejection_; }
  /// The value to take, exactly of the atom's type.
  const Value& accepted() const noexcept { return *accepted_; }

 private:
  /// Whether there is a value then.
  bool convert(const Definition& definition, const Value& value) {
    const TypeOps& type = definition.type;
    DecodeError error;
    try {
      converted_ = value.convert(type, error, definition.server_only ? MapKeys::hidden : MapKeys::named);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {  // what it says may hold the value
      reject(Rejection::Cause::type, "its codec has thrown");
      return false;
    }
    accepted_ = &converted_;
    if (converted_.has_value()) return true;
    if (definition.server_only) error.found.clear();  // it may be a secret, and reports go into logs
    if (error.expected.empty()) error = {{}, std::string(type.name), std::string(value.type_name())};
    if (!error.path.empty()) error.prepend(key_);
    reject(Rejection::Cause::type, error.message());
    return false;
  }
  void ask(const Definition& definition, const void* before) {
    const void* const next = accepted_->data();
    try {
      converted_ = definition.before_update(next, before ? before : next);
      accepted_ = &converted_;
    } catch (const std::exception& error) {
      reject(Rejection::Cause::refused, std::string("before_update refused it: ") + error.what());
    } catch (...) {
      reject(Rejection::Cause::refused, "before_update refused it");
    }
  }
  void reject(Rejection::Cause cause, std::string reason) {
    rejection_ = Rejection{std::string(key_), cause, std::move(reason)};
  }

  const std::string_view key_;
  const Value* accepted_ = nullptr;
  Value converted_;
  std::optional<Rejection> rejection_;
};

/// The values of one `hydrate`; or one key, for which older layers do not count any more.
class Layer : public Disposable {
 public:
  explicit Layer(Trust from) noexcept : trust(from) {}
  void clear(Hold&) noexcept override {}

  const Snapshot* snapshot = nullptr;  // null: a key is hidden
  std::string_view hidden;
  std::uint32_t hidden_hash = 0;
  const Trust trust;  // client: values of keys that no template had; they are judged when an atom asks
  bool lasts = false;
  Layer* older = nullptr;

 protected:
  ~Layer() = default;
};

/// A key that is hidden, by a definition that lives for ever, or of an atom of a family.
struct HiddenKey {
  explicit HiddenKey(const Definition& definition) : key(definition.key), hash(definition.hash) {
    if (definition.family) key = copy = definition.key;
  }
  HiddenKey(HiddenKey&& other) noexcept
      : copy(std::move(other.copy)), key(copy.empty() ? other.key : copy), hash(other.hash) {}
  std::string copy;
  std::string_view key;
  std::uint32_t hash;
};

/// Owner is a Snapshot, a snapshot_pointer, or a HiddenKey.
template <class Owner>
class LayerOf final : public Layer {
 public:
  LayerOf(Arena& arena, Owner&& owner, Trust from) noexcept : Layer(from), arena_(arena), owner_(std::move(owner)) {
    static_assert(std::is_nothrow_move_constructible_v<Owner>);
    if constexpr (std::same_as<Owner, Snapshot>) {
      snapshot = &owner_;
    } else if constexpr (std::same_as<Owner, HiddenKey>) {
      hidden = owner_.key;
      hidden_hash = owner_.hash;
    } else {
      snapshot = &*owner_;
    }
  }
  void free() noexcept override { arena_.end(*this); }

 private:
  Arena& arena_;
  Owner owner_;
};

class Layers {
 public:
  explicit Layers(Arena& arena) noexcept : arena_(arena) {}
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;

  bool empty() const noexcept { return !newest_; }
  /// So many that it is time for a `sweep`.
  bool many() const noexcept {
    std::size_t count = 0;
    for (const Layer* layer = newest_; layer; layer = layer->older) ++count;
    return count >= limit_;
  }
  /// Values that turned out to be wrong when an atom asked for them.
  const std::vector<Rejection>& rejected() const noexcept { return rejected_; }

  const Layer* newest() const noexcept { return newest_; }
  /// Frees what was put on top of `layer` since it was the newest, but for what lasts; no atom has a value of it any
  /// more.
  void forget_above(const Layer* layer) noexcept {
    for (Layer** link = &newest_; *link != layer;) {
      if ((*link)->lasts) {
        link = &(*link)->older;
      } else {
        std::exchange(*link, (*link)->older)->free();
      }
    }
  }
  /// The newest layer is what an atom was restored to: a transaction that fails does not take it back.
  void keep_newest() noexcept { newest_->lasts = true; }

  /// Puts a snapshot on top and returns it, at the place where it stays.
  template <class Owner>
  const Snapshot& push(Owner owner, Trust from) {
    return *put<Owner>(std::move(owner), from).snapshot;
  }

  /// The value that waits for an atom, exactly of its type, or null. Stays where it is while an atom
  /// refers to it.
  ATOM_NOINLINE const void* find(const Definition& definition) {
    bool rejected = false;
    for (const Layer* layer = newest_; layer; layer = layer->older) {
      if (!layer->snapshot) {
        if (layer->hidden != definition.key) continue;
        break;
      }
      const Snapshot::Entry* const entry = layer->snapshot->find_entry(definition.key, definition.hash);
      if (!entry) continue;
      const Value& value = entry->value;
      const bool fits = value.is(definition.type) && definition.type.shareable;
      if (layer->trust == Trust::server && fits && !rejected) return value.data();
      if (const void* const judged = judge(definition, *entry, layer->trust)) return judged;
      rejected = true;
    }
    if (rejected) hide(definition);
    return nullptr;
  }

  /// From now on, what is here for this key does not count.
  void hide(const Definition& definition) {
    for (const Layer* layer = newest_; layer; layer = layer->older) {
      if (!mentions(*layer, definition.key, definition.hash)) continue;
      if (layer->snapshot) put(HiddenKey(definition), Trust::server);
      return;
    }
  }

  /// Calls `visit(entry, trust)` for what counts of each key, newest layer first.
  template <class Visit>
  void for_each(Visit visit) const {
    Snapshot seen;
    for (const Layer* layer = newest_; layer; layer = layer->older) {
      if (!layer->snapshot) {
        seen.set(layer->hidden, Value());
        continue;
      }
      for (const Snapshot::Entry& entry : *layer->snapshot) {
        if (seen.contains(entry.key)) continue;
        visit(entry, layer->trust);
        seen.set(entry.key, Value());
      }
    }
  }

  /// Frees the layers in which nothing counts any more, so that a store which is hydrated again and again does not
  /// grow. `needed(entry, newest)` says whether a value does; `newest`: no later layer has its key. Values stay where
  /// they are.
  template <class Needed>
  void sweep(Needed needed) noexcept {
    std::size_t kept = 0;
    for (Layer** link = &newest_; *link;) {
      Layer& layer = **link;
      if (counts(layer, needed)) {
        link = &layer.older;
        ++kept;
      } else {
        *link = layer.older;
        layer.free();
      }
    }
    limit_ = std::max(fewest, 2 * kept);
  }

  /// Gives all layers to the graveyard: atoms that refer to them may be there too.
  void retire(Delivery& delivery) noexcept {
    while (newest_) delivery.bury(*std::exchange(newest_, newest_->older));
    rejected_.clear();
  }
  void free_all() noexcept {
    while (newest_) std::exchange(newest_, newest_->older)->free();
  }

 private:
  static constexpr std::size_t fewest = 16;

  template <class Owner>
  Layer& put(Owner owner, Trust from) {
    void* const place = arena_.acquire(sizeof(LayerOf<Owner>), alignof(LayerOf<Owner>));
    auto* const layer = ::new (place) LayerOf<Owner>(arena_, std::move(owner), from);
    layer->older = std::exchange(newest_, layer);
    return *layer;
  }
  static bool mentions(const Layer& layer, std::string_view key, std::uint32_t hash) noexcept {
    return layer.snapshot ? layer.snapshot->find(key, hash) != nullptr : layer.hidden == key;
  }
  template <class Needed>
  bool counts(const Layer& layer, Needed needed) const noexcept {
    if (!layer.snapshot) {
      const Layer* older = layer.older;
      while (older && !(older->snapshot && mentions(*older, layer.hidden, layer.hidden_hash))) older = older->older;
      return older;
    }
    for (const Layer* newer = newest_; newer != &layer; newer = newer->older) {
      if (newer->snapshot == layer.snapshot) return false;  // shared, and there once more
    }
    for (const Snapshot::Entry& entry : *layer.snapshot) {
      const Layer* newer = newest_;
      while (newer != &layer && !mentions(*newer, entry.key, entry.hash_)) newer = newer->older;
      if (needed(entry, newer == &layer)) return true;
    }
    return false;
  }
  /// The value to take, or null if it is rejected.
  ATOM_COLD const void* judge(const Definition& definition, const Snapshot::Entry& entry, Trust from) {
    const Underway judged(judged_, definition);
    const Judgement judgement(definition.key, definition, definition.default_value, entry.value, from);
    if (!judgement.rejection()) return remember(definition, judgement.accepted(), entry.server_only_);
    rejected_.push_back(*judgement.rejection());
    return nullptr;
  }
  const void* remember(const Definition& definition, const Value& value, bool server_only) {
    Snapshot found;
    found.append(definition, value).mark(server_only);
    return push(std::move(found), Trust::server).find(definition.key, definition.hash)->data();
  }

  Arena& arena_;
  Layer* newest_ = nullptr;
  std::size_t limit_ = fewest;
  std::vector<Rejection> rejected_;
  Underway* judged_ = nullptr;
};

}  // namespace detail
}  // namespace atom::inline v0_1

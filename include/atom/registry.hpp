// All templates of the process, by key. The registry serves introspection and the checks of `hydrate`, never
// correctness: a program and its plugins may have two of them. Definitions are never freed, so that no address is ever
// taken for another's, and reading needs no lock.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/definition.hpp>
#include <atom/fwd.hpp>
#include <atom/key.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

namespace atom::inline v0_1 {

/// Two live templates that claim one key.
struct KeyClash {
  AtomInfo first;
  AtomInfo second;
};

namespace detail {

/// An open-addressing table of chains, one chain a key. Readers take no lock; writers take one.
class ATOM_API Registry {
 public:
  static Registry& instance() {
    static Registry* const registry = new Registry;  // never destroyed: it outlives every static
    return *registry;
  }

  void add(Definition& definition) {
    const std::scoped_lock lock(writers_);
    if (Table* const table = table_.load(std::memory_order_relaxed); 2 * (keys_ + 1) > table->mask) grow(*table);
    std::atomic<Definition*>& slot = slot_of(definition.key, definition.hash);
    Definition* head = slot.load(std::memory_order_relaxed);
    if (!head) {
      ++keys_;
    } else if (!head->alive_.load(std::memory_order_relaxed)) {
      retire(*head);
      head = nullptr;
    }
    definition.older_.store(head, std::memory_order_relaxed);
    definition.clash_.store(clash_of(definition), std::memory_order_release);
    slot.store(&definition, std::memory_order_release);
  }

  void remove(Definition& definition) noexcept {
    const std::scoped_lock lock(writers_);
    definition.alive_.store(false, std::memory_order_release);
    std::atomic<Definition*>& slot = slot_of(definition.key, definition.hash);
    std::atomic<Definition*>* link = &slot;
    while (link->load(std::memory_order_relaxed) != &definition) link = &link->load(std::memory_order_relaxed)->older_;
    Definition* const older = definition.older_.load(std::memory_order_relaxed);
    if (link == &slot && !older) return;  // the last of its key stays in the slot, dead
    link->store(older, std::memory_order_release);
    retire(definition);
    for (Definition* d = slot.load(std::memory_order_relaxed); d; d = d->older_.load(std::memory_order_relaxed)) {
      d->clash_.store(clash_of(*d), std::memory_order_release);
    }
  }

  /// The oldest live definition of a key, or null. Never blocks.
  const Definition* find(std::string_view key, std::uint32_t hash) const noexcept {
    const Table* const table = table_.load(std::memory_order_acquire);
    const Definition* found = nullptr;
    for (std::uint32_t i = hash;; ++i) {
      const Definition* d = table->slots[i & table->mask].load(std::memory_order_acquire);
      if (!d) return nullptr;
      if (d->hash != hash || d->key != key) continue;
      for (; d; d = d->older_.load(std::memory_order_acquire)) {
        if (d->alive_.load(std::memory_order_acquire)) found = d;
      }
      return found;
    }
  }

  /// The same, or the family in which an atom has this key.
  const Definition* find_declared(std::string_view key, std::uint32_t hash) const noexcept {
    if (const Definition* const definition = find(key, hash)) return definition;
    const std::size_t slash = key.rfind('/');
    if (slash == key.npos) return nullptr;
    const std::string_view prefix = key.substr(0, slash);
    const Definition* const family = find(prefix, hash_key(prefix));
    return family && family->is_family ? family : nullptr;
  }

  /// Calls `visit(definition)` for each live definition, in no order. Writers wait meanwhile.
  template <class Visit>
  void for_each(Visit visit) const {
    const std::scoped_lock lock(writers_);
    const Table& table = *table_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i <= table.mask; ++i) {
      for (const Definition* d = table.slots[i].load(std::memory_order_relaxed); d;
           d = d->older_.load(std::memory_order_relaxed)) {
        if (d->alive_.load(std::memory_order_relaxed)) visit(*d);
      }
    }
  }

 private:
  struct Table {
    explicit Table(std::uint32_t size, const Table* smaller)
        : mask(size - 1), slots(new std::atomic<Definition*>[size]), replaced(smaller) {
      for (std::uint32_t i = 0; i < size; ++i) slots[i].store(nullptr, std::memory_order_relaxed);
    }
    const std::uint32_t mask;
    std::atomic<Definition*>* const slots;
    const Table* const replaced;  // readers may still be in it
  };

  Registry() : table_(new Table(64, nullptr)) {}

  /// The slot of a key, or the free one that it would take.
  std::atomic<Definition*>& slot_of(std::string_view key, std::uint32_t hash) noexcept {
    Table& table = *table_.load(std::memory_order_relaxed);
    for (std::uint32_t i = hash;; ++i) {
      std::atomic<Definition*>& slot = table.slots[i & table.mask];
      const Definition* const d = slot.load(std::memory_order_relaxed);
      if (!d || (d->hash == hash && d->key == key)) return slot;
    }
  }
  void grow(const Table& old) {
    auto* const table = new Table(2 * (old.mask + 1), &old);
    for (std::uint32_t i = 0; i <= old.mask; ++i) {
      Definition* const d = old.slots[i].load(std::memory_order_relaxed);
      if (!d) continue;
      std::uint32_t j = d->hash;
      while (table->slots[j & table->mask].load(std::memory_order_relaxed)) ++j;
      table->slots[j & table->mask].store(d, std::memory_order_relaxed);
    }
    table_.store(table, std::memory_order_release);
  }
  static const Definition* clash_of(const Definition& definition) noexcept {
    const Definition* clash = nullptr;
    for (const Definition* d = definition.older_.load(std::memory_order_relaxed); d;
         d = d->older_.load(std::memory_order_relaxed)) {
      if (!d->same_variable(definition)) clash = d;
    }
    return clash;
  }
  /// Out of reach for new readers, but never freed: a snapshot may still refer to its default.
  void retire(Definition& definition) noexcept {
    definition.retired_ = retired_;
    retired_ = &definition;
  }

  mutable std::mutex writers_;
  std::atomic<Table*> table_;
  std::uint32_t keys_ = 0;
  Definition* retired_ = nullptr;
};

}  // namespace detail

/// The live template with this key, or null. Thread-safe; the template itself may end while you look at it, if it is
/// not at namespace scope.
inline const AtomBase* find(std::string_view key) noexcept {
  const detail::Definition* definition = detail::Registry::instance().find(key, detail::hash_key(key));
  return definition ? definition->atom : nullptr;
}

/// All live templates, in no order. Thread-safe.
inline std::vector<AtomInfo> registered() {
  std::vector<AtomInfo> all;
  detail::Registry::instance().for_each([&](const detail::Definition& d) { all.push_back(d.info()); });
  return all;
}

/// The live templates that claim a key which another already has: worth a check when a server starts. `use` of the
/// second of each pair throws KeyConflict. Thread-safe.
inline std::vector<KeyClash> conflicts() {
  std::vector<KeyClash> all;
  detail::Registry::instance().for_each([&](const detail::Definition& d) {
    if (const detail::Definition* first = d.clash()) all.push_back({first->info(), d.info()});
  });
  return all;
}

}  // namespace atom::inline v0_1

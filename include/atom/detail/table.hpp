// The clones of a store: one open-addressing table, hashed by key, verified by the identity of the template's
// definition. It serves `use`, lookup by key, and finds two definitions that share a key in the same probe.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/arena.hpp>
#include <atom/detail/sorted_runs.hpp>

#include <cstdint>
#include <memory_resource>
#include <new>
#include <string_view>

namespace atom::inline v0_1::detail {

/// Item has `hash()` and `key()`. Several identities may stand for one item (the same variable in two shared objects);
/// none of them is null.
///
/// The keys of a family's atoms may be a stranger's, who can choose such as have one hash. Where items come to lie far
/// from their home, all of them move to where they are sorted by key (Crowd), and nothing is found without its key.
template <class Item>
class Table {
 public:
  Table() noexcept { clear_inline(); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// The item of `identity`, or null. In a crowd, null: it is to be found with its key.
  Item* find(const void* identity, std::uint32_t hash) const noexcept {
    for (std::uint32_t i = hash >> shift_; slots_[i].item; i = (i + 1) & mask()) {
      if (slots_[i].identity == identity) [[likely]]
        return slots_[i].item;
    }
    return nullptr;
  }
  /// The item of `identity`, else one with that key, else null.
  ATOM_INLINE Item* find(const void* identity, std::uint32_t hash, std::string_view key) const noexcept {
    const std::uint32_t home = hash >> shift_;
    return slots_[home].identity ? find_from(home, identity, hash, key) : nullptr;
  }
  Item* find(std::uint32_t hash, std::string_view key) const noexcept { return find(nullptr, hash, key); }

  /// Makes sure that one more `insert` needs no memory.
  void reserve_one(Arena& arena) {
    if (room_ == 0) [[unlikely]]
      grow(arena);
  }
  void insert(const void* identity, Item& item) noexcept {
    const std::uint32_t home = item.hash() >> shift_;
    if (slots_[home].identity) return insert_beside(home, identity, item);
    slots_[home] = {identity, &item};
    --room_;
  }
  /// Removes all identities of the item.
  void erase(const Item& item) noexcept {
    if (Crowd* const all = crowd()) {
      return all->items.erase(item.key(), [&](const Slot& slot) { return slot.item == &item; });
    }
    std::uint32_t i = item.hash() >> shift_;
    while (slots_[i].item) {
      if (slots_[i].item == &item) {
        erase_slot(i);
      } else {
        i = (i + 1) & mask();
      }
    }
  }
  void clear(Arena& arena) noexcept {
    free(arena);
    slots_ = inline_;
    shift_ = inline_shift;
    clear_inline();
  }
  /// The end; only to be destroyed afterwards.
  void free(Arena& arena) noexcept {
    if (slots_ != inline_) free_slots(arena);
  }

 private:
  struct Slot {
    const void* identity;
    Item* item;
  };
  /// All items by key. The table's slots are then those in here, which hold this and no item.
  struct Crowd {
    explicit Crowd(std::pmr::memory_resource& memory) : items(memory), slots{{this, nullptr}, {this, nullptr}} {}
    ATOM_COLD Item* find(const void* identity, std::string_view key) const noexcept {
      Item* same_key = nullptr;
      Item* same = nullptr;
      items.each(key, [&](const Slot& slot) { (slot.identity == identity ? same : same_key) = slot.item; });
      return same ? same : same_key;
    }

    SortedRuns<Slot> items;
    Slot slots[2];
  };
  static constexpr std::uint32_t crowd_shift = 31;
  static constexpr std::uint32_t inline_shift = 28;  // 16 slots
  /// From its home. Where keys are nobody's choice, one of ten thousand items does not come to lie so far away.
  static constexpr std::uint32_t farthest = 256;
  std::uint32_t size() const noexcept { return mask() + 1; }
  std::uint32_t mask() const noexcept { return ~std::uint32_t{0} >> shift_; }

  /// How many slots of a table are filled at most.
  static constexpr std::uint32_t most(std::uint32_t size) noexcept { return 11 * size / 16; }

  void clear_inline() noexcept {
    room_ = most(1u << (32 - inline_shift));
    // One store each: g++ 12 would make `rep stos` of a loop or of {}, which takes four times as long.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 16
#endif
    for (Slot& slot : inline_) {
      slot.identity = nullptr;
      slot.item = nullptr;
    }
  }
  ATOM_NOINLINE Item* find_from(std::uint32_t i, const void* identity, std::uint32_t hash,
                                std::string_view key) const noexcept {
    Item* same_key = nullptr;
    do {
      if (slots_[i].identity == identity) return slots_[i].item;
      if (!slots_[i].item) [[unlikely]]
        return crowd()->find(identity, key);
      if (slots_[i].item->hash() == hash && slots_[i].item->key() == key) same_key = slots_[i].item;
      i = (i + 1) & mask();
    } while (slots_[i].identity);
    return same_key;
  }
  Crowd* crowd() const noexcept {
    const bool is_one = slots_[0].identity && !slots_[0].item;
    return is_one ? const_cast<Crowd*>(static_cast<const Crowd*>(slots_[0].identity)) : nullptr;
  }
  /// Not at home, where another one lies.
  ATOM_NOINLINE void insert_beside(std::uint32_t home, const void* identity, Item& item) noexcept {
    Slot* const slots = slots_;
    const std::uint32_t last = mask();
    if (!slots[home].item) [[unlikely]]
      return crowd()->items.add(item.key(), {identity, &item});
    std::uint32_t i = home;
    do i = (i + 1) & last;
    while (slots[i].item);
    slots[i] = {identity, &item};
    if (((i - home) & last) > farthest) [[unlikely]]
      room_ = 1;  // the next one makes a crowd of them
    --room_;
  }
  /// Closes the gap: each later slot of the run moves back, unless that would put it before its home.
  void erase_slot(std::uint32_t gap) noexcept {
    for (std::uint32_t i = (gap + 1) & mask(); slots_[i].item; i = (i + 1) & mask()) {
      const std::uint32_t home = slots_[i].item->hash() >> shift_;
      if (((i - home) & mask()) < ((i - gap) & mask())) continue;
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = {nullptr, nullptr};
    ++room_;
  }
  ATOM_COLD void grow(Arena& arena) {
    if (Crowd* const all = crowd()) return all->items.reserve_one();
    const std::uint32_t old_size = size();
    Slot* const old = slots_;
    std::uint32_t taken = 0;
    for (std::uint32_t i = 0; i < old_size; ++i) taken += old[i].item != nullptr;
    if (taken < most(old_size)) return make_crowd(arena);
    const std::uint32_t new_size = 2 * old_size;
    auto* const bigger = static_cast<Slot*>(arena.upstream().allocate(new_size * sizeof(Slot), alignof(Slot)));
    for (std::uint32_t i = 0; i < new_size; ++i) ::new (bigger + i) Slot{nullptr, nullptr};
    slots_ = bigger;
    --shift_;
    room_ = most(new_size);
    for (std::uint32_t i = 0; i < old_size; ++i) {
      if (old[i].item) insert(old[i].identity, *old[i].item);
    }
    if (old != inline_) arena.upstream().deallocate(old, old_size * sizeof(Slot), alignof(Slot));
  }
  ATOM_COLD void make_crowd(Arena& arena) {
    void* const place = arena.upstream().allocate(sizeof(Crowd), alignof(Crowd));
    auto* const all = ::new (place) Crowd(arena.upstream());
    try {
      for (std::uint32_t i = 0; i < size(); ++i) {
        if (slots_[i].item) all->items.add(slots_[i].item->key(), slots_[i]);
      }
      all->items.reserve_one();
    } catch (...) {
      free_crowd(arena, *all);
      throw;
    }
    free(arena);
    slots_ = all->slots;
    shift_ = crowd_shift;
    room_ = 0;  // of the table; each one that comes asks for a place among all
  }
  static void free_crowd(Arena& arena, Crowd& all) noexcept {
    all.~Crowd();
    arena.upstream().deallocate(&all, sizeof(Crowd), alignof(Crowd));
  }
  ATOM_COLD void free_slots(Arena& arena) noexcept {
    if (Crowd* const all = crowd()) return free_crowd(arena, *all);
    arena.upstream().deallocate(slots_, size() * sizeof(Slot), alignof(Slot));
  }

  Slot* slots_ = inline_;
  std::uint32_t shift_ = inline_shift;
  std::uint32_t room_;  // how many more fit in before it grows
  Slot inline_[16];
};

}  // namespace atom::inline v0_1::detail

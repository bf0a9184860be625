// The clones of a store: one open-addressing table, hashed by key, verified by the identity of the template's
// definition. It serves `use`, lookup by key, and finds two definitions that share a key in the same probe.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/arena.hpp>

#include <cstdint>
#include <new>
#include <string_view>

namespace atom::inline v0_1::detail {

/// Item has `hash()` and `key()`. Several identities may stand for one item (the same variable in two shared objects).
template <class Item>
class Table {
 public:
  Table() noexcept { clear_inline(); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// The item of `identity`, or null.
  Item* find(const void* identity, std::uint32_t hash) const noexcept {
    for (std::uint32_t i = hash >> shift_; slots_[i].item; i = (i + 1) & mask()) {
      if (slots_[i].identity == identity) [[likely]]
        return slots_[i].item;
    }
    return nullptr;
  }
  /// The item of `identity`, else one with that key, else null.
  ATOM_INLINE Item* find(const void* identity, std::uint32_t hash, std::string_view key) const noexcept {
    Item* same_key = nullptr;
    for (std::uint32_t i = hash >> shift_; slots_[i].item; i = (i + 1) & mask()) {
      if (slots_[i].identity == identity) return slots_[i].item;
      if (slots_[i].item->hash() == hash && slots_[i].item->key() == key) same_key = slots_[i].item;
    }
    return same_key;
  }
  Item* find(std::uint32_t hash, std::string_view key) const noexcept { return find(nullptr, hash, key); }

  /// Makes sure that one more `insert` needs no memory.
  void reserve_one(Arena& arena) {
    if (room_ == 0) [[unlikely]]
      grow(arena);
  }
  void insert(const void* identity, Item& item) noexcept {
    std::uint32_t i = item.hash() >> shift_;
    while (slots_[i].item) i = (i + 1) & mask();
    slots_[i] = {identity, &item};
    --room_;
  }
  /// Removes all identities of the item.
  void erase(const Item& item) noexcept {
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
    if (slots_ != inline_) arena.upstream().deallocate(slots_, size() * sizeof(Slot), alignof(Slot));
  }

 private:
  struct Slot {
    const void* identity;
    Item* item;
  };
  static constexpr std::uint32_t inline_shift = 28;  // 16 slots
  std::uint32_t size() const noexcept { return 1u << (32 - shift_); }
  std::uint32_t mask() const noexcept { return size() - 1; }

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
    const std::uint32_t old_size = size();
    Slot* const old = slots_;
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

  Slot* slots_ = inline_;
  std::uint32_t shift_ = inline_shift;
  std::uint32_t room_;  // how many more fit in before it grows
  Slot inline_[16];
};

}  // namespace atom::inline v0_1::detail

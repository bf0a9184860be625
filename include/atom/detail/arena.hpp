// The memory of one store: a few kilobytes inside the store, then blocks from the memory resource it was given.
// Freed pieces are kept by size and handed out again, so a store that lives long does not grow; everything goes at once
// when the store does. Not thread-safe, like the store.
#pragma once

#include <atom/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define ATOM_DETAIL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOM_DETAIL_ASAN 1
#endif
#endif
#if defined(ATOM_DETAIL_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace atom::inline v0_1::detail {

/// Free memory is poisoned under AddressSanitizer, so a stale reference into a store is found as a use after free.
inline void poison([[maybe_unused]] const void* place, [[maybe_unused]] std::size_t size) noexcept {
#if defined(ATOM_DETAIL_ASAN)
  ASAN_POISON_MEMORY_REGION(place, size);
#endif
}
inline void unpoison([[maybe_unused]] const void* place, [[maybe_unused]] std::size_t size) noexcept {
#if defined(ATOM_DETAIL_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(place, size);
#endif
}

class Arena final : public std::pmr::memory_resource {
 public:
  /// Null: the default memory resource, asked for when it is first needed.
  explicit Arena(std::pmr::memory_resource* upstream) noexcept
      : upstream_(upstream), free_(inline_), end_(inline_ + inline_size) {
    // One store each: g++ 12 would make `rep stos` of {}, which takes several times as long.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 16
#endif
    for (Free*& piece : pieces_) piece = nullptr;
    poison(inline_, inline_size);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() override {
    if (blocks_) free_blocks();
    unpoison(inline_, inline_size);
  }

  /// Memory that `recycle` takes back. Pieces over 256 bytes, or aligned to more than 16, come from upstream.
  ATOM_INLINE void* acquire(std::size_t size, std::size_t align) {
    if (!pooled(size, align)) [[unlikely]]
      return upstream().allocate(size, align);
    const std::size_t index = class_of(size);
    Free* const piece = pieces_[index];
    if (!piece) return bump((index + 1) * grain);
    unpoison(piece, (index + 1) * grain);
    pieces_[index] = piece->next;
    return piece;
  }
  void recycle(void* place, std::size_t size, std::size_t align) noexcept {
    if (!pooled(size, align)) [[unlikely]]
      return upstream().deallocate(place, size, align);
    recycle(place, class_of(size));
  }
  /// The same for a piece whose size class is known already.
  void recycle(void* place, std::size_t size_class) noexcept {
    pieces_[size_class] = ::new (place) Free{pieces_[size_class]};
    poison(place, (size_class + 1) * grain);
  }
  /// Ends an object that lies in a piece of its own, and is exactly a T.
  template <class T>
  void end(T& object) noexcept {
    object.~T();
    recycle(&object, sizeof(T), alignof(T));
  }
  static constexpr std::uint8_t no_piece = 255;
  /// The size class of a piece, or no_piece for what comes from upstream.
  static constexpr std::uint8_t size_class(std::size_t size, std::size_t align) noexcept {
    return pooled(size, align) ? static_cast<std::uint8_t>(class_of(size)) : no_piece;
  }

  /// Whether a piece of this size is the arena's own.
  static constexpr bool pooled(std::size_t size, std::size_t align) noexcept {
    return size <= largest && align <= grain;
  }

  std::pmr::memory_resource& upstream() noexcept {
    if (!upstream_) upstream_ = std::pmr::get_default_resource();
    return *upstream_;
  }

 private:
  static constexpr std::size_t grain = 16;
  static constexpr std::size_t largest = 256;
  static constexpr std::size_t inline_size = 1536;
  static constexpr std::size_t first_block = 4096;
  static constexpr std::size_t last_block = 65536;
  struct Free {
    Free* next;
  };
  struct alignas(grain) Block {
    Block* next;
    std::size_t size;
  };

  /// 1 to 16 bytes are class 0, 17 to 32 class 1, and so on.
  static constexpr std::size_t class_of(std::size_t size) noexcept { return size ? (size - 1) / grain : 0; }

  ATOM_INLINE void* bump(std::size_t size) {
    if (static_cast<std::size_t>(end_ - free_) < size) [[unlikely]]
      add_block();
    std::byte* const place = free_;
    free_ += size;
    unpoison(place, size);
    return place;
  }
  ATOM_COLD void add_block() {
    void* const memory = upstream().allocate(next_block_, grain);
    blocks_ = ::new (memory) Block{blocks_, next_block_};
    free_ = static_cast<std::byte*>(memory) + sizeof(Block);
    end_ = static_cast<std::byte*>(memory) + next_block_;
    poison(free_, next_block_ - sizeof(Block));
    next_block_ = std::min(next_block_ * 2, last_block);
  }
  ATOM_COLD void free_blocks() noexcept {
    while (blocks_) {
      Block* const block = blocks_;
      blocks_ = block->next;
      const std::size_t size = block->size;
      unpoison(block, size);
      upstream().deallocate(block, size, grain);
    }
  }

  void* do_allocate(std::size_t size, std::size_t align) override { return acquire(size, align); }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override { recycle(place, size, align); }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::pmr::memory_resource* upstream_;
  std::byte* free_;
  std::byte* end_;
  Block* blocks_ = nullptr;
  std::size_t next_block_ = first_block;
  Free* pieces_[largest / grain];  // free ones, by size class
  alignas(grain) std::byte inline_[inline_size];
};

/// A piece of an arena for a T, given back unless `release` is called.
template <class T, std::size_t Align = alignof(T)>
class Piece {
 public:
  explicit Piece(Arena& arena) : arena_(arena), place_(arena.acquire(sizeof(T), Align)) {}
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;
  ~Piece() {
    if (place_) arena_.recycle(place_, sizeof(T), Align);
  }
  void* place() const noexcept { return place_; }
  void release() noexcept { place_ = nullptr; }

 private:
  Arena& arena_;
  void* place_;
};

}  // namespace atom::inline v0_1::detail

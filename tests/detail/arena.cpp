#include <atom/detail/arena.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory_resource>
#include <new>
#include <random>
#include <utility>
#include <vector>

namespace arena_test {
namespace {

using atom::detail::Arena;

/// Knows what is out, and notices what comes back with another size or alignment.
class Upstream : public std::pmr::memory_resource {
 public:
  std::size_t pieces() const { return out_.size(); }
  int allocations = 0;
  int mismatches = 0;
  bool exhausted = false;

 private:
  void* do_allocate(std::size_t size, std::size_t align) override {
    if (exhausted) throw std::bad_alloc();
    ++allocations;
    void* const place = std::pmr::new_delete_resource()->allocate(size, align);
    out_[place] = {size, align};
    return place;
  }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override {
    const auto found = out_.find(place);
    if (found == out_.end() || found->second != std::pair(size, align)) {
      ++mismatches;
      return;
    }
    out_.erase(found);
    std::pmr::new_delete_resource()->deallocate(place, size, align);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::map<void*, std::pair<std::size_t, std::size_t>> out_;
};

bool lies_in(const void* place, const Arena& arena) {
  const auto* const p = static_cast<const std::byte*>(place);
  const auto* const begin = reinterpret_cast<const std::byte*>(&arena);
  return p >= begin && p < begin + sizeof(Arena);
}

TEST_CASE("a small piece lies in the arena itself and costs the upstream nothing") {
  Upstream upstream;
  Arena arena(&upstream);
  CHECK(lies_in(arena.acquire(1, 1), arena));
  CHECK(lies_in(arena.acquire(256, 16), arena));
  CHECK(upstream.allocations == 0);
}

TEST_CASE("a recycled piece is the next one of its size that is handed out") {
  Upstream upstream;
  Arena arena(&upstream);
  for (const std::size_t size : {1u, 15u, 16u, 17u, 48u, 255u, 256u}) {
    void* const first = arena.acquire(size, 8);
    void* const second = arena.acquire(size, 8);
    CHECK(first != second);
    arena.recycle(first, size, 8);
    arena.recycle(second, size, 8);
    CHECK(arena.acquire(size, 8) == second);
    CHECK(arena.acquire(size, 8) == first);
  }
}

TEST_CASE("pieces whose sizes round up to the same one are exchangeable, others are not") {
  Upstream upstream;
  Arena arena(&upstream);
  void* const piece = arena.acquire(17, 8);
  arena.recycle(piece, 17, 8);
  CHECK(arena.acquire(16, 8) != piece);
  CHECK(arena.acquire(33, 8) != piece);
  CHECK(arena.acquire(32, 8) == piece);
}

TEST_CASE("a piece of no bytes is a piece") {
  Upstream upstream;
  Arena arena(&upstream);
  void* const first = arena.acquire(0, 1);
  void* const second = arena.acquire(0, 1);
  REQUIRE(first);
  CHECK(first != second);
  arena.recycle(first, 0, 1);
  CHECK(arena.acquire(0, 1) == first);
}

TEST_CASE("pieces over 256 bytes, or aligned to more than 16, come from upstream and go back at once") {
  Upstream upstream;
  {
    Arena arena(&upstream);
    CHECK(Arena::pooled(256, 16));
    CHECK_FALSE(Arena::pooled(257, 16));
    CHECK_FALSE(Arena::pooled(8, 32));
    void* const big = arena.acquire(257, 8);
    void* const aligned = arena.acquire(8, 64);
    CHECK(upstream.pieces() == 2);
    CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0);
    arena.recycle(big, 257, 8);
    arena.recycle(aligned, 8, 64);
    CHECK(upstream.pieces() == 0);
  }
  CHECK(upstream.mismatches == 0);
}

TEST_CASE("every piece is aligned to sixteen bytes") {
  Upstream upstream;
  Arena arena(&upstream);
  for (std::size_t size = 1; size <= 256; size += 5) {
    CHECK(reinterpret_cast<std::uintptr_t>(arena.acquire(size, 16)) % 16 == 0);
  }
}

TEST_CASE("when its own memory is used up an arena takes blocks from upstream, and gives them all back") {
  Upstream upstream;
  {
    Arena arena(&upstream);
    for (int i = 0; i < 10'000; ++i) std::memset(arena.acquire(128, 16), i, 128);
    CHECK(upstream.allocations > 0);
    CHECK(upstream.allocations < 100);
  }
  CHECK(upstream.pieces() == 0);
  CHECK(upstream.mismatches == 0);
}

TEST_CASE("an arena that hands out and takes back does not grow") {
  Upstream upstream;
  Arena arena(&upstream);
  for (int i = 0; i < 10'000; ++i) {
    void* const a = arena.acquire(40, 8);
    void* const b = arena.acquire(200, 16);
    arena.recycle(a, 40, 8);
    arena.recycle(b, 200, 16);
  }
  CHECK(upstream.allocations == 0);
}

TEST_CASE("an upstream without memory leaves the arena as it was") {
  Upstream upstream;
  Arena arena(&upstream);
  std::vector<void*> pieces;
  upstream.exhausted = true;
  CHECK_THROWS_AS(
      [&] {
        for (;;) pieces.push_back(arena.acquire(64, 16));
      }(),
      std::bad_alloc);
  CHECK_THROWS_AS(arena.acquire(1000, 16), std::bad_alloc);
  CHECK_THROWS_AS(arena.acquire(64, 16), std::bad_alloc);
  REQUIRE_FALSE(pieces.empty());
  arena.recycle(pieces.back(), 64, 16);
  CHECK(arena.acquire(64, 16) == pieces.back());
  upstream.exhausted = false;
  CHECK(arena.acquire(64, 16));
}

TEST_CASE("an arena without an upstream takes the default resource of the moment of its first need") {
  Upstream upstream;
  {
    Arena arena(nullptr);
    std::pmr::memory_resource* const before = std::pmr::set_default_resource(&upstream);
    void* const piece = arena.acquire(1000, 8);
    std::pmr::set_default_resource(before);
    CHECK(upstream.pieces() == 1);
    arena.recycle(piece, 1000, 8);
  }
  CHECK(upstream.pieces() == 0);
  CHECK(upstream.mismatches == 0);
}

TEST_CASE("an arena is a memory resource that equals itself alone") {
  Arena arena(nullptr);
  Arena other(nullptr);
  std::pmr::memory_resource& resource = arena;
  CHECK(resource == arena);
  CHECK_FALSE(resource == other);
  std::pmr::vector<int> numbers({1, 2, 3}, &arena);
  CHECK(lies_in(numbers.data(), arena));
  const int* const place = numbers.data();
  std::pmr::vector<int>(&arena).swap(numbers);
  CHECK(arena.acquire(3 * sizeof(int), alignof(int)) == place);
}

TEST_CASE("pieces never overlap, whatever is handed out and taken back in between") {
  struct Piece {
    unsigned char* place;
    std::size_t size;
    std::size_t align;
    unsigned char mark;
  };
  Upstream upstream;
  {
    Arena arena(&upstream);
    std::mt19937 random(7);
    std::vector<Piece> pieces;
    int damaged = 0;
    const auto give_back = [&](std::size_t index) {
      const Piece piece = pieces[index];
      for (std::size_t i = 0; i < piece.size; ++i) damaged += piece.place[i] != piece.mark;
      arena.recycle(piece.place, piece.size, piece.align);
      pieces[index] = pieces.back();
      pieces.pop_back();
    };
    for (int step = 0; step < 20'000; ++step) {
      if (pieces.size() < 100 && random() % 2) {
        const std::size_t size = 1 + random() % 300;
        const std::size_t align = std::size_t{1} << random() % 6;
        auto* const place = static_cast<unsigned char*>(arena.acquire(size, align));
        const auto mark = static_cast<unsigned char>(random() % 256);
        std::memset(place, mark, size);
        pieces.push_back({place, size, align, mark});
      } else if (!pieces.empty()) {
        give_back(random() % pieces.size());
      }
    }
    while (!pieces.empty()) give_back(pieces.size() - 1);
    CHECK(damaged == 0);
  }
  CHECK(upstream.pieces() == 0);
  CHECK(upstream.mismatches == 0);
}

#if defined(ATOM_DETAIL_ASAN)
TEST_CASE("under AddressSanitizer memory that is not handed out is poisoned") {
  Upstream upstream;
  Arena arena(&upstream);
  auto* const piece = static_cast<char*>(arena.acquire(40, 8));
  CHECK_FALSE(__asan_region_is_poisoned(piece, 48));
  CHECK(__asan_address_is_poisoned(piece + 48));
  arena.recycle(piece, 40, 8);
  for (int i = 0; i < 48; ++i) CHECK(__asan_address_is_poisoned(piece + i));
  CHECK(arena.acquire(40, 8) == piece);
  CHECK_FALSE(__asan_region_is_poisoned(piece, 48));
}

TEST_CASE("under AddressSanitizer a block from upstream is poisoned too, and goes back clean") {
  Upstream upstream;
  std::pmr::monotonic_buffer_resource blocks(1 << 20, &upstream);
  char* last = nullptr;
  {
    Arena arena(&blocks);
    do {
      last = static_cast<char*>(arena.acquire(256, 16));
    } while (lies_in(last, arena));
    CHECK(__asan_address_is_poisoned(last + 256));
    arena.recycle(last, 256, 16);
    CHECK(__asan_address_is_poisoned(last));
  }
  CHECK_FALSE(__asan_region_is_poisoned(last, 4000));
}

TEST_CASE("under AddressSanitizer the place of an arena is clean after its end") {
  alignas(Arena) std::byte place[sizeof(Arena)];
  auto* const arena = ::new (static_cast<void*>(place)) Arena(nullptr);
  CHECK(__asan_address_is_poisoned(static_cast<char*>(arena->acquire(16, 16)) + 16));
  arena->~Arena();
  CHECK_FALSE(__asan_region_is_poisoned(place, sizeof place));
}
#endif

}  // namespace
}  // namespace arena_test

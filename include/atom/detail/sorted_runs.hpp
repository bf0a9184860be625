// Values by key, where the hash of a key says nothing, as a stranger chose it: sorted runs, whose lengths are powers of
// two, the longest first, as the bits of how many there are. To add one is to make one run of the last, as a carry goes
// on; to look for one is to search each run. (The logarithmic method: Bentley, Saxe, 1980. Not a std::map:
// with libc++ its header is an eighth of all that <atom/store.hpp> includes.)
#pragma once

#include <atom/config.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory_resource>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// Refers to the keys, none of which is null. A key may have several values; they are copied without an exception.
template <class Value>
class SortedRuns {
 public:
  explicit SortedRuns(std::pmr::memory_resource& memory) : entries_(&memory) {}

  /// Makes sure that one more `add` needs no memory.
  ATOM_COLD void reserve_one() {
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 16);
  }
  ATOM_COLD void add(std::string_view key, const Value& value) {
    entries_.push_back({key, value});
    const std::size_t lowest_bit = std::size_t{1} << std::countr_zero(entries_.size());
    std::sort(entries_.end() - static_cast<std::ptrdiff_t>(lowest_bit), entries_.end(), ByKey());
  }
  /// Calls `visit(value)` for each that has the key.
  template <class Visit>
  ATOM_COLD void each(std::string_view key, Visit visit) const {
    each_run(entries_, [&](const Entry* first, const Entry* last) {
      for (first = std::lower_bound(first, last, key, ByKey()); first != last && first->is(key); ++first) {
        visit(first->value);
      }
    });
  }
  /// Those that have the key, and for which `which(value)`.
  template <class Which>
  ATOM_COLD void erase(std::string_view key, Which which) noexcept {
    each_run(entries_, [&](Entry* first, Entry* last) {
      Entry* i = std::lower_bound(first, last, key, ByKey());
      while (i != last && i->is(key)) {
        if (!which(i->value)) {
          ++i;
          continue;
        }
        *std::move(i + 1, last, i) = {};
        ++gone_;
      }
    });
    if (2 * gone_ <= entries_.size()) return;
    std::erase_if(entries_, [](const Entry& entry) { return entry.is_gone(); });
    std::sort(entries_.begin(), entries_.end(), ByKey());  // so each part of it is sorted, whatever its length
    gone_ = 0;
  }

 private:
  struct Entry {
    std::string_view key = {};
    Value value = {};

    /// It was erased: the last ones of a run are, whose keys are gone.
    bool is_gone() const noexcept { return !key.data(); }
    bool is(std::string_view other) const noexcept { return !is_gone() && key == other; }
  };
  struct ByKey {
    bool operator()(const Entry& a, const Entry& b) const noexcept {
      return !b.is_gone() ? (*this)(a, b.key) : !a.is_gone();
    }
    bool operator()(const Entry& a, std::string_view b) const noexcept { return !a.is_gone() && a.key < b; }
  };
  template <class Entries, class Use>
  static void each_run(Entries& entries, Use use) {
    auto* first = entries.data();
    for (std::size_t left = entries.size(); left > 0; left -= std::bit_floor(left)) {
      use(first, first + std::bit_floor(left));
      first += std::bit_floor(left);
    }
  }

  std::pmr::vector<Entry> entries_;
  std::size_t gone_ = 0;
};

}  // namespace atom::inline v0_1::detail

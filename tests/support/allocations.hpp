// Counts what this thread allocates with `operator new`, in programs that link allocations.cpp.
#pragma once

#include <cstddef>

namespace support {

/// Counts from its construction on.
class Allocations {
 public:
  Allocations() noexcept : start_(total()) {}
  /// How many allocations since.
  std::size_t count() const noexcept { return total() - start_; }
  /// How many pieces this thread has allocated and not freed. (A piece that goes to another thread counts there.)
  static long alive() noexcept;

 private:
  static std::size_t total() noexcept;
  std::size_t start_;
};

/// Lets one allocation of this thread fail, with std::bad_alloc: the n-th from here on (1: the next one), if there are
/// so many while this lives.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::size_t n) noexcept;
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  ~FailingAllocation();
};

}  // namespace support

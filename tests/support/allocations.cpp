#include "support/allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated = 0;
thread_local long pieces = 0;
thread_local std::size_t until_failure = 0;  // 0: none is to come

void* try_counted(std::size_t size, std::size_t align) noexcept {
  if (until_failure > 0 && --until_failure == 0) return nullptr;
  const std::size_t rounded = (size + align - 1) / align * align;
  void* const place = align <= alignof(std::max_align_t) ? std::malloc(size ? size : 1)
                                                         : std::aligned_alloc(align, rounded ? rounded : align);
  if (place) {
    ++allocated;
    ++pieces;
  }
  return place;
}
void* counted(std::size_t size, std::size_t align) {
  void* const place = try_counted(size, align);
  if (!place) throw std::bad_alloc();
  return place;
}
void give_back(void* place) noexcept {
  if (place) --pieces;
  std::free(place);
}

}  // namespace

namespace support {
std::size_t Allocations::total() noexcept {
  return allocated;
}
long Allocations::alive() noexcept {
  return pieces;
}
FailingAllocation::FailingAllocation(std::size_t n) noexcept {
  until_failure = n;
}
FailingAllocation::~FailingAllocation() {
  until_failure = 0;
}
}  // namespace support

void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t align) {
  return counted(size, static_cast<std::size_t>(align));
}
void* operator new[](std::size_t size, std::align_val_t align) {
  return counted(size, static_cast<std::size_t>(align));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return try_counted(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return try_counted(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  return try_counted(size, static_cast<std::size_t>(align));
}
void* operator new[](std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  return try_counted(size, static_cast<std::size_t>(align));
}
void operator delete(void* place) noexcept {
  give_back(place);
}
void operator delete[](void* place) noexcept {
  give_back(place);
}
void operator delete(void* place, std::size_t) noexcept {
  give_back(place);
}
void operator delete[](void* place, std::size_t) noexcept {
  give_back(place);
}
void operator delete(void* place, std::align_val_t) noexcept {
  give_back(place);
}
void operator delete[](void* place, std::align_val_t) noexcept {
  give_back(place);
}
void operator delete(void* place, std::size_t, std::align_val_t) noexcept {
  give_back(place);
}
void operator delete[](void* place, std::size_t, std::align_val_t) noexcept {
  give_back(place);
}

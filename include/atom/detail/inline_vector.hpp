// A vector whose first N elements lie in the object itself. Only what the library needs of one.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace atom::inline v0_1::detail {

template <class T, std::size_t N>
class InlineVector {
 public:
  InlineVector() noexcept {}                                  // not defaulted: the buffer must not be zeroed
  InlineVector(const InlineVector& other) : InlineVector() {  // so that the destructor runs if a copy throws
    reserve(other.size_);
    for (const T& element : other) emplace_back(element);
  }
  InlineVector(InlineVector&& other) noexcept { steal(other); }
  InlineVector& operator=(InlineVector other) noexcept {
    clear();
    steal(other);
    return *this;
  }
  ~InlineVector() { clear(); }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }
  const T& operator[](std::size_t index) const noexcept { return data_[index]; }

  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) reserve(2 * capacity_);
    T* const element = ::new (static_cast<void*>(data_ + size_)) T(std::forward<Args>(args)...);
    ++size_;
    return *element;
  }
  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    T* const bigger = static_cast<T*>(::operator new(capacity * sizeof(T)));
    relocate(data_, size_, bigger);
    free_heap();
    data_ = bigger;
    capacity_ = capacity;
  }
  /// Removes those from `size` on, and keeps the memory.
  void shorten(std::size_t size) noexcept {
    while (size_ > size) data_[--size_].~T();
  }
  /// Removes everything and frees the memory.
  void clear() noexcept {
    for (T& element : *this) element.~T();
    free_heap();
    data_ = inside();
    size_ = 0;
    capacity_ = N;
  }

 private:
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  T* inside() noexcept { return reinterpret_cast<T*>(buffer_); }
  void free_heap() noexcept {
    if (data_ != inside()) ::operator delete(static_cast<void*>(data_));
  }
  static void relocate(T* from, std::size_t size, T* to) noexcept {
    for (std::size_t i = 0; i < size; ++i) {
      ::new (static_cast<void*>(to + i)) T(std::move(from[i]));
      from[i].~T();
    }
  }
  /// Into an empty one.
  void steal(InlineVector& other) noexcept {
    if (other.data_ == other.inside()) {
      relocate(other.data_, other.size_, data_);
    } else {
      data_ = std::exchange(other.data_, other.inside());
      capacity_ = std::exchange(other.capacity_, N);
    }
    size_ = std::exchange(other.size_, 0);
  }

  T* data_ = inside();
  std::size_t size_ = 0;
  std::size_t capacity_ = N;
  alignas(T) std::byte buffer_[N * sizeof(T)];
};

}  // namespace atom::inline v0_1::detail

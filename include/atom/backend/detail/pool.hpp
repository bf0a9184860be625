// A few of something dear, such as connections, each lent to one thread at a time.
#pragma once

#include <atom/config.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

template <class T>
class Pool {
 public:
  /// One of them, until this ends; or none.
  class Lease {
   public:
    Lease(Lease&& other) noexcept : pool_(other.pool_), item_(std::exchange(other.item_, nullptr)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (item_) pool_.give_back(item_);
    }
    explicit operator bool() const noexcept { return item_; }
    T& operator*() const noexcept { return *item_; }
    T* operator->() const noexcept { return item_; }

   private:
    friend class Pool;
    Lease(Pool& pool, T* item) noexcept : pool_(pool), item_(item) {}
    Pool& pool_;
    T* item_;
  };

  void add(std::unique_ptr<T> item) {
    const std::lock_guard lock(mutex_);
    idle_.reserve(all_.size() + 1);  // so that giving back allocates nothing
    all_.push_back(std::move(item));
    idle_.push_back(all_.back().get());
    given_back_.notify_one();
  }
  /// The one that was used last, whose caches are warm. Waits for one until the deadline.
  template <class Deadline>
  Lease take(Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (idle_.empty()) given_back_.wait_until(lock, deadline, [&] { return !idle_.empty(); });
    if (idle_.empty()) return Lease(*this, nullptr);
    T* const item = idle_.back();
    idle_.pop_back();
    return Lease(*this, item);
  }

 private:
  void give_back(T* item) noexcept {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(item);
    }
    given_back_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> idle_;
};

}  // namespace atom::inline v0_1::detail

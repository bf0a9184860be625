// What few states have, and lies beside them: a time to live, labels, listeners.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/subscription.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

struct StateExtras {
  std::vector<std::string> labels;    // sorted; set before the node is shared
  std::int64_t time_to_live = 0;      // milliseconds, 0: for ever; set before the node is shared
  bool sliding = false;               // reading counts as well; set before the node is shared
  std::atomic<std::int64_t> ends{0};  // milliseconds of the steady clock

  // With a database, of the same clock:
  std::atomic<std::int64_t> checked{0};  // when what is cached was known to be what the database has
  std::atomic<std::int64_t> touched{0};  // when its time to live was last begun there by this store

  // Of the listeners. A node that has some is written while this is held, so that they hear in the order of writing.
  std::mutex mutex;
  StateListeners listeners;
  std::vector<StateNews> news;  // to be told
  std::uint64_t changes = 0;    // how many were news
  bool telling = false;         // somebody tells it

  void listen(std::shared_ptr<StateListener> listener) {
    listener->since = changes;
    const auto place = listeners.insert(listeners.end(), std::move(listener));
    (*place)->place = place;
  }
  void add(StateNews one) {
    news.push_back(std::move(one));
    ++changes;
  }

  /// Tells what is new, unless somebody else is at it, who will. `failed` is called inside a handler of what a listener
  /// throws. `lock` is of the mutex.
  template <class Failed>
  void tell(std::unique_lock<std::mutex>& lock, Failed failed) noexcept {
    if (std::exchange(telling, true)) return;
    while (!news.empty()) {
      try {  // what is let go at the end of it is so without a lock
        const std::vector<StateNews> told = std::exchange(news, {});
        std::uint64_t number = changes - told.size();
        const std::vector<std::shared_ptr<StateListener>> all(listeners.begin(), listeners.end());
        lock.unlock();
        for (const StateNews& one : told) {
          ++number;
          for (const auto& listener : all) {
            if (number <= listener->since) continue;
            try {
              listener->tell(one);
            } catch (...) {
              failed();
            }
          }
        }
      } catch (...) {  // no memory for the list
        failed();
      }
      if (!lock) lock.lock();
    }
    telling = false;
  }
};

/// Those of a node, made if there are none.
inline StateExtras& extras_of(StateNode& node) {
  StateExtras* extras = node.extras.load(std::memory_order_acquire);
  if (extras) return *extras;
  auto fresh = std::make_unique<StateExtras>();
  if (node.extras.compare_exchange_strong(extras, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  return *extras;
}

inline void StateNode::free() noexcept {
  delete extras.load(std::memory_order_relaxed);
  if (!has(inside)) {
    std::byte* const place = payload();
    std::launder(reinterpret_cast<SharedValue*>(place))->~SharedValue();
    std::launder(reinterpret_cast<SharedValue*>(place + sizeof(SharedValue)))->~SharedValue();
  }
  this->~StateNode();
  ::operator delete(this);
}

}  // namespace atom::inline v0_1::detail

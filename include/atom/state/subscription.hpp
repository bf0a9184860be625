// Who is told when a state changes. Unlike a listener of an atom, it ends with its handle, and may be called and
// ended by any thread.
#pragma once

#include <atom/config.hpp>
#include <atom/state/type.hpp>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

class StateSubscription;

namespace detail {

/// What became of a state by one change.
struct StateNews {
  SharedValue value;     // what it is now; its default, where the value has ended
  std::int64_t version;  // not positive: it has ended, and this is minus its last version
};

class StateListener;
using StateListeners = std::list<std::shared_ptr<StateListener>>;

/// What is called, by one thread at a time.
class StateListener {
 public:
  StateListener() = default;
  StateListener(const StateListener&) = delete;
  StateListener& operator=(const StateListener&) = delete;
  virtual ~StateListener() = default;

  /// Calls it, unless it has ended. What it throws comes out.
  void tell(const StateNews& news) {
    const Turn turn(*this);
    if (!ended_.load()) hear(news);
  }
  /// Not called any more; on return it is not running either, unless it is the one that asks.
  void end() noexcept {
    ended_.store(true);
    for (std::thread::id id = thread_.load(); id != std::thread::id() && id != std::this_thread::get_id();
         id = thread_.load()) {
      thread_.wait(id);
    }
  }
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }

  std::uint64_t since = 0;         // how many changes there were when it came: it does not hear of them
  StateListeners::iterator place;  // where it is among those of its state
  const void* group = nullptr;     // those of a group are at several states, and go together

 private:
  /// No lock: listeners of two states that write each other's would take the two in both orders.
  struct Turn {
    explicit Turn(StateListener& of) noexcept : listener(of) { listener.thread_.store(std::this_thread::get_id()); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      listener.thread_.store(std::thread::id());
      if (listener.ended_.load()) listener.thread_.notify_all();
    }
    StateListener& listener;
  };

  virtual void hear(const StateNews& news) = 0;

  // Each side writes the one and then reads the other, so one of them sees what the other has written.
  std::atomic<std::thread::id> thread_{};  // the one that runs it
  std::atomic<bool> ended_{false};
};

template <class T, class F>
class StateListenerOf final : public StateListener {
 public:
  explicit StateListenerOf(F&& function) : function_(std::move(function)) {}

 private:
  void hear([[maybe_unused]] const StateNews& news) override {
    if constexpr (std::is_invocable_v<F&, const T&>) {
      function_(*static_cast<const T*>(news.value.get()));
    } else {
      function_();
    }
  }
  F function_;
};

/// Where a listener is in a list, from which it is taken when it ends.
class Listening {
 public:
  virtual ~Listening() = default;
  virtual void end() noexcept = 0;
};

}  // namespace detail

/// A handle to one listener of a state, which ends with it: when the destructor returns, the function is not running
/// any more, and will not be called (a function may end its own subscription; then it runs to its end). Do not end one
/// while holding a lock that its function wants.
class [[nodiscard]] StateSubscription {
 public:
  StateSubscription() noexcept = default;
  explicit StateSubscription(std::unique_ptr<detail::Listening> listening) noexcept
      : listening_(std::move(listening)) {}
  StateSubscription(StateSubscription&&) noexcept = default;
  StateSubscription& operator=(StateSubscription&& other) noexcept {
    if (this != &other) {
      unsubscribe();
      listening_ = std::move(other.listening_);
    }
    return *this;
  }
  ~StateSubscription() { unsubscribe(); }

  /// May be called again.
  void unsubscribe() noexcept {
    if (const auto listening = std::exchange(listening_, nullptr)) listening->end();
  }
  bool active() const noexcept { return listening_ != nullptr; }
  explicit operator bool() const noexcept { return active(); }

 private:
  std::unique_ptr<detail::Listening> listening_;
};

}  // namespace atom::inline v0_1

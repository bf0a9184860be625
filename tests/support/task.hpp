// A small coroutine type, with a promise that knows nothing of stores or with atom::StorePromise, and threads to go on
// in.
#pragma once

#include <atom/context.hpp>

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace support {

/// The base of a promise that does nothing for its coroutine.
struct PlainPromise {};

/// A lazy coroutine. It is started by `start`, or by the one that awaits it, to which it goes back by symmetric
/// transfer. It is destroyed with its handle, wherever it is suspended.
template <class T, class Base = PlainPromise>
class [[nodiscard]] Task {
  struct Back {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) const noexcept {
      return ended.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  struct PromiseBase : Base {
    auto initial_suspend() noexcept {
      if constexpr (std::is_same_v<Base, PlainPromise>) {
        return std::suspend_always{};
      } else {
        return this->carry(std::suspend_always{});
      }
    }
    auto final_suspend() noexcept {
      if constexpr (std::is_same_v<Base, PlainPromise>) {
        return Back{};
      } else {
        return this->carry(Back{});
      }
    }
    void unhandled_exception() noexcept { exception = std::current_exception(); }

    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;
  };
  struct ValuePromise : PromiseBase {
    template <class U>
    void return_value(U&& u) {
      value.emplace(std::forward<U>(u));
    }
    std::optional<T> value;
  };
  struct VoidPromise : PromiseBase {
    void return_void() noexcept {}
  };

 public:
  struct promise_type : std::conditional_t<std::is_void_v<T>, VoidPromise, ValuePromise> {
    Task get_return_object() noexcept { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  void start() { coroutine_.resume(); }
  bool done() const { return coroutine_.done(); }
  T result() {
    if (coroutine_.promise().exception) std::rethrow_exception(coroutine_.promise().exception);
    if constexpr (!std::is_void_v<T>) return std::move(*coroutine_.promise().value);
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> awaited;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        awaited.promise().continuation = awaiting;
        return awaited;
      }
      T await_resume() const {
        if (awaited.promise().exception) std::rethrow_exception(awaited.promise().exception);
        if constexpr (!std::is_void_v<T>) return std::move(*awaited.promise().value);
      }
    };
    return Awaiter{coroutine_};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

/// Where coroutines wait until somebody resumes them, in the order in which they came. It is awaited itself.
class Queue {
 public:
  auto operator co_await() noexcept {
    struct Awaiter {
      Queue& queue;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> coroutine) const { queue.waiting_.push_back(coroutine); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  bool empty() const noexcept { return waiting_.empty(); }
  void resume_one() {
    const std::coroutine_handle<> coroutine = waiting_.front();
    waiting_.pop_front();
    coroutine.resume();
  }

 private:
  std::deque<std::coroutine_handle<>> waiting_;
};

/// Threads that resume coroutines. `between` is called in each before and after that.
class Pool {
 public:
  Pool(std::size_t threads, void (*between)()) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this, between] { run(between); });
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// When all that waits has run.
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void post(std::coroutine_handle<> coroutine) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(coroutine);
    }
    changed_.notify_one();
  }

  /// `co_await pool.hop()`: goes on in one of the threads, mostly before await_suspend has returned.
  auto hop() noexcept {
    struct Awaiter {
      Pool& pool;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> coroutine) const {
        pool.post(coroutine);
        std::this_thread::yield();
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  void run(void (*between)()) {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const std::coroutine_handle<> coroutine = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      between();
      coroutine.resume();
      between();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::coroutine_handle<>> waiting_;
  bool ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace support

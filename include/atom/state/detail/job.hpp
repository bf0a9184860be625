// Work that a thread of a store's does, and for which a coroutine or a thread may wait. Whoever waits in a thread does
// it himself if nobody has begun.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/home_process.hpp>

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace atom::inline v0_1::detail {

using Executor = std::function<void(std::function<void()>)>;

/// Shared by who waits and who works: either may be through with it first.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  /// Does it, unless somebody does or has done it.
  void run(const Executor& executor) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (stage_ != Stage::waits) return;
      stage_ = Stage::runs;
    }
    try {
      work();
    } catch (...) {
      thrown_ = std::current_exception();
    }
    bool is_awaited = false;
    {
      const std::lock_guard lock(mutex_);
      stage_ = Stage::done;
      is_awaited = coroutine_ != nullptr;
      done_.notify_all();
    }
    if (is_awaited) resume(executor);
  }
  /// Returns when it is done.
  void wait(const Executor& executor) noexcept {
    run(executor);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return stage_ == Stage::done; });
  }
  bool is_done() const noexcept {
    const std::lock_guard lock(mutex_);
    return stage_ == Stage::done;
  }
  /// Once it is done: throws what the work has thrown.
  void check() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

  /// Whether the coroutine waits now; else it is done.
  bool suspend(std::coroutine_handle<> coroutine) noexcept {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::done) return false;
    coroutine_ = coroutine;
    return true;
  }
  /// The coroutine that waits, which is the caller's now, or null.
  std::coroutine_handle<> take_coroutine() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(coroutine_, nullptr);
  }

 protected:
  virtual void work() = 0;

 private:
  enum class Stage { waits, runs, done };

  void resume(const Executor& executor) noexcept {
    const auto go_on = [job = weak_from_this().lock()] {
      if (const auto coroutine = job->take_coroutine()) coroutine.resume();
    };
    if (executor) {
      try {
        return executor(go_on);
      } catch (...) {  // nobody has taken it
      }
    }
    go_on();
  }

  mutable std::mutex mutex_;
  std::condition_variable done_;
  Stage stage_ = Stage::waits;
  std::coroutine_handle<> coroutine_ = nullptr;
  std::exception_ptr thrown_;
};

/// Does jobs one after the other, in a thread that begins with the first one.
class JobThread {
 public:
  explicit JobThread(const Executor& executor) : executor_(executor), row_(std::make_unique<Row>()) {}
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;
  /// Does what there is first.
  ~JobThread() {
    if (!home_.is_here()) {  // the thread is not here, and may hold the mutex for ever
      static_cast<void>(row_.release());
      return;
    }
    {
      const std::lock_guard lock(row_->mutex);
      row_->ends = true;
      row_->changed.notify_all();
    }
    if (row_->thread.joinable()) row_->thread.join();
  }

  void add(std::shared_ptr<Job> job) {
    if (!home_.is_here()) return job->run(executor_);
    const std::lock_guard lock(row_->mutex);
    row_->jobs.push_back(std::move(job));
    try {
      if (!row_->thread.joinable()) row_->thread = std::thread([this] { run(); });
    } catch (...) {
      row_->jobs.pop_back();
      throw;
    }
    row_->changed.notify_one();
  }
  const Executor& executor() const noexcept { return executor_; }

 private:
  struct Row {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Job>> jobs;
    bool ends = false;
    std::thread thread;
  };
  void run() noexcept {
    Row& row = *row_;
    std::unique_lock lock(row.mutex);
    for (;;) {
      row.changed.wait(lock, [&] { return row.ends || !row.jobs.empty(); });
      if (row.jobs.empty()) return;
      std::shared_ptr<Job> job = std::move(row.jobs.front());
      row.jobs.pop_front();
      lock.unlock();
      job->run(executor_);
      job = nullptr;  // what it holds ends without the lock
      lock.lock();
    }
  }

  const Executor& executor_;
  const HomeProcess home_;
  std::unique_ptr<Row> row_;
};

}  // namespace atom::inline v0_1::detail

// Work that threads of a store's do, and for which a coroutine or a thread may wait. Whoever waits in a thread does
// it himself if nobody has begun.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/must_not_block.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace atom::inline v0_1::detail {

using Executor = std::function<void(std::function<void()>)>;

/// Shared by who waits and who works: either may be through with it first.
class Job : public std::enable_shared_from_this<Job> {
 public:
  explicit Job(Deadline deadline) noexcept : deadline_(deadline) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  /// Until then it has begun, or comes to nothing.
  Deadline deadline() const noexcept { return deadline_; }

  /// Does it, unless somebody does or has done it.
  void run(const Executor& executor) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (stage_ != Stage::waits) return;
      stage_ = Stage::runs;
    }
    try {
      if (std::chrono::steady_clock::now() < deadline_) {
        work();
      } else {
        is_late({StateErrorCode::timed_out,
                 "the deadline was over before it began: the threads of the store were busy, or no time was left",
                 Effect::none, true});
      }
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
  void wait(const Executor& executor) {
    if (end_if_foreign()) return;
    run(executor);
    if (!is_done()) about_to_block();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return stage_ == Stage::done; });
  }
  bool is_done() const noexcept { return stage_ == Stage::done; }
  /// Once it is done, and once: throws what the work has thrown, which this thread owns alone then.
  void check() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

  /// Whether the coroutine waits now; else it is done.
  bool suspend(std::coroutine_handle<> coroutine) noexcept {
    if (end_if_foreign()) return false;
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::done) return false;
    coroutine_ = coroutine;
    return true;
  }
  /// The coroutine that waits, which is the caller's now, or null.
  std::coroutine_handle<> take_coroutine() noexcept {
    if (end_if_foreign()) return nullptr;
    const std::lock_guard lock(mutex_);
    return std::exchange(coroutine_, nullptr);
  }

 protected:
  virtual void work() = 0;
  /// Instead, where its deadline is over.
  virtual void is_late(StateError error) = 0;

 private:
  enum class Stage { waits, runs, done };

  /// Of one that was begun before this process was forked nobody goes on with it here, and the mutex may be locked for
  /// ever: it is done, and who waits is told that. Whether it is so.
  bool end_if_foreign() noexcept {
    if (home_.is_here()) return false;
    if (is_done()) return true;
    try {
      throw store_is_anothers(Effect::unknown);
    } catch (...) {
      thrown_ = std::current_exception();
    }
    stage_ = Stage::done;
    return true;
  }
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

  const Deadline deadline_;
  const HomeProcess home_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::atomic<Stage> stage_{Stage::waits};  // changed under the mutex
  std::coroutine_handle<> coroutine_ = nullptr;
  std::exception_ptr thrown_;
};

/// What a function of somebody else's gives.
template <class R>
class ResultJob : public Job {
 public:
  using Job::Job;
  /// Once it is done, and once.
  R take() {
    check();
    if constexpr (!std::is_void_v<R>) return std::move(*result_);
  }

 protected:
  template <class F>
  void set_to_result_of(F& function) {
    if constexpr (std::is_void_v<R>) {
      function();
    } else {
      result_.emplace(function());
    }
  }

 private:
  std::optional<std::conditional_t<std::is_void_v<R>, std::monostate, R>> result_;
};
template <class F>
class FunctionJob final : public ResultJob<std::invoke_result_t<F&>> {
 public:
  FunctionJob(F function, Deadline deadline)
      : ResultJob<std::invoke_result_t<F&>>(deadline), function_(std::move(function)) {}

 private:
  void work() override {
    F function = std::move(*function_);
    function_.reset();  // what it holds goes with the work
    const DeadlineBound bound(this->deadline());
    this->set_to_result_of(function);
  }
  void is_late(StateError error) override {
    function_.reset();
    throw error;
  }
  std::optional<F> function_;
};

/// Does jobs in threads of its own: a few, each of which begins when a job comes and none is idle. Where all are busy,
/// one more looks after deadlines: a job that has not begun at its own has nothing to do but to say so.
class JobThreads {
 public:
  JobThreads(const Executor& executor, std::size_t most)
      : executor_(executor), most_(std::max<std::size_t>(most, 1)), row_(std::make_unique<Row>()) {}
  JobThreads(const JobThreads&) = delete;
  JobThreads& operator=(const JobThreads&) = delete;
  ~JobThreads() {
    end();
    if (!home_.is_here()) static_cast<void>(row_.release());  // a thread may hold the mutex for ever
  }

  /// Does what there is, and lets the threads go. From then on whoever adds a job does it, as a coroutine may that goes
  /// on at the end.
  void end() {
    if (!home_.is_here()) return;  // nor are the threads
    {
      const std::lock_guard lock(row_->mutex);
      row_->ends = true;
      row_->changed.notify_all();
      row_->too_late.notify_one();
    }
    for (std::thread& thread : row_->threads) thread.join();
    row_->threads.clear();
    if (row_->clock.joinable()) row_->clock.join();
  }

  void add(std::shared_ptr<Job> job) {
    if (!home_.is_here()) return job->run(executor_);
    std::unique_lock lock(row_->mutex);
    if (row_->ends) {
      lock.unlock();
      return job->run(executor_);
    }
    row_->jobs.push_back(std::move(job));
    const bool is_short = row_->idle < row_->jobs.size();
    if (is_short && !begin_thread()) wait_for_thread(row_->jobs.back()->deadline());
    row_->changed.notify_one();
  }
  const Executor& executor() const noexcept { return executor_; }

 private:
  struct Row {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Job>> jobs;
    std::size_t idle = 0;  // threads that wait for one
    bool ends = false;
    std::vector<std::thread> threads;
    std::thread clock;
    std::condition_variable too_late;
    Deadline alarm = Deadline::max();  // when the clock looks next
  };
  /// One more, or false: there are enough, or no more can be had.
  bool begin_thread() {
    if (row_->threads.size() >= most_) return false;
    try {
      row_->threads.emplace_back([this] { run(); });
      return true;
    } catch (...) {
      if (!row_->threads.empty()) return false;
      row_->jobs.pop_back();
      throw;
    }
  }
  void wait_for_thread(Deadline deadline) noexcept {
    if (!row_->clock.joinable()) {
      try {
        row_->clock = std::thread([this] { watch(); });
      } catch (...) {  // it is said none the less, when a thread is free
      }
    } else if (deadline < row_->alarm) {
      row_->too_late.notify_one();
    }
  }
  void run() noexcept {
    Row& row = *row_;
    std::unique_lock lock(row.mutex);
    for (;;) {
      ++row.idle;
      row.changed.wait(lock, [&] { return row.ends || !row.jobs.empty(); });
      --row.idle;
      if (row.jobs.empty()) return;
      do_one(row.jobs.begin(), lock);
    }
  }

  /// Until there is an end.
  void watch() noexcept {
    Row& row = *row_;
    std::unique_lock lock(row.mutex);
    while (!row.ends) {
      const Deadline now = std::chrono::steady_clock::now();
      const auto late = std::find_if(row.jobs.begin(), row.jobs.end(),
                                     [&](const std::shared_ptr<Job>& job) { return job->deadline() <= now; });
      if (late == row.jobs.end()) {
        row.alarm = Deadline::max();
        for (const auto& job : row.jobs) row.alarm = std::min(row.alarm, job->deadline());
        row.too_late.wait_until(lock, row.alarm);
      } else {
        do_one(late, lock);
      }
    }
  }
  void do_one(const std::deque<std::shared_ptr<Job>>::iterator& place, std::unique_lock<std::mutex>& lock) noexcept {
    std::shared_ptr<Job> job = std::move(*place);
    row_->jobs.erase(place);
    lock.unlock();
    job->run(executor_);
    job = nullptr;  // what it holds is somebody else's, and ends without the lock
    lock.lock();
  }

  const Executor& executor_;
  const std::size_t most_;
  const HomeProcess home_;
  std::unique_ptr<Row> row_;
};

}  // namespace atom::inline v0_1::detail

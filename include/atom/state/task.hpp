// What the functions of a state give whose names end in `_async`: an operation that has begun, and whose result can be
// waited for by a coroutine, `co_await votes.apply_async(atom::current + 1)`, or by a thread, `.wait()`. It may also be
// dropped: the operation goes on all the same, and nobody hears what came of it.
//
// In memory it is done at once. With a database nothing blocks the thread that begins it; a coroutine goes on where
// `StoreOptions::executor` says, or in a thread of the store, which it must not block then.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/job.hpp>
#include <atom/state/detail/operation.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/must_not_block.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

namespace atom::inline v0_1 {

template <state_value T>
class State;
class StateStore;

namespace detail {

template <class R>
struct Awaited {
  using Result = StateResult<R>;
  static R give(Result result) { return std::move(result).value(); }
};
template <class T>
struct Awaited<StateResult<T>> {
  using Result = StateResult<T>;
  static Result give(Result result) { return result; }
};
template <>
struct Awaited<void> {
  using Result = std::monostate;
  static void give(std::monostate) noexcept {}
};

}  // namespace detail

/// R is what waiting gives. If that is a StateResult (the functions that begin with `try_`), an error of the store or
/// the database is in it, else it is thrown as StateError. It is waited for once. It may outlive the store, and may not
/// be waited for while the store ends.
template <class R>
class [[nodiscard]] StateTask {
 public:
  StateTask(StateTask&& other) noexcept = default;
  StateTask& operator=(StateTask&& other) noexcept {
    if (this != &other) {
      abandon();
      done_ = std::move(other.done_);
      pending_ = std::move(other.pending_);
      job_ = std::move(other.job_);
      executor_ = other.executor_;
    }
    return *this;
  }
  /// A coroutine that waits for it and is destroyed is not resumed any more.
  ~StateTask() { abandon(); }

  /// Whether waiting would give the result at once.
  bool is_ready() const noexcept {
    return job_ ? job_->is_done() : !pending_.operation || pending_.operation->is_done();
  }
  /// Returns the result when there is one. This thread may have to see to it, and to what others wait for.
  R wait() {
    if (is_ready()) return take();
    if (job_) {
      job_->wait(*executor_);
    } else {
      detail::about_to_block();
      pending_.engine->wait(pending_.operation);
    }
    return take();
  }

  // ---- co_await

  bool await_ready() const noexcept { return is_ready(); }
  bool await_suspend(std::coroutine_handle<> coroutine) {
    if (!job_) return pending_.engine->suspend(pending_.operation, coroutine);
    const std::shared_ptr<detail::Job> job = job_;  // this may be gone when it is suspended
    return job->suspend(coroutine);
  }
  R await_resume() { return take(); }

 private:
  template <state_value T>
  friend class State;
  friend class StateStore;
  using Result = typename detail::Awaited<R>::Result;

  struct Pending {
    detail::StateEngine* engine = nullptr;
    detail::OperationPointer operation;
    Result (*result)(const detail::StateOperation&) = nullptr;
  };

  /// Done, with what `work()` returns or throws.
  template <class Work>
  static StateTask of(Work&& work) {
    StateTask task;
    try {
      if constexpr (std::is_void_v<R>) {
        work();
        task.done_.template emplace<1>();
      } else {
        task.done_.template emplace<1>(work());
      }
    } catch (...) {
      task.done_.template emplace<2>(std::current_exception());
    }
    return task;
  }
  /// Begins it.
  template <class Operation>
  static StateTask start(detail::StateEngine& engine, std::shared_ptr<Operation> operation) {
    StateTask task;
    engine.start(operation);
    task.pending_ = {&engine, std::move(operation), [](const detail::StateOperation& done) -> Result {
                       return static_cast<const Operation&>(done).result();
                     }};
    return task;
  }

  /// Begins it in a thread of the store's.
  static StateTask start(detail::JobThreads& threads, std::shared_ptr<detail::ResultJob<R>> job) {
    StateTask task;
    threads.add(job);
    task.job_ = std::move(job);
    task.executor_ = &threads.executor();
    return task;
  }

  StateTask() noexcept = default;
  void abandon() noexcept {
    if (job_) job_->take_coroutine();
    if (pending_.operation) pending_.operation->resumed();
  }
  R take() {
    if (job_) return job_->take();
    if (pending_.operation) return detail::Awaited<R>::give(pending_.result(*pending_.operation));
    if (const auto* const thrown = std::get_if<2>(&done_)) std::rethrow_exception(*thrown);
    return detail::Awaited<R>::give(std::move(*std::get_if<1>(&done_)));
  }

  std::variant<std::monostate, Result, std::exception_ptr> done_;
  Pending pending_;
  std::shared_ptr<detail::ResultJob<R>> job_;
  const detail::Executor* executor_ = nullptr;
};

}  // namespace atom::inline v0_1

// What a StateStore, its states, sessions and visitors do without blocking, in the coroutines of Boost.Asio, which
// await nothing but their own kind:
//
//   const std::int64_t votes = co_await in_asio(state.apply_async(atom::current + 1));
//   co_await in_asio(session.commit_async());
//   co_await (in_asio(state.load_async()) || timer.async_wait(use_awaitable));  // with Boost 1.77 and later
//
// Who is cancelled goes on at once, with boost::asio::error::operation_aborted. The operation goes on as well, and
// whether it takes effect is not known. So nothing that it refers to may lie in the coroutine: what the function of an
// `async` or a `transact_async` needs it keeps itself, and a `sign_in_async` or `sign_out_async`, which needs its
// visitor, is not cancelled: `co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation())`. The
// next commit of a session whose commit was left blocks until that is done, and throws what it ran into.
//
// The context may be stopped and destroyed at any time: that waits for the operations and drops the coroutines. Each
// operation ends at its deadline, but for functions of yours, of an `async` or a `transact_async`, which must end by
// themselves and must not wait for the context. Declare the store before the context, so that it goes after it.
// `StoreOptions::executor` is left empty, or posts to something that outlives the store, which the context does not.
//
// With g++ 12, lambdas that capture by value and options in braces have a name in a line before: inside the expression
// it moves them as if they were bytes, and with a string in them the program crashes.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>
#include <boost/system/error_code.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#endif

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace in_asio_detail {

using Error = boost::system::error_code;

/// A coroutine that nobody awaits.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

/// Until it is done; what came of it is left in it.
template <class Task>
struct Done {
  Task& task;
  bool await_ready() const noexcept { return task.await_ready(); }
  bool await_suspend(std::coroutine_handle<> coroutine) noexcept { return task.await_suspend(coroutine); }
  void await_resume() noexcept {}
};

/// A coroutine of Asio's that waits for an operation.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual bool is_done() const noexcept = 0;  // the operation
  virtual void drop() noexcept = 0;
};

/// Those in one context. Whoever takes one out of it, under the mutex, has it go on, or drops it.
struct All {
  std::mutex mutex;
  std::set<std::shared_ptr<Waiting>> waiting;
};

/// Ends with its context.
class Service : public boost::asio::execution_context::service {
 public:
  static inline boost::asio::execution_context::id id;
  explicit Service(boost::asio::execution_context& context) : service(context), process_(::getpid()) {}

  const std::shared_ptr<All> all = std::make_shared<All>();  // there for operations that end later

 private:
  void shutdown() noexcept override {
    // Forked: the store's threads are not here, so nothing ends, and what they may be at is left alone.
    if (::getpid() != process_) return;
    std::unique_lock lock(all->mutex);
    while (!all->waiting.empty()) {
      std::shared_ptr<Waiting> waiting;
      if ((*all->waiting.begin())->is_done()) {
        waiting = std::move(all->waiting.extract(all->waiting.begin()).value());
      }
      lock.unlock();
      if (waiting) {
        waiting->drop();
      } else {  // (not to be woken by it: where `StoreOptions::executor` posts to, nothing may run for a while)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      lock.lock();
    }
  }

  const ::pid_t process_;
};

template <class Task, class Handler>
class WaitingFor final : public Waiting, public std::enable_shared_from_this<WaitingFor<Task, Handler>> {
 public:
  WaitingFor(std::shared_ptr<Task> task, Handler handler)
      : task_(std::move(task)), work_(boost::asio::make_work_guard(handler)), handler_(std::move(handler)) {
    auto& context = boost::asio::query(work_->get_executor(), boost::asio::execution::context);
    all_ = boost::asio::use_service<Service>(context).all;
  }

  void begin() {
#if BOOST_ASIO_VERSION >= 101900
    using boost::asio::cancellation_type;
    // (Who asks for `total` wants no effect at all, which cannot be promised.)
    if (auto slot = boost::asio::get_associated_cancellation_slot(*handler_); slot.is_connected()) {
      slot.assign([self = this->shared_from_this()](cancellation_type type) {
        if ((type & (cancellation_type::terminal | cancellation_type::partial)) == cancellation_type::none) return;
        self->go_on(boost::asio::error::operation_aborted);
      });
    }
#endif
    {
      const std::lock_guard lock(all_->mutex);
      all_->waiting.insert(this->shared_from_this());
    }
    wait(this->shared_from_this());
  }
  bool is_done() const noexcept override { return task_->is_ready(); }
  void drop() noexcept override {
    handler_.reset();
    work_.reset();
  }

 private:
  static Detached wait(std::shared_ptr<WaitingFor> self) {
    co_await Done<Task>{*self->task_};
    self->go_on({});
  }
  /// Unless it has gone on, or was dropped. (The context is there as long as the mutex is held.)
  void go_on(Error error) {
    const std::lock_guard lock(all_->mutex);
    if (all_->waiting.erase(this->shared_from_this()) == 0) return;
    boost::asio::post(work_->get_executor(),
                      [handler = std::move(*handler_), error]() mutable { std::move(handler)(error); });
    drop();
  }

  const std::shared_ptr<Task> task_;  // the coroutine may be through with it first
  std::shared_ptr<All> all_;
  // Until it goes on or is dropped; the context runs until then.
  std::optional<boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>>> work_;
  std::optional<Handler> handler_;
};

}  // namespace in_asio_detail

/// Waits without a thread, and goes on where the awaiting coroutine runs, also with a `StoreOptions::executor`.
template <class Task>
boost::asio::awaitable<decltype(std::declval<Task&>().await_resume())> in_asio(Task task) {
  if (task.is_ready()) co_return task.wait();
  const auto shared = std::make_shared<Task>(std::move(task));
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(in_asio_detail::Error)>(
      [&](auto handler) {
        using Handler = decltype(handler);
        std::make_shared<in_asio_detail::WaitingFor<Task, Handler>>(shared, std::move(handler))->begin();
      },
      boost::asio::use_awaitable);
  co_return shared->wait();  // it is done
}

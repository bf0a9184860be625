// What a StateStore, its states, sessions and visitors do without blocking, in the coroutines of Boost.Asio, which
// await nothing but their own kind:
//
//   const std::int64_t votes = co_await in_asio(state.apply_async(atom::current + 1));
//   co_await in_asio(session.commit_async());
//
// With g++ 12, lambdas with captures and options in braces have a name in a line before: inside the expression it moves
// them as if they were bytes, and the program crashes.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace in_asio_detail {

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

template <class Task, class Handler>
Detached call_when_done(Task& task, Handler handler) {
  const auto work = boost::asio::make_work_guard(handler);  // the context runs until then
  co_await Done<Task>{task};
  boost::asio::post(work.get_executor(), std::move(handler));
}

}  // namespace in_asio_detail

/// Waits without a thread, and goes on where the awaiting coroutine runs, whatever `StoreOptions::executor` is.
template <class Task>
boost::asio::awaitable<decltype(std::declval<Task&>().await_resume())> in_asio(Task task) {
  if (!task.is_ready()) {
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [&](auto handler) { in_asio_detail::call_when_done(task, std::move(handler)); }, boost::asio::use_awaitable);
  }
  co_return task.wait();  // it is done
}

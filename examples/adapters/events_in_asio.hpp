// What a page is to be sent next of an atom::EventStream, in a coroutine of Boost.Asio, without a thread that waits:
//
//   while (!events.ended()) {
//     const std::string text = co_await next_in_asio(events, 15s);
//     co_await asio::async_write(socket, asio::buffer(text), use_awaitable);  // throws when the page has gone
//   }
#pragma once

#include <atom/state/event_stream.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#if BOOST_ASIO_VERSION >= 101900
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#endif

#include <chrono>
#include <memory>
#include <string>

/// What `EventStream::wait` gives, which is a comment where nothing has come for so long. The coroutine runs in one
/// thread, or on a strand. One that is cancelled meanwhile goes on at once, with boost::asio::error::operation_aborted;
/// its next call gives what has come since. The context may be destroyed meanwhile, before the stream is.
inline boost::asio::awaitable<std::string> next_in_asio(atom::EventStream& events, std::chrono::milliseconds within) {
  struct Bell {
    boost::asio::steady_timer timer;
    bool has_rung = false;
    void ring() {
      has_rung = true;
      timer.cancel();
    }
  };
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto bell = std::make_shared<Bell>(Bell{boost::asio::steady_timer(executor, within)});
  events.on_ready([bell, executor] { boost::asio::post(executor, [bell] { bell->ring(); }); });
  struct Quiet {  // the stream may be there longer than what runs this
    atom::EventStream& events;
    ~Quiet() {
      events.on_ready([] {});
    }
  } const quiet{events};
  std::string text = events.take();
  if (text.empty() && !events.ended()) {
    boost::system::error_code woken;
    co_await bell->timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    if (woken && !bell->has_rung) throw boost::system::system_error(woken);
#if BOOST_ASIO_VERSION >= 101900
    // It may be cancelled just as the bell rings, or as the time is over: nobody would get what it takes then.
    using boost::asio::cancellation_type;
    if ((co_await boost::asio::this_coro::cancellation_state).cancelled() != cancellation_type::none) {
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
#endif
    text = events.take();
  }
  if (text.empty() && !events.ended()) text = ":\n\n";
  co_return text;
}

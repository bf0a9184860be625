// Boost.Beast on Boost.Asio's coroutines, one for each connection.
#include "server.hpp"

#include "../adapters/state_in_asio.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <iostream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace live_poll {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

/// An open page is sent at most one event in so long, ...
constexpr auto event_pause = 100ms;
/// ... and something at least as often as this, so that it is seen when it has gone without a word.
constexpr auto heartbeat = 15s;
/// What the system keeps of it that the page has not read; by default, megabytes.
constexpr int unread_bytes = 32 * 1024;
/// As it connects again, it is not waited for any longer.
constexpr auto time_to_end_pages = 1s;

struct Counted {
  explicit Counted(std::atomic<std::size_t>& n) noexcept : number(n) { ++number; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --number; }
  std::atomic<std::size_t>& number;
};

using Asked = http::request<http::string_body>;
using Answered = http::response<http::string_body>;

template <class Name>
std::string field(const Asked& asked, Name name) {
  const auto found = asked.find(name);
  return found == asked.end() ? std::string() : std::string(found->value());
}
std::string path_of(const Asked& asked) {
  std::string path(asked.target());
  path.resize(std::min(path.find('?'), path.size()));
  return path;
}
Request request_of(const Asked& asked) {
  Request request;
  request.method = std::string(asked.method_string());
  request.path = path_of(asked);
  request.cookies = field(asked, http::field::cookie);
  request.accept = field(asked, http::field::accept);
  request.host = field(asked, http::field::host);
  request.origin = field(asked, http::field::origin);
  request.fetch_site = field(asked, "Sec-Fetch-Site");
  return request;
}
Answered answer_of(Response response, const Asked& asked) {
  Answered answer(http::int_to_status(static_cast<unsigned>(response.status)), asked.version());
  answer.keep_alive(asked.keep_alive());
  answer.set(http::field::content_type, response.type);
  for (const auto& [name, value] : response.headers) answer.insert(name, value);
  answer.content_length(response.body.size());
  if (asked.method() != http::verb::head) answer.body() = std::move(response.body);
  return answer;
}
/// Where what came is no request that can be answered; 0: there is nobody to be answered.
int status_of(const Error& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  const bool is_closed = error == http::error::end_of_stream || error == http::error::partial_message;
  return error.category() == make_error_code(http::error::bad_method).category() && !is_closed ? 400 : 0;
}

}  // namespace

struct Server::Inside {
  Inside(Handlers h, Limits l) : handlers(std::move(h)), limits(l) {}

  asio::awaitable<void> accept() {
    Error error;
    while (acceptor.is_open()) {
      tcp::socket socket(asio::make_strand(context));
      co_await acceptor.async_accept(socket, redirect_error(use_awaitable, error));
      if (!error && open.load() < limits.connections) {
        const auto executor = socket.get_executor();
        asio::co_spawn(executor, talk(std::move(socket), std::make_unique<Counted>(open)), asio::detached);
      } else if (error && acceptor.is_open()) {  // no more files may be opened, as a rule
        asio::steady_timer pause(acceptor.get_executor(), 50ms);
        co_await pause.async_wait(redirect_error(use_awaitable, error));
      }
    }
  }

  asio::awaitable<void> talk(tcp::socket socket, std::unique_ptr<Counted> /* while it lasts */) {
    Error error;
    socket.set_option(tcp::no_delay(true), error);
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(2 * limits.header_bytes + limits.body_bytes);
    for (bool more = true; more && !is_stopping;) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
      parser.body_limit(limits.body_bytes);
      stream.expires_after(limits.patience);
      co_await http::async_read(stream, buffer, parser, redirect_error(use_awaitable, error));
      if (!error && parser.get().method() == http::verb::get && path_of(parser.get()) == "/events") {
        const Counted page(pages);
        co_return co_await send_events(stream, field(parser.get(), "Last-Event-ID"));
      }
      const Counted busy(under_way);
      Response response;
      if (!error) {
        response = co_await answer(request_of(parser.get()));
      } else if (const int status = status_of(error)) {
        response = refusal(status, status == 400 ? "The request is not valid." : "The request is too long.");
      } else {
        co_return;
      }
      Answered answered = answer_of(std::move(response), parser.get());
      if (error || is_stopping) answered.keep_alive(false);
      more = answered.keep_alive();
      stream.expires_after(limits.patience);
      co_await http::async_write(stream, answered, redirect_error(use_awaitable, error));
      if (error) co_return;
    }
    stream.socket().shutdown(tcp::socket::shutdown_send, error);
    // What was too long may still be coming: who sends into a closed connection may not get the answer (RFC 9112, 9.6).
    while (!error) {
      buffer.clear();
      co_await stream.async_read_some(buffer.prepare(limits.header_bytes), redirect_error(use_awaitable, error));
    }
  }
  asio::awaitable<Response> answer(Request request) {
    try {
      co_return co_await handlers.answer(std::move(request));
    } catch (const std::exception& e) {
      std::cerr << std::string("live_poll: a request failed: ") + e.what() + '\n' << std::flush;
    }
    co_return refusal(500, "That went wrong, and it is our fault.");
  }

  /// What an open page waits for: that there is news, or that the page has gone.
  struct Bell {
    explicit Bell(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    bool has_gone = false;
    char unasked{};  // it has nothing more to say
  };

  asio::awaitable<void> send_events(beast::tcp_stream& stream, std::string last_event_id) {
    constexpr std::string_view sorry =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
    try {
      atom::EventStream events = co_await in_asio(handlers.open_events(std::move(last_event_id)));
      if (!events.ended()) co_return co_await send(stream, events);
    } catch (const atom::StateError& e) {
      std::cerr << std::string("live_poll: no events: ") + e.what() + '\n' << std::flush;
    }
    Error error;
    stream.expires_after(limits.patience);
    co_await asio::async_write(stream, asio::buffer(sorry), redirect_error(use_awaitable, error));
  }
  /// Until the page or the store has gone. What the page does not take in time ends it, and it connects again.
  asio::awaitable<void> send(beast::tcp_stream& stream, atom::EventStream& events) {
    constexpr std::string_view head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
    const auto executor = co_await asio::this_coro::executor;
    // It may be rung when this has ended.
    const auto bell = std::make_shared<Bell>(executor);
    events.on_ready([bell, executor] { asio::post(executor, [bell] { bell->timer.cancel(); }); });
    Error error;
    stream.socket().set_option(asio::socket_base::send_buffer_size(unread_bytes), error);
    stream.socket().async_read_some(asio::buffer(&bell->unasked, 1), [bell](const Error&, std::size_t) {
      bell->has_gone = true;
      bell->timer.cancel();
    });
    std::string text(head);
    while (!bell->has_gone) {
      text += events.take();
      if (!text.empty()) {
        stream.expires_after(limits.patience);
        co_await asio::async_write(stream, asio::buffer(text), redirect_error(use_awaitable, error));
        if (error || events.ended()) co_return;
        text.clear();
        asio::steady_timer pause(executor, event_pause);
        co_await pause.async_wait(redirect_error(use_awaitable, error));
        text = events.take();
        if (!text.empty()) continue;
      }
      if (bell->has_gone || events.ended()) co_return;
      bell->timer.expires_after(heartbeat);
      co_await bell->timer.async_wait(redirect_error(use_awaitable, error));
      if (!error) text = ":\n\n";
    }
  }

  const Handlers handlers;
  const Limits limits;
  std::atomic<std::size_t> open{0};
  std::atomic<std::size_t> under_way{0};  // requests
  std::atomic<std::size_t> pages{0};
  std::atomic<bool> is_stopping{false};
  asio::io_context context;
  tcp::acceptor acceptor{asio::make_strand(context)};
  std::vector<std::thread> threads;
};

Server::Server(Handlers handlers, Limits limits) : inside_(std::make_unique<Inside>(std::move(handlers), limits)) {}

Server::~Server() {
  if (!inside_->threads.empty()) stop();
}

std::size_t Server::connections() const noexcept {
  return inside_->open;
}

int Server::bind(int port) {
  try {
    const tcp::endpoint place(asio::ip::make_address(host), static_cast<unsigned short>(port));
    inside_->acceptor.open(place.protocol());
    inside_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    inside_->acceptor.bind(place);
    inside_->acceptor.listen();
    return inside_->acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& e) {
    throw std::system_error(e.code().value(), std::system_category());
  }
}

void Server::start(unsigned threads) {
  asio::co_spawn(inside_->acceptor.get_executor(), inside_->accept(), asio::detached);
  for (unsigned i = 0; i < threads; ++i) inside_->threads.emplace_back([this] { inside_->context.run(); });
}

bool Server::stop() {
  Inside& inside = *inside_;
  inside.is_stopping = true;
  asio::post(inside.acceptor.get_executor(), [&inside] {
    Error ignored;
    inside.acceptor.close(ignored);
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto is_within = [begin](auto time) { return std::chrono::steady_clock::now() - begin < time; };
  while ((inside.under_way > 0 && is_within(time_to_stop)) || (inside.pages > 0 && is_within(time_to_end_pages))) {
    std::this_thread::sleep_for(5ms);
  }
  const bool is_done = inside.under_way == 0;
  inside.context.stop();
  for (std::thread& thread : inside.threads) thread.join();
  inside.threads.clear();
  return is_done;
}

Server::Handlers handlers_of(atom::StateStore& states, const Settings& settings) {
  return {.answer = [&states, settings](Request request) -> asio::awaitable<Response> {
            auto work = [&states, settings, asked = std::move(request)] {
              return live_poll::answer(states, asked, settings);
            };
            co_return co_await in_asio(states.async(std::move(work)));
          },
          .open_events =
              [&states](std::string last_event_id) {
                atom::EventStreamOptions options{.last_event_id = std::move(last_event_id)};
                return states.events_async(scope(), std::move(options));
              }};
}

}  // namespace live_poll

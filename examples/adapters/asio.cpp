// Boost.Asio with coroutines on two threads: the store lies in the coroutine's frame.
// So it goes with the request over every suspension, also when that resumes on the other thread.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <thread>
#include <utility>

#include "greeting.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::ip::tcp;

asio::awaitable<void> serve(tcp::socket socket) {
  beast::flat_buffer buffer;
  http::request<http::string_body> request;
  co_await http::async_read(socket, buffer, request, use_awaitable);
  atom::AtomStore store;
  store.use(adapters::user_atom);
  asio::steady_timer database(socket.get_executor(), std::chrono::milliseconds(1));
  co_await database.async_wait(use_awaitable);  // and on, perhaps on the other thread
  http::response<http::string_body> response(http::status::ok, request.version());
  response.set(http::field::content_type, "application/json");
  response.body() = adapters::greet(store, adapters::name_in({request.target().data(), request.target().size()}));
  response.prepare_payload();
  co_await http::async_write(socket, response, use_awaitable);
}

asio::awaitable<void> accept(tcp::acceptor& acceptor) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
    asio::co_spawn(socket.get_executor(), serve(std::move(socket)), asio::detached);
  }
}

int main(int argc, char** argv) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  asio::co_spawn(context, accept(acceptor), asio::detached);
  std::thread one([&] { context.run(); });
  std::thread other([&] { context.run(); });
  const int code = adapters::run(argc, argv, acceptor.local_endpoint().port());
  context.stop();
  one.join();
  other.join();
  return code;
}

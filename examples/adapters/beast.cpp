// Boost.Beast, synchronous: a thread for each connection, a store for each request of it.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <cstdlib>
#include <thread>
#include <utility>

#include "greeting.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

void serve(tcp::socket socket) {
  beast::flat_buffer buffer;
  beast::error_code error;
  for (bool more = true; more;) {
    http::request<http::string_body> request;
    http::read(socket, buffer, request, error);
    if (error) return;
    atom::AtomStore store;
    http::response<http::string_body> response(http::status::ok, request.version());
    response.set(http::field::content_type, "application/json");
    response.keep_alive(request.keep_alive());
    response.body() = adapters::greet(store, adapters::name_in({request.target().data(), request.target().size()}));
    response.prepare_payload();
    http::write(socket, response, error);
    more = !error && response.keep_alive();
  }
  socket.shutdown(tcp::socket::shutdown_send, error);
}

int main(int argc, char** argv) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  const auto port = acceptor.local_endpoint().port();
  std::thread([acceptor = std::move(acceptor)]() mutable {
    for (;;) std::thread(serve, acceptor.accept()).detach();
  }).detach();
  std::_Exit(adapters::run(argc, argv, port));  // threads still wait for connections
}

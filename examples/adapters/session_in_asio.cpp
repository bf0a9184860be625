// Boost.Beast and Boost.Asio with a session in SQLite: a note that each client reads and writes, and its shutting down.
#include <atom/backend/sqlite.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "session_in_asio.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
using namespace std::chrono_literals;
using asio::use_awaitable;
using asio::ip::tcp;

asio::awaitable<void> serve(tcp::socket socket, atom::StateStore& states) {
  beast::tcp_stream stream(std::move(socket));
  stream.expires_after(10s);
  beast::flat_buffer buffer;
  Request request;
  co_await http::async_read(stream, buffer, request, use_awaitable);
  Response response = co_await handle(states, std::move(request));
  response.set(http::field::content_type, "application/json");
  response.keep_alive(false);
  response.prepare_payload();
  stream.expires_after(10s);
  co_await http::async_write(stream, response, use_awaitable);
}

asio::awaitable<void> accept(tcp::acceptor& acceptor, atom::StateStore& states) {
  while (acceptor.is_open()) {
    boost::system::error_code error;
    tcp::socket socket(asio::make_strand(acceptor.get_executor()));
    co_await acceptor.async_accept(socket, asio::redirect_error(use_awaitable, error));
    const auto strand = socket.get_executor();
    if (!error) {
      asio::co_spawn(strand, serve(std::move(socket), states), asio::detached);
    } else if (acceptor.is_open()) {  // else it was closed
      std::cerr << "accept: " << error.message() << '\n';
      // Too many files are open, say: the client still waits, and the next try would fail at once.
      asio::steady_timer pause(acceptor.get_executor(), 100ms);
      co_await pause.async_wait(use_awaitable);
    }
  }
}

Response ask(std::uint16_t port, http::verb verb, std::string body, const std::string& cookie,
             const std::string& type = "application/json") {
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), port});
  Request request(verb, "/", 11, std::move(body));
  request.set(http::field::cookie, cookie);
  request.set(http::field::content_type, type);
  request.prepare_payload();
  http::write(socket, request);
  beast::flat_buffer buffer;
  Response response;
  http::read(socket, buffer, response);
  return response;
}

/// Whether a client gets what it has written, and others do not; what is stale is refused, also at once, and so is what
/// another site's form may hold.
bool is_right(std::uint16_t port) {
  const Response empty = ask(port, http::verb::get, "", "");
  const Response first = ask(port, http::verb::post, R"({"text":"tea","version":0})", "");
  std::string cookie(first[http::field::set_cookie]);
  cookie.resize(std::min(cookie.find(';'), cookie.size()));
  const auto seen = atom::from_json<Note>(first.body());
  const Response stale = ask(port, http::verb::post, R"({"text":"ink","version":0})", cookie);
  const Response broken = ask(port, http::verb::post, R"({"text":)", cookie);
  const Response forged = ask(port, http::verb::post, R"({"text":"=","version":0})", "", "text/plain");
  if (!seen || seen->text != "tea" || first.result() != http::status::ok || stale.result() != http::status::conflict ||
      stale.body() != first.body() || broken.result() != http::status::bad_request ||
      forged.result() != http::status::unsupported_media_type || forged.count(http::field::set_cookie) != 0 ||
      empty.body() != R"({"text":"","version":0})" || ask(port, http::verb::get, "", cookie).body() != first.body() ||
      ask(port, http::verb::get, "", "").body() != empty.body()) {
    return false;
  }
  std::atomic<int> written{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> tabs;
  for (int i = 0; i < 8; ++i) {
    tabs.emplace_back([&, i] {
      const Note note{"tea for " + std::to_string(i), seen->version};
      const http::status status = ask(port, http::verb::post, atom::to_json(note), cookie).result();
      if (status == http::status::ok) ++written;
      if (status == http::status::conflict) ++refused;
    });
  }
  for (std::thread& tab : tabs) tab.join();
  return written == 1 && refused == 7;
}

/// Serves until `told(port)` returns.
template <class F>
void serve_until(F told, const std::string& path) {
  atom::StateStore states{atom::Sqlite{path}};  // before the context, which goes first
  asio::io_context context;
  tcp::acceptor acceptor(asio::make_strand(context), {asio::ip::address_v4::loopback(), 0});
  const std::uint16_t port = acceptor.local_endpoint().port();
  asio::co_spawn(acceptor.get_executor(), accept(acceptor, states), asio::detached);
  const auto run = [&] {
    const atom::MustNotBlock here;  // or it is reported
    context.run();
  };
  std::thread one(run);
  std::thread other(run);
  told(port);

  asio::post(acceptor.get_executor(), [&] { acceptor.close(); });  // nobody new
  states.close(3s);  // event streams end, and who waits for the database gets an error, `closed`
  one.join();        // `run` returns when the last one has an answer
  other.join();
}

int main(int argc, char** argv) {
  if (argc < 2 || argv[1] != std::string_view("--once")) {
    const auto enter = [](std::uint16_t port) {
      std::printf("http://localhost:%d/ (Enter ends)\n", port);
      std::fflush(stdout);
      std::getchar();
    };
    serve_until(enter, "notes.db");
    return 0;
  }
  const auto folder = std::filesystem::temp_directory_path() / ("notes-" + atom::SessionId::random().text());
  std::filesystem::create_directory(folder);
  bool is_good = false;
  serve_until([&](std::uint16_t port) { is_good = is_right(port); }, (folder / "notes.db").string());
  std::filesystem::remove_all(folder);
  std::printf("%s\n", is_good ? "every answer was right" : "an answer was wrong");
  return is_good ? 0 : 1;
}

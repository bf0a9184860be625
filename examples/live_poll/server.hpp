// The poll's socket: a web server of coroutines, where an open page costs no thread. What is inside is in server.cpp,
// the one file that knows Boost.Beast.
#pragma once

#include "poll.hpp"

#include <atom/state/event_stream.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/task.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace live_poll {

/// What strangers can make it hold.
struct Limits {
  std::size_t header_bytes = 8000;
  std::size_t body_bytes = 1000;
  std::size_t connections = 20'000;
  std::chrono::milliseconds patience =
      std::chrono::seconds(10);  // for a request to come, and for an answer to be taken
};

/// Listens on this machine only.
class Server {
 public:
  static constexpr const char* host = "127.0.0.1";
  static constexpr std::chrono::seconds time_to_stop{10};
  /// What is answered, and what an open page is sent.
  struct Handlers {
    std::function<boost::asio::awaitable<Response>(Request)> answer;
    std::function<atom::StateTask<atom::EventStream>(std::string last_event_id)> open_events;
  };

  explicit Server(Handlers handlers, Limits limits = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Takes a port, 0 for any, and returns it. Throws std::system_error if that cannot be.
  int bind(int port);
  /// Serves with so many threads, until `stop`.
  void start(unsigned threads = 2);
  /// Accepts nothing new and lets requests finish. Whether they did, in time. Event streams end with their store, which
  /// is to be closed before; a page that does not read is not waited for.
  bool stop();
  /// How many connections are open.
  std::size_t connections() const noexcept;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

/// The poll's. The store's database may block its threads, but none of the server's.
Server::Handlers handlers_of(atom::StateStore& states, const Settings& settings = {});

}  // namespace live_poll

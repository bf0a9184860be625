// The shop's socket: a web server around a function from Request to Response, and a client that asks it. What is inside
// is in server.cpp, the one file that knows the web framework.
#pragma once

#include "shop.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace shop {

/// The server, on a thread of its own. Listens on this machine only.
class Server {
 public:
  static constexpr const char* host = "127.0.0.1";
  static constexpr std::chrono::seconds time_to_stop{10};
  using Answer = std::function<Response(const Request&)>;

  /// Serves what `answer` says, which is called on many threads at once.
  explicit Server(Answer answer);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Takes a port, 0 for any, and returns it. Throws std::system_error if that cannot be.
  int bind(int port);
  /// Serves until `stop`. If it ends by itself, `ended` is called, on the server's thread.
  void start(std::function<void()> ended = [] {});
  /// Accepts nothing new and lets what is running finish. Whether it did, in time.
  bool stop();
  /// How many answers are being made.
  int under_way() const noexcept;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

/// One client with a connection that is kept open. What it returns throws std::runtime_error without an answer.
std::function<Response(const Request&)> connect_to(int port);

}  // namespace shop

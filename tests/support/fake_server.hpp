// A server that is none: it takes connections, and does with each what a test tells it to.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// What has come by now; waits for it up to two seconds.
inline std::string read_some(int peer) {
  char bytes[65536];
  pollfd file{peer, POLLIN, 0};
  const ssize_t size = ::poll(&file, 1, 2000) > 0 ? ::read(peer, bytes, sizeof bytes) : 0;
  return {bytes, size > 0 ? static_cast<std::size_t>(size) : 0};
}
inline void write_all(int peer, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}
/// Until the other side has closed, or five seconds have passed.
inline void wait_for_end(int peer) {
  while (!read_some(peer).empty()) {
  }
}
inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<in_port_t>(port));
  return address;
}
/// Carries what comes to a port of this machine, and back.
inline void relay(int peer, int port) {
  const int server = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    for (pollfd both[] = {{peer, POLLIN, 0}, {server, POLLIN, 0}}; ::poll(both, 2, 10'000) > 0;) {
      const bool is_request = both[0].revents != 0;
      const std::string bytes = read_some(is_request ? peer : server);
      if (bytes.empty()) break;
      write_all(is_request ? server : peer, bytes);
    }
  }
  ::close(server);
}

class FakeServer {
 public:
  using Serve = std::function<void(int peer)>;

  /// On a port of this machine; 0: one that is free.
  explicit FakeServer(Serve serve, int port = 0) : serve_(std::move(serve)) {
    sockaddr_in address = loopback(port);
    listen(AF_INET, reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  /// On a socket with a path.
  FakeServer(Serve serve, const std::string& path) : serve_(std::move(serve)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listen(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    ends_ = true;
    accepting_.join();
    for (std::thread& thread : serving_) thread.join();
    ::close(listener_);
  }

  int port() const noexcept { return port_; }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
  /// From now on it does that with each new connection.
  void serve(Serve other) {
    const std::lock_guard lock(mutex_);
    serve_ = std::move(other);
  }

 private:
  void listen(int family, const sockaddr* address, socklen_t size) {
    listener_ = ::socket(family, SOCK_STREAM, 0);
    const int yes = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(listener_, address, size) != 0 || ::listen(listener_, 16) != 0) {
      throw std::runtime_error("the fake server cannot listen");
    }
    accepting_ = std::thread([this] { accept(); });
  }
  void accept() {
    while (!ends_) {
      pollfd file{listener_, POLLIN, 0};
      if (::poll(&file, 1, 20) <= 0) continue;
      const int peer = ::accept(listener_, nullptr, nullptr);
      if (peer < 0) continue;
      serving_.emplace_back([this, peer] {
        Serve serve;
        {
          const std::lock_guard lock(mutex_);
          serve = serve_;
        }
        serve(peer);
        ::close(peer);
      });
    }
  }

  std::mutex mutex_;
  Serve serve_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> ends_ = false;
  std::thread accepting_;
  std::vector<std::thread> serving_;
};

/// Listens on a port of this machine, and takes nobody. Who connects to it waits for an answer; if it is full, even for
/// the connection.
class SilentServer {
 public:
  explicit SilentServer(bool is_full, sockaddr_in address = loopback(0)) {
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, is_full ? 0 : 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("the silent server cannot listen");
    }
    port_ = ntohs(address.sin_port);
    if (!is_full) return;
    for (int& other : others_) {
      other = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      static_cast<void>(::connect(other, reinterpret_cast<const sockaddr*>(&address), size));
    }
  }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  ~SilentServer() {
    for (const int other : others_) {
      if (other >= 0) ::close(other);
    }
    ::close(listener_);
  }
  int port() const noexcept { return port_; }

 private:
  int listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  int others_[4] = {-1, -1, -1, -1};  // who connected before
  int port_ = 0;
};

}  // namespace support

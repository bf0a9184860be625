// A bad network: what goes to a server goes through it, and some of it is lost, late, twice, held up or in pieces.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <list>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/fake_server.hpp"

namespace support {

/// Listens on a port of this machine, and passes on to a server's socket with a path: so it knows nothing of the
/// server's port, and nobody gets around it. It knows no protocol either: a request is what comes at once.
///
/// What arrives a second time is all that the connection has sent until then, on a new one, as a request may need what
/// came before it (that the client signs in, a statement that is prepared); so it brings many repetitions at once.
class ChaosProxy {
 public:
  enum class Fault : std::uint8_t {
    lost_request,  ///< The connection ends before it is passed on.
    lost_answer,   ///< It ends when the answer has come.
    delayed,       ///< It ends, and the request arrives later all the same.
    duplicated,    ///< It arrives once more later.
    reset,         ///< It is passed on, and the connection ends with a reset.
    stalled,       ///< Nothing happens for a while.
    split,         ///< It comes in pieces of a few bytes, and its answer too.
    none,
  };
  static constexpr std::size_t kinds = 7;
  static constexpr std::array<std::string_view, kinds> names{"lost requests", "lost answers", "delayed", "duplicated",
                                                             "resets",        "stalls",       "split"};

  /// So many of a thousand requests have each kind of fault.
  explicit ChaosProxy(std::string server, std::uint32_t seed = 1, unsigned per_mille = 0)
      : server_(std::move(server)), per_mille_(per_mille), random_(seed) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      ::close(listener_);
      throw std::runtime_error("the proxy cannot listen");
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept(); });
  }
  ChaosProxy(const ChaosProxy&) = delete;
  ChaosProxy& operator=(const ChaosProxy&) = delete;
  ~ChaosProxy() { close(); }

  int port() const noexcept { return port_; }
  /// The next requests have these faults, one each; after that it is by chance again.
  void script(std::initializer_list<Fault> faults) {
    const std::lock_guard lock(mutex_);
    script_.insert(script_.end(), faults);
  }
  /// From now on each request is passed on so much later, with no fault: it is far to the server.
  void slow_down(std::chrono::milliseconds time) noexcept { distance_ = time; }
  /// Ends the connections that there are.
  void cut() noexcept { ++cuts_; }
  /// Ends all connections. Returns when all that is late has arrived.
  void close() {
    if (ends_.exchange(true)) return;
    accepting_.join();
    ::close(listener_);
    for (;;) {  // a connection may leave something that is late
      std::list<Thread> ending;
      {
        const std::lock_guard lock(mutex_);
        ending.swap(threads_);
      }
      if (ending.empty()) return;
      for (Thread& thread : ending) thread.thread.join();
    }
  }

  /// How many faults of a kind there were that a client or the server has seen.
  std::size_t happened(Fault fault) const noexcept { return happened_[static_cast<std::size_t>(fault)]; }
  std::size_t requests() const noexcept { return requests_; }
  /// How often a client has sent something, and then waited for an answer: what it sends before that counts once.
  std::size_t round_trips() const noexcept { return round_trips_; }
  std::size_t connections() const noexcept { return connections_; }

 private:
  using milliseconds = std::chrono::milliseconds;

  class Socket {
   public:
    explicit Socket(int fd) : fd_(fd) {
      // Whoever takes nothing for so long is not waited for.
      const timeval time{5, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { ::close(fd_); }
    int get() const noexcept { return fd_; }
    /// When it is closed, the other side is told that something went wrong.
    void reset() const noexcept {
      const linger none{1, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }

   private:
    const int fd_;
  };
  struct Thread {
    std::thread thread;
    std::atomic<bool> has_ended = false;
  };

  template <class Work>
  void start(Work work) {
    const std::lock_guard lock(mutex_);
    Thread& mine = threads_.emplace_back();
    mine.thread = std::thread([&mine, work = std::move(work)] {
      work();
      mine.has_ended = true;
    });
  }
  void accept() {
    while (!ends_) {
      pollfd file{listener_, POLLIN, 0};
      const int client = ::poll(&file, 1, 20) > 0 ? ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC) : -1;
      if (client >= 0) start([this, client] { carry(Socket(client)); });
      const std::lock_guard lock(mutex_);
      threads_.remove_if([](Thread& thread) {
        if (!thread.has_ended) return false;
        thread.thread.join();
        return true;
      });
    }
  }

  /// What a server does not take, as it is not there, is lost.
  bool connect(const Socket& socket) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, server_.data(), std::min(server_.size(), sizeof address.sun_path - 1));
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  static int unix_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static void write_pieces(int peer, std::string_view bytes) {
    no_delay(peer);
    for (int piece = 0; piece < 50 && !bytes.empty(); ++piece) {
      const std::string_view some = bytes.substr(0, 1 + static_cast<std::size_t>(piece) % 5);
      write_all(peer, some);
      bytes.remove_prefix(some.size());
      std::this_thread::sleep_for(std::chrono::microseconds(50));  // so that it is read before the next one comes
    }
    write_all(peer, bytes);
  }
  static void no_delay(int peer) {
    const int yes = 1;
    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }

  /// Passes on what a client sends, and what is answered, until one of them has had enough.
  void carry(const Socket& client) {
    const Socket server(unix_socket());
    if (!connect(server)) return;
    ++connections_;
    no_delay(client.get());
    std::string all;  // that the client has sent
    Fault fault = Fault::none;
    bool is_answered = true;  // all that was sent until now
    for (const unsigned cuts = cuts_; !ends_ && cuts == cuts_;) {
      pollfd both[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
      if (::poll(both, 2, 20) <= 0 || cuts != cuts_) continue;
      const bool is_request = both[0].revents != 0;
      const std::string bytes = read_some(is_request ? client.get() : server.get());
      if (bytes.empty()) return;
      if (!is_request) {
        is_answered = true;
        if (fault == Fault::lost_answer) return count(fault);
        write(client.get(), bytes, fault);
        continue;
      }
      if (std::exchange(is_answered, false)) ++round_trips_;
      std::this_thread::sleep_for(distance_.load());
      all += bytes;
      fault = next_fault();
      switch (fault) {
        case Fault::lost_request:
          return count(fault);
        case Fault::delayed:
          return send_later(fault, std::move(all));
        case Fault::duplicated:
          send_later(fault, all);
          break;
        case Fault::reset:
          write_all(server.get(), bytes);
          client.reset();
          return count(fault);
        case Fault::stalled:
          std::this_thread::sleep_for(some_time());
          count(fault);
          break;
        case Fault::split:
          count(fault);
          break;
        case Fault::lost_answer:
        case Fault::none:
          break;
      }
      write(server.get(), bytes, fault);
    }
  }
  static void write(int peer, std::string_view bytes, Fault fault) {
    fault == Fault::split ? write_pieces(peer, bytes) : write_all(peer, bytes);
  }
  /// It has happened when the server has answered. (All answers are read: a server may stop what nobody waits for.)
  void send_later(Fault fault, std::string bytes) {
    start([this, fault, bytes = std::move(bytes)] {
      std::this_thread::sleep_for(some_time());
      const Socket server(unix_socket());
      if (!connect(server)) return;
      write_all(server.get(), bytes);
      bool is_answered = false;
      const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(3);
      for (pollfd file{server.get(), POLLIN, 0}; ::poll(&file, 1, is_answered ? 500 : 3000) > 0 &&
                                                 std::chrono::steady_clock::now() < last &&
                                                 !read_some(server.get()).empty();) {
        is_answered = true;
      }
      if (is_answered) count(fault);
    });
  }

  Fault next_fault() {
    const std::lock_guard lock(mutex_);
    ++requests_;
    if (!script_.empty()) {
      const Fault fault = script_.front();
      script_.pop_front();
      return fault;
    }
    const auto chance = std::uniform_int_distribution<std::size_t>(0, 999)(random_);
    return chance < kinds * per_mille_ ? static_cast<Fault>(chance / per_mille_) : Fault::none;
  }
  milliseconds some_time() {
    const std::lock_guard lock(mutex_);
    return milliseconds(std::uniform_int_distribution(1, 100)(random_));
  }
  void count(Fault fault) noexcept { ++happened_[static_cast<std::size_t>(fault)]; }

  const std::string server_;
  const unsigned per_mille_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> ends_ = false;
  std::atomic<milliseconds> distance_{};
  std::atomic<unsigned> cuts_ = 0;
  std::array<std::atomic<std::size_t>, kinds> happened_{};
  std::atomic<std::size_t> requests_ = 0, round_trips_ = 0, connections_ = 0;
  std::mutex mutex_;  // of what follows
  std::minstd_rand random_;
  std::deque<Fault> script_;
  std::list<Thread> threads_;
  std::thread accepting_;
};

}  // namespace support

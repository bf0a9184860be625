// A server that answers with what it is told, one request after the other, and then closes. For one client at a time.
#pragma once

#include "support/fake_server.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace fuzz {

class Answering {
 public:
  /// The size of the request that the bytes begin with; 0: there is more to come.
  using SizeOf = std::size_t (*)(std::string_view bytes);
  /// Its answer; nothing: the connection is closed.
  using Answer = std::function<std::optional<std::string>(std::string_view request)>;

  Answering(SizeOf size_of, Answer answer) : size_of_(size_of), answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = support::loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0) {
      throw std::runtime_error("it cannot listen");
    }
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;
  ~Answering() {
    ends_ = true;
    thread_.join();
    for (const auto& [peer, _] : peers_) ::close(peer);
    ::close(listener_);
  }

  std::string port() const { return std::to_string(port_); }
  void set(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

 private:
  void run() {
    while (!ends_) {
      std::vector<pollfd> files{{listener_, POLLIN, 0}};
      for (const auto& [peer, _] : peers_) files.push_back({peer, POLLIN, 0});
      if (::poll(files.data(), files.size(), 50) <= 0) continue;
      for (std::size_t i = 1; i < files.size(); ++i) {
        if (files[i].revents != 0 && !serve(peers_[i - 1])) ::close(std::exchange(peers_[i - 1].first, -1));
      }
      std::erase_if(peers_, [](const auto& peer) { return peer.first < 0; });
      if (files[0].revents == 0) continue;
      if (const int peer = ::accept(listener_, nullptr, nullptr); peer >= 0) peers_.emplace_back(peer, "");
    }
  }
  bool serve(std::pair<int, std::string>& from) {
    auto& [peer, bytes] = from;
    const std::string more = support::read_some(peer);
    if (more.empty()) return false;
    bytes += more;
    while (const std::size_t size = size_of_(bytes)) {
      Answer answer;
      {
        const std::lock_guard lock(mutex_);
        answer = answer_;
      }
      const std::optional<std::string> text = answer(std::string_view(bytes).substr(0, size));
      if (!text) return false;
      support::write_all(peer, *text);
      bytes.erase(0, size);
    }
    return true;
  }

  const SizeOf size_of_;
  std::mutex mutex_;
  Answer answer_;
  int listener_ = -1;
  int port_ = 0;
  std::vector<std::pair<int, std::string>> peers_;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

}  // namespace fuzz

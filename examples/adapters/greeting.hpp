// What all three servers answer, and how each of them checks itself. The part that a framework cannot know: a handler
// gets the store of its request by reference.
#pragma once

#include <atom/json.hpp>
#include <atom/store.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace adapters {

inline const atom::Atom<std::string> user_atom{"user", "nobody"};
inline const atom::Atom<int> letters_atom{"letters", 0};

/// "/greet?name=Ada" -> "Ada"
inline std::string name_in(std::string_view target) {
  const std::size_t at = target.find("?name=");
  return at == target.npos ? "nobody" : std::string(target.substr(at + 6));
}

/// The handler: `{"user":"Ada","letters":3}`
inline std::string greet(atom::AtomStore& store, std::string_view name) {
  store.use(user_atom).on_change(
      [&store](const std::string& now) { store.use(letters_atom).update(static_cast<int>(now.size())); });
  store.use(user_atom).update(std::string(name));
  return atom::to_json(store.snapshot());
}

/// The answer to one GET, headers and all; empty if there is none within five seconds.
inline std::string get(std::uint16_t port, const std::string& target) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{5, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[1024];
    for (ssize_t size; (size = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(size));
    }
  }
  ::close(socket);
  return answer;
}

/// With --once: 8 clients at a time, 25 requests each, every one with a name of its own; returns the exit code. Else
/// serves until Enter is pressed.
inline int run(int argc, char** argv, std::uint16_t port) {
  if (argc < 2 || argv[1] != std::string_view("--once")) {
    std::printf("http://localhost:%d/greet?name=Ada (Enter ends)\n", port);
    std::fflush(stdout);
    std::getchar();
    return 0;
  }
  // One alone: cpp-httplib sets things up at its first request, which ThreadSanitizer, blind inside a library that is
  // installed, would take for a race.
  get(port, "/greet?name=first");
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&right, client, port] {
      for (int i = 0; i < 25; ++i) {
        const std::string name = "client" + std::to_string(client) + "-" + std::to_string(i);
        const std::string body = "{\"user\":\"" + name + "\",\"letters\":" + std::to_string(name.size()) + "}";
        if (get(port, "/greet?name=" + name).ends_with("\r\n\r\n" + body)) ++right;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  std::printf("%d of 200 answers were right\n", right.load());
  std::fflush(stdout);
  return right == 200 ? 0 : 1;
}

}  // namespace adapters

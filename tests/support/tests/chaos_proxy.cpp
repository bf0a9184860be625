// Each fault of the proxy is the one that it is called, as seen by both sides.
#include "support/chaos_proxy.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/fake_server.hpp"

namespace chaos_proxy_tests {

using support::ChaosProxy;
using Fault = ChaosProxy::Fault;

/// Answers each line with the same line, and keeps what came on each connection.
struct Echo {
  support::TemporaryFolder folder;
  std::mutex mutex;
  std::vector<std::string> received;
  std::size_t pieces = 0;
  support::FakeServer server{[this](int peer) { serve(peer); }, folder / "socket"};

  void serve(int peer) {
    std::size_t mine = 0;
    {
      const std::lock_guard lock(mutex);
      mine = received.size();
      received.emplace_back();
    }
    for (std::string bytes; !(bytes = support::read_some(peer)).empty();) {
      {
        const std::lock_guard lock(mutex);
        received[mine] += bytes;
        ++pieces;
      }
      support::write_all(peer, bytes);
    }
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex);
    return received;
  }
};

/// One connection to the proxy.
struct Client {
  int file = ::socket(AF_INET, SOCK_STREAM, 0);
  int error = 0;

  explicit Client(const ChaosProxy& proxy) {
    const sockaddr_in address = support::loopback(proxy.port());
    REQUIRE(::connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(file); }
  /// The answer; empty if the connection has ended, with `error` if it was reset.
  std::string ask(std::string_view line) {
    support::write_all(file, line);
    std::string answer;
    while (answer.size() < line.size()) {
      char bytes[1000];
      pollfd waits{file, POLLIN, 0};
      if (::poll(&waits, 1, 10'000) <= 0) break;
      const ssize_t size = ::recv(file, bytes, sizeof bytes, 0);
      if (size <= 0) {
        error = size < 0 ? errno : 0;
        break;
      }
      answer.append(bytes, static_cast<std::size_t>(size));
    }
    return answer;
  }
};

using Lines = std::vector<std::string>;

TEST_CASE("a request that is lost does not arrive, one whose answer is lost does, and neither is answered") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket");
  proxy.script({Fault::none, Fault::lost_request, Fault::lost_answer});
  Client first(proxy);
  CHECK(first.ask("one\n") == "one\n");
  CHECK(first.ask("two\n").empty());
  CHECK(first.error == 0);
  Client second(proxy);
  CHECK(second.ask("three\n").empty());
  proxy.close();
  CHECK(echo.all() == Lines{"one\n", "three\n"});
  CHECK(proxy.happened(Fault::lost_request) == 1);
  CHECK(proxy.happened(Fault::lost_answer) == 1);
  CHECK(proxy.requests() == 3);
  CHECK(proxy.connections() == 2);
}

TEST_CASE("what is sent before it is answered is one round trip, in however many pieces") {
  const support::TemporaryFolder folder;
  support::FakeServer server(
      [](int peer) {
        std::string line;
        for (std::string bytes; !(bytes = support::read_some(peer)).empty();) {
          line += bytes;
          if (line.ends_with('\n')) support::write_all(peer, std::exchange(line, ""));
        }
      },
      folder / "socket");
  ChaosProxy proxy(folder / "socket");
  Client client(proxy);
  support::write_all(client.file, "o");
  while (proxy.requests() == 0) std::this_thread::yield();
  CHECK(client.ask("ne\n").starts_with("one"));
  CHECK(proxy.requests() == 2);
  CHECK(proxy.round_trips() == 1);
  CHECK(client.ask("two\n") == "two\n");
  CHECK(proxy.round_trips() == 2);
}

TEST_CASE("a request that is delayed arrives on another connection, with all that came before it on its own") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket");
  proxy.script({Fault::none, Fault::delayed});
  Client client(proxy);
  CHECK(client.ask("one\n") == "one\n");
  CHECK(client.ask("two\n").empty());
  proxy.close();
  CHECK(echo.all() == Lines{"one\n", "one\ntwo\n"});
  CHECK(proxy.happened(Fault::delayed) == 1);
}

TEST_CASE("a request that is duplicated is answered, and arrives once more") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket");
  proxy.script({Fault::none, Fault::duplicated});
  Client client(proxy);
  CHECK(client.ask("one\n") == "one\n");
  CHECK(client.ask("two\n") == "two\n");
  proxy.close();
  CHECK(echo.all() == Lines{"one\ntwo\n", "one\ntwo\n"});
  CHECK(proxy.happened(Fault::duplicated) == 1);
}

TEST_CASE("a connection that is reset says so to the client") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket");
  proxy.script({Fault::reset});
  Client client(proxy);
  CHECK(client.ask("one\n").empty());
  CHECK(client.error == ECONNRESET);
  CHECK(proxy.happened(Fault::reset) == 1);
}

TEST_CASE("what is held up, or comes in pieces, comes whole") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket");
  proxy.script({Fault::stalled, Fault::split});
  Client client(proxy);
  CHECK(client.ask("one\n") == "one\n");
  const std::string long_line(1000, 'x');
  CHECK(client.ask(long_line) == long_line);
  proxy.close();
  CHECK(echo.all() == Lines{"one\n" + long_line});
  CHECK(echo.pieces > 2);
  CHECK(proxy.happened(Fault::stalled) == 1);
  CHECK(proxy.happened(Fault::split) == 1);
}

TEST_CASE("by chance each fault befalls about as many as it is told") {
  Echo echo;
  ChaosProxy proxy(echo.folder / "socket", 7, 100);
  for (int i = 0; i < 200; ++i) Client(proxy).ask("a\n");
  proxy.close();
  for (std::size_t kind = 0; kind < ChaosProxy::kinds; ++kind) {
    INFO(ChaosProxy::names[kind]);
    CHECK(proxy.happened(static_cast<Fault>(kind)) > 3);
    CHECK(proxy.happened(static_cast<Fault>(kind)) < 60);
  }
}

TEST_CASE("a server that is not there ends the connections of the proxy, which goes on") {
  const support::TemporaryFolder folder;
  ChaosProxy proxy(folder / "socket");
  CHECK(Client(proxy).ask("one\n").empty());
  CHECK(proxy.connections() == 0);
  support::FakeServer late([](int peer) { support::write_all(peer, support::read_some(peer)); }, folder / "socket");
  CHECK(Client(proxy).ask("two\n") == "two\n");
}

}  // namespace chaos_proxy_tests

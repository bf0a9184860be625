// A server of a test's own that stands in for DynamoDB: dynalite, on a port of this machine and on a socket in a new
// folder, stopped by its process id. See tests/dynalite.
#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/fake_server.hpp"
#include "support/server_process.hpp"

namespace support {

/// The thread that starts it must be there as long as it is, as it ends with that one. What is in it ends with it, too,
/// unless it lasts.
class DynamoServer {
 public:
  enum class Kind {
    whole,    ///< with what dynalite lacks
    plain,    ///< dynalite, as it is
    lasting,  ///< whole, and when it is started again it has what it had acknowledged
  };
  explicit DynamoServer(Kind kind = Kind::whole) : kind_(kind) {
    // It knows no keys, and takes any.
    ::setenv("AWS_ACCESS_KEY_ID", "test", 0);
    ::setenv("AWS_SECRET_ACCESS_KEY", "test", 0);
    start_on_free_port([this](int port) {
      port_ = port;
      start();
    });
  }
  DynamoServer(const DynamoServer&) = delete;
  DynamoServer& operator=(const DynamoServer&) = delete;

  int port() const noexcept { return port_; }
  std::string endpoint() const { return endpoint_at(port_); }
  static std::string endpoint_at(int port) { return "http://127.0.0.1:" + std::to_string(port); }
  std::string socket() const { return folder_ / "dynamo.sock"; }

  /// Starts it again, on the same port. Returns when it answers.
  void start() {
    ::unlink(socket().c_str());
    std::vector<std::string> command{
        "env",   std::string("NODE_PATH=") + ATOM_DYNALITE_MODULES, "node", ATOM_DYNALITE_SERVE, std::to_string(port_),
        socket()};
    if (kind_ == Kind::plain) command.push_back("--plain");
    if (kind_ == Kind::lasting) command.insert(command.end(), {"--path", folder_ / "data"});
    process_.start(std::move(command),
                   [this] { return run("ListTables", "{}").find("TableNames") != std::string::npos; });
  }
  /// Returns when it has ended.
  void stop(int signal) { process_.stop(signal); }
  /// It is there, and does nothing; or goes on.
  void pause() const { process_.pause(); }
  void go_on() const { process_.go_on(); }

  /// Goes past the library: what the server answers, with its headers; empty if it does not.
  std::string run(const std::string& operation, const std::string& body) const {
    const int peer = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket().c_str(), std::min(socket().size(), sizeof address.sun_path - 1));
    std::string answer;
    if (::connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      write_all(peer,
                "POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-Amz-Date: 20260101T000000Z\r\n"
                "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810." +
                    operation +
                    "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f\r\n"
                    "Content-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
      for (std::string some; !(some = read_some(peer)).empty();) answer += some;
    }
    ::close(peer);
    return answer;
  }

 private:
  TemporaryFolder folder_;
  const Kind kind_;
  int port_ = 0;
  ServerProcess process_{folder_ / "log"};
};

}  // namespace support

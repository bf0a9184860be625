// A server of a test's own that stands in for DynamoDB: dynalite, on a port of this machine and on a socket in a new
// folder, stopped by its process id. See tests/dynalite.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/fake_server.hpp"

namespace support {

/// The thread that starts it must be there as long as it is, as it ends with that one. What is in it ends with it, too.
class DynamoServer {
 public:
  enum class Kind {
    whole,  ///< with what dynalite lacks
    plain,  ///< dynalite, as it is
  };
  explicit DynamoServer(Kind kind = Kind::whole) : kind_(kind) {
    // It knows no keys, and takes any.
    ::setenv("AWS_ACCESS_KEY_ID", "test", 0);
    ::setenv("AWS_SECRET_ACCESS_KEY", "test", 0);
    for (int attempt = 1;; ++attempt) {
      port_ = free_port();
      try {
        start();
        return;
      } catch (const std::exception&) {  // somebody else has taken the port
        if (attempt == 3) throw;
      }
    }
  }
  DynamoServer(const DynamoServer&) = delete;
  DynamoServer& operator=(const DynamoServer&) = delete;
  ~DynamoServer() { stop(SIGKILL); }

  int port() const noexcept { return port_; }
  std::string endpoint() const { return endpoint_at(port_); }
  static std::string endpoint_at(int port) { return "http://127.0.0.1:" + std::to_string(port); }
  std::string socket() const { return folder_ / "dynamo.sock"; }

  /// Starts it again, on the same port. Returns when it answers.
  void start() {
    ::unlink(socket().c_str());
    std::vector<std::string> command{"node", ATOM_DYNALITE_SERVE, std::to_string(port_), socket()};
    if (kind_ == Kind::plain) command.push_back("--plain");
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string log_file = folder_ / "log";
    process_ = ::fork();
    if (process_ == 0) {
#if defined(__linux__)
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // should this process be killed
#endif
      ::setenv("NODE_PATH", ATOM_DYNALITE_MODULES, 1);
      ::dup2(::open("/dev/null", O_RDONLY), 0);
      const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      for (const int file : {1, 2}) ::dup2(log, file);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 3000; ++i) {
      if (run("ListTables", "{}").find("TableNames") != std::string::npos) return;
      if (has_ended()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    stop(SIGKILL);
    throw std::runtime_error("dynalite does not start: " + log());
  }
  /// Returns when it has ended.
  void stop(int signal) {
    if (process_ <= 0) return;
    ::kill(process_, SIGCONT);
    ::kill(process_, signal);
    for (int i = 0; i < 1000 && !has_ended(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
  }
  /// It is there, and does nothing; or goes on.
  void pause() const { ::kill(process_, SIGSTOP); }
  void go_on() const { ::kill(process_, SIGCONT); }

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
  /// A port of this machine that nobody listens on, just now.
  static int free_port() {
    const FakeServer taken([](int) {});
    return taken.port();
  }
  bool has_ended() {
    if (process_ > 0 && ::waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
    return process_ <= 0;
  }
  std::string log() const {
    std::ifstream file(folder_ / "log");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  TemporaryFolder folder_;
  const Kind kind_;
  int port_ = 0;
  pid_t process_ = -1;
};

}  // namespace support

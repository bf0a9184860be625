// A Redis server of a test's own: in a new folder, on a port of this machine and on a socket in the folder, stopped by
// its process id.
#pragma once

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"

namespace support {

/// A port of this machine that nobody listens on, just now.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool good = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!good) throw std::runtime_error("no port is free");
  return ntohs(address.sin_port);
}

/// The thread that starts it must be there as long as it is, as it ends with that one.
class RedisServer {
 public:
  /// With these words on its command line besides: {"--appendonly", "yes"}.
  explicit RedisServer(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
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
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer() { stop(SIGKILL); }

  int port() const noexcept { return port_; }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
  std::string socket() const { return folder_ / "redis.sock"; }
  const TemporaryFolder& folder() const noexcept { return folder_; }

  /// Starts it again, on the same port. Returns when it answers.
  void start() {
    std::vector<std::string> command{"redis-server", "--bind", "127.0.0.1",  "--port",    std::to_string(port_),
                                     "--unixsocket", socket(), "--save",     "",          "--daemonize",
                                     "no",           "--dir",  folder_ / "", "--logfile", folder_ / "log"};
    command.insert(command.end(), settings_.begin(), settings_.end());
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
#if defined(__linux__)
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // should this process be killed
#endif
      const int quiet = ::open("/dev/null", O_RDWR);
      for (const int file : {0, 1, 2}) ::dup2(quiet, file);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 1000; ++i) {
      if (answers()) return;
      if (has_ended()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    stop(SIGKILL);
    throw std::runtime_error("redis-server does not start: " + log());
  }
  /// Ends it, as an operator does (SIGTERM) or as a crash does (SIGKILL). Returns when it has ended.
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

  /// Goes past the library: what the server answers, as text.
  std::string run(const std::vector<std::string>& words) const {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(redisConnectUnix(socket().c_str()), redisFree);
    std::vector<const char*> arguments;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      arguments.push_back(word.data());
      sizes.push_back(word.size());
    }
    if (!context || context->err) return "error: no connection";
    const std::unique_ptr<redisReply, void (*)(void*)> reply(
        static_cast<redisReply*>(
            redisCommandArgv(context.get(), static_cast<int>(words.size()), arguments.data(), sizes.data())),
        freeReplyObject);
    return reply ? text(*reply) : "error: " + std::string(context->errstr);
  }

 private:
  static std::string text(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
    if (reply.type == REDIS_REPLY_NIL) return "none";
    if (reply.type != REDIS_REPLY_ARRAY) return {reply.str, reply.len};
    std::string all;
    for (std::size_t i = 0; i < reply.elements; ++i) all += (i == 0 ? "" : " ") + text(*reply.element[i]);
    return all;
  }
  /// It answers, be it that it wants a password first.
  bool answers() const {
    const std::string answer = run({"PING"});
    return answer == "PONG" || answer.starts_with("NOAUTH") || answer.starts_with("MASTERDOWN");
  }
  bool has_ended() {
    if (::waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
    return process_ <= 0;
  }
  std::string log() const {
    std::ifstream file(folder_ / "log");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  TemporaryFolder folder_;
  const std::vector<std::string> settings_;
  int port_ = 0;
  pid_t process_ = -1;
};

}  // namespace support

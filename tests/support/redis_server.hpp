// A Redis server of a test's own: in a new folder, on a port of this machine and on a socket in the folder, stopped by
// its process id.
#pragma once

#include <hiredis/hiredis.h>
#include <signal.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/server_process.hpp"

namespace support {

/// The thread that starts it must be there as long as it is, as it ends with that one.
class RedisServer {
 public:
  /// With these words on its command line besides: {"--appendonly", "yes"}.
  explicit RedisServer(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
    start_on_free_port([this](int port) {
      port_ = port;
      start();
    });
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

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
    process_.start(std::move(command), [this] { return answers(); });
  }
  /// Ends it, as an operator does (SIGTERM) or as a crash does (SIGKILL). Returns when it has ended.
  void stop(int signal) { process_.stop(signal); }
  /// It is there, and does nothing; or goes on.
  void pause() const { process_.pause(); }
  void go_on() const { process_.go_on(); }

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

  TemporaryFolder folder_;
  const std::vector<std::string> settings_;
  int port_ = 0;
  ServerProcess process_{folder_ / "log"};
};

}  // namespace support

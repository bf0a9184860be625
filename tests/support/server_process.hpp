// The process of a server of a test's own, stopped by its process id.
#pragma once

#include <fcntl.h>
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
#include <cstdint>
#include <exception>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// A port of this machine that nobody listens on, just now, and none of those that the system gives out by itself: it
/// is still free when a server comes back.
inline int free_port() {
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int port = 15'000 + static_cast<int>(random() % 15'000);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool good = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (fd >= 0) ::close(fd);
    if (good) return port;
  }
  throw std::runtime_error("no port is free");
}
/// Calls `start(port)`, which throws if somebody else has taken the port meanwhile: then with another one.
template <class Start>
void start_on_free_port(Start start) {
  for (int attempt = 1;; ++attempt) {
    try {
      return start(free_port());
    } catch (const std::exception&) {
      if (attempt == 3) throw;
    }
  }
}

/// The thread that starts it must be there as long as it is, as it ends with that one.
class ServerProcess {
 public:
  /// What it says goes to the end of that file.
  explicit ServerProcess(std::string log) : log_(std::move(log)) {}
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { stop(SIGKILL); }

  /// Returns when `answers()`; throws if that does not come.
  template <class Answers>
  void start(std::vector<std::string> command, Answers answers) {
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
#if defined(__linux__)
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // should this process be killed
#endif
      ::dup2(::open("/dev/null", O_RDONLY), 0);
      const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      for (const int file : {1, 2}) ::dup2(log, file);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 3000; ++i) {
      if (answers()) return;
      if (has_ended()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    stop(SIGKILL);
    std::ifstream log(log_);
    throw std::runtime_error(command[0] + " does not start: " +
                             std::string(std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>()));
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

 private:
  bool has_ended() {
    if (process_ > 0 && ::waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
    return process_ <= 0;
  }

  const std::string log_;
  pid_t process_ = -1;
};

}  // namespace support

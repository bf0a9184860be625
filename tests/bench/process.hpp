// A program that runs beside this one: what it prints, and what it is told.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

class Process {
 public:
  explicit Process(std::vector<std::string> command) : name_(command.at(0)) {
    int input[2], output[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    input_ = input[1];
    output_ = output[0];
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    const int failed = ::posix_spawnp(&process_, arguments[0], &actions, nullptr, arguments.data(), ::environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(input[0]);
    ::close(output[1]);
    if (failed == 0) return;
    process_ = -1;
    close();
    throw std::runtime_error(name_ + " cannot be run: is it installed?");
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  /// It ends when it is told no more.
  ~Process() { close(); }

  std::string read_line() {
    while (text_.find('\n') == text_.npos) {
      if (!read()) throw std::runtime_error(name_ + " has ended");
    }
    std::string line = text_.substr(0, text_.find('\n'));
    text_.erase(0, line.size() + 1);
    return line;
  }
  /// Tells it no more, and returns the rest of what it prints. It must end well.
  std::string end() {
    ::close(std::exchange(input_, -1));
    while (read()) {
    }
    if (close() != 0) throw std::runtime_error(name_ + " has failed");
    return std::move(text_);
  }

 private:
  bool read() {
    char bytes[4096];
    ssize_t count = 0;
    do {
      count = ::read(output_, bytes, sizeof bytes);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) return false;
    text_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }
  /// How it has ended.
  int close() noexcept {
    for (int* const file : {&input_, &output_}) {
      if (*file >= 0) ::close(std::exchange(*file, -1));
    }
    int code = -1;
    const pid_t process = std::exchange(process_, -1);
    while (process > 0 && ::waitpid(process, &code, 0) < 0 && errno == EINTR) {
    }
    return code;
  }

  const std::string name_;
  pid_t process_ = -1;
  int input_ = -1, output_ = -1;
  std::string text_;
};

/// What a program prints.
inline std::string output_of(std::vector<std::string> command) {
  return Process(std::move(command)).end();
}

}  // namespace bench

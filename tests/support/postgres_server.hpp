// A PostgreSQL server of a test's own: in a new folder, on a socket in it, stopped by its process id.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// Servers refuse to run as root, so then this one runs as the user `postgres`, which comes with the package. The
/// thread that starts it must be there as long as it is, as it ends with that one.
class PostgresServer {
 public:
  /// Makes a database and starts a server for it, with these settings besides: "max_connections=5".
  explicit PostgresServer(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
    std::string name = (std::filesystem::temp_directory_path() / "atom-pg-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder_ = name;
    try {
      if (::geteuid() == 0) {
        const passwd* const user = ::getpwnam("postgres");
        if (!user) throw std::runtime_error("there is no user postgres, and PostgreSQL does not run as root");
        user_ = user->pw_uid;
        group_ = user->pw_gid;
        if (::chown(folder_.c_str(), user_, group_) != 0) throw std::runtime_error("the folder cannot be given away");
      }
      const pid_t made = launch({program("initdb"), "-D", folder_ + "/data", "-U", "atom", "-A", "trust", "--no-sync",
                                 "--no-instructions", "-E", "UTF8", "--locale=C"});
      if (wait_for(made) != 0) throw std::runtime_error("initdb fails: " + log());
      start();
    } catch (...) {
      stop(SIGQUIT);
      remove();
      throw;
    }
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer() {
    stop(SIGQUIT);
    remove();
  }

  /// Where it is, for libpq; with more keywords: `url("user=other")`.
  std::string url(std::string_view more = {}) const {
    return "host=" + folder_ + " port=5432 dbname=postgres " + (more.find("user=") == more.npos ? "user=atom " : "") +
           std::string(more);
  }
  const std::string& folder() const noexcept { return folder_; }
  /// The path of a program that comes with the server; empty: it is not installed.
  static std::string program(std::string_view name) {
    std::string newest;
    std::error_code none;
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
      const std::string path = (version.path() / "bin" / name).string();
      if (std::filesystem::exists(path, none) && path > newest) newest = path;
    }
    if (!newest.empty()) return newest;
    for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/usr/local/pgsql/bin/"}) {
      if (std::filesystem::exists(folder + std::string(name), none)) return folder + std::string(name);
    }
    return "";
  }

  /// Starts it again. Returns when it answers.
  void start() {
    std::vector<std::string> command{program("postgres"),
                                     "-D",
                                     folder_ + "/data",
                                     "-c",
                                     "listen_addresses=",
                                     "-c",
                                     "port=5432",
                                     "-c",
                                     "unix_socket_directories=" + folder_,
                                     "-c",
                                     "shared_buffers=32MB",
                                     "-c",
                                     "max_connections=60"};
    for (const std::string& setting : settings_) command.insert(command.end(), {"-c", setting});
    server_ = launch(std::move(command));
    const std::string status = folder_ + "/data/postmaster.pid";
    for (int i = 0; i < 3000; ++i) {
      std::ifstream file(status);
      std::string line;
      // Its last line says so, and its first one is the process.
      for (bool is_own = false; std::getline(file, line);) {
        is_own = is_own || line == std::to_string(server_);
        if (is_own && line.starts_with("ready")) return;
      }
      int code = 0;
      if (::waitpid(server_, &code, WNOHANG) == server_) {
        server_ = -1;
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    throw std::runtime_error("the server does not start: " + log());
  }
  /// Ends it: at once as a crash does (SIGQUIT), or as an operator does (SIGINT). Returns when it has ended.
  void stop(int signal) {
    if (server_ <= 0) return;
    ::kill(server_, signal);
    for (int i = 0; i < 1000; ++i) {
      int code = 0;
      if (::waitpid(server_, &code, WNOHANG) == server_) {
        server_ = -1;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(server_, SIGKILL);
    wait_for(std::exchange(server_, -1));
  }
  /// Runs SQL as the owner of the database, and gives what comes out of it: one value, or lines of values.
  std::string run(std::string_view sql) const {
    static std::atomic<int> runs = 0;  // threads may ask at once
    const std::string number = std::to_string(++runs);
    const std::string path = folder_ + "/answer" + number;
    std::string file = folder_ + "/question" + number + ".sql";
    std::ofstream(file) << sql;
    const pid_t asked =
        launch({program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url(), "-f", file, "-o", path});
    if (wait_for(asked) != 0) throw std::runtime_error("psql fails: " + log());
    std::ifstream answer(path);
    std::string text((std::istreambuf_iterator<char>(answer)), std::istreambuf_iterator<char>());
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  /// The server's own process. Stopped (SIGSTOP), it takes no connection any more; see `pause`.
  pid_t process() const noexcept { return server_; }
  /// Stops all its processes, or lets them go on: it is there, and does nothing.
  void pause() const { signal_all(SIGSTOP); }
  void go_on() const { signal_all(SIGCONT); }

 private:
  pid_t launch(std::vector<std::string> command) const {
    const std::string log = folder_ + "/log";
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (out >= 0) {
      ::dup2(out, 1);
      ::dup2(out, 2);
    }
    if (user_ != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(group_) != 0 || ::setuid(user_) != 0)) ::_exit(126);
#if defined(__linux__)
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // should this process be killed
#endif
    if (::chdir(folder_.c_str()) != 0) ::_exit(126);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  static int wait_for(pid_t child) {
    int code = 0;
    while (::waitpid(child, &code, 0) < 0 && errno == EINTR) {
    }
    return code;
  }
  void signal_all(int signal) const {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != name.npos) continue;
      std::ifstream file(entry.path() / "stat");
      std::string line;
      std::getline(file, line);
      const std::size_t end = line.rfind(')');  // PID (NAME) STATE PARENT
      if (end == line.npos || end + 4 > line.size()) continue;
      if (std::atoi(&line[end + 4]) == server_) ::kill(std::atoi(name.c_str()), signal);
    }
    ::kill(server_, signal);
  }
  std::string log() const {
    std::ifstream file(folder_ + "/log");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return text.substr(text.size() - std::min<std::size_t>(text.size(), 500));
  }
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string folder_;
  const std::vector<std::string> settings_;
  uid_t user_ = 0;
  gid_t group_ = 0;
  pid_t server_ = -1;
};

}  // namespace support

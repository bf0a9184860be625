// A poll that is live in every open page, in memory or in any database; several processes on one show one poll.
// This file knows options and signals; what is asked and answered is in poll.hpp.
#include "database.hpp"
#include "self_check.hpp"
#include "server.hpp"

#include <atom/state/error.hpp>

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr std::string_view usage =
    "usage: live_poll [--port N] [--backend URL] [--once] [--help]\n"
    "A poll that is live in every open page. Serves http://127.0.0.1:N/ until SIGTERM or Ctrl-C.\n"
    "  --port N        the port, 8080 by default; 0 takes any free one\n"
    "  --backend URL   where the votes are: memory: (the default), sqlite:poll.db, redis://127.0.0.1,\n"
    "                  postgresql://user@host/database, dynamodb://table. Several processes on one show one poll.\n"
    "  --once          has 50 clients vote at once while 20 pages are open, checks what these show, and ends; 0 if "
    "all\n"
    "                  was right\n"
    "  --help          this text\n";

std::string address(int port) {
  return std::string("http://") + live_poll::Server::host + ":" + std::to_string(port) + "/";
}

/// Of a URL without what may be secret in it.
std::string_view kind_of(std::string_view url) {
  return url.substr(0, url.find(':'));
}

/// As many pages as there may be files, but for some that the database needs.
live_poll::Limits limits() {
  live_poll::Limits limits;
  constexpr rlim_t others = 100;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, limits.connections + others);  // often it is 1024
  setrlimit(RLIMIT_NOFILE, &files);
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  const rlim_t left = files.rlim_cur - std::min(files.rlim_cur / 2, others);
  limits.connections = static_cast<std::size_t>(std::min<rlim_t>(limits.connections, left));
  return limits;
}

int serve(int port, const std::string& url) {
  // Blocked in all threads, and waited for in this one: so there is no signal handler to get wrong.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  const std::unique_ptr<atom::StateStore> states = live_poll::open_states(url);
  live_poll::Server server(live_poll::handlers_of(*states), limits());
  port = server.bind(port);
  server.start(std::max(2u, std::thread::hardware_concurrency()));
  std::cout << "Serving " << address(port) << "  (stop with Ctrl-C)\n"
            << "  votes are kept in " << kind_of(url) << (url == "memory:" ? ", until it stops" : "") << std::endl;

  int signal = 0;
  sigwait(&ends, &signal);
  const bool is_written = states->close(5s);  // event streams end with it
  const bool is_done = server.stop();
  std::cout << "Stopped by " << (signal == SIGINT ? "SIGINT" : "SIGTERM")
            << (is_written && is_done ? "; all requests were finished." : "; not all requests were finished.")
            << std::endl;
  return is_written && is_done ? 0 : 1;
}

int serve_once(int port, const std::string& url) {
  constexpr std::size_t clients = 50, clicks = 20, pages = 20;
  const std::unique_ptr<atom::StateStore> states = live_poll::open_states(url);
  live_poll::Server server(live_poll::handlers_of(*states));
  port = server.bind(port);
  server.start();
  std::cout << clients << " clients vote at " << address(port) << ' ' << clicks << " times each, while " << pages
            << " pages are open; votes are kept in " << kind_of(url) << std::endl;
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::string> faults = live_poll::check_server(port, clients, clicks, pages);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  states->close(5s);
  const bool has_stopped = server.stop();
  for (std::size_t i = 0; i < std::min<std::size_t>(faults.size(), 10); ++i) std::cout << "  " << faults[i] << '\n';
  std::cout.precision(2);
  std::cout << std::fixed << (faults.empty() && has_stopped ? "OK" : "FAILED") << " in " << seconds.count() << " s: "
            << (faults.empty() ? "each page has shown the vote of each client once.\n" : "not all of it was right.\n");
  return faults.empty() && has_stopped && std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a visitor who goes away is no reason to end

  bool once = false;
  std::optional<int> port;
  std::string url = "memory:";
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help") {
      std::cout << usage;
      return 0;
    }
    if (option == "--once") {
      once = true;
    } else if (option == "--backend" && i + 1 < argc) {
      url = argv[++i];
    } else if (option == "--port" && i + 1 < argc) {
      const std::string_view text = argv[++i];
      int number = -1;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > 65535) {
        std::cerr << "live_poll: \"" << text << "\" is not a port: a number from 0 to 65535 is\n";
        return 1;
      }
      port = number;
    } else {
      const bool needs_more = option == "--port" || option == "--backend";
      std::cerr << "live_poll: " << (needs_more ? "nothing after " : "unknown option ") << option << '\n' << usage;
      return 2;
    }
  }
  try {
    return once ? serve_once(port.value_or(0), url) : serve(port.value_or(8080), url);
  } catch (const std::system_error& e) {
    std::cerr << "live_poll: cannot listen on " << live_poll::Server::host << ":" << port.value_or(8080) << ": "
              << e.code().message() << (e.code() == std::errc::address_in_use ? "; choose another with --port" : "")
              << '\n';
  } catch (const std::exception& e) {
    std::cerr << "live_poll: " << e.what() << '\n';
  }
  return 1;
}

// A small shop on cpp-httplib, whose every request has a store. This file knows options and signals; what is asked and
// answered is in shop.hpp.
#include "self_check.hpp"
#include "server.hpp"
#include "text.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;

using shop::Server;

constexpr int crowd_orders = 1000;
constexpr std::size_t crowd_clients = 8;
constexpr auto crowd_patience = 60s;

constexpr std::string_view usage =
    "usage: ssr_server [--port N] [--once] [--help]\n"
    "A small shop: each request has a store of its own. Serves http://127.0.0.1:N/ until SIGTERM or Ctrl-C.\n"
    "  --port N   the port, 8080 by default; 0 takes any free one\n"
    "  --once     sends itself 1000 requests at once, checks each answer, and ends; 0 if all were right\n"
    "  --help     this text\n";

std::string address(int port) {
  return std::string("http://") + Server::host + ":" + std::to_string(port) + "/";
}

/// Where something hangs, and its thread cannot be waited for.
[[noreturn]] void leave(int status) {
  std::cout.flush();
  std::_Exit(status);
}

int serve(int port) {
  // Blocked in all threads, and waited for in this one: so there is no signal handler to get wrong.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  Server server;
  port = server.bind(port);
  std::atomic<bool> failed = false;
  server.start([&failed] {
    failed = true;
    ::kill(::getpid(), SIGTERM);
  });
  std::cout << "Serving " << address(port) << "  (stop with Ctrl-C)\n"
            << "  try " << address(port) << "?name=Ada&item=tea&item=cake" << std::endl;

  int signal = 0;
  sigwait(&ends, &signal);
  if (failed) {
    std::cerr << "ssr_server: the server stopped by itself" << std::endl;
    return 1;
  }
  const char* const by = signal == SIGINT ? "SIGINT" : "SIGTERM";
  if (!server.stop()) {
    if (server.under_way() > 0) {
      std::cerr << "ssr_server: stopped by " << by << ", but " << server.under_way() << " answers were not ready after "
                << Server::time_to_stop.count() << " s" << std::endl;
      leave(1);
    }
    std::cout << "Stopped by " << by << "; who was still sending or reading after " << Server::time_to_stop.count()
              << " s was cut off." << std::endl;
    leave(0);
  }
  std::cout << "Stopped by " << by << "; all requests were finished." << std::endl;
  return 0;
}

int serve_once(int port) {
  Server server;
  port = server.bind(port);
  std::atomic<bool> failed = false;
  server.start([&failed] { failed = true; });
  std::cout << "Sending " << crowd_orders << " requests to " << address(port) << " from " << crowd_clients
            << " clients at once" << std::endl;

  // One alone, so that a server that does not answer at all is told at once. It also has the library set up what it
  // sets up at its first request, which ThreadSanitizer, blind inside it, would take for a race.
  shop::connect_to(port)({});

  const auto begin = std::chrono::steady_clock::now();
  shop::self_check::Crowd crowd(crowd_orders, crowd_clients, [port] { return shop::connect_to(port); });
  if (!crowd.wait_for(crowd_patience)) {
    std::cout << "FAILED: after " << crowd_patience.count() << " s only " << crowd.outcome().answered
              << " are answered; still waiting for request";
    for (const int number : crowd.waiting()) std::cout << ' ' << number;
    std::cout << '\n';
    leave(1);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!server.stop()) {
    std::cout << "FAILED: the server did not stop within " << Server::time_to_stop.count() << " s\n";
    leave(1);
  }

  const shop::self_check::Outcome outcome = crowd.outcome();
  const std::size_t wrong = outcome.faults.size();
  std::cout.precision(2);
  std::cout << "  " << outcome.answered << " answered in " << std::fixed << seconds.count() << " s, " << wrong
            << " wrong, " << outcome.users.size() << " different users greeted\n";
  if (!outcome.sample.empty()) {
    const shop::Request sample = shop::self_check::order(shop::self_check::sample_order).request;
    std::cout << "One of them:\n  POST / " << sample.body << "\n  Accept-Language: " << sample.accept_language
              << "\n  Cookie: " << sample.cookies << "\ngot this page:\n";
    for (const std::string& line : outcome.sample) std::cout << "  | " << line << '\n';
  }
  for (std::size_t i = 0; i < wrong && i < 10; ++i) std::cout << "  " << outcome.faults[i] << '\n';
  const bool right = wrong == 0 && !failed && outcome.users.size() == crowd_orders;
  std::cout << (right ? "OK: each answer was exactly its own request's, and held nothing of another.\n"
                      : "FAILED: not every answer was its own request's.\n");
  return right && std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a visitor who goes away is no reason to end

  bool once = false;
  std::optional<std::string> port_text;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help") {
      std::cout << usage;
      return 0;
    }
    if (option == "--once") {
      once = true;
    } else if (option == "--port" && i + 1 < argc) {
      port_text = argv[++i];
    } else {
      std::cerr << "ssr_server: " << (option == "--port" ? "no number after " : "unknown option ") << option << '\n'
                << usage;
      return 2;
    }
  }
  const std::optional<int> port = port_text ? shop::to_number(*port_text) : once ? 0 : 8080;
  if (!port || *port > 65535) {
    std::cerr << "ssr_server: \"" << *port_text << "\" is not a port: a number from 0 to 65535 is\n";
    return 1;
  }
  try {
    return once ? serve_once(*port) : serve(*port);
  } catch (const std::system_error& e) {
    std::cerr << "ssr_server: cannot listen on " << Server::host << ":" << *port << ": " << e.code().message()
              << (e.code() == std::errc::address_in_use ? "; choose another with --port" : "") << '\n';
  } catch (const std::exception& e) {
    std::cerr << "ssr_server: " << e.what() << '\n';
  }
  return 1;
}

// A small shop on cpp-httplib, which keeps each client's cart in SQLite.
// This file knows options and signals; what is asked and answered is in shop.hpp.
#include "database.hpp"
#include "self_check.hpp"
#include "server.hpp"
#include "text.hpp"

#include <atom/state/state_store.hpp>

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
    shop::has_sqlite
        ? "usage: ssr_server [--port N] [--database FILE | --memory] [--once] [--help]\n"
          "A small shop: each request has stores of its own. Serves http://127.0.0.1:N/ until SIGTERM or Ctrl-C.\n"
          "  --port N          the port, 8080 by default; 0 takes any free one\n"
          "  --database FILE   where the carts are kept, by SQLite: shop.db by default, a temporary file with --once\n"
          "  --memory          keeps them in memory: they are gone when the server stops\n"
          "  --once            sends itself 1000 requests at once, checks each answer, and ends; 0 if all were right\n"
          "  --help            this text\n"
        : "usage: ssr_server [--port N] [--memory] [--once] [--help]\n"
          "A small shop: each request has stores of its own. Serves http://127.0.0.1:N/ until SIGTERM or Ctrl-C. It "
          "was\n"
          "built without SQLite, so the carts are gone when it stops.\n"
          "  --port N   the port, 8080 by default; 0 takes any free one\n"
          "  --memory   keeps the carts in memory, as it does anyway\n"
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

shop::Server::Answer answer_with(atom::StateStore& states) {
  return [&states](const shop::Request& request) { return shop::answer(states, request); };
}

int serve(int port, const std::string& file) {
  // Blocked in all threads, and waited for in this one: so there is no signal handler to get wrong.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  atom::StateStore states = shop::open_states(file);
  Server server(answer_with(states));
  port = server.bind(port);
  std::atomic<bool> failed = false;
  server.start([&failed] {
    failed = true;
    ::kill(::getpid(), SIGTERM);
  });
  std::cout << "Serving " << address(port) << "  (stop with Ctrl-C)\n"
            << "  try " << address(port) << "?name=Ada&item=tea&item=cake\n"
            << "  carts are kept " << (file.empty() ? "in memory, until it stops" : "in " + file) << std::endl;

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

/// Without a file name and not in memory: in a temporary file.
int serve_once(int port, const std::string& file, bool in_memory) {
  std::optional<shop::TemporaryFolder> folder;
  if (file.empty() && !in_memory) folder.emplace();
  const auto give_up = [&folder] {
    if (folder) folder->remove();
    leave(1);
  };
  atom::StateStore states = shop::open_states(folder ? *folder / "shop.db" : file, !folder);
  Server server(answer_with(states));
  port = server.bind(port);
  std::atomic<bool> failed = false;
  server.start([&failed] { failed = true; });
  std::cout << "Sending " << crowd_orders << " requests to " << address(port) << " from " << crowd_clients
            << " clients at once; carts are kept in "
            << (folder      ? "a temporary file"
                : in_memory ? "memory"
                            : file)
            << std::endl;

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
    give_up();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!server.stop()) {
    std::cout << "FAILED: the server did not stop within " << Server::time_to_stop.count() << " s\n";
    give_up();
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
  bool in_memory = !shop::has_sqlite;
  std::optional<std::string> port_text, file;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help") {
      std::cout << usage;
      return 0;
    }
    if (option == "--once") {
      once = true;
    } else if (option == "--memory") {
      in_memory = true;
    } else if (option == "--port" && i + 1 < argc) {
      port_text = argv[++i];
    } else if (option == "--database" && shop::has_sqlite && i + 1 < argc && *argv[i + 1] != '\0') {
      file = argv[++i];
    } else {
      const bool needs_more = option == "--port" || (option == "--database" && shop::has_sqlite);
      std::cerr << "ssr_server: " << (needs_more ? "nothing after " : "unknown option ") << option << '\n' << usage;
      return 2;
    }
  }
  if (file && in_memory) {
    std::cerr << "ssr_server: either --database or --memory\n" << usage;
    return 2;
  }
  const std::optional<int> port = port_text ? shop::to_number(*port_text) : once ? 0 : 8080;
  if (!port || *port > 65535) {
    std::cerr << "ssr_server: \"" << *port_text << "\" is not a port: a number from 0 to 65535 is\n";
    return 1;
  }
  try {
    if (once) return serve_once(*port, file.value_or(""), in_memory);
    return serve(*port, in_memory ? "" : file.value_or("shop.db"));
  } catch (const std::system_error& e) {
    std::cerr << "ssr_server: cannot listen on " << Server::host << ":" << *port << ": " << e.code().message()
              << (e.code() == std::errc::address_in_use ? "; choose another with --port" : "") << '\n';
  } catch (const std::exception& e) {
    std::cerr << "ssr_server: " << e.what() << '\n';
  }
  return 1;
}

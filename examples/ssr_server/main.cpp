// A small shop on cpp-httplib. This file knows sockets, options and signals; what is asked and answered is in page.hpp.
// Listens on this machine only. A server for the world wants a reverse proxy in front of it, as the library does not
// bound the number of headers.
#include "page.hpp"
#include "self_check.hpp"

#include <httplib.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;

constexpr const char* host = "127.0.0.1";
constexpr std::size_t workers = 32;  // an open connection keeps one busy
constexpr auto time_to_stop = 10s;

constexpr int crowd_orders = 1000;
constexpr std::size_t crowd_clients = 8;
constexpr auto crowd_patience = 60s;

constexpr std::string_view usage =
    "usage: ssr_server [--port N] [--once] [--help]\n"
    "A small shop: each request has a store of its own. Serves http://127.0.0.1:N/ until SIGTERM or Ctrl-C.\n"
    "  --port N   the port, 8080 by default; 0 takes any free one\n"
    "  --once     sends itself 1000 requests at once, checks each answer, and ends; 0 if all were right\n"
    "  --help     this text\n";

std::atomic<int> answers_under_way = 0;

void answer(const httplib::Request& from, httplib::Response& to) {
  struct UnderWay {
    UnderWay() { ++answers_under_way; }
    ~UnderWay() { --answers_under_way; }
  } under_way;
  shop::Response response;
  try {
    const std::size_t question = from.target.find('?');
    response = shop::answer({.method = from.method,
                             .path = from.path,
                             .query = question == from.target.npos ? "" : from.target.substr(question + 1),
                             .accept_language = from.get_header_value("Accept-Language"),
                             .cookies = from.get_header_value("Cookie")});
  } catch (const std::exception& e) {
    std::cerr << "ssr_server: a request failed: " << e.what() << std::endl;
    response = shop::refusal(500, "Sorry", "That went wrong, and it is our fault.");
  }
  to.status = response.status;
  to.set_content(response.body, response.type.c_str());
  for (const auto& [name, value] : response.headers) to.headers.emplace(name, value);
}

/// The server, on a thread of its own.
class Server {
 public:
  Server() {
    using Routed = httplib::Server::HandlerResponse;
    http_.new_task_queue = [] { return new httplib::ThreadPool(workers); };
    http_.set_keep_alive_max_count(1000);
    http_.set_keep_alive_timeout(2);  // an idle connection delays a stop by as much
    http_.set_payload_max_length(10'000);
    http_.set_tcp_nodelay(true);
    // The library's default, SO_REUSEPORT, would share a port with whoever has it already.
    http_.set_socket_options([this](int socket) {
      socket_ = socket;
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    // All is answered before the library's own routing, which matches paths by std::regex. But it reads bodies there.
    http_.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      const bool page_asked = request.method == "GET" || request.method == "HEAD";
      const bool has_body = request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
      if (!page_asked && has_body) return Routed::Unhandled;
      if (request.ranges.empty()) {
        answer(request, response);
      } else {
        response.status = 416;  // a page is made anew each time and has no parts; an empty body is not taken apart
      }
      return Routed::Handled;
    });
    // What the library refuses comes here without a page; so does what has a body, as there is no route for it.
    http_.set_error_handler(httplib::Server::Handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty() || !request.ranges.empty()) return;
      if (response.status == 404) return answer(request, response);
      const shop::Response page = shop::refusal(response.status, "That does not work",
                                                response.status == 413   ? "The request is too long."
                                                : response.status == 414 ? "The address is too long."
                                                                         : "The request is not valid.");
      response.set_content(page.body, page.type.c_str());
    }));
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (thread_.joinable()) stop();
    if (thread_.joinable()) thread_.join();
  }

  /// Takes a port, 0 for any, and returns it. Throws std::system_error if that cannot be.
  int bind(int port) {
    errno = 0;
    const int bound = port == 0 ? http_.bind_to_any_port(host) : http_.bind_to_port(host, port) ? port : -1;
    if (bound < 0) {
      const int reason = errno != 0 ? errno : EADDRNOTAVAIL;
      throw std::system_error(reason, std::generic_category());
    }
    // The library lets five wait to be accepted, and who comes sixth at the same moment tries again after a second.
    ::listen(socket_, 128);
    return bound;
  }
  /// Serves until `stop`. If it ends by itself, `ended` is called, on the server's thread.
  template <class F>
  void start(F ended) {
    std::promise<void> promise;
    over_ = promise.get_future();
    thread_ = std::thread([this, ended, promise = std::move(promise)]() mutable {
      http_.listen_after_bind();
      promise.set_value();
      if (!stopping_) ended();
    });
  }
  /// Accepts nothing new and lets what is running finish. Whether it did, in time.
  bool stop() {
    stopping_ = true;
    // A stop before the loop began would be lost.
    while (over_.wait_for(0s) != std::future_status::ready && !http_.is_running()) std::this_thread::yield();
    http_.stop();
    if (over_.wait_for(time_to_stop) != std::future_status::ready) return false;
    thread_.join();
    return true;
  }

 private:
  httplib::Server http_;
  int socket_ = -1;
  std::atomic<bool> stopping_ = false;
  std::future<void> over_;
  std::thread thread_;
};

std::string address(int port) {
  return std::string("http://") + host + ":" + std::to_string(port) + "/";
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
    if (answers_under_way > 0) {
      std::cerr << "ssr_server: stopped by " << by << ", but " << answers_under_way << " answers were not ready after "
                << time_to_stop.count() << " s" << std::endl;
      leave(1);
    }
    std::cout << "Stopped by " << by << "; who was still sending or reading after " << time_to_stop.count()
              << " s was cut off." << std::endl;
    leave(0);
  }
  std::cout << "Stopped by " << by << "; all requests were finished." << std::endl;
  return 0;
}

/// One client with a connection that is kept open.
shop::self_check::Send connect_to(int port) {
  auto client = std::make_shared<httplib::Client>(host, port);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_connection_timeout(10s);
  client->set_read_timeout(20s);
  client->set_write_timeout(10s);
  return [client](const shop::Request& request) {
    const auto result = client->Get(
        request.path + "?" + request.query,
        {{"Accept-Language", request.accept_language}, {"Accept-Encoding", "identity"}, {"Cookie", request.cookies}});
    if (!result) throw std::runtime_error(httplib::to_string(result.error()));
    shop::Response response{.status = result->status, .body = result->body};
    for (const auto& [name, value] : result->headers) response.headers.emplace_back(name, value);
    return response;
  };
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
  connect_to(port)({});

  const auto begin = std::chrono::steady_clock::now();
  shop::self_check::Crowd crowd(crowd_orders, crowd_clients, [port] { return connect_to(port); });
  if (!crowd.wait_for(crowd_patience)) {
    std::cout << "FAILED: after " << crowd_patience.count() << " s only " << crowd.outcome().answered
              << " are answered; still waiting for request";
    for (const int number : crowd.waiting()) std::cout << ' ' << number;
    std::cout << '\n';
    leave(1);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!server.stop()) {
    std::cout << "FAILED: the server did not stop within " << time_to_stop.count() << " s\n";
    leave(1);
  }

  const shop::self_check::Outcome outcome = crowd.outcome();
  const std::size_t wrong = outcome.faults.size();
  std::cout.precision(2);
  std::cout << "  " << outcome.answered << " answered in " << std::fixed << seconds.count() << " s, " << wrong
            << " wrong, " << outcome.users.size() << " different users greeted\n";
  if (!outcome.sample.empty()) {
    const shop::Request sample = shop::self_check::order(shop::self_check::sample_order).request;
    std::cout << "One of them:\n  GET /?" << sample.query << "\n  Accept-Language: " << sample.accept_language
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
    std::cerr << "ssr_server: cannot listen on " << host << ":" << *port << ": " << e.code().message()
              << (e.code() == std::errc::address_in_use ? "; choose another with --port" : "") << '\n';
  } catch (const std::exception& e) {
    std::cerr << "ssr_server: " << e.what() << '\n';
  }
  return 1;
}

// cpp-httplib: a pool of threads, of which each open connection keeps one busy. A server for the world wants a reverse
// proxy in front of it, as the library does not bound the number of headers.
#include "server.hpp"

#include <httplib.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <sys/socket.h>

namespace shop {

struct Server::Inside {
  explicit Inside(Answer answer) : answer_(std::move(answer)) {
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
    // What has no body is answered before the library's own routing, which matches paths by std::regex.
    http_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      const bool page_asked = request.method == "GET" || request.method == "HEAD";
      const bool has_body = request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
      if (!page_asked && has_body) return Routed::Unhandled;
      if (request.ranges.empty()) {
        respond(request, response);
      } else {
        response.status = 416;  // a page is made anew each time and has no parts; an empty body is not taken apart
      }
      return Routed::Handled;
    });
    http_.Post("/",
               [this](const httplib::Request& request, httplib::Response& response) { respond(request, response); });
    // What the library refuses comes here without a page; so does what has a body and no route.
    http_.set_error_handler(
        httplib::Server::Handler([this](const httplib::Request& request, httplib::Response& response) {
          if (!response.body.empty() || !request.ranges.empty()) return;
          if (response.status == 404) return respond(request, response);
          const Response page = refusal(response.status, "That does not work",
                                        response.status == 413   ? "The request is too long."
                                        : response.status == 414 ? "The address is too long."
                                                                 : "The request is not valid.");
          response.set_content(page.body, page.type.c_str());
        }));
  }

  void respond(const httplib::Request& from, httplib::Response& to) {
    struct UnderWay {
      explicit UnderWay(std::atomic<int>& n) : number(n) { ++number; }
      ~UnderWay() { --number; }
      std::atomic<int>& number;
    } const counted(under_way_);
    Response response;
    try {
      const std::size_t question = from.target.find('?');
      response = answer_({.method = from.method,
                          .path = from.path,
                          .query = question == from.target.npos ? "" : from.target.substr(question + 1),
                          .content_type = from.get_header_value("Content-Type"),
                          .body = from.body,
                          .accept_language = from.get_header_value("Accept-Language"),
                          .cookies = from.get_header_value("Cookie"),
                          .host = from.get_header_value("Host"),
                          .origin = from.get_header_value("Origin"),
                          .fetch_site = from.get_header_value("Sec-Fetch-Site")});
    } catch (const std::exception& e) {
      std::cerr << "ssr_server: a request failed: " << e.what() << std::endl;
      response = refusal(500, "Sorry", "That went wrong, and it is our fault.");
    }
    to.status = response.status;
    to.set_content(response.body, response.type.c_str());
    for (const auto& [name, value] : response.headers) to.headers.emplace(name, value);
  }

  static constexpr std::size_t workers = 32;
  const Answer answer_;
  std::atomic<int> under_way_ = 0;
  httplib::Server http_;
  int socket_ = -1;
  std::atomic<bool> stopping_ = false;
  std::future<void> over_;
  std::thread thread_;
};

Server::Server(Answer answer) : inside_(std::make_unique<Inside>(std::move(answer))) {}

Server::~Server() {
  if (inside_->thread_.joinable()) stop();
  if (inside_->thread_.joinable()) inside_->thread_.join();
}

int Server::under_way() const noexcept {
  return inside_->under_way_;
}

int Server::bind(int port) {
  errno = 0;
  const int bound = port == 0                                 ? inside_->http_.bind_to_any_port(host)
                    : inside_->http_.bind_to_port(host, port) ? port
                                                              : -1;
  if (bound < 0) {
    const int reason = errno != 0 ? errno : EADDRNOTAVAIL;
    throw std::system_error(reason, std::generic_category());
  }
  // The library lets five wait to be accepted, and who comes sixth at the same moment tries again after a second.
  ::listen(inside_->socket_, 128);
  return bound;
}

void Server::start(std::function<void()> ended) {
  std::promise<void> promise;
  inside_->over_ = promise.get_future();
  inside_->thread_ =
      std::thread([in = inside_.get(), ended = std::move(ended), promise = std::move(promise)]() mutable {
        in->http_.listen_after_bind();
        promise.set_value();
        if (!in->stopping_) ended();
      });
}

bool Server::stop() {
  inside_->stopping_ = true;
  // A stop before the loop began would be lost.
  while (inside_->over_.wait_for(std::chrono::seconds(0)) != std::future_status::ready &&
         !inside_->http_.is_running()) {
    std::this_thread::yield();
  }
  inside_->http_.stop();
  if (inside_->over_.wait_for(time_to_stop) != std::future_status::ready) return false;
  inside_->thread_.join();
  return true;
}

std::function<Response(const Request&)> connect_to(int port) {
  using namespace std::chrono_literals;
  auto client = std::make_shared<httplib::Client>(Server::host, port);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_connection_timeout(10s);
  client->set_read_timeout(20s);
  client->set_write_timeout(10s);
  return [client](const Request& request) {
    httplib::Headers headers = {
        {"Accept-Language", request.accept_language}, {"Accept-Encoding", "identity"}, {"Cookie", request.cookies}};
    if (!request.origin.empty()) headers.emplace("Origin", request.origin);
    if (!request.fetch_site.empty()) headers.emplace("Sec-Fetch-Site", request.fetch_site);
    const std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
    const auto result = request.method == "POST"
                            ? client->Post(target, headers, request.body, request.content_type.c_str())
                            : client->Get(target, headers);
    if (!result) throw std::runtime_error(httplib::to_string(result.error()));
    Response response{.status = result->status, .body = result->body};
    for (const auto& [name, value] : result->headers) response.headers.emplace_back(name, value);
    return response;
  };
}

}  // namespace shop

#include "client.hpp"

#include "server.hpp"

#include <atom/json_reader.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <stdexcept>
#include <utility>
#include <vector>

namespace live_poll {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

constexpr auto patience = 20s;

tcp::endpoint endpoint(int port) {
  return {asio::ip::make_address(Server::host), static_cast<unsigned short>(port)};
}
/// One that times out is asynchronous, so each is run to its end at once.
template <class Begin>
void run(asio::io_context& context, beast::tcp_stream& stream, std::chrono::milliseconds within, const char* what,
         Begin begin) {
  Error error;
  context.restart();
  stream.expires_after(within);
  begin([&error](const Error& e, auto&&...) { error = e; });
  context.run();
  if (error) throw std::runtime_error(what + error.message());
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------ a client

struct Client::Connection {
  asio::io_context context;
  beast::tcp_stream stream{context};
  beast::flat_buffer buffer;
  int port;
};

Client::Client(int port) : connection_(std::make_unique<Connection>()) {
  connection_->port = port;
}
Client::Client(Client&&) noexcept = default;
Client::~Client() = default;

Response Client::ask(Request request) {
  Connection& c = *connection_;
  if (!c.stream.socket().is_open()) {
    run(c.context, c.stream, patience,
        "not connected: ", [&](auto done) { c.stream.async_connect(endpoint(c.port), std::move(done)); });
    c.stream.socket().set_option(tcp::no_delay(true));
    c.buffer.clear();
  }
  http::request<http::string_body> asked(http::string_to_verb(request.method), request.path, 11);
  asked.method_string(request.method);
  const std::string host = std::string(Server::host) + ':' + std::to_string(c.port);
  asked.set(http::field::host, request.host.empty() ? host : request.host);
  const std::string& cookies = request.cookies.empty() ? cookie_ : request.cookies;
  if (!cookies.empty()) asked.set(http::field::cookie, cookies);
  if (!request.accept.empty()) asked.set(http::field::accept, request.accept);
  if (!request.origin.empty()) asked.set(http::field::origin, request.origin);
  if (!request.fetch_site.empty()) asked.set("Sec-Fetch-Site", request.fetch_site);
  asked.prepare_payload();
  http::response_parser<http::string_body> parser;
  if (asked.method() == http::verb::head) parser.skip(true);
  try {
    run(c.context, c.stream, patience,
        "not sent: ", [&](auto done) { http::async_write(c.stream, asked, std::move(done)); });
    run(c.context, c.stream, patience,
        "not answered: ", [&](auto done) { http::async_read(c.stream, c.buffer, parser, std::move(done)); });
  } catch (...) {
    c.stream.close();
    throw;
  }
  const auto& answer = parser.get();
  if (!answer.keep_alive()) c.stream.close();
  Response response{.status = static_cast<int>(answer.result_int()), .type = {}, .body = answer.body()};
  for (const auto& header : answer) {
    response.headers.emplace_back(std::string(header.name_string()), std::string(header.value()));
    if (header.name() == http::field::content_type) response.type = std::string(header.value());
    if (header.name() == http::field::set_cookie) {
      cookie_ = std::string(header.value());
      cookie_.resize(std::min(cookie_.find(';'), cookie_.size()));
    }
  }
  return response;
}

std::string Client::vote(std::string_view choice) {
  const Response answer = ask({.method = "POST",
                               .path = choice.empty() ? "/revert" : "/vote/" + std::string(choice),
                               .accept = "application/json"});
  if (answer.status != 200) throw std::runtime_error("a vote was answered with " + std::to_string(answer.status));
  return atom::from_json<std::map<std::string, std::string>>(answer.body).value().at("voted");
}

// -------------------------------------------------------------------------------------------------------------- a page

struct Page::Connection {
  asio::io_context context;
  beast::tcp_stream stream{context};
  std::string unread = {};
};

Page::Page(int port, std::string_view last_event_id) : connection_(std::make_unique<Connection>()) {
  Connection& c = *connection_;
  run(c.context, c.stream, patience,
      "not connected: ", [&](auto done) { c.stream.async_connect(endpoint(port), std::move(done)); });
  std::string request = "GET /events HTTP/1.1\r\nHost: localhost\r\n";
  if (!last_event_id.empty()) request.append("Last-Event-ID: ").append(last_event_id).append("\r\n");
  request += "\r\n";
  run(c.context, c.stream, patience,
      "not sent: ", [&](auto done) { asio::async_write(c.stream, asio::buffer(request), std::move(done)); });
}
Page::Page(Page&&) noexcept = default;
Page::~Page() = default;

Page::Votes Page::wait_until(const std::function<bool(const Votes&)>& is_right, std::chrono::milliseconds within) {
  Connection& c = *connection_;
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (events_ == 0 || !is_right(votes_)) {
    const std::size_t end = c.unread.find("\n\n");
    if (end != c.unread.npos) {
      take(std::string_view(c.unread).substr(0, end));
      c.unread.erase(0, end + 2);
      continue;
    }
    const auto left = deadline - std::chrono::steady_clock::now();
    std::string part(4096, '\0');
    std::size_t size = 0;
    run(c.context, c.stream, std::max(std::chrono::duration_cast<std::chrono::milliseconds>(left), 1ms),
        "an event that was expected has not come: ", [&](auto done) {
          c.stream.async_read_some(asio::buffer(part), [&size, done](const Error& error, std::size_t count) {
            size = count;
            done(error);
          });
        });
    c.unread.append(part, 0, size);
  }
  return votes_;
}

/// The head of the answer, whose lines end otherwise, comes with the first one.
void Page::take(std::string_view event) {
  std::string name, data;
  for (std::string_view rest = event; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("id: ")) last_event_id_ = line.substr(4);
    if (line.starts_with("event: ")) name = line.substr(7);
    if (line.starts_with("data: ")) data = line.substr(6);
  }
  if (name.empty()) return;
  ++events_;
  if (name == "snapshot") {
    votes_ = atom::from_json<Votes>(data).value();
    return;
  }
  const atom::Snapshot change = atom::snapshot_from_json(data).value();
  const auto changed = change.find("changed")->to<Votes>();
  const auto removed = change.find("removed")->to<std::vector<std::string>>();
  for (const auto& [key, votes] : changed.value()) votes_[key] = votes;
  for (const std::string& key : removed.value()) votes_.erase(key);
}

}  // namespace live_poll

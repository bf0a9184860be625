// The poll's server over sockets: what is no request, clients that are slow or go away, and many pages that stay open.
#include "../../examples/live_poll/client.hpp"
#include "../../examples/live_poll/server.hpp"

#include "support/catch.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atom/atom.hpp>
#include <atom/state/state_store.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace poll_http_test {
namespace {

using namespace std::chrono_literals;
using live_poll::Client;
using live_poll::Limits;
using live_poll::Page;
using live_poll::Server;
using support::ContainsSubstring;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif
#else
constexpr bool is_sanitized = false;
#endif

/// A poll of its own, in memory.
struct Poll {
  explicit Poll(Limits limits = {}) : server(live_poll::handlers_of(states), limits), port(server.bind(0)) {
    server.start();
  }
  ~Poll() {
    states.close(5s);
    server.stop();
  }
  std::int64_t votes() {
    std::int64_t all = 0;
    for (const live_poll::Line& line : live_poll::lines(states)) all += line.votes;
    return all;
  }
  atom::StateStore states;
  Server server;
  const int port;
};

template <class Condition>
bool within(Milliseconds time, Condition is_so) {
  for (const auto until = Clock::now() + time; !is_so();) {
    if (Clock::now() >= until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

/// A client that does what it likes.
class Socket {
 public:
  explicit Socket(int port, int receive_buffer = 0) : file_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (file_ < 0) throw std::runtime_error("no socket");
    if (receive_buffer > 0) ::setsockopt(file_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(file_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close();
      throw std::runtime_error("not connected");
    }
  }
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ~Socket() { close(); }

  void close() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
  }
  int file() const { return file_; }
  /// Whether all of it was taken.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = ::send(file_, text.data(), text.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  /// It has said all that it will say.
  void finish() { ::shutdown(file_, SHUT_WR); }
  /// What comes until there is this in it, or the server closes the connection, or the time is over.
  std::string receive(std::string_view wanted = {}, Milliseconds time = 10s) {
    std::string text;
    const auto until = Clock::now() + time;
    while (wanted.empty() || text.find(wanted) == text.npos) {
      const auto left = std::chrono::duration_cast<Milliseconds>(until - Clock::now());
      pollfd readable{file_, POLLIN, 0};
      if (::poll(&readable, 1, static_cast<int>(std::max(left, 0ms).count())) <= 0) return text;
      std::array<char, 65536> part{};
      const ssize_t size = ::recv(file_, part.data(), part.size(), 0);
      if (size <= 0) {
        is_closed_ = true;
        is_reset_ = size < 0;
        return text;
      }
      text.append(part.data(), static_cast<std::size_t>(size));
    }
    return text;
  }
  /// Of what `receive` has seen.
  bool is_closed() const { return is_closed_; }
  bool is_reset() const { return is_reset_; }

 private:
  int file_;
  bool is_closed_ = false;
  bool is_reset_ = false;
};

std::string repeat(std::string_view part, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += part;
  return all;
}
const std::string host = "Host: localhost\r\n";
const std::string ask_for_events = "GET /events HTTP/1.1\r\n" + host + "\r\n";

int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") && answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
}

// -------------------------------------------------------------------------------------------------- what is no request

TEST_CASE("what is no request is answered with what is wrong with it, and counts nothing") {
  Poll poll;
  const std::string vote = "POST /vote/pizza HTTP/1.1\r\n" + host;
  struct Case {
    const char* what;
    std::string sent;
    int status;
  };
  for (const Case& c : {
           Case{"a request line of 100 kB", "GET /" + repeat("x", 100'000) + " HTTP/1.1\r\n" + host + "\r\n", 431},
           {"one that has no end", repeat("x", 100'000), 431},
           {"a header of 100 kB", vote + "X: " + repeat("x", 100'000) + "\r\n\r\n", 431},
           {"ten thousand headers", vote + repeat("X: y\r\n", 10'000) + "\r\n", 431},
           {"a header a little too long", vote + "X: " + repeat("x", 8000) + "\r\n\r\n", 431},
           {"a long body", vote + "Content-Length: 100000\r\n\r\n" + repeat("x", 100'000), 413},
           {"a body a little too long", vote + "Content-Length: 1001\r\n\r\n" + repeat("x", 1001), 413},
           {"a body that is only announced", vote + "Content-Length: 99999999999\r\n\r\n", 413},
           {"a long body in parts",
            vote + "Transfer-Encoding: chunked\r\n\r\n" + repeat("64\r\n" + repeat("x", 100) + "\r\n", 11) +
                "0\r\n\r\n",
            413},
           {"a part that is no part", vote + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
           {"a part that is too long for a number", vote + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            400},
           {"two lengths", vote + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
           {"a negative length", vote + "Content-Length: -1\r\n\r\n", 400},
           {"a length that is no number", vote + "Content-Length: one\r\n\r\n", 400},
           {"a length and parts", vote + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
           {"noise", "\x01\x02\x03\xff\xfe garbage \r\n\r\n", 400},
           {"the beginning of TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + "\r\n\r\n", 400},
           {"nothing but ends of lines", "\r\n\r\n\r\n", 400},
           {"another version", "GET / HTTP/3.0\r\n\r\n", 400},
           {"no version", "GET /\r\n\r\n", 400},
           {"a header without a name", vote + ": x\r\n\r\n", 400},
           {"a header that is no header", vote + "pizza\r\n\r\n", 400},
           {"a zero in a header", vote + std::string("X: \0\r\n\r\n", 8), 400},
           {"a zero in the path", std::string("POST /vote/\0pizza HTTP/1.1\r\n\r\n", 31), 400},
           {"a space in the path", "POST /vote/ pizza HTTP/1.1\r\n\r\n", 400},
       }) {
    CAPTURE(c.what);
    Socket socket(poll.port);
    socket.send(c.sent);
    const std::string answer = socket.receive();
    CHECK(status_of(answer) == c.status);
    CHECK_THAT(answer, ContainsSubstring("Connection: close") && ContainsSubstring("</html>"));
    CHECK(socket.is_closed());
    CHECK_FALSE(socket.is_reset());
  }
  CHECK(poll.votes() == 0);
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
  CHECK(Client(poll.port).ask({}).status == 200);
}

TEST_CASE("who is still sending what is too long can finish, and then read why it is refused") {
  Poll poll;
  Socket socket(poll.port);
  CHECK(socket.send("POST /revert HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n" + repeat("x", 8 << 20)));
  CHECK(status_of(socket.receive("</html>")) == 413);
}

TEST_CASE("who sends on after a refusal does so for no longer than the server has patience") {
  Poll poll({.patience = 1s});
  Socket socket(poll.port);
  socket.send("GET /" + repeat("x", 20'000));
  CHECK(status_of(socket.receive("</html>")) == 431);
  CHECK(within(5s, [&] { return !socket.send("x"); }));
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
}

TEST_CASE("whatever comes is answered or hung up on, and the server goes on") {
  Poll poll;
  const std::vector<std::string> good{
      "GET / HTTP/1.1\r\n" + host + "Cookie: live_poll=0123456789abcdef0123456789abcdef\r\n\r\n",
      "POST /vote/pizza HTTP/1.1\r\n" + host + "Sec-Fetch-Site: same-origin\r\nContent-Length: 3\r\n\r\nabc",
      "POST /revert HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "GET /events HTTP/1.1\r\n" + host + "Last-Event-ID: 0123456789abcdef\r\n\r\n"};
  const std::vector<int> possible{0, 200, 303, 400, 403, 404, 405, 413, 431};  // 0: hung up on
  std::mt19937 chance(1);
  std::map<int, int> seen;
  for (int i = 0; i < 400; ++i) {
    std::string text = good[chance() % good.size()];
    for (unsigned changes = 1 + chance() % 4; changes > 0 && !text.empty(); --changes) {
      const std::size_t at = chance() % text.size();
      const auto byte = static_cast<char>(chance());
      switch (chance() % 5) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1 + chance() % 3, byte);
          break;
        case 2:
          text.erase(at, 1 + chance() % 3);
          break;
        case 3:
          text.insert(at, text.substr(chance() % text.size(), chance() % 40));
          break;
        default:
          text.resize(at);
      }
    }
    CAPTURE(i, text);
    Socket socket(poll.port);
    socket.send(text);
    socket.finish();
    const std::string answer = socket.receive({}, 5s);
    REQUIRE(socket.is_closed());
    const int status = status_of(answer);
    ++seen[status];
    REQUIRE(std::find(possible.begin(), possible.end(), status) != possible.end());
  }
  for (const int status : {0, 200, 303, 400, 404}) CHECK(seen[status] > 0);
  CHECK(Client(poll.port).ask({}).status == 200);
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
}

// ------------------------------------------------------------------------------------------------------------ requests

TEST_CASE("requests that come at once on one connection are answered in their order") {
  Poll poll;
  std::string sent;
  for (int i = 0; i < 10; ++i) {
    sent += "GET /cake" + std::to_string(i) + " HTTP/1.1\r\n" + host + "\r\n";
    sent += "POST /vote/pizza?" + std::to_string(i) + " HTTP/1.1\r\n" + host +
            "Accept: application/json\r\nContent-Length: 5\r\n\r\nGET /";
    sent += "HEAD /app.js HTTP/1.1\r\n" + host + "\r\n";
  }
  sent += "GET /style.css?v=1 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n";
  Socket socket(poll.port);
  REQUIRE(socket.send(sent));
  const std::string answers = socket.receive();
  std::vector<int> statuses;
  for (std::size_t at = answers.find("HTTP/1.1 "); at != answers.npos; at = answers.find("HTTP/1.1 ", at + 1)) {
    statuses.push_back(status_of(answers.substr(at, 20)));
  }
  std::vector<int> expected;
  for (int i = 0; i < 10; ++i) expected.insert(expected.end(), {404, 200, 200});
  expected.push_back(200);
  CHECK(statuses == expected);
  CHECK(answers.ends_with(live_poll::style));
  CHECK(answers.find("EventSource") == answers.npos);  // the head is of the script, and without its body
  CHECK(poll.votes() == 10);
}

TEST_CASE("a body in parts is read as one") {
  Poll poll;
  Socket socket(poll.port);
  socket.send("POST /vote/pizza HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n");
  for (const char* part : {"3\r\nabc\r\n", "5;x=y\r\nabcde\r\n", "0\r\nX: y\r\n\r\n"}) {
    std::this_thread::sleep_for(20ms);
    socket.send(part);
  }
  CHECK(status_of(socket.receive("\r\n\r\n")) == 303);
  socket.send("GET /style.css HTTP/1.1\r\n" + host + "\r\n");
  CHECK(status_of(socket.receive("\r\n\r\n")) == 200);
  CHECK(poll.votes() == 1);
}

TEST_CASE("a request of HTTP 1.0 is answered, and so is one without a host") {
  Poll poll;
  Socket socket(poll.port);
  socket.send("POST /vote/soup HTTP/1.0\r\n\r\n");
  CHECK_THAT(socket.receive(), ContainsSubstring(" 303 ") && ContainsSubstring("Location: /"));
  CHECK(socket.is_closed());
  CHECK(poll.votes() == 1);
}

TEST_CASE("events have an address with a query as well, and no head and no post") {
  Poll poll;
  Socket socket(poll.port);
  socket.send("GET /events?from=here HTTP/1.1\r\n" + host + "\r\n");
  CHECK_THAT(socket.receive("event: snapshot"), ContainsSubstring("text/event-stream"));
  Client client(poll.port);
  CHECK(client.ask({.method = "HEAD", .path = "/events"}).status == 404);
  CHECK(client.ask({.method = "POST", .path = "/events"}).status == 404);
}

TEST_CASE("what another site has sent is refused over HTTP") {
  Poll poll;
  Client client(poll.port);
  const std::string mine = "http://127.0.0.1:" + std::to_string(poll.port);
  CHECK(client.ask({.method = "POST", .path = "/vote/soup", .fetch_site = "cross-site"}).status == 403);
  CHECK(client.ask({.method = "POST", .path = "/vote/soup", .origin = "http://evil.example"}).status == 403);
  CHECK(client.ask({.method = "POST", .path = "/vote/soup", .origin = "null"}).status == 403);
  CHECK(poll.votes() == 0);
  CHECK(client.ask({.method = "POST", .path = "/vote/soup", .origin = mine}).status == 303);
  CHECK(poll.votes() == 1);
}

// --------------------------------------------------------------------------------------------------------------- slow

TEST_CASE("a request that drips in is cut off, be it in its head or in its body") {
  Poll poll({.patience = 1s});
  for (const std::string& begin :
       {std::string(), "POST /vote/pizza HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\n",
        "POST /vote/pizza HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"}) {
    CAPTURE(begin);
    Socket socket(poll.port);
    socket.send(begin);
    const std::string rest = "GET / HTTP/1.1\r\nX: " + repeat("x", 900);
    std::size_t sent = 0;
    while (sent < rest.size() && socket.send({&rest[sent], 1})) {
      ++sent;
      std::this_thread::sleep_for(10ms);
    }
    CHECK(sent < rest.size());
  }
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
  CHECK(poll.votes() == 0);
}

TEST_CASE("who says nothing is cut off, before the first request and after it") {
  Poll poll({.patience = 1s});
  Socket silent(poll.port);
  Socket silent_later(poll.port);
  silent_later.send("GET / HTTP/1.1\r\n" + host + "\r\n");
  CHECK(status_of(silent_later.receive("</html>")) == 200);
  CHECK(silent_later.receive().empty());
  CHECK(silent_later.is_closed());
  CHECK(silent.receive().empty());
  CHECK(silent.is_closed());
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
}

TEST_CASE("who does not take an answer is cut off") {
  Poll poll({.patience = 1s});
  Socket socket(poll.port, 2000);
  std::string requests = repeat("GET /app.js HTTP/1.1\r\n" + host + "\r\n", 100);
  std::thread sender([&] {
    while (socket.send(requests)) {
    }
  });
  CHECK(within(10s, [&] { return poll.server.connections() == 1; }));
  CHECK(within(10s, [&] { return poll.server.connections() == 0; }));
  sender.join();
}

inline const atom::Atom<std::string> long_atom{"poll_http.long"};
Server::Handlers events_of(atom::StateStore& states, const atom::Scope& scope) {
  return {.answer = [](live_poll::Request) -> boost::asio::awaitable<live_poll::Response> {
            co_return live_poll::Response();
          },
          .open_events = [&states, scope](std::string) { return states.events_async(scope); }};
}

TEST_CASE("a page that does not read its events is cut off, and the others are not held up") {
  atom::StateStore states;
  const atom::Scope scope = atom::Scope::global() / "long";
  Server server(events_of(states, scope), {.patience = 1s});
  const int port = server.bind(0);
  server.start();
  auto state = states.use(long_atom, scope);
  state.set(std::string(20'000, 'a'));
  std::vector<Socket> lazy;
  for (int i = 0; i < 20; ++i) lazy.emplace_back(port, 2000).send(ask_for_events);
  Socket reader(port);
  reader.send(ask_for_events);
  REQUIRE_FALSE(reader.receive(std::string(20'000, 'a')).empty());
  REQUIRE(within(5s, [&] { return server.connections() == 21; }));

  // It is always the latest that is sent, and so much of it that it does not fit where nobody reads.
  int sent = 0;
  const bool are_cut_off = within(20s, [&] {
    const std::string next(20'000, static_cast<char>('b' + ++sent % 20));
    state.set(next);
    CHECK_THAT(reader.receive(next, 5s), ContainsSubstring(next));
    return server.connections() == 1;
  });
  CHECK(are_cut_off);
  CHECK(sent < 60);  // 1.2 MB each
  states.close(5s);
  CHECK(server.stop());
}

// --------------------------------------------------------------------------------------------------------- connections

TEST_CASE("connections beyond the limit are closed, and there is room again when one has ended") {
  Poll poll({.connections = 10});
  std::vector<Socket> held;
  for (int i = 0; i < 10; ++i) {
    held.emplace_back(poll.port).send(ask_for_events);
    REQUIRE_THAT(held.back().receive("event: snapshot"), ContainsSubstring("event: snapshot"));
  }
  std::vector<Socket> beyond;
  for (int i = 0; i < 200; ++i) beyond.emplace_back(poll.port);
  for (Socket& socket : beyond) {
    CHECK(socket.receive().empty());
    CHECK(socket.is_closed());
  }
  CHECK(poll.server.connections() == 10);
  held.pop_back();
  REQUIRE(within(5s, [&] { return poll.server.connections() == 9; }));
  CHECK(Client(poll.port).ask({}).status == 200);
  REQUIRE(within(5s, [&] { return poll.server.connections() == 9; }));
  CHECK_NOTHROW(Page(poll.port).wait_until([](const Page::Votes&) { return true; }, 5s));
}

TEST_CASE("however many connect at once, no more are open than the limit says") {
  Poll poll({.connections = 10, .patience = 500ms});
  std::vector<Socket> sockets;
  std::size_t most = 0;
  for (int i = 0; i < 500; ++i) {
    sockets.emplace_back(poll.port);
    most = std::max(most, poll.server.connections());
  }
  CHECK_FALSE(within(300ms, [&] {
    most = std::max(most, poll.server.connections());
    return most > 10;
  }));
  CHECK(most == 10);
}

TEST_CASE("a page that has gone is noticed at once, though nothing is sent") {
  Poll poll;
  std::vector<Socket> pages;
  for (int i = 0; i < 50; ++i) {
    pages.emplace_back(poll.port).send(ask_for_events);
    REQUIRE_THAT(pages.back().receive("event: snapshot"), ContainsSubstring("event: snapshot"));
  }
  CHECK(poll.server.connections() == 50);
  pages.clear();
  CHECK(within(5s, [&] { return poll.server.connections() == 0; }));
}

TEST_CASE("where no more files may be opened the server waits, and goes on when it may") {
  Poll poll;
  Client client(poll.port);
  REQUIRE(client.ask({}).status == 200);
  Socket waiting(poll.port);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  {
    struct Limit {
      rlimit before;
      ~Limit() { ::setrlimit(RLIMIT_NOFILE, &before); }
    } restore{before};
    std::vector<Socket> sockets;  // they are there, but the server cannot take them
    const int next = ::dup(0);
    ::close(next);
    rlimit less = before;
    less.rlim_cur = static_cast<rlim_t>(next) + 11;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &less) == 0);
    for (int i = 0; i < 10; ++i) {
      try {
        sockets.emplace_back(poll.port);
      } catch (const std::runtime_error&) {
        break;
      }
    }
    REQUIRE_FALSE(sockets.empty());
    std::this_thread::sleep_for(200ms);
    CHECK(client.ask({.method = "POST", .path = "/vote/soup"}).status == 303);
    sockets.back().send("GET / HTTP/1.1\r\n" + host + "\r\n");
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(status_of(sockets.back().receive("</html>")) == 200);
  }
  CHECK(poll.votes() == 1);
}

// -------------------------------------------------------------------------------------------------------- many streams

std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Pages that this one thread reads, whatever comes first.
class Pages {
 public:
  explicit Pages(int port) : port_(port), epoll_(::epoll_create1(0)) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::close(epoll_); }

  void open(std::size_t count) {
    const std::size_t begin = pages_.size();
    for (std::size_t i = begin; i < begin + count; ++i) {
      Socket& socket = pages_.emplace_back(Open{Socket(port_), {}, false}).socket;
      if (!socket.send(ask_for_events)) throw std::runtime_error("not sent");
      ::fcntl(socket.file(), F_SETFL, ::fcntl(socket.file(), F_GETFL) | O_NONBLOCK);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket.file(), &event) != 0) throw std::runtime_error("no epoll");
    }
  }
  /// How many of these have got this by then; what has come before is forgotten.
  std::size_t wait_for(std::string_view wanted, std::size_t count, Milliseconds time) {
    std::size_t have = 0;
    for (Open& page : pages_) page.has = false;
    const auto until = Clock::now() + time;
    std::vector<epoll_event> events(1000);
    std::array<char, 16384> part{};
    while (have < count && Clock::now() < until) {
      const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) {
        Open& page = pages_[events[static_cast<std::size_t>(i)].data.u64];
        const ssize_t size = ::recv(page.socket.file(), part.data(), part.size(), 0);
        if (size <= 0) {
          if (size < 0 && errno == EAGAIN) continue;
          ++ended_;
          ::epoll_ctl(epoll_, EPOLL_CTL_DEL, page.socket.file(), nullptr);
          continue;
        }
        page.unread.append(part.data(), static_cast<std::size_t>(size));
        if (!page.has && page.unread.find(wanted) != std::string::npos) {
          page.has = true;
          ++have;
          page.unread = {};
        }
      }
      if (ended_ > 0) break;
    }
    return have;
  }
  std::size_t ended() const { return ended_; }
  void close() { pages_.clear(); }

 private:
  struct Open {
    Socket socket;
    std::string unread;
    bool has;
  };
  const int port_;
  const int epoll_;
  std::vector<Open> pages_;
  std::size_t ended_ = 0;
};

/// Two files each, as both ends are here; as many as the system allows.
std::size_t allow_streams(std::size_t wanted) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t others = 100;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 2 * wanted + others);
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::min<std::size_t>(wanted, (files.rlim_cur - others) / 2);
}

TEST_CASE("a vote reaches thousands of open pages, which cost little and leave nothing behind") {
  const std::size_t wanted = std::getenv("ATOM_SOAK") ? 10'000 : is_sanitized ? 500 : 2000;
  const std::size_t count = allow_streams(wanted);
  if (count < wanted) std::cout << "The limit of open files allows " << count << " pages, not " << wanted << ".\n";
  const Milliseconds patience = 60s;
  Poll poll({.patience = patience});
  Client client(poll.port);
  client.vote("soup");
  {  // what is set up once
    Pages first(poll.port);
    first.open(10);
    REQUIRE(first.wait_for("event: snapshot", 10, patience) == 10);
  }
  REQUIRE(within(5s, [&] { return poll.server.connections() == 1; }));

  Pages pages(poll.port);
  const std::size_t before = resident_bytes();
  for (std::size_t opened = 0, more = 0; opened < count; opened += more) {
    more = std::min<std::size_t>(count - opened, 500);  // as many as may wait to be accepted
    pages.open(more);
    REQUIRE(pages.wait_for("event: snapshot", more, patience) == more);
  }
  const std::size_t bytes = (std::max(resident_bytes(), before) - before) / count;
  CHECK(poll.server.connections() == count + 1);
  if (!is_sanitized) CHECK(bytes < 40'000);

  const auto begin = Clock::now();
  client.vote("pizza");
  CHECK(pages.wait_for("\"pizza\":1", count, patience) == count);
  const auto time = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
  std::cout << count << " open pages: " << bytes << " bytes each, a vote has reached all after " << time.count()
            << " ms\n";
  CHECK(pages.ended() == 0);
  pages.close();
  CHECK(within(patience, [&] { return poll.server.connections() <= 1; }));
  CHECK(client.ask({}).status == 200);
}

// -------------------------------------------------------------------------------------------------------------- events

TEST_CASE("a page that comes back gets what has changed, and nothing where nothing has") {
  Poll poll;
  Client client(poll.port);
  client.vote("pizza");
  Page another(poll.port);  // while one is open it is known what has changed
  another.wait_until([](const Page::Votes& votes) { return votes.at("pizza") == 1; }, 5s);
  std::string last;
  {
    Page page(poll.port);
    page.wait_until([](const Page::Votes& votes) { return votes.at("pizza") == 1; }, 5s);
    last = page.last_event_id();
  }
  REQUIRE_FALSE(last.empty());
  const auto come_back = [&](const std::string& id, std::string_view wanted, Milliseconds time) {
    Socket socket(poll.port);
    socket.send("GET /events HTTP/1.1\r\n" + host + "Last-Event-ID: " + id + "\r\n\r\n");
    return socket.receive(wanted, time);
  };
  const std::string nothing_new = come_back(last, "event:", 300ms);
  CHECK_THAT(nothing_new, ContainsSubstring("text/event-stream") && ContainsSubstring("retry: "));
  CHECK(nothing_new.find("event:") == nothing_new.npos);
  client.vote("soup");
  const std::string changed = come_back(last, "\n\nid:", 500ms);
  CHECK_THAT(changed, ContainsSubstring("event: change") && ContainsSubstring("\"soup\":1"));
  CHECK(changed.find("event: snapshot") == changed.npos);
  for (const std::string& garbage : {std::string("x"), std::string("-1"), repeat("9", 1000), last + "0", "0" + last,
                                     std::string("\xff\xfe"), std::string("1\tid: 2"), std::string("../../etc")}) {
    CAPTURE(garbage);
    CHECK_THAT(come_back(garbage, "event: snapshot", 5s), ContainsSubstring("event: snapshot"));
  }
}

TEST_CASE("where the database cannot be followed a page is told to come again") {
  atom::StateStore states;
  Server server({.answer = {}, .open_events = [&](std::string) {
                   return states.async([]() -> atom::EventStream {
                     throw atom::StateError(atom::StateErrorCode::unavailable, "nobody is there");
                   });
                 }});
  const int port = server.bind(0);
  server.start();
  Socket socket(port);
  socket.send(ask_for_events);
  CHECK(status_of(socket.receive()) == 503);
  CHECK(socket.is_closed());
  CHECK(server.stop());
}

TEST_CASE("events end with their store") {
  Poll poll;
  Client(poll.port).vote("pizza");
  Socket before(poll.port);
  before.send(ask_for_events);
  before.receive("event: snapshot");
  poll.states.close(5s);
  CHECK(before.receive().empty());
  CHECK(before.is_closed());
  Socket after(poll.port);
  after.send(ask_for_events);
  CHECK(status_of(after.receive()) == 503);  // and the page tries again
  CHECK(after.is_closed());
}

// ---------------------------------------------------------------------------------------------------------------- end

TEST_CASE("the server stops in time with pages, idle connections and half requests open") {
  Poll poll;
  std::vector<Socket> pages, others;
  for (int i = 0; i < 50; ++i) {
    pages.emplace_back(poll.port).send(ask_for_events);
    REQUIRE_THAT(pages.back().receive("event: snapshot"), ContainsSubstring("event: snapshot"));
    others.emplace_back(poll.port).send(i % 2 == 0 ? "" : "POST /vote/pizza HTTP/1.1\r\nContent-Length: 9\r\n\r\n123");
  }
  const auto begin = Clock::now();
  CHECK(poll.states.close(5s));
  CHECK(poll.server.stop());
  CHECK(Clock::now() - begin < Server::time_to_stop / 2);
  for (Socket& page : pages) {
    page.receive();
    CHECK(page.is_closed());
  }
  CHECK_THROWS(Socket(poll.port));
}

TEST_CASE("a page that does not read does not keep the server from stopping") {
  atom::StateStore states;
  const atom::Scope scope = atom::Scope::global() / "long";
  Server server(events_of(states, scope));
  const int port = server.bind(0);
  server.start();
  auto state = states.use(long_atom, scope);
  state.set(std::string(8 << 20, 'a'));
  Socket lazy(port, 2000);
  lazy.send(ask_for_events);
  REQUIRE_THAT(lazy.receive("HTTP/1.1"), ContainsSubstring("200 OK"));
  std::this_thread::sleep_for(200ms);
  const auto begin = Clock::now();
  states.close(5s);
  CHECK(server.stop());
  CHECK(Clock::now() - begin < Server::time_to_stop / 2);
}

}  // namespace
}  // namespace poll_http_test

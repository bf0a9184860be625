// Who uses the poll, without a browser: one client that votes, and one open page.
#pragma once

#include "poll.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace live_poll {

/// A connection that is kept open, and the cookie of one client. All of it throws std::runtime_error without an answer.
class Client {
 public:
  explicit Client(int port);
  Client(Client&&) noexcept;
  ~Client();

  /// With the client's cookie, unless the request has one.
  Response ask(Request request);
  /// Votes, or with an empty choice takes the vote back. What the server says the client has voted for now.
  std::string vote(std::string_view choice);
  const std::string& cookie() const noexcept { return cookie_; }
  /// It is a new client from now on.
  void forget() noexcept { cookie_.clear(); }

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
  std::string cookie_;
};

/// What an open page shows: the votes by option, as the server's events say.
class Page {
 public:
  using Votes = std::map<std::string, std::int64_t>;

  explicit Page(int port, std::string_view last_event_id = {});
  Page(Page&&) noexcept;
  ~Page();

  /// Reads events until this one is right, for so long at most. Throws std::runtime_error if it does not come.
  Votes wait_until(const std::function<bool(const Votes&)>& is_right, std::chrono::milliseconds within);
  const std::string& last_event_id() const noexcept { return last_event_id_; }
  /// How many events have come.
  int events() const noexcept { return events_; }

 private:
  struct Connection;
  void take(std::string_view event);
  std::unique_ptr<Connection> connection_;
  std::string last_event_id_;
  Votes votes_;
  int events_ = 0;
};

}  // namespace live_poll

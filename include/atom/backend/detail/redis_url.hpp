// Where a Redis server is, as one line says it: redis://user:password@host:6379/0.
#pragma once

#include <atom/backend/detail/url.hpp>
#include <atom/config.hpp>
#include <atom/state/error.hpp>

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace atom::inline v0_1::detail {

struct RedisServer {
  bool tls = false;
  std::string host = {};
  int port = 6379;
  std::string path = {};  ///< of a socket of this machine; then there is no host
  std::string user = {};
  std::string password = {};
  int database = 0;

  /// For messages: without user and password.
  std::string name() const {
    if (!path.empty()) return path;
    const bool is_v6 = host.find(':') != host.npos;
    return (is_v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
  }
};

inline std::optional<int> redis_number(std::string_view text, int least, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_all = error == std::errc() && end == text.data() + text.size();
  return is_all && least <= number && number <= most ? std::optional(number) : std::nullopt;
}

/// The server that a URL names. No error repeats the URL, in which there may be a password.
inline StateResult<RedisServer> parse_redis_url(std::string_view url) {
  const auto wrong = [](const char* what) {
    return StateError(StateErrorCode::refused,
                      std::string("Redis: ") + what +
                          ": a URL is redis://[user:password@]host[:port][/database], the same with rediss:// for "
                          "TLS, or unix://[user:password@]/path[?db=database]");
  };
  RedisServer server;
  const std::size_t colon = url.find("://");
  const std::string_view scheme = url.substr(0, colon == url.npos ? 0 : colon);
  if (scheme != "redis" && scheme != "rediss" && scheme != "unix") return wrong("the URL has another scheme");
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return wrong("the URL has a space or a control byte");
  }
  server.tls = scheme == "rediss";
  std::string_view rest = url.substr(colon + 3);

  // A slash in a password is %2F.
  std::string_view authority = rest.substr(0, rest.find('/'));
  rest.remove_prefix(authority.size());
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    const std::string_view who = authority.substr(0, at);
    const std::size_t between = who.find(':');
    if (between == who.npos) return wrong("the URL has a user without a password");
    const auto user = unescape_url(who.substr(0, between));
    const auto password = unescape_url(who.substr(between + 1));
    if (!user || !password) return wrong("the user or the password in the URL has a % that does not begin %XX");
    if (password->empty()) return wrong("the password in the URL is empty");
    server.user = *user;
    server.password = *password;
    authority.remove_prefix(at + 1);
  }

  std::string_view database;
  if (scheme == "unix") {
    if (!authority.empty()) return wrong("the URL of a socket has a host");
    const std::size_t query = rest.find('?');
    const auto path = unescape_url(rest.substr(0, query));
    if (!path || path->size() < 2) return wrong("the URL has no path of a socket");
    if (path->find('\0') != path->npos) return wrong("the path of the socket has a zero byte");
    server.path = *path;
    if (query != rest.npos) {
      const std::string_view asked = rest.substr(query);
      if (!asked.starts_with("?db=") || asked.size() == 4) return wrong("the URL has another query than ?db=");
      database = asked.substr(4);
    }
  } else {
    const bool is_v6 = authority.starts_with('[');
    const std::size_t end = is_v6 ? authority.find(']') : authority.find(':');
    if (is_v6 && end == authority.npos) return wrong("the host in the URL begins with [ and has no ]");
    server.host = authority.substr(is_v6 ? 1 : 0, is_v6 ? end - 1 : end);
    if (server.host.empty()) return wrong("the URL has no host");
    const std::string_view port = end == authority.npos ? "" : authority.substr(end + (is_v6 ? 1 : 0));
    if (!port.empty()) {
      const auto number = port.starts_with(':') ? redis_number(port.substr(1), 1, 65535) : std::nullopt;
      if (!number) return wrong("the port in the URL is no number from 1 to 65535");
      server.port = *number;
    }
    if (rest.size() > 1) database = rest.substr(1);
  }
  if (!database.empty()) {
    const auto number = redis_number(database, 0, 1'000'000);
    if (!number) return wrong("the database in the URL is no number");
    server.database = *number;
  }
  return server;
}

}  // namespace atom::inline v0_1::detail

// What libpq and a server say when something fails, as a StateError: whether it took effect, whether to try again, and
// nothing of it that could be a secret.
#pragma once

#include <atom/config.hpp>
#include <atom/state/error.hpp>

#include <libpq-fe.h>

#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

/// The first line of a message. libpq quotes pieces of what it was given, and one with a password that was not escaped
/// as it must be is taken apart at any place; so where there may be a password, nothing that is quoted is told.
inline std::string postgres_reason(std::string_view message, std::string_view url) {
  message = message.substr(0, message.find('\n'));
  const bool may_hold_secret = url.find("pass") != url.npos || url.find('@') != url.npos;
  const std::size_t first = message.find('"');
  const std::size_t last = message.rfind('"');
  if (!may_hold_secret || first == message.npos) return std::string(message);
  return std::string(message.substr(0, first)) + "..." + std::string(message.substr(last + 1));
}

/// What an error with this code (SQLSTATE; https://www.postgresql.org/docs/current/errcodes-appendix.html) means for
/// whoever asked. `message` is the server's.
inline StateError postgres_error(std::string_view code, std::string_view message, Effect effect) {
  const auto is_of = [&](auto... classes) { return (code.starts_with(classes) || ...); };
  // What these say may quote a value.
  const bool quotes = is_of("22", "23", "P0", "XX");
  std::string text = "PostgreSQL, error " + std::string(code);
  if (!quotes) text += ": " + std::string(message);
  const auto failed = [&](StateErrorCode why, bool retryable, const char* advice = "") {
    return StateError(why, text + advice, effect, retryable);
  };
  if (is_of("57014")) return failed(StateErrorCode::timed_out, true);  // a timeout of the server's, or an operator
  if (is_of("53100")) return failed(StateErrorCode::refused, false, ": make room on the server's disk");
  if (is_of("25006")) return failed(StateErrorCode::refused, false, ": name the server that takes writes");
  if (is_of("42501")) return failed(StateErrorCode::refused, false, ": grant what atom::Postgres::schema() names");
  if (is_of("42P01", "3F000")) {
    return failed(StateErrorCode::refused, false,
                  ": make the tables, by `prepare` that is told to create, or with atom::Postgres::schema()");
  }
  if (is_of("54")) return failed(StateErrorCode::too_large, false);
  // Connections; another transaction was first; no memory, too many connections; a lock; a server that ends or starts;
  // I/O; a prepared statement that is gone, is there already, or whose table has changed.
  const bool passes = is_of("08", "23505", "25P0", "40", "53", "55", "57", "58", "26", "42P05", "0A000");
  return passes ? failed(StateErrorCode::unavailable, true) : failed(StateErrorCode::refused, false);
}

/// Why there is no connection. In a message in verbose form the server's code stands behind its severity.
inline StateError postgres_connect_error(const PGconn* connection, std::string_view url) {
  const std::string_view all = PQerrorMessage(connection);
  for (std::size_t at = all.rfind(":  "); at != all.npos && at > 0; at = all.rfind(":  ", at - 1)) {
    const std::string_view rest = all.substr(at + 3);
    const std::string_view code = rest.substr(0, 5);
    const bool is_code = rest.size() > 7 && rest.substr(5, 2) == ": " &&
                         code.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == code.npos;
    if (is_code) return postgres_error(code, postgres_reason(rest.substr(7), url), Effect::none);
  }
  const bool needs_password = PQconnectionNeedsPassword(connection) != 0;
  return {needs_password ? StateErrorCode::refused : StateErrorCode::unavailable,
          "PostgreSQL: " + postgres_reason(all, url), Effect::none, !needs_password};
}

}  // namespace atom::inline v0_1::detail

// Which client a request comes from: an id that nobody can guess, in a cookie that no script can read. A web server
// takes a Visitor (visitor.hpp), which also knows which ids it has given out; this is for one that has ways of its own.
//
//   std::optional<atom::SessionId> id = atom::session_id_from(request.header("Cookie"));
//   if (!id) response.add_header("Set-Cookie", atom::session_cookie(*(id = atom::SessionId::random())));
//   atom::Session session{states, id->scope()};
#pragma once

#include <atom/config.hpp>
#include <atom/state/scope.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace atom::inline v0_1 {

/// 128 random bits. Whoever has it is the client, so it belongs into no log.
class SessionId {
 public:
  /// A new one, of the system's randomness.
  static SessionId random() {
    std::random_device system;
    SessionId id;
    for (std::size_t i = 0; i < id.bytes_.size(); i += 4) {
      const std::uint32_t bits = system();
      for (std::size_t j = 0; j < 4; ++j) id.bytes_[i + j] = static_cast<std::uint8_t>(bits >> (8 * j) & 0xff);
    }
    return id;
  }
  /// What `text` wrote, or nothing for any other text.
  static std::optional<SessionId> parse(std::string_view text) noexcept {
    SessionId id;
    if (text.size() != 2 * id.bytes_.size()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::size_t digit = digits.find(text[i]);
      if (digit == digits.npos) return std::nullopt;
      std::uint8_t& byte = id.bytes_[i / 2];
      byte = static_cast<std::uint8_t>((byte << 4 & 0xf0) | static_cast<int>(digit));
    }
    return id;
  }
  /// 32 hexadecimal digits.
  std::string text() const {
    std::string text(2 * bytes_.size(), '0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = digits[bytes_[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    return text;
  }
  /// The client's own.
  Scope scope() const { return Scope::client(text()); }

  friend bool operator==(const SessionId&, const SessionId&) noexcept = default;

 private:
  static constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::uint8_t, 16> bytes_{};
};

struct SessionCookieOptions {
  std::string_view name = "session";
  /// How long the browser keeps it; 0: until it is closed.
  std::chrono::seconds max_age = {};
  /// Sent over HTTPS only. Browsers take http://localhost for that, too.
  bool secure = true;
};

/// The value of a Set-Cookie header: `session=...; Path=/; HttpOnly; SameSite=Lax; Secure`.
inline std::string session_cookie(const SessionId& id, const SessionCookieOptions& options = {}) {
  std::string cookie = std::string(options.name) + '=' + id.text() + "; Path=/; HttpOnly; SameSite=Lax";
  if (options.secure) cookie += "; Secure";
  if (options.max_age.count() > 0) cookie += "; Max-Age=" + std::to_string(options.max_age.count());
  return cookie;
}

/// The same of one that makes the browser forget the cookie.
inline std::string expired_session_cookie(const SessionCookieOptions& options = {}) {
  std::string cookie = std::string(options.name) + "=; Path=/; HttpOnly; SameSite=Lax";
  if (options.secure) cookie += "; Secure";
  return cookie + "; Max-Age=0";
}

/// The id in the value of a Cookie header. Nothing if there is none, if it is none of ours, or if there are several
/// different ones: another site on a parent domain may have set one, and nobody can tell which.
inline std::optional<SessionId> session_id_from(std::string_view cookies, std::string_view name = "session") noexcept {
  std::optional<SessionId> found;
  while (!cookies.empty()) {
    const std::size_t end = cookies.find(';');
    std::string_view cookie = cookies.substr(0, end);
    cookies = end == cookies.npos ? std::string_view() : cookies.substr(end + 1);
    const std::size_t begins = cookie.find_first_not_of(" \t");
    if (begins == cookie.npos) continue;
    cookie.remove_prefix(begins);
    cookie = cookie.substr(0, cookie.find_last_not_of(" \t") + 1);
    const std::size_t equals = cookie.find('=');
    if (equals == cookie.npos || cookie.substr(0, equals) != name) continue;
    const std::optional<SessionId> id = SessionId::parse(cookie.substr(equals + 1));
    if (!id || (found && !(*found == *id))) return std::nullopt;
    found = id;
  }
  return found;
}

}  // namespace atom::inline v0_1

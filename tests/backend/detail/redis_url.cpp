#include <atom/backend/detail/redis_url.hpp>

#include "support/catch.hpp"

#include <string>
#include <string_view>

namespace redis_url_test {
namespace {

using atom::StateErrorCode;
using atom::detail::parse_redis_url;
using atom::detail::RedisServer;
using support::ContainsSubstring;

/// All that a URL says: TLS, user, password, name, database.
std::string parsed(std::string_view url) {
  const RedisServer server = parse_redis_url(url).value();
  return std::string(server.tls ? "tls " : "") + server.user + '|' + server.password + '|' + server.name() + '|' +
         std::to_string(server.database);
}

TEST_CASE("redis url: it says where the server is, and who asks for what") {
  CHECK(parsed("redis://localhost") == "||localhost:6379|0");
  CHECK(parsed("redis://localhost/") == "||localhost:6379|0");
  CHECK(parsed("redis://10.0.0.1:7000/3") == "||10.0.0.1:7000|3");
  CHECK(parsed("rediss://cache.example.com:6380") == "tls ||cache.example.com:6380|0");
  CHECK(parsed("redis://me:secret@host") == "me|secret|host:6379|0");
  CHECK(parsed("redis://:secret@host:1/15") == "|secret|host:1|15");
  CHECK(parsed("redis://m%40e:a%3Ab%2fc%25@host") == "m@e|a:b/c%|host:6379|0");
  CHECK(parsed("redis://me:with@and:colon@host") == "me|with@and:colon|host:6379|0");
  CHECK(parsed("redis://[::1]:7000") == "||[::1]:7000|0");
  CHECK(parsed("redis://[2001:db8::1]") == "||[2001:db8::1]:6379|0");
  CHECK(parsed("unix:///run/redis.sock") == "||/run/redis.sock|0");
  CHECK(parsed("unix://me:secret@/run/a%20b?db=2") == "me|secret|/run/a b|2");
  CHECK(parse_redis_url("redis://[::1]").value().host == "::1");
}

TEST_CASE("redis url: what is none is refused with what is wrong, and is not repeated") {
  const auto check = [](std::string_view url, const std::string& why) {
    INFO(url);
    const auto server = parse_redis_url(url);
    REQUIRE_FALSE(server);
    CHECK(server.error().code() == StateErrorCode::refused);
    CHECK_FALSE(server.error().retryable());
    CHECK_THAT(server.error().what(), ContainsSubstring(why));
    CHECK_THAT(server.error().what(), ContainsSubstring("redis://[user:password@]host"));
    CHECK_THAT(server.error().what(), !ContainsSubstring("secret"));
  };
  check("", "another scheme");
  check("localhost:6379", "another scheme");
  check("http://host", "another scheme");
  check("Redis://host", "another scheme");
  check("://host", "another scheme");
  check("redis://", "no host");
  check("redis://:6379", "no host");
  check("redis:///0", "no host");
  check("redis://me:secret@", "no host");
  check("redis://secret@host", "a user without a password");
  check("redis://secret:@host", "the password in the URL is empty");
  check("redis://me:secret%4@host", "a % that does not begin %XX");
  check("redis://me:secret%@host", "a % that does not begin %XX");
  check("redis://me:secret%zz@host", "a % that does not begin %XX");
  check("redis://secret%+1:x@host", "a % that does not begin %XX");
  check("redis://host:", "the port in the URL is no number");
  check("redis://host:0", "the port in the URL is no number");
  check("redis://host:65536", "the port in the URL is no number");
  check("redis://host:63x", "the port in the URL is no number");
  check("redis://::1", "no host");
  check("redis://[::1", "has no ]");
  check("redis://[::1]6379", "the port in the URL is no number");
  check("redis://[]", "no host");
  check("redis://host/one", "the database in the URL is no number");
  check("redis://host/1000001", "the database in the URL is no number");
  check("redis://host/-1", "the database in the URL is no number");
  check("redis://host/1?x=2", "the database in the URL is no number");
  check("redis://host /0", "a space or a control byte");
  check("redis://host\n", "a space or a control byte");
  check("redis://host\x7f", "a space or a control byte");
  check(std::string_view("redis://ho\0st", 13), "a space or a control byte");
  check("unix://", "no path");
  check("unix:///", "no path");
  check("unix://host/run/redis.sock", "has a host");
  check("unix:///run%00x", "a zero byte");
  check("unix:///run/x?db=", "another query");
  check("unix:///run/x?database=1", "another query");
  check("unix:///run/x?db=x", "the database in the URL is no number");
}

}  // namespace
}  // namespace redis_url_test

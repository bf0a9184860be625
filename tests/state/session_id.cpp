// The id of a client, and its cookie.
#include <atom/state/session_id.hpp>

#include <array>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace session_id_test {
namespace {

using atom::session_cookie;
using atom::session_id_from;
using atom::SessionId;
using namespace std::chrono_literals;

TEST_CASE("A session id is 32 hexadecimal digits, and reads as itself") {
  const SessionId id = SessionId::random();
  CHECK(id.text().size() == 32);
  CHECK(id.text().find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(SessionId::parse(id.text()) == id);
}

TEST_CASE("Session ids do not repeat, and use all of their bits") {
  std::set<std::string> seen;
  std::array<int, 32> other_than_zero{};
  for (int i = 0; i < 1000; ++i) {
    const std::string text = SessionId::random().text();
    seen.insert(text);
    for (std::size_t digit = 0; digit < 32; ++digit) other_than_zero[digit] += text[digit] != '0';
  }
  CHECK(seen.size() == 1000);
  for (const int count : other_than_zero) CHECK(count > 800);
}

TEST_CASE("A text that is no session id is none") {
  const std::string good = SessionId::random().text();
  CHECK_FALSE(SessionId::parse(""));
  CHECK_FALSE(SessionId::parse(good.substr(1)));
  CHECK_FALSE(SessionId::parse(good + "0"));
  CHECK_FALSE(SessionId::parse("g" + good.substr(1)));
  CHECK_FALSE(SessionId::parse("A" + good.substr(1)));
  CHECK_FALSE(SessionId::parse(std::string(32, '\0')));
  CHECK_FALSE(SessionId::parse(std::string(10'000, '0')));
}

TEST_CASE("The cookie of a session is read by no script, and sent to this site alone") {
  const SessionId id = SessionId::random();
  CHECK(session_cookie(id) == "session=" + id.text() + "; Path=/; HttpOnly; SameSite=Lax; Secure");
  CHECK(session_cookie(id, {.name = "sid", .max_age = 24h, .secure = false}) ==
        "sid=" + id.text() + "; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400");
  CHECK(atom::expired_session_cookie() == "session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
  CHECK(atom::expired_session_cookie({.name = "sid", .secure = false}) ==
        "sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

TEST_CASE("A cookie that ends has the name and the path of the one that it takes away, and is as secure") {
  CHECK(atom::expired_session_cookie() == "session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
  CHECK(atom::expired_session_cookie({.name = "sid", .max_age = 24h, .secure = false}) ==
        "sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

TEST_CASE("The id is found among other cookies") {
  const SessionId id = SessionId::random();
  const std::string ours = "session=" + id.text();
  CHECK(session_id_from(ours) == id);
  CHECK(session_id_from("locale=en; " + ours) == id);
  CHECK(session_id_from(ours + ";locale=en") == id);
  CHECK(session_id_from("\t locale=en ;;  " + ours + " ; =; x") == id);
  CHECK(session_id_from(ours + "; " + ours) == id);
  CHECK(session_id_from("sid=" + id.text(), "sid") == id);
}

TEST_CASE("A forged, foreign or malformed cookie names no client") {
  const std::string id = SessionId::random().text();
  const std::string other = SessionId::random().text();
  const std::vector<std::string> none{"",
                                      ";",
                                      "session",
                                      "session=",
                                      "session=\"" + id + "\"",
                                      "session=" + id + "x",
                                      "session=$global",
                                      "session=../" + id,
                                      "xsession=" + id,
                                      "session =" + id,
                                      "Session=" + id,
                                      "session=" + id + "; session=" + other,
                                      "session=" + id + "; session=",
                                      "session=" + id + std::string(1, '\0'),
                                      std::string(100'000, ';')};
  for (const std::string& cookies : none) {
    CAPTURE(cookies.substr(0, 80));
    CHECK_FALSE(session_id_from(cookies));
  }
}

TEST_CASE("The scope of a session is the client's own") {
  const SessionId id = SessionId::random();
  CHECK(id.scope() == atom::Scope::client(id.text()));
}

}  // namespace
}  // namespace session_id_test

#include <atom/state/error.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <map>
#include <set>
#include <string>

namespace state_error_test {
namespace {

using atom::Effect;
using atom::StateError;
using atom::StateErrorCode;

TEST_CASE("state error: it says why, what its effect was, and whether to try again") {
  const StateError error(StateErrorCode::timed_out, "no answer", Effect::unknown, true);
  CHECK(error.code() == StateErrorCode::timed_out);
  CHECK(error.effect() == Effect::unknown);
  CHECK(error.retryable());
  CHECK(error.message() == "no answer (whether it took effect is unknown)");

  const StateError plain(StateErrorCode::overflow, "too much");
  CHECK(plain.effect() == Effect::none);
  CHECK_FALSE(plain.retryable());
  CHECK(plain.message() == "too much (without effect)");
}

TEST_CASE("state error: its reason is the message without the effect") {
  for (const Effect effect : {Effect::none, Effect::applied, Effect::unknown}) {
    CHECK(atom::detail::reason(StateError(StateErrorCode::refused, "no (really)", effect)) == "no (really)");
  }
}

TEST_CASE("state error: each code has words of its own") {
  std::set<std::string> all;
  const int count = static_cast<int>(StateErrorCode::session_ended) + 1;
  for (int code = 0; code < count; ++code) all.emplace(to_string(static_cast<StateErrorCode>(code)));
  CHECK(all.size() == static_cast<std::size_t>(count));
  CHECK(all.count("") == 0);
}

// That README's table says the same, tests/readme/check sees.
TEST_CASE("state error: each code has the status of an answer") {
  using enum StateErrorCode;
  const std::map<int, std::set<StateErrorCode>> wanted{
      {400, {invalid_name}},
      {401, {no_context}},
      {409, {conflict, session_ended}},
      {413, {too_large}},
      {422, {overflow, division_by_zero, not_finite}},
      {500, {type_mismatch, undecodable, refused, history_lost}},
      {503, {unavailable, timed_out, closed}},
  };
  std::size_t count = 0;
  for (const auto& [status, codes] : wanted) {
    for (const StateErrorCode code : codes) {
      CHECK(http_status(code) == status);
      ++count;
    }
  }
  CHECK(count == static_cast<std::size_t>(session_ended) + 1);
}

}  // namespace
}  // namespace state_error_test

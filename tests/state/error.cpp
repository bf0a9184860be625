#include <atom/state/error.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>
#include <string_view>

namespace state_error_test {
namespace {

using atom::Effect;
using atom::StateError;
using atom::StateErrorCode;
using support::ContainsSubstring;

TEST_CASE("each code and each effect says something of its own") {
  using enum StateErrorCode;
  std::set<std::string_view> said;
  for (const StateErrorCode code :
       {conflict, overflow, division_by_zero, not_finite, type_mismatch, undecodable, invalid_name, too_large,
        no_context, refused, unavailable, timed_out, history_lost, closed, session_ended}) {
    INFO(static_cast<int>(code));
    CHECK_FALSE(to_string(code).empty());
    CHECK(said.insert(to_string(code)).second);
  }
  for (const Effect effect : {Effect::none, Effect::applied, Effect::unknown}) {
    INFO(static_cast<int>(effect));
    CHECK_FALSE(to_string(effect).empty());
    CHECK(said.insert(to_string(effect)).second);
  }
}

TEST_CASE("an error says what has happened, whether it took effect, and whether it may be tried again") {
  const StateError error(StateErrorCode::unavailable, "nobody is there", Effect::applied, true);
  CHECK(error.code() == StateErrorCode::unavailable);
  CHECK(error.effect() == Effect::applied);
  CHECK(error.retryable());
  CHECK_THAT(error.what(), ContainsSubstring("nobody is there") && ContainsSubstring("it took effect"));
}

}  // namespace
}  // namespace state_error_test

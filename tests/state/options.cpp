#include <atom/state/options.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <set>
#include <string_view>

namespace state_options_test {
namespace {

using Kind = atom::StateEvent::Kind;

static_assert(to_string(Kind::feed_down) == "feed_down");

TEST_CASE("state options: each kind of event has a name of its own") {
  std::set<std::string_view> all;
  const int count = static_cast<int>(Kind::undecodable) + 1;
  for (int kind = 0; kind < count; ++kind) all.insert(to_string(static_cast<Kind>(kind)));
  CHECK(all.size() == static_cast<std::size_t>(count));
  CHECK(all.count("") == 0);
}

}  // namespace
}  // namespace state_options_test

#include <atom/state/detail/home_process.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"

namespace home_process_test {
namespace {

using atom::detail::HomeProcess;

TEST_CASE("home process: a forked process is not the one in which it was made, and the parent still is") {
  const HomeProcess home;
  CHECK(home.is_here());
  CHECK(support::exit_code_of_child([&] { return !home.is_here() && HomeProcess().is_here(); }) == 0);
  CHECK(home.is_here());
}

}  // namespace
}  // namespace home_process_test

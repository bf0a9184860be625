#include <atom/state/detail/home_process.hpp>

#include "support/catch.hpp"

#include <sys/wait.h>
#include <unistd.h>

namespace home_process_test {
namespace {

using atom::detail::HomeProcess;

TEST_CASE("home process: a forked process is not the one in which it was made, and the parent still is") {
  const HomeProcess home;
  CHECK(home.is_here());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(!home.is_here() && HomeProcess().is_here() ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(home.is_here());
}

}  // namespace
}  // namespace home_process_test

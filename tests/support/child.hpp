// A process that is forked from the one of the tests.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace support {

/// Of a child, when it has ended: -1 if a signal did that.
inline int exit_code_of(pid_t child) noexcept {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Of a process that was forked to look: 0 if it finds `is_right()`, -1 if that did not end, in 20 seconds, or crashed.
/// What throws there has ended it, too.
template <class IsRight>
int exit_code_of_child(IsRight is_right) noexcept {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(is_right() ? 0 : 1);
  }
  return exit_code_of(child);
}

}  // namespace support

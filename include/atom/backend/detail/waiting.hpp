// How a thread waits for sockets.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace atom::inline v0_1::detail {

/// Waits until one of the files is ready. Whether one is; false: the deadline has passed, which counts more.
inline bool wait_for(pollfd* files, nfds_t count, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    const int ready = ::poll(files, count, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the next use of it says what is wrong
  }
}

/// When the first of so many attempts is to be over, so that each has as much time as the others.
inline Deadline share_of(Deadline deadline, std::size_t attempts) {
  const auto now = std::chrono::steady_clock::now();
  return now + (deadline - now) / static_cast<std::int64_t>(attempts);
}

/// What a thread can wait for together with a socket. Rung by any thread.
class Bell {
 public:
  Bell() noexcept {
    is_good_ = ::pipe(ends_) == 0;
    for (const int end : ends_) {
      is_good_ = is_good_ && ::fcntl(end, F_SETFL, O_NONBLOCK) == 0 && ::fcntl(end, F_SETFD, FD_CLOEXEC) == 0;
    }
  }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  ~Bell() {
    for (const int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  /// Whether it can be used: there may be no file descriptors left.
  explicit operator bool() const noexcept { return is_good_; }
  void ring() noexcept { [[maybe_unused]] const auto written = ::write(ends_[1], "!", 1); }  // full: it has rung
  /// Whether it has rung since it was stopped.
  bool stop() noexcept {
    char some[64];
    bool has_rung = false;
    while (::read(ends_[0], some, sizeof(some)) > 0) has_rung = true;
    return has_rung;
  }
  /// Until it rings, or until the deadline.
  void wait(Deadline deadline) const {
    pollfd file{ends_[0], POLLIN, 0};
    wait_for(&file, 1, deadline);
  }
  int socket() const noexcept { return ends_[0]; }

 private:
  int ends_[2] = {-1, -1};
  bool is_good_ = false;
};

/// How a wait has ended.
enum class Waited : std::uint8_t { ready, late, rung };

/// Waits until the file is ready, until the deadline, or until the bell rings, which counts more than the file. Null:
/// there is no bell.
inline Waited wait_for(pollfd file, const Bell* bell, Deadline deadline) {
  pollfd both[] = {file, {bell ? bell->socket() : -1, POLLIN, 0}};
  if (!wait_for(both, bell ? 2 : 1, deadline)) return Waited::late;
  return both[1].revents != 0 ? Waited::rung : Waited::ready;
}

/// So long a feed has to connect, however short it is polled: over a slow link, with TLS, that is many round trips.
/// Whoever does not want to wait for it wakes it.
inline constexpr std::chrono::seconds most_to_connect_feed{5};

}  // namespace atom::inline v0_1::detail

// What has more to do at its end.
#pragma once

#include <functional>
#include <utility>

namespace support {

/// Calls `work` when it ends, once, however often it was moved. Called itself, it does nothing.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> work) : work_(std::move(work)) {}
  AtEnd(AtEnd&& other) noexcept : work_(std::exchange(other.work_, nullptr)) {}
  ~AtEnd() {
    if (work_) work_();
  }
  void operator()() const {}

 private:
  std::function<void()> work_;
};

}  // namespace support

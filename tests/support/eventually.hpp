// Waiting for what another thread or process does.
#pragma once

#include <chrono>
#include <thread>

namespace support {

/// Waits until it is so, far longer than that takes. Whether it is.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace support

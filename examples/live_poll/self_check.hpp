// The server against itself: many clients vote at once, change their minds, and take votes back, while pages are open.
#pragma once

#include "client.hpp"
#include "poll.hpp"

#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace live_poll {

/// What went wrong; empty: nothing. There may be votes already, but nobody else may vote meanwhile.
inline std::vector<std::string> check_server(int port, std::size_t clients, std::size_t clicks, std::size_t pages) {
  using namespace std::chrono_literals;
  std::mutex mutex;
  std::vector<std::string> faults;
  const auto attempt = [&](auto work) {
    try {
      work();
    } catch (const std::exception& e) {
      const std::lock_guard lock(mutex);
      faults.emplace_back(e.what());
    }
  };
  std::vector<Page> open;
  Page::Votes expected;
  attempt([&] {
    for (std::size_t i = 0; i < pages; ++i) open.emplace_back(port);
    expected = open.front().wait_until([](const Page::Votes&) { return true; }, 10s);
  });

  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      attempt([&] {
        std::mt19937 chance(static_cast<unsigned>(i));
        Client client(port);
        std::string voted;
        for (std::size_t click = 0; click < clicks; ++click) {
          const std::size_t which = chance() % (options().size() + 1);
          voted = which == 0 ? "" : std::string(options()[which - 1].votes.key());
          if (client.vote(voted) != voted) throw std::runtime_error("a vote was answered with another one");
        }
        const std::lock_guard lock(mutex);
        if (!voted.empty()) ++expected[voted];
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto is_right = [&](const Page::Votes& votes) {
    for (const auto& [key, count] : expected) {
      const auto seen = votes.find(key);
      if ((seen == votes.end() ? 0 : seen->second) != count) return false;
    }
    return true;
  };
  for (Page& page : open) attempt([&] { page.wait_until(is_right, 5s); });
  return faults;
}

}  // namespace live_poll

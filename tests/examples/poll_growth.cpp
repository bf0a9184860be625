// Does the poll's server grow with the requests that it answers, and with the clients that come, vote and go? What it
// knows of these is in memory, for as long as it says. Asks it over HTTP from four threads, and compares what the heap
// holds after a first part with what it holds after all.
//
//   poll_growth [REQUESTS]      default: 10000, a tenth of them by a new client
#include "../../examples/live_poll/client.hpp"
#include "../../examples/live_poll/server.hpp"

#include <atom/state/state_store.hpp>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr int threads = 4, requests_of_client = 10, clients_of_connection = 20;
constexpr auto kept_for = 1s;

/// So many new clients, each of which votes once and looks nine times. Returns how many answers were wrong.
int come_and_go(int port, int clients) {
  std::atomic<int> next = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      try {
        while (next < clients) {
          live_poll::Client connection(port);
          for (int k = 0; k < clients_of_connection; ++k) {
            const auto client = static_cast<std::size_t>(next++);
            if (client >= static_cast<std::size_t>(clients)) return;
            connection.forget();
            const auto& option = live_poll::options()[client % live_poll::options().size()];
            if (connection.vote(option.votes.key()) != option.votes.key()) ++wrong;
            for (int n = 1; n < requests_of_client; ++n) {
              const live_poll::Response page = connection.ask({});
              if (page.status != 200 || page.body.find("aria-pressed=\"true\"") == page.body.npos) ++wrong;
            }
          }
        }
      } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        ++wrong;
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  const int requests = argc > 1 ? std::stoi(argv[1]) : 10'000;
  const int warm_up = std::max(requests / 5, 5'000);
  atom::StateStore states;
  live_poll::Server server(live_poll::handlers_of(states, {.kept_for = kept_for}));
  const int port = server.bind(0);
  server.start();
  live_poll::Page page(port);
  page.wait_until([](const auto&) { return true; }, 10s);

  // In a second, as many come as are forgotten in another one; after a pause, all are, as new ones come.
  const auto part = [&](int clients) {
    const int wrong = come_and_go(port, clients);
    std::this_thread::sleep_for(kept_for + 100ms);
    return wrong + come_and_go(port, std::clamp(clients / 10, 800, 2000));
  };
  const auto start = std::chrono::steady_clock::now();
  int wrong = part(warm_up / requests_of_client);
  const std::size_t before = ::mallinfo2().uordblks, states_before = states.stats().states;
  wrong += part(requests / requests_of_client);
  const std::size_t after = ::mallinfo2().uordblks, states_after = states.stats().states;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  states.close(1s);
  if (!server.stop()) return std::fprintf(stderr, "the server did not stop\n"), 1;

  // What is known of the last thousands of clients; of a tenth of a million it would be fifty times as much.
  constexpr std::size_t most_states = 10'000;
  constexpr std::ptrdiff_t allowance = 1'500'000;
  const auto grown = static_cast<std::ptrdiff_t>(after) - static_cast<std::ptrdiff_t>(before);
  std::printf("%d requests by %d clients in %.1f s, %d wrong; heap %zu kB, then %zu kB; states %zu, then %zu\n",
              requests, requests / requests_of_client, seconds.count(), wrong, before / 1000, after / 1000,
              states_before, states_after);
  return wrong == 0 && grown < allowance && states_after < most_states ? 0 : 1;
}

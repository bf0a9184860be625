// Does the shop's server grow with the requests that it answers, and with the clients that it knows? These are in a
// file. Asks it over HTTP from eight threads, and compares what the heap holds after a first part with what it holds
// after all.
//
//   shop_growth [REQUESTS]      default: 20000
#include "../../examples/ssr_server/database.hpp"
#include "../../examples/ssr_server/self_check.hpp"
#include "../../examples/ssr_server/server.hpp"

#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int clients = 8;
constexpr int warm_up = 20'000;

struct Memory {
  std::size_t heap = 0;      // bytes that malloc has handed out
  std::size_t resident = 0;  // bytes of the process
};

Memory memory() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return {::mallinfo2().uordblks, pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))};
}

/// Asks the orders from `first` to `last` - 1. Returns how many answers were wrong.
int ask(int port, int first, int last) {
  std::atomic<int> next = first;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      auto send = shop::connect_to(port);
      for (int number = next++, sent = 0; number < last; number = next++, ++sent) {
        if (sent > 0 && sent % 50 == 0) send = shop::connect_to(port);  // visitors come and go
        const shop::self_check::Order order = shop::self_check::order(number % 100'000);
        const std::string fault = shop::self_check::fault(order, send(order.request));
        if (!fault.empty() && ++wrong <= 10) std::fprintf(stderr, "%s\n", fault.c_str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  const int requests = argc > 1 ? std::stoi(argv[1]) : 20'000;
  const shop::TemporaryFolder folder;
  atom::StateStore states = shop::open_states(folder / "shop.db", false);
  shop::Server server([&states](const shop::Request& request) { return shop::answer(states, request); });
  const int port = server.bind(0);
  server.start();
  const auto start = std::chrono::steady_clock::now();
  int wrong = ask(port, 0, warm_up);
  const Memory before = memory();
  wrong += ask(port, warm_up, warm_up + requests);
  const Memory after = memory();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!server.stop()) return std::fprintf(stderr, "the server did not stop\n"), 1;

  // A byte for every tenth request would be this much at a million of them; less is the noise of the threads.
  constexpr std::ptrdiff_t allowance = 100'000;
  const auto grown = static_cast<std::ptrdiff_t>(after.heap) - static_cast<std::ptrdiff_t>(before.heap);
  std::printf(
      "%d requests, then %d more, in %.1f s, %d wrong; heap %zu kB, then %zu kB; resident %zu kB, then %zu kB\n",
      warm_up, requests, seconds.count(), wrong, before.heap / 1000, after.heap / 1000, before.resident / 1000,
      after.resident / 1000);
  return wrong == 0 && grown < allowance ? 0 : 1;
}

// A database of one's own: some hundred lines behind atom::StateStore, used by two stores as by two processes
#include "backend.hpp"

#include <atom/state/state_store.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--once") != 0) {
    std::puts("usage: own_backend [--once]\nAdds to one state from 8 threads through two stores, and prints the sum.");
    return std::strcmp(argv[1], "--help") == 0 ? 0 : 2;
  }
  const auto database = std::make_shared<OwnBackend>();
  atom::StateStore here{database};
  atom::StateStore there{database};
  const atom::StateOptions visits{.key = "visits", .scope = atom::Scope::global()};

  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      atom::State<std::int64_t> state = (i % 2 == 0 ? here : there).get_state<std::int64_t>(0, visits);
      for (int n = 0; n < 1000; ++n) state.apply(atom::current + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::int64_t sum = here.get_state<std::int64_t>(0, visits).load();
  std::printf("8 threads x 1000 visits through two stores: %lld\n", static_cast<long long>(sum));
  return sum == 8000 ? 0 : 1;
}

// What peers/peers.mjs measures in node.
#pragma once

#include <stdexcept>
#include <string>

#include "bench/bench.hpp"
#include "bench/process.hpp"

namespace bench {

/// Adds a benchmark of a peer: of what it does with a text that `make_json()` gives.
template <class MakeJson>
void add_in_node(const std::string& name, const std::string& peer, MakeJson make_json) {
  add(name,
      [=](benchmark::State& state) {
        for (auto _ : state) {
          try {
            state.SetIterationTime(std::stod(output_of({"node", ATOM_BENCH_PEERS, peer, make_json()})) * 1e-9);
          } catch (const std::exception& error) {
            throw std::runtime_error(peer + " in JavaScript: " + error.what() +
                                     "; tests/bench/peers/install fetches what it needs");
          }
        }
      })
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(3);
}

}  // namespace bench

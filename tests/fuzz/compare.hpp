// The main function of a program that runs random scripts on the library's store and on a naive one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace fuzz {

using Trace = std::vector<std::string>;

/// What a script did with both.
struct Runs {
  Trace real;
  Trace naive;
  long operations;
  long callbacks;
};

inline void report(std::uint64_t seed, const Trace& real, const Trace& naive) {
  constexpr std::size_t shown = 25;
  std::size_t i = 0;
  while (i < real.size() && i < naive.size() && real[i] == naive[i]) ++i;
  std::printf("seed %llu differs at line %zu of %zu and %zu\n", static_cast<unsigned long long>(seed), i, real.size(),
              naive.size());
  for (std::size_t j = i > shown ? i - shown : 0; j < i; ++j) std::printf("       %s\n", real[j].c_str());
  std::printf("store: %s\n", i < real.size() ? real[i].c_str() : "(end)");
  std::printf("naive: %s\n", i < naive.size() ? naive[i].c_str() : "(end)");
}

/// Calls `run(seed)`, which returns Runs, with one seed after the other, until there were so many operations or there
/// is a difference. `operations` is how many, where the arguments do not say it.
template <class Run>
int compare(const char* program, long operations, int argc, char** argv, Run run) {
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--operations") {
      operations = std::strtol(argv[i + 1], nullptr, 10);
    } else if (i + 1 < argc && option == "--seed") {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::printf("usage: %s [--operations N] [--seed S]\n", program);
      return option == "--help" ? 0 : 2;
    }
  }
  long done = 0;
  long callbacks = 0;
  const std::uint64_t first = seed;
  for (; done < operations; ++seed) {
    const Runs runs = run(seed);
    done += runs.operations;
    callbacks += runs.callbacks;
    if (runs.real == runs.naive) continue;
    report(seed, runs.real, runs.naive);
    return 1;
  }
  std::printf("%s: seeds %llu to %llu, %ld operations, %ld callbacks: no difference\n", program,
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(seed - 1), done, callbacks);
  return 0;
}

}  // namespace fuzz

// What came of the benchmarks.
#pragma once

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/process.hpp"

namespace bench {

/// What came of one benchmark.
struct Result {
  /// Of one operation: the least of all repetitions, or their median where several threads may hinder each other, which
  /// at best they do not.
  std::optional<double> nanoseconds;
  std::optional<double> allocations;
  std::optional<double> bytes;
  std::optional<double> round_trips;
  std::vector<double> repetitions;  // in order
};

/// Keeps the results, and hands everything on to Google's JSON reporter if there is one.
class Results final : public benchmark::BenchmarkReporter {
 public:
  explicit Results(benchmark::JSONReporter* json) : json_(json) {}

  bool ReportContext(const Context& context) override {
    if (json_ && !std::exchange(begun_, true)) json_->ReportContext(context);
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    if (json_) json_->ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      if (const std::string error = error_of(run); !error.empty()) {
        throw std::runtime_error(run.benchmark_name() + " failed: " + error);
      }
      Result& result = results_[run.run_name.function_name];
      const auto counter = [&](const char* name) -> std::optional<double> {
        const auto found = run.counters.find(name);
        return found == run.counters.end() ? std::nullopt : std::optional<double>(found->second);
      };
      // Where threads run side by side the time that passes counts, and Google has divided it by their number.
      const bool side_by_side = !run.run_name.time_type.empty();
      const double seconds =
          side_by_side ? run.real_accumulated_time * static_cast<double>(run.threads) : run.cpu_accumulated_time;
      const double operations = static_cast<double>(run.iterations) * counter("operations").value_or(1);
      const double nanoseconds = 1e9 * seconds / operations;
      std::vector<double>& all = result.repetitions;
      all.insert(std::upper_bound(all.begin(), all.end(), nanoseconds), nanoseconds);
      result.nanoseconds = run.threads > 1 ? all[all.size() / 2] : all.front();
      result.allocations = counter("allocations");
      result.bytes = counter("bytes");
      result.round_trips = counter("round trips");
    }
  }

  const Result& operator[](std::string_view name) const {
    const auto found = results_.find(name);
    if (found == results_.end()) throw std::runtime_error(fmt::format("there is no benchmark \"{}\"", name));
    return found->second;
  }

 private:
  /// Google Benchmark 1.8 renamed it.
  template <class R>
  static std::string error_of(const R& run) {
    if constexpr (requires { run.error_message; }) {
      return run.error_message;
    } else {
      return run.skip_message;
    }
  }

  benchmark::JSONReporter* const json_;
  bool begun_ = false;
  std::map<std::string, Result, std::less<>> results_;
};

/// How many instructions calls execute, as callgrind counts them, those of malloc and free included.
class Instructions {
 public:
  static bool can_be_counted() {
    static const bool there = [] {
      try {
        return !output_of({"valgrind", "--version"}).empty();
      } catch (const std::runtime_error&) {
        return false;
      }
    }();
    return there;
  }
  /// Of one call of what was added under that name with `add_call`.
  double of(const std::string& call) {
    const auto [place, is_new] = counts_.try_emplace(call);
    if (is_new) place->second = (while_repeating(call, 3000) - while_repeating(call, 1000)) / 2000;
    return place->second;
  }

 private:
  static double while_repeating(const std::string& call, int times) {
    const std::string output =
        output_of({"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1",
                   std::filesystem::read_symlink("/proc/self/exe"), "--repeat", call, std::to_string(times)});
    constexpr std::string_view before = "Collected : ";
    const std::size_t place = output.find(before);
    if (place == output.npos) throw std::runtime_error("callgrind prints something else");
    return std::stod(output.substr(place + before.size()));
  }

  std::map<std::string, double> counts_;
};

}  // namespace bench

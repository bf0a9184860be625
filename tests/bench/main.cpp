// Runs the benchmarks group by group, and prints the figures as one table.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/bench.hpp"
#include "bench/figures.hpp"

namespace {

using bench::Figure;
using bench::Group;
using bench::Measure;

constexpr std::string_view help =
    R"(Measures the figures of the library, each against what one would write in its place.

usage: atom_bench [options] [--benchmark_...]

  --quick           a short run: a missed target is reported, but only an allocation or a round trip too many
                    is a failure
  --only TEXT       only the groups whose benchmarks have names that begin so: redis/
  --markdown        print the table as Markdown
  --json FILE       also write all repetitions to FILE, as Google Benchmark does
  --calls           list what --repeat can run
  --repeat NAME N   run NAME N times and nothing else, for a profiler
  --child NAME TEXT what a benchmark of two processes runs as the second one
  --help            print this

Options that start with --benchmark_ go to Google Benchmark, such as --benchmark_repetitions=100.
Exit code: 0, or 1 if a target was missed, or 2 if the run itself went wrong.
)";

struct Options {
  bool quick = false;
  bool markdown = false;
  std::string only;
  std::string json;
  bool list_calls = false;
  std::string repeated;
  std::uint64_t repetitions = 0;
  std::string child;
  std::string for_child;
  bool help = false;
  std::vector<std::string> for_google;
};

Options read_options(int argc, char** argv) {
  Options options;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto argument = arguments.begin();
  const auto following = [&] {
    if (++argument == arguments.end()) throw std::runtime_error("something is missing after " + argument[-1]);
    return *argument;
  };
  for (; argument != arguments.end(); ++argument) {
    if (*argument == "--quick") {
      options.quick = true;
    } else if (*argument == "--markdown") {
      options.markdown = true;
    } else if (*argument == "--only") {
      options.only = following();
    } else if (*argument == "--json") {
      options.json = following();
    } else if (*argument == "--calls") {
      options.list_calls = true;
    } else if (*argument == "--repeat") {
      options.repeated = following();
      const std::string count = following();
      const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), options.repetitions);
      if (error != std::errc() || end != count.data() + count.size()) throw std::runtime_error(count + " is no number");
    } else if (*argument == "--child") {
      options.child = following();
      options.for_child = following();
    } else if (*argument == "--help") {
      options.help = true;
    } else if (argument->starts_with("--benchmark_")) {
      options.for_google.push_back(*argument);
    } else {
      throw std::runtime_error("unknown option " + *argument + "; --help lists them");
    }
  }
  return options;
}

/// What came of one benchmark.
struct Result {
  std::optional<double> nanoseconds;  // of one operation, the least of all repetitions
  std::optional<double> allocations;
  std::optional<double> bytes;
  std::optional<double> round_trips;
};

/// Keeps the results, and hands everything on to Google's JSON reporter if there is one.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(benchmark::JSONReporter* json) : json_(json) {}

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
      result.nanoseconds = std::min(result.nanoseconds.value_or(nanoseconds), nanoseconds);
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

/// A figure, measured.
struct Line {
  const Figure* figure;
  std::string ours;
  std::string theirs;
  std::string outcome;
  std::string target;
  bool missed;
};

std::string time_text(double nanoseconds) {
  if (nanoseconds < 99.95) return fmt::format("{:.2f} ns", nanoseconds);
  if (nanoseconds < 9'999.5) return fmt::format("{:.0f} ns", nanoseconds);
  return fmt::format("{:.1f} us", nanoseconds / 1000);
}

Line measure(const Figure& figure, const Collector& results) {
  Line line{&figure, {}, {}, {}, {}, false};
  double outcome = 0;
  std::string_view outcome_format;
  if (figure.measure == Measure::allocations) {
    outcome = results[figure.ours].allocations.value();
    line.ours = fmt::format("{}", outcome);
    if (!figure.theirs.empty()) line.theirs = fmt::format("{}", results[figure.theirs].allocations.value());
    outcome_format = "{:.0f}";
  } else if (figure.measure == Measure::bytes) {
    outcome = results[figure.ours].bytes.value();
    line.ours = fmt::format("{:.0f} B", outcome);
  } else if (figure.measure == Measure::round_trips) {
    outcome = results[figure.ours].round_trips.value();
    line.ours = fmt::format("{} trips", outcome);
  } else {
    const auto time = [&](std::string_view name, std::string_view alone) {
      const double nanoseconds = results[name].nanoseconds.value();
      return alone.empty() ? nanoseconds : nanoseconds / results[alone].nanoseconds.value();
    };
    const auto text = [&](double value, std::string_view alone) {
      return alone.empty() ? time_text(value) : fmt::format("{:.2f}x", value);
    };
    const double ours = time(figure.ours, figure.ours_alone);
    line.ours = text(ours, figure.ours_alone);
    if (figure.measure == Measure::time) {
      outcome = ours;
    } else {
      const double theirs = time(figure.theirs, figure.theirs_alone);
      line.theirs = text(theirs, figure.theirs_alone);
      outcome = figure.measure == Measure::ratio ? ours / theirs : ours - theirs;
      outcome_format = figure.measure != Measure::ratio ? "{:+.2f} ns" : outcome < 0.1 ? "{:.2g}x" : "{:.2f}x";
    }
  }
  if (!outcome_format.empty()) line.outcome = fmt::format(fmt::runtime(outcome_format), outcome);
  if (figure.at_most) {
    constexpr std::string_view formats[] = {"{:.3g}x", "{:+} ns", "{} ns", "{}", "{} B", "{} trips"};
    line.target = fmt::format(fmt::runtime(formats[static_cast<int>(figure.measure)]), *figure.at_most);
    line.missed = outcome > *figure.at_most;
  }
  return line;
}

std::string verdict(const Line& line) {
  return line.target.empty() ? "" : line.missed ? "MISSED" : "met";
}

void print_heading(const Group& group, bool markdown) {
  if (markdown) {
    fmt::print(
        "\n**{}**\n\n| what | against | ours | other | ours : other | at most | |\n|---|---|--:|--:|--:|--:|---|\n",
        group.title);
  } else {
    fmt::print("\n{}\n", group.title);
  }
}

void print(const Line& line, bool markdown) {
  constexpr std::string_view as_text = "  {:<34}{:<36}{:>11}{:>11}{:>12}{:>9}  {}\n";
  constexpr std::string_view as_markdown = "| {} | {} | {} | {} | {} | {} | {} |\n";
  fmt::print(fmt::runtime(markdown ? as_markdown : as_text), line.figure->what, line.figure->against, line.ours,
             line.theirs, line.outcome, line.target, verdict(line));
  std::fflush(stdout);
}

/// Contenders, which differ in the last part of their names, must do the same work.
void compare_calls() {
  std::map<std::string, std::uint64_t> results;
  for (const bench::Call& call : bench::calls()) {
    const std::uint64_t result = call.run();
    const auto [first, is_first] = results.try_emplace(call.name.substr(0, call.name.rfind('/')), result);
    if (first->second != result) throw std::runtime_error(call.name + " does not do the same work as the others");
  }
}

int repeat(const std::string& name, std::uint64_t repetitions) {
  for (const bench::Call& call : bench::calls()) {
    if (call.name != name) continue;
    for (std::uint64_t i = 0; i < repetitions; ++i) benchmark::DoNotOptimize(call.run());
    return 0;
  }
  throw std::runtime_error("nothing to repeat is named " + name + "; --calls lists what is");
}

void run_child(const std::string& name, const std::string& argument) {
  for (const bench::Child& child : bench::children()) {
    if (child.name == name) return child.run(argument);
  }
  throw std::runtime_error("no child is named " + name);
}

void initialize_google(const Options& options, const Group& group) {
  std::vector<std::string> arguments{"atom_bench", "--benchmark_enable_random_interleaving=true"};
  arguments.push_back(fmt::format("--benchmark_repetitions={}", options.quick ? 5 : group.repetitions));
  arguments.push_back("--benchmark_min_time=0.002");
  arguments.insert(arguments.end(), options.for_google.begin(), options.for_google.end());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1) throw std::runtime_error(std::string("Google Benchmark does not know ") + pointers[1]);
}

int measure_all(const Options& options) {
  compare_calls();
  std::ofstream file;
  benchmark::JSONReporter json;
  if (!options.json.empty()) {
    file.open(options.json);
    if (!file) throw std::runtime_error("cannot write " + options.json);
    json.SetOutputStream(&file);
  }
  Collector results(options.json.empty() ? nullptr : &json);

  fmt::print("Times are for one operation, the least of all repetitions, which are interleaved within each group.\n");
  std::vector<Line> missed;
  for (const Group& group : bench::groups()) {
    if (!group.prefix.starts_with(options.only)) continue;
    print_heading(group, options.markdown);
    initialize_google(options, group);
    benchmark::RunSpecifiedBenchmarks(&results, fmt::format("^{}", group.prefix));
    for (const Figure& figure : group.figures) {
      const Line line = measure(figure, results);
      print(line, options.markdown);
      if (line.missed) missed.push_back(line);
    }
  }
  if (!options.json.empty()) json.Finalize();

  fmt::print("\n{}\n", missed.empty() ? "All targets are met." : "Missed targets:");
  bool failed = false;
  for (const Line& line : missed) {
    const Figure& figure = *line.figure;
    const std::string what(figure.what);
    fmt::print("{} {}: {}, and at most {} is wanted\n", options.markdown ? "*" : " ",
               figure.against.empty() ? what : what + ", against " + std::string(figure.against),
               line.outcome.empty() ? line.ours : line.outcome, line.target);
    const bool is_exact = figure.measure == Measure::allocations || figure.measure == Measure::round_trips;
    if (!options.quick || is_exact) failed = true;
  }
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = read_options(argc, argv);
    if (options.help) {
      fmt::print("{}", help);
      return 0;
    }
    if (options.list_calls) {
      for (const bench::Call& call : bench::calls()) fmt::print("{}\n", call.name);
      return 0;
    }
    if (!options.child.empty()) {
      run_child(options.child, options.for_child);
      return 0;
    }
    if (!options.repeated.empty()) return repeat(options.repeated, options.repetitions);
    return measure_all(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "atom_bench: {}\n", error.what());
    return 2;
  }
}

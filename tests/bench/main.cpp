// Runs the benchmarks group by group, and prints the figures as one table; or the curves.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/bench.hpp"
#include "bench/figures.hpp"
#include "bench/plot.hpp"
#include "bench/results.hpp"
#include "bench/scaling.hpp"
#include "bench/table.hpp"

namespace {

using bench::Figure;
using bench::Form;
using bench::Instructions;
using bench::Measure;

constexpr std::string_view help =
    R"(Measures the figures of the library, each against what one would write in its place.

usage: atom_bench [options] [--benchmark_...]

  --quick           a short run: a missed target is reported, but only an allocation or a round trip too many
                    is a failure
  --only TEXT       only the groups whose benchmarks have names that begin so: redis/; of the curves, those whose
                    files do: states
  --markdown        print the table as Markdown
  --write FOLDER    also write the table to FOLDER/table.md, with a picture of each group's ratios beside it
  --instructions    only count the instructions of the whole requests, with valgrind
  --scaling [FOLDER]
                    instead of the figures, what an operation costs as something grows in number; with a folder, also
                    write FOLDER/scaling.md, with pictures of the curves beside it
  --json FILE       also write all repetitions to FILE, as Google Benchmark does
  --calls           list what --repeat can run
  --repeat NAME N   run NAME N times and nothing else, for a profiler
  --child NAME TEXT what a benchmark of two processes runs as the second one
  --help            print this

Options that start with --benchmark_ go to Google Benchmark, such as --benchmark_repetitions=100.
Exit code: 0, or 1 if a target was missed or a curve grows more than it may, or 2 if the run itself went wrong.
)";

struct Options {
  bool quick = false;
  bool markdown = false;
  std::string only;
  bool instructions = false;
  bool scaling = false;
  std::string folder;
  std::string json;
  bool list_calls = false;
  std::string repeated;
  std::uint64_t repetitions = 0;
  std::string child;
  std::string for_child;
  bool help = false;
  std::vector<std::string> for_google;
  std::string command = "tests/bench/run";  // what was asked for
};

Options read_options(int argc, char** argv) {
  Options options;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto argument = arguments.begin();
  const auto following = [&] {
    if (++argument == arguments.end()) throw std::runtime_error("something is missing after " + argument[-1]);
    return *argument;
  };
  for (const std::string& word : arguments) options.command += " " + word;
  for (; argument != arguments.end(); ++argument) {
    if (*argument == "--quick") {
      options.quick = true;
    } else if (*argument == "--markdown") {
      options.markdown = true;
    } else if (*argument == "--only") {
      options.only = following();
    } else if (*argument == "--write") {
      options.folder = following();
    } else if (*argument == "--instructions") {
      options.instructions = true;
    } else if (*argument == "--scaling") {
      options.scaling = true;
      if (argument + 1 != arguments.end() && !argument[1].starts_with("--")) options.folder = following();
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

// ---- Running benchmarks, and keeping what came of them

/// Runs the benchmarks with these names, if there are any.
void run(const std::set<std::string_view>& names, int repetitions, bool interleaved, const Options& options,
         bench::Results& results) {
  if (names.empty()) return;
  std::vector<std::string> arguments{"atom_bench"};
  arguments.push_back(fmt::format("--benchmark_enable_random_interleaving={}", interleaved));
  arguments.push_back(fmt::format("--benchmark_repetitions={}", options.quick ? 5 : repetitions));
  arguments.push_back("--benchmark_min_time=0.002");
  arguments.insert(arguments.end(), options.for_google.begin(), options.for_google.end());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1) throw std::runtime_error(std::string("Google Benchmark does not know ") + pointers[1]);
  benchmark::RunSpecifiedBenchmarks(&results, fmt::format("^({})(/|$)", fmt::join(names, "|")));
}

/// `work` runs benchmarks; if that is wanted, what comes of them goes to Google's JSON reporter as well.
int with_results(const Options& options, int (*work)(const Options& options, bench::Results& results)) {
  if (options.json.empty()) {
    bench::Results results(nullptr);
    return work(options, results);
  }
  std::ofstream file(options.json);
  if (!file) throw std::runtime_error("cannot write " + options.json);
  benchmark::JSONReporter json;
  json.SetOutputStream(&file);
  bench::Results results(&json);
  const int code = work(options, results);
  json.Finalize();
  return code;
}

/// Prints, and keeps the same as Markdown for a file.
class Output {
 public:
  Output(const Options& options, std::string_view file) : options_(options), file_(file) {
    if (options.folder.empty()) return;
    std::filesystem::create_directories(options.folder);
    markdown_ = fmt::format("`{}`, {}.\n\n", options.command, machine());
  }
  /// `make(form)` gives the text.
  template <class Make>
  void add(Make make) {
    fmt::print("{}", make(options_.markdown ? Form::markdown : Form::text));
    std::fflush(stdout);
    markdown_ += make(Form::markdown);
  }
  void add_picture(std::string_view title, const std::string& name, const std::string& svg) {
    if (options_.folder.empty()) return;
    write(name, svg);
    markdown_ += fmt::format("\n![{}]({})\n", title, name);
  }
  void end() const {
    if (options_.folder.empty()) return;
    write(file_, markdown_);
    fmt::print("\nWritten to {}: {}, and pictures beside it.\n", options_.folder, file_);
  }

 private:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream file(std::filesystem::path(options_.folder) / name);
    if (!(file << text).flush()) throw std::runtime_error("cannot write " + name + " in " + options_.folder);
  }
  static std::string machine() {
#ifdef __clang__
    std::string text = "clang " __clang_version__;
#else
    std::string text = "g++ " __VERSION__;
#endif
    std::ifstream processors("/proc/cpuinfo");
    for (std::string line; std::getline(processors, line);) {
      if (!line.starts_with("model name")) continue;
      text += ", " + line.substr(line.find(": ") + 2);
      break;
    }
    return text + fmt::format(", {} processors", std::thread::hardware_concurrency());
  }

  const Options& options_;
  const std::string file_;
  std::string markdown_;
};

// ---- The table of figures

int measure_figures(const Options& options, bench::Results& results) {
  if (options.instructions && !Instructions::can_be_counted()) throw std::runtime_error("valgrind is not installed");
  compare_calls();
  Output output(options, "table.md");
  output.add([](Form) {
    return "Times are for one operation, the least of all repetitions (of several threads, the median), which are\n"
           "interleaved within each group.\n";
  });
  Instructions instructions;
  std::vector<std::string> missed;
  bool failed = false;
  for (const bench::Group& group : bench::groups()) {
    if (!group.prefix.starts_with(options.only)) continue;
    std::vector<const Figure*> figures;
    std::set<std::string_view> names;
    for (const Figure& figure : group.figures) {
      const bool counted = figure.measure == Measure::instructions;
      if (counted ? !Instructions::can_be_counted() : options.instructions) continue;
      figures.push_back(&figure);
      if (!counted) names.insert({figure.ours, figure.theirs, figure.ours_alone, figure.theirs_alone});
    }
    names.erase("");
    if (figures.empty()) continue;
    output.add([&](Form form) { return heading(group, form); });
    run(names, group.repetitions, true, options, results);
    std::vector<bench::Bar> bars;
    for (const Figure* figure : figures) {
      const bench::Line line = measure(*figure, results, instructions);
      output.add([&](Form form) { return row(line, form); });
      if (line.bar) bars.push_back(*line.bar);
      if (!line.missed) continue;
      missed.push_back(missed_target(line));
      const bool is_exact = figure->measure == Measure::allocations || figure->measure == Measure::round_trips;
      if (!options.quick || is_exact) failed = true;
    }
    if (!bars.empty()) {
      std::string name(group.prefix.substr(0, group.prefix.size() - 1));
      std::replace(name.begin(), name.end(), '/', '-');
      output.add_picture(group.title, name + ".svg", bar_chart(group.title, bars));
    }
  }
  if (!options.instructions) {
    output.add([&](Form form) { return list(missed, "Missed targets:", "All targets are met.", form); });
  }
  if (!Instructions::can_be_counted()) fmt::print("\nInstructions are not counted: valgrind is not installed.\n");
  output.end();
  return failed ? 1 : 0;
}

// ---- Curves

int measure_scaling(const Options& options, bench::Results& results) {
  Output output(options, "scaling.md");
  output.add([](Form) {
    return "Times are for one operation, the least of all repetitions (of several threads, the median). Growth is how\n"
           "much more than it should one takes at some size than at a smaller one.\n";
  });
  std::vector<std::string> missed;
  for (const bench::Scaling& scaling : bench::scalings()) {
    if (!scaling.name.starts_with(options.only)) continue;
    output.add([&](Form form) { return heading(scaling, form); });
    std::vector<std::string> names;
    for (const bench::Curve& curve : scaling.curves) {
      for (const std::size_t size : scaling.sizes) names.push_back(benchmark_at(curve, size));
    }
    run({names.begin(), names.end()}, 15, !scaling.in_order, options, results);
    std::vector<bench::Series> all;
    for (const bench::Curve& curve : scaling.curves) {
      const bench::Measured measured = measure(curve, scaling.sizes, results);
      output.add([&](Form form) { return row(measured, scaling, form); });
      if (measured.series.missed) missed.push_back(fmt::format("{}: {}", scaling.title, curve.what));
      all.push_back(measured.series);
    }
    output.add_picture(scaling.title, fmt::format("scaling-{}.svg", scaling.name),
                       curve_chart(scaling.title, scaling.size, scaling.sizes, all));
  }
  output.add([&](Form form) {
    return list(missed, "These grow more than they may:", "No curve grows more than it may.", form);
  });
  output.end();
  return missed.empty() || options.quick ? 0 : 1;
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
    return with_results(options, options.scaling ? &measure_scaling : &measure_figures);
  } catch (const std::exception& error) {
    fmt::print(stderr, "atom_bench: {}\n", error.what());
    return 2;
  }
}

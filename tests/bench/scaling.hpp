// What an operation costs as something grows in number: what each curve should be, and whether it is.
// Every name is that of benchmarks in the .cpp files beside this one, with the size in place of {}.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/plot.hpp"
#include "bench/results.hpp"
#include "bench/table.hpp"

namespace bench {

/// How the time of an operation should grow with the size.
enum class Growth {
  constant,  ///< not at all, but for the caches of the processor
  linear     ///< in proportion
};

struct Curve {
  std::string_view what;
  std::string_view benchmark;
  Growth should_be = Growth::constant;
  /// How much more than it should it may grow, from one size to any larger one; a comparison may grow as it will.
  std::optional<double> at_most = {};
};

/// Curves in one picture.
struct Scaling {
  std::string_view title;
  std::string_view name;  // of its file
  std::string_view size;  // what it is the number of
  std::vector<std::size_t> sizes;
  std::vector<Curve> curves;
  /// The sizes one after the other, because what was made for a larger one stays.
  bool in_order = false;
};

inline const std::vector<Scaling>& scalings() {
  using enum Growth;
  static const std::vector<Scaling> all{
      {"Templates in the process",
       "templates",
       "templates in the process",
       {1, 10, 100, 1000, 10'000},
       {
           {"use", "templates/{}/use", constant, 1.5},
           {"store, use, destroy", "templates/{}/store", constant, 1.5},
           {"find(key)", "templates/{}/find", constant, 4},
       },
       true},
      {"Atoms in a store, with 10,000 templates in the process",
       "atoms",
       "atoms in the store",
       {1, 10, 100, 1000, 10'000},
       {
           {"use", "lookup/many/{}/use", constant, 6},
           {"get(key)", "lookup/many/{}/key", constant, 6},
           // Many take more memory than the caches have, and more than the C library keeps when a store goes.
           {"create, destroy: each", "store/{}/atom", constant, 4},
           {"snapshot: each", "snapshot/{}/atom", constant, 4},
           {"create, unordered_map: each", "store/{}/map"},
           {"reading a member", "lookup/many/{}/member"},
       }},
      {"Listeners of an atom",
       "listeners",
       "listeners",
       {1, 10, 100, 1000, 10'000},
       {
           {"update", "update/{}/atom", linear, 2},
           {"on_change, unsubscribe", "subscribe/{}/atom", constant, 2},
           {"update, vector<function>", "update/{}/function"},
           {"on_change, unsubscribe, vector", "subscribe/{}/function"},
       }},
      {"Listeners of a state in memory",
       "state-listeners",
       "listeners",
       {1, 10, 100, 1000, 10'000},
       {
           // Each lies by itself, beyond the caches where there are many.
           {"set", "states/listeners/{}/set", linear, 4},
           {"on_change, end", "states/listeners/{}/on_change", constant, 2},
       }},
      {"States in memory",
       "states",
       "states",
       {10, 100, 1000, 10'000, 100'000, 1'000'000},
       {
           {"by scope and key, 20 in a scope", "states/20 in a scope/{}/store", constant, 4},
           {"by scope and key, all in one", "states/all in a scope/{}/store", constant, 4},
           {"apply(current + 1), by handle", "states/20 in a scope/{}/apply", constant, 4},
           {"tbb::concurrent_hash_map", "states/20 in a scope/{}/tbb"},
       }},
      {"Scopes in memory, with a state each",
       "scopes",
       "scopes",
       {10, 100, 1000, 10'000, 100'000, 1'000'000},
       {
           {"by scope and key", "states/1 in a scope/{}/store", constant, 4},
           {"apply(current + 1), by handle", "states/1 in a scope/{}/apply", constant, 4},
           {"tbb::concurrent_hash_map", "states/1 in a scope/{}/tbb"},
       }},
      {"Threads: processor time",
       "threads",
       "threads",
       {1, 2, 4, 8},
       {
           {"a request each", "threads/{}/atom", constant, 1.5},
           {"apply, a state each", "states/{}/apply, own", constant, 1.5},
           {"apply, all on one state", "states/{}/apply", constant, 8},
           {"fetch_add, all on one atomic", "states/{}/fetch_add"},
       }},
      {"Operations in flight, by coroutines, on states in Redis",
       "in-flight",
       "operations in flight",
       {1, 4, 16, 64, 256, 1024, 4096},
       {
           {"apply, all on one state", "redis/in flight/{}/one", constant, 2},
           {"apply, on 100,000 states", "redis/in flight/{}/many", constant, 2},
       }},
  };
  return all;
}

inline std::string benchmark_at(const Curve& curve, std::size_t size) {
  return fmt::format(fmt::runtime(curve.benchmark), size);
}

/// A curve, measured.
struct Measured {
  const Curve* curve;
  Series series;
  double growth;  // more than it should

  bool judged() const { return curve->at_most.has_value(); }
};

inline std::string_view name_of(Growth growth) {
  return growth == Growth::constant ? "constant" : "linear";
}
inline std::string growth_text(double growth) {
  return fmt::format(fmt::runtime(growth < 100 ? "{:.1f}x" : "{:.0f}x"), growth);
}
inline double expected(Growth growth, std::size_t size) {
  return growth == Growth::constant ? 1 : static_cast<double>(size);
}

inline Measured measure(const Curve& curve, const std::vector<std::size_t>& sizes, const Results& results) {
  Measured measured{&curve, {}, 1};
  double least = std::numeric_limits<double>::infinity();
  for (const std::size_t size : sizes) {
    const double cost = results[benchmark_at(curve, size)].nanoseconds.value();
    const double share = cost / expected(curve.should_be, size);
    least = std::min(least, share);
    measured.series.costs.push_back(cost);
    measured.growth = std::max(measured.growth, share / least);
  }
  measured.series.name = curve.what;
  if (!measured.judged()) return measured;
  for (const std::size_t size : sizes) measured.series.best.push_back(least * expected(curve.should_be, size));
  measured.series.missed = measured.growth > *curve.at_most;
  measured.series.remark = fmt::format("{}: grows {}, at most {:.3g}x", name_of(curve.should_be),
                                       growth_text(measured.growth), *curve.at_most);
  return measured;
}

inline std::string heading(const Scaling& scaling, Form form) {
  if (form == Form::text) return fmt::format("\n{}\n", scaling.title);
  return fmt::format(
      "\n**{}**\n\n| what | should be | at {} | at {} | growth | at most | |\n|---|---|--:|--:|--:|--:|---|\n",
      scaling.title, with_commas(scaling.sizes.front()), with_commas(scaling.sizes.back()));
}

inline std::string row(const Measured& measured, const Scaling& scaling, Form form) {
  const Curve& curve = *measured.curve;
  const auto at = [&](std::size_t size, double cost) {
    return form == Form::text ? fmt::format("{} at {}", short_time(cost), with_commas(size)) : short_time(cost);
  };
  const std::vector<double>& costs = measured.series.costs;
  const std::string first = at(scaling.sizes.front(), costs.front()), last = at(scaling.sizes.back(), costs.back());
  constexpr std::string_view as_text = "  {:<34}{:<16}{:>18}{:>23}{:>9}{:>9}  {}\n";
  constexpr std::string_view as_markdown = "| {} | {} | {} | {} | {} | {} | {} |\n";
  const auto format = fmt::runtime(form == Form::text ? as_text : as_markdown);
  if (!measured.judged()) return fmt::format(format, curve.what, "for comparison", first, last, "", "", "");
  return fmt::format(format, curve.what, name_of(curve.should_be), first, last, growth_text(measured.growth),
                     fmt::format("{:.3g}x", *curve.at_most), measured.series.missed ? "MORE" : "as it should");
}

}  // namespace bench

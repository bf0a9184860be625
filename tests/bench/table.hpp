// The table of figures: a figure is measured, and written as text or as Markdown.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/figures.hpp"
#include "bench/plot.hpp"
#include "bench/results.hpp"

namespace bench {

/// A figure, measured.
struct Line {
  const Figure* figure;
  std::string ours;
  std::string theirs;
  std::string outcome;
  std::string target;
  bool missed;
  std::optional<Bar> bar;
};

inline std::string time_text(double nanoseconds) {
  if (nanoseconds < 99.95) return fmt::format("{:.2f} ns", nanoseconds);
  if (nanoseconds < 9'999.5) return fmt::format("{:.0f} ns", nanoseconds);
  return fmt::format("{:.1f} us", nanoseconds / 1000);
}

inline Line measure(const Figure& figure, const Results& results, Instructions& instructions) {
  Line line{&figure, {}, {}, {}, {}, false, {}};
  double outcome = 0;
  std::optional<double> ratio, target = figure.at_most;
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
  } else if (figure.measure == Measure::instructions) {
    const double ours = instructions.of(std::string(figure.ours)), theirs = instructions.of(std::string(figure.theirs));
    line.ours = fmt::format("{:.0f}", ours);
    line.theirs = fmt::format("{:.0f}", theirs);
    ratio = outcome = ours / theirs;
    outcome_format = "{:.2f}x";
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
      ratio = ours / theirs;
      outcome = figure.measure == Measure::ratio ? *ratio : ours - theirs;
      // So many nanoseconds more are a ratio in this run.
      if (figure.measure == Measure::extra && target) target = (theirs + *target) / theirs;
      outcome_format = figure.measure != Measure::ratio ? "{:+.2f} ns" : outcome < 0.1 ? "{:.2g}x" : "{:.2f}x";
    }
  }
  if (!outcome_format.empty()) line.outcome = fmt::format(fmt::runtime(outcome_format), outcome);
  if (figure.at_most) {
    constexpr std::string_view formats[] = {"{:.3g}x", "{:+} ns", "{} ns", "{}", "{} B", "{} trips", "{:.3g}x"};
    line.target = fmt::format(fmt::runtime(formats[static_cast<int>(figure.measure)]), *figure.at_most);
    line.missed = outcome > *figure.at_most;
  }
  if (ratio) {
    line.bar = Bar{std::string(figure.what), std::string(figure.against), *ratio, target, line.target, line.missed};
  }
  return line;
}

enum class Form { text, markdown };

inline std::string heading(const Group& group, Form form) {
  if (form == Form::text) return fmt::format("\n{}\n", group.title);
  return fmt::format(
      "\n**{}**\n\n| what | against | ours | other | ours : other | at most | |\n"
      "|---|---|--:|--:|--:|--:|---|\n",
      group.title);
}

inline std::string row(const Line& line, Form form) {
  constexpr std::string_view as_text = "  {:<34}{:<36}{:>11}{:>11}{:>12}{:>9}  {}\n";
  constexpr std::string_view as_markdown = "| {} | {} | {} | {} | {} | {} | {} |\n";
  const std::string_view verdict = line.target.empty() ? "" : line.missed ? "MISSED" : "met";
  const std::string against(line.figure->against);
  return fmt::format(fmt::runtime(form == Form::text ? as_text : as_markdown), line.figure->what,
                     form == Form::text ? against : escaped(against), line.ours, line.theirs, line.outcome, line.target,
                     verdict);
}

inline std::string missed_target(const Line& line) {
  const Figure& figure = *line.figure;
  const std::string what(figure.what);
  return fmt::format("{}: {}, and at most {} is wanted",
                     figure.against.empty() ? what : what + ", against " + std::string(figure.against),
                     line.outcome.empty() ? line.ours : line.outcome, line.target);
}

/// `title` and the items, or `none`.
inline std::string list(const std::vector<std::string>& items, std::string_view title, std::string_view none,
                        Form form) {
  if (items.empty()) return fmt::format("\n{}\n", none);
  std::string text = fmt::format("\n{}\n{}", title, form == Form::text ? "" : "\n");
  for (const std::string& item : items) text += form == Form::text ? "  " + item + "\n" : "* " + escaped(item) + "\n";
  return text;
}

}  // namespace bench

// Figures as pictures: text in SVG, which is readable on light and on dark ground.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

// ---- What both kinds of picture are made of

/// The length of positive numbers on a logarithmic scale.
class LogScale {
 public:
  LogScale(double least, double most, double from, double to)
      : least_(std::log(least)), most_(std::log(most)), from_(from), to_(to) {}
  double operator()(double value) const {
    return from_ + (to_ - from_) * (std::log(value) - least_) / (most_ - least_);
  }

 private:
  double least_, most_, from_, to_;
};

/// The numbers 1, 2 and 5 of each power of ten, or where there are many powers only 1, so that the first is not above
/// `least` and the last not below `most`.
inline std::vector<double> log_ticks(double least, double most) {
  const bool few = most / least < 60;
  std::vector<double> ticks;
  const auto first = static_cast<int>(std::floor(std::log10(least))), last = static_cast<int>(std::log10(most)) + 1;
  for (int power = first; power <= last; ++power) {
    for (const double digit : {1., 2., 5.}) {
      const double tick = digit * std::pow(10, power);
      if (!few && digit != 1) continue;
      if (tick <= least * 1.0001) ticks.clear();
      ticks.push_back(tick);
      if (tick >= most * 0.9999) return ticks;
    }
  }
  return ticks;
}

/// In XML, or in Markdown.
inline std::string escaped(std::string_view text) {
  std::string result;
  for (const char character : text) {
    switch (character) {
      case '<':
        result += "&lt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += character;
    }
  }
  return result;
}

/// A picture with a title; what is drawn is added.
class Svg {
 public:
  Svg(std::string_view title, std::string_view subtitle, double width, double height) {
    constexpr std::string_view style = R"(<style>
  text { font: 12px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1c1c1a; }
  .title { font-size: 15px; font-weight: 600; } .strong { font-weight: 600; } .soft { fill: #6b6a66; font-size: 11px; }
  .right { text-anchor: end; } .middle { text-anchor: middle; }
  .ground { fill: #fcfcfb; } .grid { stroke: #e5e4e0; } .axis { stroke: #6b6a66; }
  .target { stroke: #1c1c1a; stroke-width: 2; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .best { stroke-dasharray: 2 4; opacity: .8; }
  .leader { stroke-width: 1; opacity: .6; }
  .bad { fill: #c93434; } .fill-0 { fill: #8d8c87; } .stroke-0 { stroke: #8d8c87; }
  .fill-1 { fill: #2a78d6; } .stroke-1 { stroke: #2a78d6; } .fill-2 { fill: #d9661f; } .stroke-2 { stroke: #d9661f; }
  .fill-3 { fill: #14906a; } .stroke-3 { stroke: #14906a; } .fill-4 { fill: #7a5bd0; } .stroke-4 { stroke: #7a5bd0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f2f1ee; } .soft { fill: #a9a8a2; } .ground { fill: #1a1a19; } .grid { stroke: #373734; }
    .axis { stroke: #a9a8a2; } .target { stroke: #f2f1ee; } .bad { fill: #f07a72; }
    .fill-1 { fill: #5b9df0; } .stroke-1 { stroke: #5b9df0; } .fill-2 { fill: #f08a4b; } .stroke-2 { stroke: #f08a4b; }
    .fill-3 { fill: #3cbf94; } .stroke-3 { stroke: #3cbf94; } .fill-4 { fill: #a48cf0; } .stroke-4 { stroke: #a48cf0; }
  }
</style>
)";
    add(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" )", width,
        height);
    add("aria-label=\"{}\">\n{}", escaped(title), style);
    add("<rect width=\"{}\" height=\"{}\" rx=\"8\" class=\"ground\"/>\n", width, height);
    this->text(20, 28, "title", title);
    this->text(20, 46, "soft", subtitle);
  }
  template <class... Arguments>
  void add(fmt::format_string<const Arguments&...> format, const Arguments&... arguments) {
    text_ += fmt::format(format, arguments...);
  }
  void text(double x, double y, std::string_view classes, std::string_view text) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, classes, escaped(text));
  }
  void line(double x1, double y1, double x2, double y2, std::string_view classes) {
    add("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2, classes);
  }
  std::string end() && { return std::move(text_) + "</svg>\n"; }

 private:
  std::string text_;
};

// ---- Ratios

struct Bar {
  std::string what;
  std::string against;
  double ratio;
  std::optional<double> target;  // also a ratio
  std::string target_text;
  bool missed;
};

/// A bar for each, which begins at one: to the left is less, to the right is more.
inline std::string bar_chart(std::string_view title, const std::vector<Bar>& bars) {
  constexpr double width = 880, left = 270, right = 710, top = 84, height_of_each = 40;
  double least = 0.8, most = 1.25;
  for (const Bar& bar : bars) {
    for (const double value : {bar.ratio, bar.target.value_or(bar.ratio)}) {
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }
  const std::vector<double> ticks = log_ticks(least, most);
  const LogScale x(ticks.front(), ticks.back(), left, right);
  const double bottom = top + height_of_each * static_cast<double>(bars.size());

  Svg svg(title,
          "Ours, divided by the other's, on a logarithmic scale: less is better. A mark across a bar is its target.",
          width, bottom + 20);
  for (const double tick : ticks) {
    svg.line(x(tick), top - 4, x(tick), bottom, tick == 1 ? "axis" : "grid");
    svg.text(x(tick), top - 10, "soft middle", fmt::format("{:.5g}x", tick));
  }
  double y = top;
  for (const Bar& bar : bars) {
    const double middle = y + height_of_each / 2;
    svg.text(20, middle - 2, "", bar.what);
    svg.text(20, middle + 12, "soft", "against " + bar.against);
    const auto [from, to] = std::minmax({x(bar.ratio), x(1)});
    svg.add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="16" rx="2" class="{}"/>)"
            "\n",
            from, middle - 8, std::max(to - from, 1.),
            bar.missed      ? "bad"
            : bar.ratio < 1 ? "fill-1"
                            : "fill-0");
    if (bar.target) svg.line(x(*bar.target), middle - 14, x(*bar.target), middle + 14, "target");
    svg.text(right + 20, middle + (bar.target ? -2 : 4), "strong", fmt::format("{:.2g}x", bar.ratio));
    if (bar.target) {
      svg.text(right + 20, middle + 12, bar.missed ? "soft bad" : "soft",
               fmt::format("at most {}{}", bar.target_text, bar.missed ? ": missed" : ""));
    }
    y += height_of_each;
  }
  return std::move(svg).end();
}

// ---- Curves

struct Series {
  std::string name;
  std::string remark;
  std::vector<double> costs;  // in nanoseconds, at each size
  std::vector<double> best;   // what it would be if it were everywhere as it is at its best; none for a comparison
  bool missed = false;
};

inline std::string short_time(double nanoseconds) {
  constexpr std::string_view units[] = {"ns", "us", "ms", "s"};
  std::size_t unit = 0;
  for (; nanoseconds > 999 && unit < 3; ++unit) nanoseconds /= 1000;
  return fmt::format("{:.3g} {}", nanoseconds, units[unit]);
}
inline std::string with_commas(std::size_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, 1, ',');
  return text;
}

/// Cost against size, both on a logarithmic scale.
inline std::string curve_chart(std::string_view title, std::string_view size_name,
                               const std::vector<std::size_t>& sizes, const std::vector<Series>& all) {
  constexpr double width = 860, height = 420, left = 76, right = 590, top = 70, bottom = 366;
  double least = all.front().costs.front(), most = least;
  for (const Series& series : all) {
    const auto [low, high] = std::minmax_element(series.costs.begin(), series.costs.end());
    least = std::min(least, *low);
    most = std::max(most, *high);
  }
  const std::vector<double> ticks = log_ticks(least, std::max(most, least * 4));
  const LogScale x(static_cast<double>(sizes.front()), static_cast<double>(sizes.back()), left, right);
  const LogScale y(ticks.front(), ticks.back(), bottom, top);
  const auto points = [&](const std::vector<double>& costs) {
    std::string text;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      text += fmt::format("{:.1f},{:.1f} ", x(static_cast<double>(sizes[i])), std::min(y(costs[i]), bottom));
    }
    return text;
  };

  Svg svg(title,
          "Time of one operation; both scales are logarithmic. Dotted: as it should go on from where it is best.",
          width, height);
  for (const double tick : ticks) {
    svg.line(left, y(tick), right, y(tick), "grid");
    svg.text(left - 8, y(tick) + 4, "soft right", short_time(tick));
  }
  for (const std::size_t size : sizes) {
    svg.line(x(static_cast<double>(size)), bottom, x(static_cast<double>(size)), bottom + 5, "axis");
    svg.text(x(static_cast<double>(size)), bottom + 19, "soft middle", with_commas(size));
  }
  svg.line(left, bottom, right, bottom, "axis");
  svg.text((left + right) / 2, bottom + 38, "soft middle", size_name);

  // Names stand where the curves end, but not on each other.
  std::vector<std::pair<double, std::size_t>> ends;
  for (std::size_t i = 0; i < all.size(); ++i) ends.emplace_back(y(all[i].costs.back()), i);
  std::sort(ends.begin(), ends.end());
  constexpr double height_of_name = 32;
  for (std::size_t i = 1; i < ends.size(); ++i)
    ends[i].first = std::max(ends[i].first, ends[i - 1].first + height_of_name);
  double lowest = bottom - 4;
  for (auto end = ends.rbegin(); end != ends.rend(); ++end, lowest -= height_of_name) {
    end->first = std::min(end->first, lowest);
  }

  std::vector<std::size_t> colors;
  for (const Series& series : all) {
    colors.push_back(series.best.empty()
                         ? 0
                         : 1 + static_cast<std::size_t>(std::count_if(colors.begin(), colors.end(),
                                                                      [](std::size_t color) { return color > 0; })));
    const std::size_t color = colors.back();
    if (!series.best.empty()) {
      svg.add("<polyline class=\"line best stroke-{}\" points=\"{}\"/>\n", color, points(series.best));
    }
    svg.add("<polyline class=\"line stroke-{}\" points=\"{}\"/>\n", color, points(series.costs));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      svg.add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" class=\"fill-{}\"/>\n", x(static_cast<double>(sizes[i])),
              y(series.costs[i]), color);
    }
  }
  for (const auto& [place, i] : ends) {
    svg.line(right + 6, y(all[i].costs.back()), right + 20, place, fmt::format("leader stroke-{}", colors[i]));
    svg.text(right + 24, place + (all[i].remark.empty() ? 4 : -1), "strong", all[i].name);
    svg.text(right + 24, place + 13, all[i].missed ? "soft bad" : "soft", all[i].remark);
  }
  return std::move(svg).end();
}

}  // namespace bench

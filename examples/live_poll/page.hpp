// The pages, as HTML.
#pragma once

#include <atom/html.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace live_poll {

/// One option, as the page shows it.
struct Line {
  std::string_view key, label;
  std::int64_t votes;
};

inline std::string document(std::string_view body) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Live poll</title>\n";
  html.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
  html.append("<link rel=\"icon\" href=\"/favicon.ico\" type=\"image/svg+xml\">\n");
  html.append("<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n").append(body);
  return html.append("</main>\n</body>\n</html>\n");
}

/// A bar chart whose bars are buttons. It is a form for each of them, and works without JavaScript; with it, the
/// numbers move while one looks.
inline std::string render(const std::vector<Line>& lines, std::string_view voted) {
  constexpr std::string_view not_voted = "You have not voted.", has_voted = "Choose yours again to take it back.";
  std::int64_t all = 0;
  for (const Line& line : lines) all += line.votes;
  std::string html = "<h1>What shall we have for lunch?</h1>\n<ol id=\"options\">\n";
  for (const Line& line : lines) {
    const bool is_mine = line.key == voted;
    const std::string votes = std::to_string(line.votes) + (line.votes == 1 ? " vote" : " votes");
    html.append("<li>\n<form method=\"post\" action=\"").append(is_mine ? "/revert" : "/vote/");
    html.append(is_mine ? "" : line.key).append("\">\n<button data-key=\"").append(line.key);
    html.append("\" aria-pressed=\"").append(is_mine ? "true" : "false").append("\">");
    html.append("<span class=\"label\">").append(atom::html_escape(line.label)).append("</span>");
    html.append("<span class=\"votes\">").append(votes).append("</span>");
    const std::int64_t percent = (100 * line.votes + all / 2) / std::max<std::int64_t>(all, 1);
    html.append("<svg aria-hidden=\"true\"><rect width=\"").append(std::to_string(percent));
    html.append("%\" height=\"100%\"/></svg></button>\n</form>\n</li>\n");
  }
  html.append("</ol>\n<p>Votes in all: <span id=\"all\">").append(std::to_string(all)).append("</span>. ");
  html.append("<span id=\"mine\">").append(voted.empty() ? not_voted : has_voted).append("</span></p>\n");
  html.append("<p id=\"status\" role=\"status\"></p>\n<script src=\"/app.js\" defer></script>\n");
  return document(html);
}

inline std::string render_refusal(std::string_view why) {
  return document("<h1>Sorry</h1>\n<p>" + atom::html_escape(why) + "</p>\n<p><a href=\"/\">To the poll</a></p>\n");
}

}  // namespace live_poll

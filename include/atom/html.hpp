// How a snapshot travels inside a page.
#pragma once

#include <atom/json.hpp>
#include <atom/snapshot.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace atom::inline v0_1 {

/// Text for an HTML element or a quoted attribute, single or double.
inline std::string html_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

struct HydrationScriptOptions {
  std::string_view id = "atom-state";
  /// For a page with a Content-Security-Policy; empty: no such attribute.
  std::string_view nonce = {};
  /// Everything that was left out is added here.
  std::vector<Omission>* omitted = nullptr;
};

/// `<script type="application/json" id="atom-state">{...}</script>`, without what is server-only. A page reads it with
/// `JSON.parse(document.getElementById("atom-state").textContent)`.
inline std::string hydration_script(const Snapshot& snapshot, const HydrationScriptOptions& options = {}) {
  std::string script = "<script type=\"application/json\" id=\"" + html_escape(options.id) + "\"";
  if (!options.nonce.empty()) script += " nonce=\"" + html_escape(options.nonce) + "\"";
  script += ">";
  script += to_json(snapshot, {.audience = Audience::client, .omitted = options.omitted});
  return script += "</script>";
}

}  // namespace atom::inline v0_1

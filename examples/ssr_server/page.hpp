// The pages, as HTML.
#pragma once

#include "assets.hpp"
#include "form.hpp"
#include "state.hpp"

#include <atom/html.hpp>
#include <atom/snapshot.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shop {

inline std::string document(std::string_view language, std::string_view body) {
  std::string html = "<!doctype html>\n<html lang=\"";
  html.append(language).append("\">\n<head>\n<meta charset=\"utf-8\">\n<title>Atom shop</title>\n");
  html.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
  html.append("<link rel=\"icon\" href=\"/favicon.ico\" type=\"image/svg+xml\">\n");
  html.append("<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n").append(body);
  return html.append("</body>\n</html>\n");
}

/// Text that the page's script keeps up to date: the value at a path of the state, or `otherwise` where that is empty.
inline std::string live(std::string_view path, std::string_view value, std::string_view otherwise = {}) {
  std::string html = "<bdi data-atom=\"";
  html.append(path).append("\"");
  if (!otherwise.empty()) html.append(" data-otherwise=\"").append(atom::html_escape(otherwise)).append("\"");
  return html.append(">").append(atom::html_escape(value.empty() ? otherwise : value)).append("</bdi>");
}

/// The shop, from nothing but the values of one request. A form carries on what a link has put into the cart.
inline std::string render(const atom::Snapshot& state) {
  const std::string& locale = state.get(locale_atom);
  const std::string& name = state.get(user_atom).name;
  const std::vector<Item>& cart = state.get(cart_atom);
  const int pieces = state.get<int>(pieces_atom.key());
  const std::vector<std::string>& offered = state.get(offered_atom);
  const Words& say = words_in(locale) ? *words_in(locale) : words.front();

  std::string html = "<main>\n<h1>";
  html.append(say.hello).append(", ").append(live("user.name", name, say.guest)).append("!</h1>\n<h2>");
  html.append(say.cart).append("</h2>\n");
  if (cart.empty()) {
    html.append("<p>").append(say.empty).append("</p>\n");
  } else {
    html.append("<ul>\n");
    for (std::size_t i = 0; i < cart.size(); ++i) {
      const std::string path = "cart." + std::to_string(i);
      html.append("<li>").append(live(path + ".title", cart[i].title)).append(" × ");
      html.append(live(path + ".quantity", std::to_string(cart[i].quantity))).append("</li>\n");
    }
    html.append("</ul>\n<p>").append(say.pieces).append(" ");
    html.append(live("pieces", std::to_string(pieces))).append("</p>\n");
  }

  const std::string limit = " maxlength=\"" + std::to_string(most_characters) + "\"";
  html.append("<form action=\"/\" method=\"post\">\n<input type=\"hidden\" name=\"state\">\n");
  html.append("<label>").append(say.name).append(" <input name=\"name\"").append(limit);
  html.append(" value=\"").append(atom::html_escape(name)).append("\"></label>\n");
  for (const std::string& item : offered) {
    html.append("<input type=\"hidden\" name=\"item\" value=\"").append(atom::html_escape(item)).append("\">\n");
  }
  if (static_cast<std::size_t>(pieces) < most_pieces && offered.size() < most_items) {
    html.append("<label>").append(say.another).append(" <input name=\"item\"").append(limit).append("></label>\n");
  }
  html.append("<label>").append(say.choose).append(" <select name=\"locale\">\n");
  for (const Words& w : words) {
    html.append("<option value=\"").append(w.language).append(w.language == say.language ? "\" selected>" : "\">");
    html.append(w.itself).append("</option>\n");
  }
  html.append("</select></label>\n<button>").append(say.add).append("</button>\n</form>\n</main>\n<footer>\n<p>");
  html.append(say.store).append("</p>\n</footer>\n");
  html.append(atom::hydration_script(state)).append("\n<script src=\"/app.js\" defer></script>\n");
  return document(say.language, html);
}

/// A page for what did not work.
inline std::string render_refusal(std::string_view title, std::string_view why) {
  std::string html = "<main>\n<h1>" + atom::html_escape(title) + "</h1>\n<p>" + atom::html_escape(why);
  html.append("</p>\n<p><a href=\"/\">To the shop</a></p>\n</main>\n");
  return document("en", html);
}

}  // namespace shop

// What a visitor asks for: the fields of a form, from the address or from the body of a post. All of it is bounded
// here.
#pragma once

#include "text.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shop {

inline constexpr std::size_t most_form_bytes = 8000;
inline constexpr std::size_t most_items = 20;       // of a form
inline constexpr std::size_t most_pieces = 100;     // in a cart
inline constexpr std::size_t most_characters = 60;  // of a name or an item

struct Form {
  std::string name = {};
  std::vector<std::string> items = {};
  std::string locale = {};
  std::string state = {};  // JSON: what the page's script has to say
  std::string fault = {};  // what is wrong with it, for people; empty: nothing
};

/// `item` may be repeated; of the other fields the last one counts. An empty one is ignored, as is what is unknown.
inline Form read_form(std::string_view text) {
  Form form;
  const auto refuse = [&](std::string fault) {
    form.fault = std::move(fault);
    return form;
  };
  if (text.size() > most_form_bytes) return refuse("That is too long.");
  while (!text.empty()) {
    std::string_view rest = take_until(text, '&');
    const std::string_view key = take_until(rest, '=');
    const std::optional<std::string> value = decode_query(rest);
    if (!value) return refuse("A % is not followed by two hexadecimal digits.");
    if (key == "state") form.state = *value;
    if (key == "locale") form.locale = *value;
    if (key != "name" && key != "item") continue;
    const std::optional<std::size_t> characters = count_characters(*value);
    if (!characters) return refuse("A name or an item holds something that is not text.");
    if (*characters > most_characters) {
      return refuse("A name or an item is longer than " + std::to_string(most_characters) + " characters.");
    }
    const std::string_view trimmed = trim(*value);
    if (key == "name") form.name = trimmed;
    if (key == "item" && !trimmed.empty()) form.items.emplace_back(trimmed);
    if (form.items.size() > most_items) {
      return refuse("A form has at most " + std::to_string(most_items) + " items.");
    }
  }
  return form;
}

}  // namespace shop

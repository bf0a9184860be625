// A page that reads server-sent events, as the HTML standard says a browser does
// (https://html.spec.whatwg.org/multipage/server-sent-events.html), and keeps what they say.
#pragma once

#include <atom/codec.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/detail/any_json.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// The parser of the standard, and what a page has.
class Page {
 public:
  using Values = std::map<std::string, std::string>;  // as JSON

  /// Takes what an EventStream gave, which must be whole events.
  Page& read(std::string_view text) {
    if (!text.empty() && !text.ends_with("\n\n")) throw std::runtime_error("not whole events: " + std::string(text));
    while (!text.empty()) {
      const std::size_t end = text.find_first_of("\r\n");
      line(text.substr(0, end));
      const bool two = text.substr(end).starts_with("\r\n");
      text.remove_prefix(end + (two ? 2 : 1));
    }
    return *this;
  }

  Values values;
  std::string last_id;  // what it would send as Last-Event-ID
  std::optional<std::string> retry;
  std::size_t snapshots = 0, changes = 0, comments = 0;

 private:
  void line(std::string_view text) {
    if (text.empty()) return dispatch();
    const std::size_t colon = text.find(':');
    const std::string_view field = text.substr(0, colon);
    std::string_view value = colon == text.npos ? std::string_view() : text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field.empty()) {
      ++comments;
    } else if (field == "event") {
      event_ = value;
    } else if (field == "data") {
      data_ = data_.value_or("") + std::string(value) + '\n';
    } else if (field == "id") {
      id_ = value;
    } else if (field == "retry") {
      retry = value;
    } else {
      throw std::runtime_error("a field that nobody knows: " + std::string(text));
    }
  }
  void dispatch() {
    last_id = id_;
    const std::string event = std::exchange(event_, {});
    std::optional<std::string> data = std::exchange(data_, std::nullopt);
    if (!data) return;
    data->pop_back();
    if (event == "snapshot") {
      ++snapshots;
      values.clear();
      add(*data);
    } else if (event == "change") {
      ++changes;
      const auto parts = atom::from_json<std::map<std::string, atom::detail::AnyJson>>(*data, limits).value();
      for (const auto& key : atom::from_json<std::vector<std::string>>(parts.at("removed").text, limits).value()) {
        values.erase(key);
      }
      add(parts.at("changed").text);
    } else {
      throw std::runtime_error("an event that nobody knows: " + event);
    }
  }
  void add(const std::string& object) {
    for (auto& [key, value] : atom::from_json<std::map<std::string, atom::detail::AnyJson>>(object, limits).value()) {
      values[key] = value.text;
    }
  }

  static constexpr std::size_t most = std::size_t{1} << 30;
  static constexpr atom::JsonLimits limits{.max_bytes = most, .max_keys = most, .max_elements = most};
  std::string event_, id_;
  std::optional<std::string> data_;
};

}  // namespace support

// What lies in the table, and how it is changed. Each item has the keys `p` and `k`, both text:
//   s:SCOPE, KEY       a state: v its value, a number where it is an integer and else a text; f the format; n the
//                      version; x when it ends, in milliseconds since 1970; b its labels. Without v it has ended; of
//                      what has ended many at once, the last one has left its random name in d.
//   scopes, SCOPE      a scope in which there are states, perhaps; t when that was written last
//   l:LABEL, SCOPE KEY a state that has the label, perhaps; t likewise
//   meta, layout       v the version of all this
// A state has besides, of each lane that has written it within the last hour or so, by its name:
//   s:LANE             the number of its last batch; as decimals, in ten digits, when that was, in seconds
//   m:LANE, o:LANE     what came of that: the version afterwards, the value before it
//   c:LANE             why it had no effect
// `e`, in seconds, is when the server may remove it: an hour after it has ended at the earliest, as until then its
// version and its lanes may be asked for. All times are those of the clocks of whoever writes.
#pragma once

#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/segment.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view dynamodb_layout = "1";
/// How long a lane is remembered, in seconds. (DynamoDB itself refuses a request five minutes after it was signed.)
inline constexpr std::int64_t dynamodb_lane_life = 3600;

/// In microseconds since 1970.
inline std::int64_t dynamodb_now() noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// ---- Names

inline std::string dynamodb_partition(const atom::Scope& scope) {
  return "s:" + scope.text();
}
/// A label may be any bytes.
inline std::string dynamodb_label(std::string_view label) {
  std::string text = "l:";
  escape(text, label);
  if (text.size() <= 2048) return text;
  throw StateError(StateErrorCode::too_large, "DynamoDB: a label is too long: as text, it has more than 2 KB");
}
inline std::string dynamodb_lane(const Lane& lane) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name;
  unsigned bits = 0, count = 0;
  for (const std::byte byte : lane.session) {
    bits = bits << 8 | static_cast<unsigned>(byte);
    for (count += 8; count >= 6; count -= 6) name += digits[bits >> (count - 6) & 63];
  }
  name += digits[bits << (6 - count) & 63];
  return name + '.' + std::to_string(lane.number);
}

// ---- Numbers

template <class Integer>
std::optional<Integer> whole_number(std::string_view text) noexcept {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}
/// Whether the text of a value is an integer, in the one way in which it is written, so that DynamoDB gives it back as
/// it was.
inline bool is_dynamodb_number(std::string_view text) noexcept {
  if (text == "0") return true;
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits[0] == '0') return false;
  return whole_number<std::int64_t>(text) || whole_number<std::uint64_t>(text);
}

/// The number of a batch, and when it was.
struct DynamoDbSequence {
  std::uint64_t number = 0;
  std::int64_t time = 0;

  std::string text() const {
    const std::string seconds = std::to_string(time);
    return std::to_string(number) + '.' + std::string(10 - std::min<std::size_t>(seconds.size(), 10), '0') + seconds;
  }
  static std::optional<DynamoDbSequence> of(std::string_view text) {
    const std::size_t dot = text.find('.');
    const auto number = whole_number<std::uint64_t>(text.substr(0, dot));
    std::string decimals(dot == text.npos ? "" : text.substr(dot + 1));
    decimals.resize(10, '0');  // DynamoDB leaves zeros out
    const auto time = whole_number<std::int64_t>(decimals);
    if (!number || !time) return std::nullopt;
    return DynamoDbSequence{*number, *time};
  }
};

// ---- What was read

/// What a lane has left in a state.
struct DynamoDbTrace {
  DynamoDbSequence sequence = {};
  std::int64_t version = 0;
  std::optional<StoredValue> before = {};
  std::optional<StateErrorCode> error = {};
};
struct DynamoDbItem {
  std::optional<StoredValue> value = {};
  std::int64_t version = 0;                 ///< 0: there is no item of ours
  std::int64_t ends = 0;                    ///< in milliseconds; 0: never
  std::optional<DynamoDbTrace> trace = {};  ///< of the lane that was asked for
  /// Other lanes, that are to be forgotten.
  std::vector<std::pair<std::string, std::string>> old_lanes = {};

  bool is_alive(std::int64_t now) const noexcept { return value && (ends == 0 || ends > now / 1000); }
};

/// The number under a name, or nothing.
template <class Integer>
std::optional<Integer> dynamodb_number(simdjson::dom::element attributes, std::string_view name) {
  const auto found = member_of(attributes, name);
  return found ? whole_number<Integer>(text_of(*found, "N")) : std::nullopt;
}
inline std::string_view dynamodb_text(simdjson::dom::element attributes, std::string_view name) {
  const auto found = member_of(attributes, name);
  return found ? text_of(*found, "S") : std::string_view();
}
/// Of a value before, that is no number: its format, a space, its text.
inline std::string dynamodb_before(const StoredValue& value) {
  return std::to_string(value.format) + ' ' + value.text;
}

/// `format` is that of a value before that is a number.
inline DynamoDbItem dynamodb_item(simdjson::dom::element attributes, std::string_view lane, int format,
                                  std::int64_t now) {
  DynamoDbItem item;
  simdjson::dom::object members;
  if (attributes.get(members) != simdjson::SUCCESS) throw strange_dynamodb_answer();
  DynamoDbTrace trace;
  for_each_member(members, [&](std::string_view name, simdjson::dom::element attribute) {
    const std::string_view number = text_of(attribute, "N");
    const std::string_view text = text_of(attribute, "S");
    const bool is_number = !number.empty();
    if (name == "v") {
      item.value.emplace().text = is_number ? number : text;
    } else if (name == "n") {
      item.version = whole_number<std::int64_t>(number).value_or(0);
    } else if (name == "x") {
      item.ends = whole_number<std::int64_t>(number).value_or(0);
    } else if (name.size() > 2 && name[1] == ':') {
      if (name.substr(2) != lane) {
        const auto sequence = name[0] == 's' ? DynamoDbSequence::of(number) : std::nullopt;
        if (sequence && sequence->time + dynamodb_lane_life < now / 1'000'000) {
          item.old_lanes.emplace_back(name.substr(2), number);
        }
      } else if (name[0] == 's') {
        trace.sequence = DynamoDbSequence::of(number).value_or(DynamoDbSequence());
        item.trace.emplace();
      } else if (name[0] == 'm') {
        trace.version = whole_number<std::int64_t>(number).value_or(0);
      } else if (name[0] == 'o' && is_number) {
        trace.before = StoredValue{std::string(number), format};
      } else if (name[0] == 'o') {
        const std::size_t space = std::min(text.find(' '), text.size());
        trace.before = StoredValue{std::string(text.substr(std::min(space + 1, text.size()))),
                                   whole_number<int>(text.substr(0, space)).value_or(0)};
      } else if (name[0] == 'c') {
        trace.error = static_cast<StateErrorCode>(whole_number<std::uint8_t>(number).value_or(0));
      }
    }
    return true;
  });
  if (item.value) item.value->format = dynamodb_number<int>(attributes, "f").value_or(0);
  if (item.trace) item.trace = std::move(trace);
  if (item.value && item.version == 0) item.value->text.clear();  // somebody else's: it reads as no type of ours
  return item;
}

// ---- What is sent

/// The parts of a request that is about one item: names and values are parameters, never text in an expression.
class DynamoDbRequest {
 public:
  DynamoDbRequest(std::string_view table, std::string_view partition, std::string_view key)
      : table_(table), partition_(partition), key_(key) {}

  DynamoDbRequest& set(std::string_view part) { return add(sets_, part, ", "); }
  DynamoDbRequest& remove(std::string_view part) { return add(removals_, part, ", "); }
  /// All of them must hold.
  DynamoDbRequest& require(std::string_view condition) { return add(conditions_, condition, " AND "); }
  DynamoDbRequest& name(std::string_view alias, std::string attribute) {
    names_.emplace_back(alias, std::move(attribute));
    return *this;
  }
  DynamoDbRequest& number(std::string_view alias, std::string digits) {
    values_.push_back({alias, "N", {std::move(digits)}});
    return *this;
  }
  DynamoDbRequest& number(std::string_view alias, std::int64_t value) { return number(alias, std::to_string(value)); }
  DynamoDbRequest& text(std::string_view alias, std::string value) {
    values_.push_back({alias, "S", {std::move(value)}});
    return *this;
  }
  DynamoDbRequest& texts(std::string_view alias, std::vector<std::string> all) {
    values_.push_back({alias, "SS", std::move(all)});
    return *this;
  }
  DynamoDbRequest& value(std::string_view alias, const StoredValue& value) {
    return is_dynamodb_number(value.text) ? number(alias, value.text) : text(alias, value.text);
  }

  /// Of an UpdateItem or a DeleteItem; `returns` is empty, or which values.
  std::string body(std::string_view returns) const {
    JsonWriter writer;
    writer.begin_object();
    write(writer);
    if (!returns.empty()) {
      writer.key("ReturnValues");
      writer.text(returns);
    }
    if (!conditions_.empty()) {
      writer.key("ReturnValuesOnConditionCheckFailure");
      writer.text("ALL_OLD");
    }
    writer.end_object();
    return std::string(writer.text());
  }
  void write(JsonWriter& writer) const {
    writer.key("TableName");
    writer.text(table_);
    writer.key("Key");
    write_key(writer, partition_, key_);
    std::string update = sets_.empty() ? "" : "SET " + sets_;
    if (!removals_.empty()) update += (update.empty() ? "REMOVE " : " REMOVE ") + removals_;
    if (!update.empty()) {
      writer.key("UpdateExpression");
      writer.text(update);
    }
    if (!conditions_.empty()) {
      writer.key("ConditionExpression");
      writer.text(conditions_);
    }
    if (!names_.empty()) {
      writer.key("ExpressionAttributeNames");
      writer.begin_object();
      for (const auto& [alias, attribute] : names_) {
        writer.key(alias);
        writer.text(attribute);
      }
      writer.end_object();
    }
    if (values_.empty()) return;
    writer.key("ExpressionAttributeValues");
    writer.begin_object();
    for (const Value& value : values_) {
      writer.key(value.alias);
      writer.begin_object();
      writer.key(value.type);
      if (value.type == "SS") {
        writer.begin_array();
        for (const std::string& text : value.texts) writer.text(text);
        writer.end_array();
      } else {
        writer.text(value.texts.front());
      }
      writer.end_object();
    }
    writer.end_object();
  }
  static void write_key(JsonWriter& writer, std::string_view partition, std::string_view key) {
    writer.begin_object();
    writer.key("p");
    write_text(writer, partition);
    writer.key("k");
    write_text(writer, key);
    writer.end_object();
  }
  static void write_text(JsonWriter& writer, std::string_view text) {
    writer.begin_object();
    writer.key("S");
    writer.text(text);
    writer.end_object();
  }

 private:
  struct Value {
    std::string_view alias;
    std::string_view type;
    std::vector<std::string> texts;
  };
  DynamoDbRequest& add(std::string& to, std::string_view part, std::string_view between) {
    if (!to.empty()) to += between;
    to += part;
    return *this;
  }

  std::string_view table_, partition_, key_;
  std::string sets_, removals_, conditions_;
  std::vector<std::pair<std::string_view, std::string>> names_;
  std::vector<Value> values_;
};

/// From now on. (A thousand years are as long as for ever, and no number overflows.)
inline void set_dynamodb_end(DynamoDbRequest& request, std::int64_t ttl, std::int64_t now) {
  const std::int64_t ends = now / 1000 + std::min(ttl, std::int64_t{1000} * 366 * 24 * 3600 * 1000);
  request.set("x = :x").number(":x", ends);
  request.set("e = :e").number(":e", ends / 1000 + 2 * dynamodb_lane_life);
}

/// It has a value, and its time is not over.
inline void require_alive_in_dynamodb(DynamoDbRequest& request, std::int64_t now) {
  request.require("attribute_exists(v)").require("(attribute_not_exists(x) OR x > :now)").number(":now", now / 1000);
}
/// What is left is its version, and its lanes.
inline void end_dynamodb_state(DynamoDbRequest& request, std::int64_t now) {
  request.remove("v").remove("f").remove("x").remove("b");
  request.set("e = :e").number(":e", now / 1'000'000 + 2 * dynamodb_lane_life);
}

}  // namespace atom::inline v0_1::detail

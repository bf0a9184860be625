// What every backend of text has in common: how a stored value is read. Needs simdjson.
#pragma once

#include <atom/config.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/type.hpp>

#include <string>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

/// A stored value as one of `type`. What an older version of the type has stored goes through its `atom_migrate`; what
/// it does not read is undecodable, and stays as it is.
inline StateResult<SharedValue> read_stored(const StateType& type, const StoredValue& stored) {
  const auto undecodable = [&](const std::string& why) {
    return StateError(StateErrorCode::undecodable,
                      "what is stored does not read as " + std::string(type.ops.name) + ": " + why);
  };
  if (!type.read) return undecodable("it has no codec, or no default");
  // Its size bounds all the rest: it must be possible to read whatever could be written.
  const std::size_t size = stored.text.size();
  const JsonLimits limits{.max_bytes = size, .max_depth = 1000, .max_keys = size, .max_elements = size};
  if (stored.format != type.version) {
    if (!type.migrate) {
      return undecodable("it is of version " + std::to_string(stored.format) + ", and there is no atom_migrate");
    }
    const Result<Snapshot> parsed = snapshot_of_value("value", stored.text, limits);
    if (!parsed) return undecodable(parsed.error().message());
    if (SharedValue value = type.migrate(stored.format, *parsed->find("value"))) return value;
    return undecodable("atom_migrate gives nothing for version " + std::to_string(stored.format));
  }
  JsonParser parser(stored.text.size());
  simdjson::dom::element root;
  DecodeError error;
  if (!parse_json(stored.text, limits, *parser, parser->doc, root, error)) return undecodable(error.message());
  JsonReader reader(root, error);
  if (SharedValue value = type.read(reader)) return value;
  return undecodable(error.message());
}

}  // namespace detail

/// A backend that gives back the text that it was given, or the same JSON in other words.
class TextBackend : public Backend {
 public:
  StateResult<detail::SharedValue> read_value(const detail::StateType& type, const StoredValue& stored) const override {
    return detail::read_stored(type, stored);
  }
};

}  // namespace atom::inline v0_1

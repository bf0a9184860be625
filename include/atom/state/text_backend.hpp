// What every backend of text has in common: how a stored value is read, and calculated with. Needs simdjson.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/type.hpp>

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

inline StateError undecodable(const TypeOps& type, const std::string& why) {
  return {StateErrorCode::undecodable, "what is stored does not read as " + std::string(type.name) + ": " + why};
}
/// As `read_stored`, but what the user's code throws comes out.
inline StateResult<SharedValue> decode_stored(const TypeOps& type, const StoredValue& stored) {
  // What was found may be a secret, and messages go into logs; so may the keys of maps.
  const auto without_data = [](DecodeError error) {
    error.found.clear();
    return error.message();
  };
  const auto broken = [](const DecodeError& error) { return "expected " + error.expected; };
  // Its size bounds all the rest: it must be possible to read whatever could be written.
  const std::size_t size = stored.text.size();
  const JsonLimits limits{.max_bytes = size, .max_depth = 1000, .max_keys = size, .max_elements = size};
  if (stored.format == type.version) {
    if (!type.read) return undecodable(type, "it has no codec, or no default");
    JsonParser parser(size);
    simdjson::dom::element root;
    DecodeError error;
    if (!parse_json(stored.text, limits, *parser, parser->doc, root, error)) return undecodable(type, broken(error));
    JsonReader reader(root, error, MapKeys::hidden);
    SharedValue value = build_value(type, [&](void* place) { return type.read(place, reader, nullptr); });
    return value ? StateResult<SharedValue>(std::move(value)) : undecodable(type, without_data(error));
  }
  const std::string version = "version " + std::to_string(stored.format);
  if (!type.migrate) return undecodable(type, "it is of " + version + ", and the type has no atom_migrate");
  const Result<Snapshot> parsed = snapshot_of_value("value", stored.text, limits);
  if (!parsed) return undecodable(type, broken(parsed.error()));
  SharedValue value =
      build_value(type, [&](void* place) { return type.migrate(place, stored.format, *parsed->find("value")); });
  return value ? StateResult<SharedValue>(std::move(value))
               : undecodable(type, "atom_migrate makes nothing of " + version);
}

/// A stored value as one of `type`. What an older version of the type has stored goes through its `atom_migrate`; what
/// it does not read, or throws for, is undecodable, and stays as it is. Where memory was short, it may be tried again.
inline StateResult<SharedValue> read_stored(const TypeOps& type, const StoredValue& stored) {
  try {
    return decode_stored(type, stored);
  } catch (const std::bad_alloc&) {
    return StateError(StateErrorCode::unavailable, "there was no memory to read it as " + std::string(type.name),
                      Effect::none, true);
  } catch (...) {  // what it says may hold the value
    return undecodable(type, stored.format == type.version ? "its codec has thrown" : "its atom_migrate has thrown");
  }
}

}  // namespace detail

/// A backend that gives back the text that it was given, or the same JSON in other words.
class TextBackend : public Backend {
 public:
  StateResult<detail::SharedValue> read_value(const detail::TypeOps& type, const StoredValue& stored) const override {
    return detail::read_stored(type, stored);
  }

 protected:
  /// What a command's equations make of a value: nothing if all of them fail, or one does in a batch of all or nothing,
  /// or code of the user's throws.
  struct Made {
    std::optional<StateErrorCode> error = {};
    std::optional<StoredValue> value = {};
  };
  Made calculate(BatchMode mode, const Command& command, const StoredValue& start) const {
    try {
      return evaluate(mode, command, start);
    } catch (const std::bad_alloc&) {
      return {.error = StateErrorCode::unavailable};
    } catch (...) {
      return {.error = StateErrorCode::undecodable};
    }
  }

 private:
  Made evaluate(BatchMode mode, const Command& command, const StoredValue& start) const {
    const detail::TypeOps& type = *command.type;
    const StateResult<detail::SharedValue> before = read_value(type, start);
    if (!before) return {.error = before.error().code()};
    const std::shared_ptr<void> value = detail::copy_value(type, before->get());
    Made made;
    bool has_changed = false;
    for (const AnyEquation* equation : command.equations) {
      const std::optional<StateErrorCode> failed = equation->apply_to(value.get());
      if (failed && mode == BatchMode::all_or_nothing) made.error = failed;
      has_changed = has_changed || !failed;
    }
    if (made.error || !has_changed) return made;
    detail::JsonWriter writer;
    type.write(value.get(), writer);
    if (!writer.left_out().empty()) made.error = StateErrorCode::not_finite;
    if (writer.text().size() > traits().most_value_bytes) made.error = StateErrorCode::too_large;
    if (!made.error) made.value = StoredValue{std::string(writer.text()), type.version};
    return made;
  }
};

}  // namespace atom::inline v0_1

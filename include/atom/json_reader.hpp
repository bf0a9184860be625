// JSON text from outside: checked as a whole before anything is taken from it. Needs simdjson: link `atom::json`.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/encoded.hpp>
#include <atom/detail/inline_vector.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/error.hpp>
#include <atom/json.hpp>
#include <atom/result.hpp>
#include <atom/snapshot.hpp>

#include <simdjson.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// What is read at most. More is an error value, found before anything is decoded.
struct JsonLimits {
  std::size_t max_bytes = 1 << 20;     ///< of the text
  std::size_t max_depth = 64;          ///< of objects and arrays in each other, 1000 at most
  std::size_t max_keys = 10'000;       ///< of one object
  std::size_t max_elements = 100'000;  ///< of one array
};

namespace detail {

/// Calls `visit(key, value)` for each member until it answers false; whether it never did. Not a range-for: simdjson's
/// pair of key and value goes through memory, which takes twice the time.
template <class Visit>
ATOM_INLINE bool for_each_member(simdjson::dom::object object, Visit visit) {
  const auto end = object.end();
  for (auto member = object.begin(); member != end; ++member) {
    if (!visit(member.key(), member.value())) return false;
  }
  return true;
}

inline void write_json(simdjson::dom::element element, JsonWriter& writer) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY:
      writer.begin_array();
      for (const simdjson::dom::element child : simdjson::dom::array(element)) write_json(child, writer);
      writer.end_array();
      break;
    case element_type::OBJECT:
      writer.begin_object();
      for_each_member(element, [&](std::string_view key, simdjson::dom::element value) {
        writer.key(key);
        write_json(value, writer);
        return true;
      });
      writer.end_object();
      break;
    case element_type::NULL_VALUE:
      writer.null();
      break;
    case element_type::BOOL:
      writer.boolean(bool(element));
      break;
    case element_type::INT64:
      writer.integer(std::int64_t(element));
      break;
    case element_type::UINT64:
      writer.unsigned_integer(std::uint64_t(element));
      break;
    case element_type::DOUBLE:
      writer.number(double(element));
      break;
    case element_type::STRING:
      writer.text(std::string_view(element));
      break;
  }
}

/// A stranger's text for an error message: in quotes, escaped so that it is safe in a log, and short.
inline std::string quote_briefly(std::string_view text) {
  constexpr std::size_t longest = 40;
  JsonWriter writer;
  writer.text(text.substr(0, longest));
  return std::string(writer.text()) + (text.size() > longest ? "..." : "");
}
/// The same for a key in a path, without the quotes.
inline std::string step_of_key(std::string_view key) {
  std::string step = quote_briefly(key);
  step.erase(step.rfind('"'), 1);
  return step.erase(0, 1);
}
/// What stands there, for an error message.
inline std::string describe_json(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return quote_briefly(element);
    default: {
      JsonWriter writer;
      write_json(element, writer);
      return std::string(writer.text());
    }
  }
}

/// Finds what simdjson lets through: sizes, depth, and keys that come twice.
class JsonCheck {
 public:
  JsonCheck(const JsonLimits& limits, DecodeError& error) noexcept : limits_(limits), error_(error) {}

  ATOM_INLINE bool check(simdjson::dom::element element, std::size_t depth = 0) {
    switch (element.type()) {
      case simdjson::dom::element_type::ARRAY:
        return check_array(simdjson::dom::array(element), depth + 1);
      case simdjson::dom::element_type::OBJECT:
        return check_object(simdjson::dom::object(element), depth + 1);
      default:
        return true;
    }
  }

 private:
  bool check_array(simdjson::dom::array array, std::size_t depth) {
    if (depth > limits_.max_depth) return too_deep();
    if (array.size() > limits_.max_elements) return too_many(limits_.max_elements, "elements");
    std::size_t index = 0;
    for (const simdjson::dom::element child : array) {
      if (!check(child, depth)) {
        error_.prepend("[" + std::to_string(index) + "]");
        return false;
      }
      ++index;
    }
    // simdjson's size() ends at 2^24 - 1.
    return index <= limits_.max_elements || too_many(limits_.max_elements, "elements");
  }
  bool check_object(simdjson::dom::object object, std::size_t depth) {
    if (depth > limits_.max_depth) return too_deep();
    if (object.size() > limits_.max_keys) return too_many(limits_.max_keys, "keys");
    const std::size_t first = keys_.size();
    const bool all_good = for_each_member(object, [&](std::string_view key, simdjson::dom::element value) {
      keys_.emplace_back(key);
      if (check(value, depth)) return true;
      error_.prepend(step_of_key(key));
      return false;
    });
    if (!all_good) return false;
    if (keys_.size() - first > limits_.max_keys) return too_many(limits_.max_keys, "keys");
    const std::string_view* const twice = repeated(keys_.begin() + first, keys_.end());
    if (twice) {
      error_ = {step_of_key(*twice), "the key once", "it twice"};
      return false;
    }
    keys_.shorten(first);
    return true;
  }
  /// One that is there twice, or null. May sort them.
  static const std::string_view* repeated(std::string_view* begin, std::string_view* end) {
    constexpr std::ptrdiff_t compared_in_pairs = 16;
    if (end - begin > compared_in_pairs) {
      std::sort(begin, end);
      const std::string_view* const twice = std::adjacent_find(begin, end);
      return twice == end ? nullptr : twice;
    }
    for (const std::string_view* key = begin; key != end; ++key) {
      for (const std::string_view* other = begin; other != key; ++other) {
        if (*key == *other) return key;
      }
    }
    return nullptr;
  }
  bool too_deep() {
    error_ = {{}, "at most " + std::to_string(limits_.max_depth) + " levels", "more"};
    return false;
  }
  bool too_many(std::size_t most, const char* what) {
    error_ = {{}, "at most " + std::to_string(most) + " " + what, "more"};
    return false;
  }

  const JsonLimits& limits_;
  DecodeError& error_;
  InlineVector<std::string_view, 64> keys_;  // of the objects around
};

/// Parses a whole text. The element refers to the document.
inline bool parse_json(std::string_view text, const JsonLimits& limits, simdjson::dom::parser& parser,
                       simdjson::dom::document& document, simdjson::dom::element& root, DecodeError& error) {
  if (text.size() > limits.max_bytes) {
    error = {{}, "at most " + std::to_string(limits.max_bytes) + " bytes", std::to_string(text.size())};
    return false;
  }
  const char* const first = text.empty() ? "" : text.data();  // never null: it is copied from
  const simdjson::error_code code = parser.parse_into_document(document, first, text.size()).get(root);
  if (code != simdjson::SUCCESS) {
    error = {{}, "JSON", std::string("text that is none: ") + simdjson::error_message(code)};
    return false;
  }
  return JsonCheck(limits, error).check(root);
}

// simdjson chooses its code for this processor when it is first used, and that ends with the program. Asked for it
// here, it does so before statics behind this header begin, and has it until they have ended: their destructors may
// read.
inline const bool simdjson_is_chosen = !simdjson::get_active_implementation()->name().empty();

/// A parser, and room for a document. Each thread keeps one, with its memory, for the next text; a text within a text
/// (a codec that reads one) and a large one get another, and so does what is read when the thread, or the program, is
/// all but over.
class JsonParser {
 public:
  explicit JsonParser(std::size_t text_size) {
    if (gone_) [[unlikely]]
      return;
    thread_local Shared shared;
    if (!shared.busy && text_size <= kept_for) {
      shared.busy = true;
      shared_ = &shared;
    }
  }
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;
  ~JsonParser() {
    if (shared_) shared_->busy = false;
  }
  simdjson::dom::parser& operator*() { return shared_ ? shared_->parser : own_; }
  simdjson::dom::parser* operator->() { return &**this; }

 private:
  static constexpr std::size_t kept_for = 1 << 20;
  struct Shared {
    ~Shared() { gone_ = true; }
    simdjson::dom::parser parser;
    bool busy = false;
  };
  // Of this thread's. It has no destructor, so those of statics may look at it.
  static constinit inline thread_local bool gone_ = false;
  Shared* shared_ = nullptr;
  simdjson::dom::parser own_;
};

/// Reads from an element of a text that was checked.
class JsonReader final : public Reader {
 public:
  JsonReader(simdjson::dom::element element, DecodeError& error, MapKeys map_keys = MapKeys::named) noexcept
      : at_(element), error_(error), map_keys_(map_keys) {}

  bool boolean(bool& value) override { return at_.get(value) == simdjson::SUCCESS || fail("bool"); }
  bool integer(std::int64_t& value, std::int64_t least, std::int64_t most, std::string_view expected) override {
    return (at_.get(value) == simdjson::SUCCESS && value >= least && value <= most) || fail(expected);
  }
  bool unsigned_integer(std::uint64_t& value, std::uint64_t most, std::string_view expected) override {
    return (at_.get(value) == simdjson::SUCCESS && value <= most) || fail(expected);
  }
  bool number(double& value) override { return at_.get(value) == simdjson::SUCCESS || fail("number"); }
  bool text(std::string_view& value) override { return at_.get(value) == simdjson::SUCCESS || fail("string"); }
  bool is_null() override { return at_.is_null(); }
  bool object(Names names, void* object, ReadMember read) override {
    simdjson::dom::object members;
    if (at_.get(members) != simdjson::SUCCESS) return fail("object");
    const simdjson::dom::element whole = at_;
    std::size_t next = 0;  // members mostly come in the order of the names
    const auto read_member = [&](std::string_view key, simdjson::dom::element value) {
      std::size_t index = next;
      std::size_t left = names.count;
      while (left > 0 && names.first[index] != key) {
        index = index + 1 == names.count ? 0 : index + 1;
        --left;
      }
      if (left == 0) return true;
      next = index + 1 == names.count ? 0 : index + 1;
      at_ = value;
      return read(object, index, *this) || fail_at(step_of_key(key));
    };
    if (!for_each_member(members, read_member)) return false;
    at_ = whole;
    return true;
  }
  bool map(void* object, ReadEntry read) override {
    simdjson::dom::object members;
    if (at_.get(members) != simdjson::SUCCESS) return fail("object");
    const simdjson::dom::element whole = at_;
    const auto read_entry = [&](std::string_view key, simdjson::dom::element value) {
      at_ = value;
      return read(object, key, *this) || fail_at(map_keys_ == MapKeys::hidden ? "*" : step_of_key(key));
    };
    if (!for_each_member(members, read_entry)) return false;
    at_ = whole;
    return true;
  }
  bool array(void* object, ReadElement read) override {
    simdjson::dom::array elements;
    if (at_.get(elements) != simdjson::SUCCESS) return fail("array");
    const simdjson::dom::element whole = at_;
    Place place{0, elements.size()};
    for (const simdjson::dom::element element : elements) {
      at_ = element;
      if (!read(object, place, *this)) return fail_at("[" + std::to_string(place.index) + "]");
      ++place.index;
    }
    at_ = whole;
    return true;
  }
  bool fail(std::string_view expected) override {
    if (error_.expected.empty()) {
      error_.expected = expected;
      error_.found = describe_json(at_);
    }
    return false;
  }

 private:
  bool fail_at(std::string_view step) {
    if (error_.expected.empty()) fail("another value");  // a codec of the user's that gave no reason
    error_.prepend(step);
    return false;
  }

  simdjson::dom::element at_;
  DecodeError& error_;
  const MapKeys map_keys_;
};

/// The values of a snapshot that came as text.
class JsonText final : public EncodedText {
 public:
  bool decode(std::size_t place, const TypeOps& type, void* to, std::pmr::memory_resource* memory, DecodeError& error,
              MapKeys map_keys) const override {
    JsonReader reader(values[place], error, map_keys);
    return type.read(to, reader, memory);
  }
  void write(std::size_t place, JsonWriter& writer) const override { write_json(values[place], writer); }

  simdjson::dom::document document;
  std::vector<simdjson::dom::element> values;
};

/// Parses a text and makes a client's snapshot of it: `fill(root, set)` calls `set(key, element)` for each value, and
/// answers false if the text is no object.
template <class Fill>
Result<Snapshot> parse_snapshot(std::string_view text, const JsonLimits& limits, Fill fill) {
  auto* const parsed = new JsonText;
  const Encoded keeper(*parsed, 0);
  DecodeError error;
  simdjson::dom::element root;
  JsonParser parser(text.size());
  if (!parse_json(text, limits, *parser, parsed->document, root, error)) return error;
  Snapshot snapshot;
  const auto set = [&](std::string_view key, simdjson::dom::element value) {
    parsed->values.push_back(value);
    snapshot.set(key, Value(Encoded(*parsed, parsed->values.size() - 1)));
  };
  if (!fill(root, set)) return DecodeError{{}, "object", describe_json(root)};
  snapshot.set_trust(Trust::client);
  return snapshot;
}

/// A snapshot of one key, whose value is the whole text.
inline Result<Snapshot> snapshot_of_value(std::string_view key, std::string_view text, const JsonLimits& limits) {
  return parse_snapshot(text, limits, [key](simdjson::dom::element root, auto set) {
    set(key, root);
    return true;
  });
}

}  // namespace detail

/// A T from JSON, or the reason why not: `user.age: expected int32, found "x"`. Types are strict (1.5, true and "1" are
/// no integers), members that T does not have are skipped, and those that the text does not have keep their default.
template <class T>
Result<T> from_json(std::string_view text, const JsonLimits& limits = {}) {
  static_assert(
      detail::readable<T> && std::default_initializable<T>,
      "from_json<T>: T has no codec that reads: describe it with atom_fields(), or specialise atom::codec<T>");
  detail::JsonParser parser(text.size());
  simdjson::dom::element root;
  DecodeError error;
  if (!detail::parse_json(text, limits, *parser, parser->doc, root, error)) return error;
  T value{};
  detail::JsonReader reader(root, error);
  if (!codec<T>::read(reader, value)) return error;
  return value;
}

/// A snapshot from a JSON object of keys and values. The text is checked as a whole; each value is decoded when a type
/// for it is known: by `store.hydrate`, or `snapshot.find(key)->to<T>()`. Its trust is Trust::client: it changes
/// client-writable atoms only, unless `hydrate` is told otherwise.
inline Result<Snapshot> snapshot_from_json(std::string_view text, const JsonLimits& limits = {}) {
  return detail::parse_snapshot(text, limits, [](simdjson::dom::element root, auto set) {
    simdjson::dom::object members;
    if (root.get(members) != simdjson::SUCCESS) return false;
    return detail::for_each_member(members, [&](std::string_view key, simdjson::dom::element value) {
      set(key, value);
      return true;
    });
  });
}

}  // namespace atom::inline v0_1

// A value of a type that nobody here knows: it is read as whatever it is, and written again as JSON of ours, which is
// safe inside HTML and has no line ends.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

struct AnyJson {
  std::string text;
};

inline bool copy_json(Reader& reader, JsonWriter& writer) {
  constexpr std::string_view expected = "a value";
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  std::int64_t integer = 0;
  std::uint64_t natural = 0;
  double number = 0;
  bool boolean = false;
  std::string_view text;
  if (reader.is_null()) return writer.null(), true;
  if (reader.integer(integer, least, most, expected)) return writer.integer(integer), true;
  if (reader.unsigned_integer(natural, std::numeric_limits<std::uint64_t>::max(), expected)) {
    return writer.unsigned_integer(natural), true;
  }
  if (reader.number(number)) return writer.number(number), true;
  if (reader.text(text)) return writer.text(text), true;
  if (reader.boolean(boolean)) return writer.boolean(boolean), true;
  if (reader.map(nullptr, [](void*, std::string_view, Reader&) { return true; })) {
    writer.begin_object();
    const bool is_read = reader.map(&writer, [](void* to, std::string_view key, Reader& value) {
      static_cast<JsonWriter*>(to)->key(key);
      return copy_json(value, *static_cast<JsonWriter*>(to));
    });
    return writer.end_object(), is_read;
  }
  writer.begin_array();
  const bool is_read = reader.array(&writer, [](void* to, Reader::Place, Reader& element) {
    return copy_json(element, *static_cast<JsonWriter*>(to));
  });
  return writer.end_array(), is_read;
}

}  // namespace atom::inline v0_1::detail

template <>
struct atom::codec<atom::detail::AnyJson> {
  static void write(atom::detail::JsonWriter& writer, const atom::detail::AnyJson& value) {
    writer.written(value.text);
  }
  static bool read(atom::Reader& reader, atom::detail::AnyJson& value) {
    atom::detail::JsonWriter writer;
    if (!atom::detail::copy_json(reader, writer)) return false;
    value.text = writer.text();
    return true;
  }
};

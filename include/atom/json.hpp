// Values and snapshots as JSON text. It is valid JavaScript too, and safe inside an HTML script element and a
// single-quoted attribute; for a double-quoted one see html.hpp.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/snapshot.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// Whom a text is for. What is server-only stays out of text for a client.
enum class Audience : std::uint8_t { client, server };

/// A value that is not in the text, and why.
struct Omission {
  enum class Cause : std::uint8_t {
    server_only,  ///< the text is for a client
    no_codec,     ///< its type has none
    not_finite,   ///< a number that JSON does not have; as a member it is left out, elsewhere it is null
  };
  std::string path;  ///< "token", or "cart[2].price"
  Cause cause;
};

struct JsonOptions {
  Audience audience = Audience::client;
  /// Everything that was left out is added here; of numbers that are not finite, the first thousand of a text.
  std::vector<Omission>* omitted = nullptr;
};

namespace detail {

inline std::string finish(const JsonWriter& writer, const JsonOptions& options) {
  if (options.omitted) {
    for (const std::string& path : writer.left_out()) {
      options.omitted->push_back({path, Omission::Cause::not_finite});
    }
  }
  return std::string(writer.text());
}

/// Whether an entry is in the text. If it is not, the options are told.
inline bool is_included(const Snapshot::Entry& entry, const JsonOptions& options) {
  const bool hidden = entry.server_only() && options.audience == Audience::client;
  if (!hidden && entry.value.has_codec()) return true;
  if (options.omitted) {
    options.omitted->push_back(
        {std::string(entry.key), hidden ? Omission::Cause::server_only : Omission::Cause::no_codec});
  }
  return false;
}

}  // namespace detail

/// `{"user":{"name":"Ada"},"count":1}`: an object of the keys and values, in their order. Integers are written in full;
/// JavaScript rounds those beyond 2^53. Text that is not UTF-8 gets U+FFFD.
inline std::string to_json(const Snapshot& snapshot, const JsonOptions& options = {}) {
  detail::JsonWriter writer;
  writer.begin_object();
  for (const Snapshot::Entry& entry : snapshot) {
    if (!detail::is_included(entry, options)) continue;
    writer.key(entry.key);
    entry.value.write(writer);
  }
  writer.end_object();
  return detail::finish(writer, options);
}

/// `{"changed":{"count":2},"removed":["user"]}`: what a page does to the object that it has. What is left out of the
/// text of a snapshot is left out of both parts: there the page keeps what it has, and `omitted` names it.
inline std::string to_json(const SnapshotDiff& diff, const JsonOptions& options = {}) {
  const std::string changed = to_json(diff.changed, options);
  detail::JsonWriter removed;
  removed.begin_array();
  for (const Snapshot::Entry& entry : diff.removed) {
    if (detail::is_included(entry, options)) removed.text(entry.key);
  }
  removed.end_array();
  return "{\"changed\":" + changed + ",\"removed\":" + std::string(removed.text()) + "}";
}

/// A value of any type that has a codec.
template <class T>
  requires detail::writable<T>
std::string to_json(const T& value, const JsonOptions& options = {}) {
  detail::JsonWriter writer;
  codec<T>::write(writer, value);
  return detail::finish(writer, options);
}
inline std::string to_json(const char* text) {
  return to_json(std::string_view(text));
}

}  // namespace atom::inline v0_1

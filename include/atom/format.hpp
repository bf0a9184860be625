// What a person wants to see in a log, with {fmt}: `fmt::print("{}", store)` on one line, `{:t}` a table of a store or
// a snapshot. What is server-only is not shown, nothing derived is computed for it, and no key, value or message can
// break out of its line.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/hydrate.hpp>
#include <atom/inspect.hpp>
#include <atom/snapshot.hpp>
#include <atom/store.hpp>
#include <atom/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// The texts that the formatters below put out.
class LogText {
 public:
  /// `{"name":"Ada"}`; `<User>` if the type has no codec.
  static std::string of(const Value& value) {
    if (!value.has_codec()) return in_brackets(value.type_name());
    return json([&](JsonWriter& writer) { value.write(writer); });
  }
  /// `user: {"name":"Ada"}`
  static std::string of(const AtomBase& atom) { return key(atom.key()) + ": " + value_of(atom); }
  static std::string of(const Snapshot::Entry& entry) { return key(entry.key) + ": " + value_of(entry); }
  /// `{user: {"name":"Ada"}, count: 1}`
  static std::string of(const AtomStore& store) { return "{" + list(store.list(), one_of<AtomBase>) + "}"; }
  static std::string of(const Snapshot& snapshot) { return "{" + list(snapshot, one_of<Snapshot::Entry>) + "}"; }
  /// `changed: user: {"name":"Ada"}; removed: count`
  static std::string of(const SnapshotDiff& diff) {
    std::string all;
    add_part(all, "changed", list(diff.changed, one_of<Snapshot::Entry>));
    add_part(all, "removed", list(diff.removed, [](const Snapshot::Entry& entry) { return key(entry.key); }));
    return all.empty() ? "nothing" : all;
  }
  /// `applied: user, count; rejected: age (expected int, found std::string)`
  static std::string of(const HydrateReport& report) {
    const auto key_of = [](std::string_view name) { return key(name); };
    std::string all;
    add_part(all, "applied", list(report.applied, key_of));
    add_part(all, "queued", list(report.queued, key_of));
    add_part(all, "unknown", list(report.unknown, key_of));
    add_part(all, "rejected", list(report.rejected, [](const Rejection& rejection) {
               return key(rejection.key) + " (" + line(rejection.reason) + ")";
             }));
    return all.empty() ? "nothing" : all;
  }
  static std::string of(const Rejection& rejection) { return key(rejection.key) + ": " + line(rejection.reason); }
  static std::string of(const DecodeError& error) { return line(error.message()); }
  static std::string of(const Error& error) { return line(error.what()); }

  static std::string table_of(const AtomStore& store) {
    Table table{{"key", "type", "marks", "listeners", "value"}};
    const std::vector<CloneInfo> infos = store.inspect();
    for (const CloneInfo& info : infos) {  // a codec may use other atoms, or drop one
      const AtomBase* const atom = store.get(info.key);
      table.push_back({key(info.key, longest_name), line(info.type_name, longest_name), marks(info),
                       std::to_string(info.listeners), atom ? value_of(*atom) : "<dropped>"});
    }
    return aligned(table);
  }
  static std::string table_of(const Snapshot& snapshot) {
    Table table{{"key", "type", "marks", "value"}};
    for (const Snapshot::Entry& entry : snapshot) {
      const CloneInfo info{
          .key = std::string(entry.key), .type_name = entry.value.type_name(), .server_only = entry.server_only()};
      table.push_back({key(info.key, longest_name), line(info.type_name, longest_name), marks(info), value_of(entry)});
    }
    return aligned(table);
  }

 private:
  using Table = std::vector<std::vector<std::string>>;
  static constexpr std::size_t longest_text = 100;  // characters of a value or a key
  static constexpr std::size_t longest_name = 40;   // of a key or a type in a table

  // ---- One value, key or message

  static std::string value_of(const AtomBase& atom) {
    if (atom.is_server_only()) return "<server-only>";
    const TypeOps& type = atom.definition_->type;
    const void* const value = atom.known_value();
    if (!value && atom.definition_->derived) return "<not computed>";
    if (!type.write || !value) return in_brackets(type.name);  // a template with a Factory has no value
    return json([&](JsonWriter& writer) { type.write(value, writer); });
  }
  static std::string value_of(const Snapshot::Entry& entry) {
    return entry.server_only() ? "<server-only>" : of(entry.value);
  }
  template <class Write>
  static std::string json(Write write) {
    JsonWriter writer;
    write(writer);
    return line(writer.text(), longest_text);
  }
  static std::string in_brackets(std::string_view type_name) { return "<" + line(type_name, longest_text) + ">"; }
  /// In quotes where it could be taken for something else.
  static std::string key(std::string_view name, std::size_t longest = longest_text) {
    const auto is_plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
             c == '.' || c == '/';
    };
    if (!name.empty() && std::all_of(name.begin(), name.end(), is_plain)) return line(name, longest);
    JsonWriter writer;
    writer.text(name);
    return line(writer.text(), longest);
  }
  static std::string marks(const CloneInfo& info) {
    std::string all;
    if (info.modified) add(all, ", ", "modified");
    if (info.server_only) add(all, ", ", "server-only");
    if (info.client_writable) add(all, ", ", "client-writable");
    if (info.derived) add(all, ", ", "derived");
    return all.empty() ? "-" : all;
  }
  /// Shortened, and safe: what would break or turn the line is escaped, and what is not UTF-8 gets U+FFFD.
  static std::string line(std::string_view text, std::size_t longest = std::string_view::npos) {
    std::string all;
    for (std::size_t count = 0; !text.empty(); ++count) {
      if (count == longest) return all + "...";
      text.remove_prefix(add_character(all, text));
    }
    return all;
  }
  /// Adds what `text` begins with, and returns how many bytes of it that was.
  static std::size_t add_character(std::string& to, std::string_view text) {
    if (text.starts_with("\\\\")) {  // the second one escapes nothing
      to += "\\\\";
      return 2;
    }
    // A log is no HTML: what JSON text escapes for that is easier to read as it is.
    static constexpr std::pair<std::string_view, char> escapes[] = {
        {"\\u003c", '<'}, {"\\u003e", '>'}, {"\\u0026", '&'}, {"\\u0027", '\''}};
    for (const auto& [escaped, plain] : escapes) {
      if (!text.starts_with(escaped)) continue;
      to += plain;
      return escaped.size();
    }
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      to += "\xef\xbf\xbd";
      return 1;
    }
    if (const unsigned code = code_of(text.substr(0, length)); breaks_a_line(code)) {
      fmt::format_to(std::back_inserter(to), "\\u{:04x}", code);
    } else {
      to += text.substr(0, length);
    }
    return length;
  }
  /// Of one character in UTF-8.
  static unsigned code_of(std::string_view character) noexcept {
    unsigned code = static_cast<unsigned char>(character[0]);
    if (character.size() > 1) code &= 0x7fu >> character.size();
    for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3fu);
    return code;
  }
  /// Control characters, those of C1 too, line ends, and what turns the direction of text.
  static bool breaks_a_line(unsigned code) noexcept {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
  }

  // ---- Several

  static void add(std::string& to, std::string_view separator, std::string_view text) {
    if (!to.empty()) to += separator;
    to += text;
  }
  static void add_part(std::string& to, const std::string& name, const std::string& part) {
    if (!part.empty()) add(to, "; ", name + ": " + part);
  }
  template <class T>
  static std::string one_of(const T& thing) {
    return of(thing);
  }
  template <class Range, class Text>
  static std::string list(const Range& range, Text text) {
    std::string all;
    for (const auto& element : range) add(all, ", ", text(element));
    return all;
  }
  /// Columns as wide as their widest cell; but for the last one, which may be long.
  static std::string aligned(const Table& table) {
    std::vector<std::size_t> widths(table.front().size() - 1);
    for (const auto& row : table) {
      for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string all;
    for (const auto& row : table) {
      if (!all.empty()) all += '\n';
      for (std::size_t i = 0; i < widths.size(); ++i) all += row[i] + std::string(widths[i] + 2 - width(row[i]), ' ');
      all += row.back();
    }
    return all;
  }
  /// How many characters a text in UTF-8 has.
  static std::size_t width(std::string_view text) noexcept {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
  }
};

/// `{}` and nothing else.
template <class T>
class LineFormatter {
 public:
  constexpr auto parse(auto& context) {
    const auto at = context.begin();
    if (at != context.end() && *at != '}') throw fmt::format_error("unknown format");  // here the only one is {}
    return at;
  }
  auto format(const T& thing, auto& context) const { return fmt::format_to(context.out(), "{}", LogText::of(thing)); }
};

/// `{}`, or `{:t}` for a table.
template <class T>
class TableFormatter {
 public:
  constexpr auto parse(auto& context) {
    auto at = context.begin();
    table_ = at != context.end() && *at == 't';
    if (table_) ++at;
    if (at != context.end() && *at != '}') throw fmt::format_error("unknown format");  // here they are {} and {:t}
    return at;
  }
  auto format(const T& thing, auto& context) const {
    return fmt::format_to(context.out(), "{}", table_ ? LogText::table_of(thing) : LogText::of(thing));
  }

 private:
  bool table_ = false;
};

}  // namespace atom::inline v0_1::detail

FMT_BEGIN_NAMESPACE
template <class T, class Char>
struct is_range;  // is in <fmt/ranges.h>
FMT_END_NAMESPACE

/// An atom may be a range too (a collection is): then it is still shown as an atom.
template <std::derived_from<atom::AtomBase> A>
struct fmt::is_range<A, char> : std::false_type {};

/// An atom: `user: {"name":"Ada"}`. So are those of derived classes, and templates.
template <std::derived_from<atom::AtomBase> A>
struct fmt::formatter<A, char> : atom::detail::LineFormatter<atom::AtomBase> {};
template <>
struct fmt::formatter<atom::AtomStore> : atom::detail::TableFormatter<atom::AtomStore> {};
template <>
struct fmt::formatter<atom::Snapshot> : atom::detail::TableFormatter<atom::Snapshot> {};
template <>
struct fmt::formatter<atom::Snapshot::Entry> : atom::detail::LineFormatter<atom::Snapshot::Entry> {};
template <>
struct fmt::formatter<atom::SnapshotDiff> : atom::detail::LineFormatter<atom::SnapshotDiff> {};
/// A value alone: whether it is server-only is known to its entry.
template <>
struct fmt::formatter<atom::Value> : atom::detail::LineFormatter<atom::Value> {};
template <>
struct fmt::formatter<atom::HydrateReport> : atom::detail::LineFormatter<atom::HydrateReport> {};
template <>
struct fmt::formatter<atom::Rejection> : atom::detail::LineFormatter<atom::Rejection> {};
template <>
struct fmt::formatter<atom::DecodeError> : atom::detail::LineFormatter<atom::DecodeError> {};
template <>
struct fmt::formatter<atom::Error> : atom::detail::LineFormatter<atom::Error> {};
template <>
struct fmt::formatter<atom::KeyConflict> : atom::detail::LineFormatter<atom::Error> {};
template <>
struct fmt::formatter<atom::TypeMismatch> : atom::detail::LineFormatter<atom::Error> {};
template <>
struct fmt::formatter<atom::CycleError> : atom::detail::LineFormatter<atom::Error> {};
template <>
struct fmt::formatter<atom::StateError> : atom::detail::LineFormatter<atom::Error> {};

// What the backends of databases have in common.
#pragma once

#include <atom/backend/detail/pool.hpp>
#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/detail/utf8.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// Does it, in the process that the backend belongs to. Nothing but a lack of memory is thrown any further.
template <class Work>
std::optional<StateError> attempt(const HomeProcess& home, std::string_view database, Work work) {
  if (!home.is_here()) {
    return StateError(StateErrorCode::closed,
                      std::string(database) + ": it belongs to the process that this one was forked from");
  }
  try {
    work();
    return std::nullopt;
  } catch (const StateError& error) {
    return error;
  }
}
/// What a batch comes to that has failed.
inline BatchResult failed_batch(StateError error) {
  const bool in_doubt = error.effect() == Effect::unknown;
  return {in_doubt ? BatchStatus::in_doubt : BatchStatus::not_applied, std::move(error)};
}

/// Of a state that is written once more. The greatest number is the version of none that this program has written.
inline std::int64_t version_after(std::int64_t version, std::string_view database) {
  if (version < std::numeric_limits<std::int64_t>::max()) return version + 1;
  throw StateError(StateErrorCode::refused,
                   std::string(database) + ": it holds a version that nobody has given a state");
}

/// Hexadecimal digits that nobody else has.
inline std::string random_text(std::size_t length) {
  std::random_device random;
  std::string text;
  while (text.size() < length) text += hex_digits[random() % 16];
  return text;
}

/// A connection for this thread, before the deadline.
template <class T>
typename Pool<T>::Lease lend(Pool<T>& pool, bool is_prepared, std::string_view database, Deadline deadline) {
  if (!is_prepared) throw StateError(StateErrorCode::closed, std::string(database) + ": `prepare` comes first");
  auto lease = pool.take(deadline);
  if (lease) return lease;
  throw StateError(StateErrorCode::timed_out, std::string(database) + ": all connections are busy", Effect::none, true);
}

/// Adds what was found, if its scope is one; if not, somebody else has written it there, and it is none of ours.
inline void add_scope(std::vector<Scope>& found, std::string_view text) {
  if (StateResult<Scope> scope = Scope::from_database(text)) found.push_back(*std::move(scope));
}
inline void add_state(std::vector<FoundState>& found, std::string_view scope, std::string_view key,
                      std::int64_t version, StoredValue value) {
  StateResult<Scope> its_scope = Scope::from_database(scope);
  if (its_scope) found.push_back({*std::move(its_scope), std::string(key), version, std::move(value)});
}

/// As SQL has it.
inline std::int64_t limit_of(std::size_t count) noexcept {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  return count < static_cast<std::size_t>(most) ? static_cast<std::int64_t>(count) : most;
}
/// The scopes that are meant, as ranges of texts: from the first to the last, both included; `beyond` is after all of
/// them. What lies below `a` begins with `a.`, and `/`, which no scope has, is the character after the dot.
inline std::vector<std::pair<std::string, std::string>> texts_of(const Scope* scope, bool below, std::string beyond) {
  if (!scope) return {{"", std::move(beyond)}};
  const std::string& text = scope->text();
  if (!below) return {{text, text}};
  return {{text, text}, {text + '.', text + '/'}};
}

/// Longer than any scope or key, of the last of all characters.
inline std::string beyond_all_texts() {
  std::string text;
  while (text.size() <= longest_scope) text += "\xf4\x8f\xbf\xbf";
  return text;
}
/// The bytes, if a server takes them for text: UTF-8, without a zero. If not, a text that is greater than all scopes
/// and keys that are less than the bytes, and less than all others.
inline std::string last_text_before(std::string_view bytes) {
  std::size_t good = 0;
  while (good < bytes.size() && bytes[good] != '\0') {
    const std::size_t length = utf8_length(bytes.substr(good));
    if (length == 0) break;
    good += length;
  }
  const std::string_view rest = bytes.substr(good);
  std::string text(bytes.substr(0, good));
  if (rest.empty() || rest[0] == '\0') return text;
  const auto encoded = [](unsigned code) {
    const auto byte = [](unsigned bits) { return static_cast<char>(bits); };
    const auto next = [&](unsigned shift) { return byte(0x80 | (code >> shift & 0x3f)); };
    if (code < 0x80) return std::string{byte(code)};
    if (code < 0x800) return std::string{byte(0xc0 | code >> 6), next(0)};
    if (code < 0x10000) return std::string{byte(0xe0 | code >> 12), next(6), next(0)};
    return std::string{byte(0xf0 | code >> 18), next(12), next(6), next(0)};
  };
  // The last character that is less, as its bytes are in the order of its number.
  unsigned less = 1, greater = 0x110000;
  while (greater - less > 1) {
    const unsigned middle = (less + greater) / 2;
    (std::string_view(encoded(middle)) < rest ? less : greater) = middle;
  }
  const bool is_surrogate = less >= 0xd800 && less <= 0xdfff;
  return text + encoded(is_surrogate ? 0xd7ff : less) + beyond_all_texts();
}

}  // namespace atom::inline v0_1::detail

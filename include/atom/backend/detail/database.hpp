// What the backends of databases have in common.
#pragma once

#include <atom/backend/detail/pool.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
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

/// A connection for this thread, before the deadline.
template <class T>
typename Pool<T>::Lease lend(Pool<T>& pool, bool is_prepared, std::string_view database, Deadline deadline) {
  if (!is_prepared) throw StateError(StateErrorCode::closed, std::string(database) + ": `prepare` comes first");
  auto lease = pool.take(deadline);
  if (lease) return lease;
  throw StateError(StateErrorCode::timed_out, std::string(database) + ": all connections are busy", Effect::none, true);
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

}  // namespace atom::inline v0_1::detail

// What a PostgreSQL server answers, and tells of others, as what it means: without a connection. See
// postgres_statements.hpp for what is asked. A server whose answer makes no sense is an error, whatever it says.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/postgres_connection.hpp>
#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view postgres_notice_of_all = "*";

/// Of format and value.
inline StoredValue postgres_value(const PostgresRows& rows, int row, int column) {
  return {std::string(rows.text(row, column + 1)), static_cast<int>(rows.integer(row, column))};
}
/// Of scope, key, version, format, value.
inline void add_postgres_states(std::vector<FoundState>& found, const PostgresRows& rows) {
  for (int row = 0; row < rows.size(); ++row) {
    add_state(found, rows.text(row, 0), rows.text(row, 1), rows.integer(row, 2), postgres_value(rows, row, 3));
  }
}
/// Of the numbers from 1 to `count`, the one in a column, less one.
inline std::size_t postgres_place(const PostgresRows& rows, int row, int column, std::size_t count, Effect effect) {
  const auto number = static_cast<std::uint64_t>(rows.integer(row, column));
  if (1 <= number && number <= count) return static_cast<std::size_t>(number - 1);
  throw StateError(StateErrorCode::unavailable, "PostgreSQL: an answer that no PostgreSQL gives", effect, true);
}

/// See `postgres::batch`.
inline Outcome postgres_outcome(std::string_view text) {
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [end, _] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(std::min(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
    return value;
  };
  constexpr std::optional<StateErrorCode> errors[] = {
      {}, StateErrorCode::conflict, StateErrorCode::undecodable, StateErrorCode::overflow};
  Outcome outcome;
  outcome.error = errors[static_cast<std::size_t>(number()) % std::size(errors)];
  outcome.version = number();
  if (text.empty()) return outcome;
  const int format = static_cast<int>(number());
  outcome.value = StoredValue{std::string(text), format};
  return outcome;
}
/// What a batch comes to whose commands were sent in this order. `changed(command, version, value)` is called for each
/// one that may have changed its state; the value is null where it has ended, or is not known.
template <class Changed>
BatchResult take_postgres_outcomes(const PostgresRows& rows, std::uint64_t sequence, std::span<const Command> commands,
                                   std::span<const std::size_t> order, std::span<Outcome> outcomes, Changed changed) {
  const auto refusal = [](const char* why) {
    return StateError(StateErrorCode::refused, std::string("PostgreSQL: ") + why);
  };
  const std::int64_t last = rows.size() > 0 ? rows.integer(0, 0) : 0;
  const bool has_outcomes = rows.size() > 0 && rows.integer(0, 1) > 0;
  if (!has_outcomes && last < static_cast<std::int64_t>(sequence)) {
    return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "PostgreSQL: batches are missing"),
            static_cast<std::uint64_t>(last)};
  }
  if (!has_outcomes) throw refusal("the batch is older than its lane");
  if (static_cast<std::size_t>(rows.size()) != commands.size()) throw refusal("another batch had this number");
  for (int row = 0; row < rows.size(); ++row) {
    const std::size_t i = order[postgres_place(rows, row, 1, order.size(), Effect::unknown)];
    const Command& command = commands[i];
    outcomes[i] = postgres_outcome(rows.text(row, 2));
    // Of a batch that was carried out before it is not known any more what it has written; nor of a sum, but that the
    // server says it.
    const bool is_known = !rows.is_null(row, 4);
    if (is_known && rows.integer(row, 4) == 0) continue;
    if (is_known && command.kind == Command::Kind::write) {
      changed(command, outcomes[i].version, command.value);
    } else if (rows.is_null(row, 3) || !command.value) {
      changed(command, outcomes[i].version, static_cast<const StoredValue*>(nullptr));
    } else {
      const StoredValue value{std::string(rows.text(row, 3)), command.value->format};
      changed(command, outcomes[i].version, &value);
    }
  }
  return {};
}

/// Tells what others have written, as one of them has said it: see `add_to_postgres_notice`.
inline void read_postgres_notice(std::string_view notice, std::string_view table, std::string_view origin,
                                 FeedSink& sink) {
  const auto word = [&] {
    const std::size_t size = std::min(notice.find(' '), notice.size());
    const std::string_view first = notice.substr(0, size);
    notice.remove_prefix(std::min(size + 1, notice.size()));
    return first;
  };
  if (word() != table || word() == origin) return;
  while (!notice.empty()) {
    const std::string_view text = word();
    const std::string_view key = word();
    const StateResult<Scope> scope = Scope::from_database(text);
    if (text == postgres_notice_of_all || !scope) return sink.lost_track();
    sink.changed(*scope, unescape(key), 0, std::nullopt);
  }
}

}  // namespace atom::inline v0_1::detail

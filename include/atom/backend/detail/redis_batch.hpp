// A batch as the script of Redis takes it, and what it answers: see redis_scripts.hpp.
#pragma once

#include <atom/backend/detail/redis_connection.hpp>
#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/clamped_sum.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>
#include <atom/state/scope.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

// ---- Words

/// A whole number as Redis writes it.
inline std::int64_t redis_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  RedisValue::require(error == std::errc() && end == text.data() + text.size());
  return number;
}
inline atom::Scope redis_scope(std::string_view text) {
  StateResult<atom::Scope> scope = atom::Scope::from_database(text);
  RedisValue::require(scope.has_value());
  return *std::move(scope);
}
inline StoredValue redis_stored(const RedisValue& format, const RedisValue& text) {
  return {std::string(text.text()), static_cast<int>(redis_integer(format.text()))};
}
/// A time to live that the server can count with; 0: for ever.
inline std::int64_t redis_ttl(std::int64_t ttl) noexcept {
  constexpr std::int64_t ever = 100LL * 365 * 24 * 3600 * 1000;
  return 0 < ttl && ttl < ever ? ttl : 0;
}

// ---- Equations

/// What the script calculates with exactly lies below it.
inline constexpr Int128 redis_exact = Int128(1) << 53;

inline bool is_exact_in_redis(const ClampedSum& sum) noexcept {
  const auto fits = [](const Number& number) {
    return number.integer() < redis_exact && number.integer() > -redis_exact;
  };
  return fits(sum.summand()) && (!sum.least() || fits(*sum.least())) && (!sum.most() || fits(*sum.most()));
}
/// Of the value itself: what it comes to, if the script can calculate it.
inline std::optional<ClampedSum> redis_sum(const AnyEquation& equation) {
  const std::optional<ClampedSum> sum = ClampedSum::of(equation);
  return sum && is_exact_in_redis(*sum) ? sum : std::nullopt;
}
struct RedisSums {
  ClampedSum sum;
  bool is_single;
};
/// Those that can be made one are: then it is calculated here if there is an error, to see whose it is. None, if one
/// is no sum.
inline std::vector<RedisSums> redis_sums(std::span<const AnyEquation* const> equations) {
  std::vector<RedisSums> all;
  for (const AnyEquation* const equation : equations) {
    const std::optional<ClampedSum> next = redis_sum(*equation);
    if (!next) return {};
    const std::optional<ClampedSum> both = all.empty() ? std::nullopt : all.back().sum.then(*next);
    if (both && is_exact_in_redis(*both)) {
      all.back() = {*both, false};
    } else {
      all.push_back({*next, true});
    }
  }
  return all;
}
inline void add_redis_sums(RedisRequest& to, std::span<const AnyEquation* const> equations) {
  const std::vector<RedisSums> all = redis_sums(equations);
  if (all.empty()) {
    to.add("").add("").add("0");
    return;
  }
  const Interval range = interval_of(all.front().sum.kind());
  const auto add = [&](const std::optional<Number>& number) {
    if (!number) {
      to.add("");
    } else if (number->integer() < 0) {
      to.add(static_cast<std::int64_t>(number->integer()));
    } else {
      to.add(std::to_string(static_cast<std::uint64_t>(number->integer())));
    }
  };
  add(Number::of(range.least));
  add(Number::of(range.most));
  to.add(static_cast<std::int64_t>(all.size()));
  for (const RedisSums& sums : all) {
    to.add(sums.is_single ? "1" : "0");
    add(sums.sum.summand());
    add(sums.sum.least());
    add(sums.sum.most());
  }
}

// ---- Commands

/// What was calculated here, of the value that was there at some version.
struct RedisDecision {
  std::int64_t seen = 0;
  std::optional<StateErrorCode> error = {};
  std::optional<StoredValue> value = {};
};
/// In the server errors have names.
inline constexpr std::array<std::pair<StateErrorCode, std::string_view>, 7> redis_error_names{{
    {StateErrorCode::conflict, "conflict"},
    {StateErrorCode::overflow, "overflow"},
    {StateErrorCode::division_by_zero, "division_by_zero"},
    {StateErrorCode::not_finite, "not_finite"},
    {StateErrorCode::type_mismatch, "type_mismatch"},
    {StateErrorCode::undecodable, "undecodable"},
    {StateErrorCode::too_large, "too_large"},
}};
inline std::string_view redis_error_name(StateErrorCode code) noexcept {
  for (const auto& [known, name] : redis_error_names) {
    if (known == code) return name;
  }
  return "undecodable";
}

inline void add_redis_command(RedisRequest& to, const Command& command, const std::optional<RedisDecision>& decision) {
  using enum Command::Kind;
  const bool applies = command.kind == apply;
  to.add(command.kind == write   ? "write"
         : command.kind == erase ? "erase"
         : !applies              ? "check"
         : decision              ? "decided"
                                 : "apply");
  to.add(command.name.scope.text()).add(command.name.key);
  to.add(command.expected ? std::to_string(*command.expected) : "");
  if (command.kind != write && !applies) return;
  const StoredValue none;
  const StoredValue& value = !decision ? *command.value : decision->value ? *decision->value : none;
  to.add(redis_ttl(command.ttl)).add(std::int64_t{applies ? command.type->version : value.format}).add(value.text);
  to.add(static_cast<std::int64_t>(command.labels.size()));
  for (const std::string& label : command.labels) to.add(label);
  if (decision) {
    to.add(decision->seen)
        .add(decision->value ? "1" : "0")
        .add(decision->error ? redis_error_name(*decision->error) : "");
  } else if (applies) {
    add_redis_sums(to, command.equations);
  }
}
/// Version, error, format and text.
inline Outcome redis_outcome(const RedisValue& result) {
  Outcome outcome{.version = result[0].integer()};
  for (const auto& [code, name] : redis_error_names) {
    if (result[1].text() == name) outcome.error = code;
  }
  if (result.size() > 2) outcome.value = redis_stored(result[2], result[3]);
  return outcome;
}

}  // namespace atom::inline v0_1::detail

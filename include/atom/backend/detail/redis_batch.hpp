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

#include <algorithm>
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
/// is no sum, or none that the script can calculate.
inline std::vector<RedisSums> redis_sums(std::span<const AnyEquation* const> equations) {
  std::vector<RedisSums> all;
  for (const AnyEquation* const equation : equations) {
    const std::optional<ClampedSum> next = ClampedSum::of(*equation);
    if (!next) return {};
    const std::optional<ClampedSum> both = all.empty() ? std::nullopt : all.back().sum.then(*next);
    if (both && is_exact_in_redis(*both)) {
      all.back() = {*both, false};
    } else if (is_exact_in_redis(*next)) {
      all.push_back({*next, true});
    } else {
      return {};
    }
  }
  return all;
}
inline void add_redis_sums(RedisRequest& to, std::span<const AnyEquation* const> equations) {
  const std::vector<RedisSums> all = redis_sums(equations);
  if (all.empty()) {
    to.add("1").add("0").add("0");  // no number is in that range
    return;
  }
  const auto add = [&](const std::optional<Number>& number) {
    number ? to.add(static_cast<std::int64_t>(number->integer())) : to.add("");
  };
  const Interval range = interval_of(all.front().sum.kind());
  to.add(static_cast<std::int64_t>(std::max(range.least, 1 - redis_exact)));
  to.add(static_cast<std::int64_t>(std::min(range.most, redis_exact - 1)));
  to.add(static_cast<std::int64_t>(all.size()));
  for (const RedisSums& sums : all) {
    add(sums.sum.summand());
    add(sums.sum.least());
    add(sums.sum.most());
    to.add(sums.is_single ? "1" : "0");
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

/// All of it but its name.
inline void add_redis_command(RedisRequest& to, const Command& command, const std::optional<RedisDecision>& decision) {
  using enum Command::Kind;
  const bool applies = command.kind == apply;
  to.add(command.kind == write   ? "write"
         : command.kind == erase ? "erase"
         : !applies              ? "check"
         : decision              ? "decided"
                                 : "apply");
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
/// In runs of the same scope, none too long for a function of Lua's.
inline void add_redis_commands(RedisRequest& to, std::span<const Command> commands,
                               std::span<const std::optional<RedisDecision>> decisions) {
  constexpr std::size_t most = 1000;
  RedisRequest command, before;
  for (std::size_t begin = 0, end = 0; begin < commands.size(); begin = end) {
    const std::string_view scope = commands[begin].name.scope.text();
    while (end < commands.size() && end - begin < most && commands[end].name.scope.text() == scope) ++end;
    to.add(scope).add(static_cast<std::int64_t>(end - begin));
    for (std::size_t i = begin; i < end; ++i) to.add(commands[i].name.key);
    for (std::size_t i = begin; i < end; ++i) {
      command.clear();
      add_redis_command(command, commands[i], decisions[i]);
      if (command == before) {
        to.add("");
      } else {
        to.add(command);
        std::swap(command, before);
      }
    }
  }
}

// ---- Answers

/// What is stored of a state, "VERSION ENDS FORMAT SIZE LABELS TEXT", or its version alone.
struct RedisState {
  std::int64_t version = 0;
  std::optional<StoredValue> value = {};

  static RedisState parse(std::string_view packed) {
    const auto word = [&] {
      const std::size_t size = packed.find(' ');
      RedisValue::require(size != packed.npos);
      const std::string_view first = packed.substr(0, size);
      packed.remove_prefix(size + 1);
      return redis_integer(first);
    };
    if (packed.find(' ') == packed.npos) return {redis_integer(packed)};
    const std::int64_t version = word();
    word();
    const auto format = static_cast<int>(word());
    const auto labels = static_cast<std::size_t>(word());
    RedisValue::require(labels <= packed.size());
    return {version, StoredValue{std::string(packed.substr(labels)), format}};
  }
};

/// A list of whole numbers, none below 0, and of texts, in MessagePack.
class RedisResults {
 public:
  explicit RedisResults(std::string_view packed) : rest_(packed) {
    const std::size_t head = take(1);
    size_ = head >> 4 == 0x9 ? head & 0xf : head == 0xdc ? take(2) : head == 0xdd ? take(4) : fail();
  }
  std::size_t size() const noexcept { return size_; }
  std::int64_t integer() {
    const std::size_t head = take(1);
    const std::size_t number = head < 0x80 ? head : 0xcc <= head && head <= 0xcf ? take(1u << (head - 0xcc)) : fail();
    return static_cast<std::int64_t>(number);
  }
  std::string_view text() {
    const std::size_t head = take(1);
    const std::size_t size = head >> 5 == 0x5               ? head & 0x1f
                             : 0xd9 <= head && head <= 0xdb ? take(1u << (head - 0xd9))
                                                            : fail();
    RedisValue::require(size <= rest_.size());
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

 private:
  /// An integer of so many bytes.
  std::size_t take(std::size_t bytes) {
    RedisValue::require(bytes <= rest_.size());
    std::size_t number = 0;
    for (std::size_t i = 0; i < bytes; ++i) number = number << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(bytes);
    return number;
  }
  static std::size_t fail() {
    RedisValue::require(false);
    return 0;
  }

  std::string_view rest_;
  std::size_t size_;
};
/// Of each command the version, the error, and the state that was there, if it is wanted.
inline void take_redis_outcomes(std::string_view packed, std::span<Outcome> outcomes) {
  RedisResults results(packed);
  RedisValue::require(results.size() == 3 * outcomes.size());
  for (Outcome& outcome : outcomes) {
    outcome = {.version = results.integer()};
    const std::string_view error = results.text();
    for (const auto& [code, name] : redis_error_names) {
      if (error == name) outcome.error = code;
    }
    if (const std::string_view state = results.text(); !state.empty()) outcome.value = RedisState::parse(state).value;
  }
}

}  // namespace atom::inline v0_1::detail

// States in a Redis server: many processes, on many machines, see each other's changes at once. Redis 6.2 or later, one
// server (with replicas, but no Redis Cluster). Link `atom::redis`.
//
//   atom::StateStore states{atom::Redis{"redis://127.0.0.1"}};
//
// What an acknowledged write survives is the server's setting, not this program's: see `appendonly` and `appendfsync`.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/pool.hpp>
#include <atom/backend/detail/redis_batch.hpp>
#include <atom/backend/detail/redis_connection.hpp>
#include <atom/backend/detail/redis_feed.hpp>
#include <atom/backend/detail/redis_scripts.hpp>
#include <atom/backend/detail/redis_url.hpp>
#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct RedisOptions {
  /// `redis://[user:password@]host[:port][/database]`; `rediss://...` for TLS; `unix://[user:password@]/path[?db=1]`.
  /// In user, password and path `%XX` stands for a byte.
  std::string url = {};
  /// All keys begin with `{name}:`, so that several programs may share a server. Letters, digits, `-`, `_`, `.`.
  std::string name = "atom";
  /// Sends all as plain text even to another machine, the password too: if nobody can listen on the way.
  bool plain_text = false;
  /// The certificates that TLS trusts, a file of PEM; empty: the system's.
  std::string ca_file = {};
  /// So many requests are under way at once; more wait for their turn.
  std::size_t connections = 4;
  /// So many batches the server keeps for feeds whose connection has broken.
  std::size_t feed_length = 10'000;
};

// --------------------------------------------------------------------------------------------------------- the backend

/// States in a Redis server. May be used by several threads; not after `fork`. Each batch is one script, one step of
/// the server. A connection is made when it is needed, and again when it has broken, once for each call: to try again
/// until the deadline is the StateStore's. No error has the user or the password in it. (How long the system takes to
/// find the address of a host is its own affair: that may pass a deadline.)
class Redis : public TextBackend {
 public:
  explicit Redis(RedisOptions options) : options_(std::move(options)) {}
  explicit Redis(std::string url) : Redis(RedisOptions{.url = std::move(url)}) {}
  /// Before it is prepared: `StateStore states{Redis{"redis://127.0.0.1"}}`.
  Redis(Redis&& other) noexcept : options_(std::move(other.options_)) {}
  Redis& operator=(Redis&&) = delete;

  /// For `open_backend`: see `RedisOptions::url`.
  static constexpr std::array<std::string_view, 3> url_schemes{"redis", "rediss", "unix"};
  static Redis from_url(std::string url) {
    static_cast<void>(detail::parse_redis_url(url).value());
    return Redis(std::move(url));
  }

  BackendTraits traits() const noexcept override { return {.name = "redis", .many_equations = true}; }

  /// Connects. A server that would lose states silently, or may not be written to, is refused: one that makes room for
  /// new keys by removing others (`maxmemory-policy`), a replica, a Redis Cluster. There is nothing to create.
  std::optional<StateError> prepare(bool create, Deadline deadline) override {
    const std::lock_guard lock(preparing_);
    if (is_prepared_) return std::nullopt;
    return attempt([&] { connect(create, deadline); });
  }

  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline deadline) override {
    BatchResult result;
    auto error = attempt([&] { result = execute_once(lane, mode, commands, outcomes, deadline); });
    return error ? detail::failed_batch(*std::move(error)) : result;
  }
  /// Sums of integers, with bounds: those the script calculates exactly, or not at all. It knows doubles only.
  bool runs(const AnyEquation& equation, const detail::TypeOps& type) const override {
    return type.read && type.write && detail::redis_sum(equation).has_value();
  }

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes,
                                 Deadline deadline) override {
    return attempt([&] {
      detail::RedisRequest arguments;
      for (const StateName& name : names) {
        arguments.add(name.scope.text()).add(name.key).add(detail::redis_ttl(name.ttl));
      }
      const Reply found = ask(read_, arguments, deadline);
      for (std::size_t i = 0; i < names.size(); ++i) {
        outcomes[i] = {};
        if (found[i].size() > 0) {
          outcomes[i] = {.version = found[i][0].integer(), .value = detail::redis_stored(found[i][1], found[i][2])};
        }
      }
    });
  }
  StateResult<std::vector<FoundState>> list(const Range& range, Deadline deadline) override {
    std::vector<FoundState> found;
    auto error = attempt([&] {
      for (const auto& [first, last] : scopes_of(range.scope, range.below)) {
        list(first, last, range, found, deadline);
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) override {
    std::vector<Scope> found;
    auto error = attempt([&] {
      for (std::string last(after); found.size() < limit;) {
        detail::RedisRequest arguments{after.empty() && last.empty() ? "-" : '(' + last};
        const Reply part = ask(scopes_, arguments.add(some(limit - found.size())), deadline);
        for (std::size_t i = 0; i < part[1].size(); ++i) detail::add_scope(found, part[1][i].text());
        last = part[0].text();
        if (last.empty()) break;
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline deadline) override {
    return erase(deadline, [&](auto erase_some) {
      for (const auto& [first, last] : scopes_of(&scope, true)) {
        erase_some(detail::RedisRequest{"scopes", first, last});
      }
    });
  }
  StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline deadline) override {
    return erase(deadline, [&](auto erase_some) {
      for (const std::string& label : labels) erase_some(detail::RedisRequest{"label", label});
    });
  }

  /// It must not outlive this. It tells what is written in the server under this name, by whomever. When its connection
  /// has broken, it loses track once, and then goes on where it was.
  std::unique_ptr<Feed> open_feed() override {
    const Deadline deadline = Clock::now() + std::chrono::seconds(1);
    return std::make_unique<detail::RedisFeed>(connecting_, base_ + "feed", deadline);
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Connection = detail::RedisConnection;
  using Reply = detail::RedisReply;
  using Value = detail::RedisValue;

  /// The server keeps it under the sum of its text, until it is restarted.
  struct Script {
    std::string_view text;
    std::string sum = {};
    std::string whole() const { return std::string(detail::redis_prelude) + std::string(text); }
  };

  // ---- Whatever is done

  template <class Work>
  std::optional<StateError> attempt(Work work) const {
    return detail::attempt(home_, "Redis", std::move(work));
  }
  /// Runs a script. What fails has had no effect, or this one.
  Reply run(const Script& script, const detail::RedisRequest& arguments, Deadline deadline, Effect effect) {
    const auto connection = detail::lend(connections_, is_prepared_, "Redis", deadline);
    connection->open(deadline);
    const auto send = [&](std::string_view command, std::string_view which) {
      return connection->call(detail::RedisRequest{command, which, "1", base_}.add(arguments), deadline, effect);
    };
    Reply reply = send("EVALSHA", script.sum);
    if (reply.is_error() && reply.text().starts_with("NOSCRIPT")) reply = send("EVAL", script.whole());
    if (!reply.is_error()) return reply;
    // It may be that another server has become the primary, and has the name now.
    if (detail::bare_redis_error(reply.text()).starts_with("READONLY")) connection->close();
    throw detail::redis_error(connecting_.server, reply.text());
  }
  /// Runs one that may be run twice.
  Reply ask(const Script& script, const detail::RedisRequest& arguments, Deadline deadline) {
    try {
      return run(script, arguments, deadline, Effect::none);
    } catch (const StateError& error) {
      if (error.code() != StateErrorCode::unavailable || Clock::now() >= deadline) throw;
    }
    return run(script, arguments, deadline, Effect::none);
  }

  static void add_state(std::vector<FoundState>& found, const Value& state) {
    detail::add_state(found, state[0].text(), state[1].text(), state[2].integer(),
                      detail::redis_stored(state[3], state[4]));
  }
  static std::int64_t some(std::size_t wanted) noexcept { return wanted < 1000 ? std::int64_t(wanted) : 1000; }

  // ---- Preparing

  void connect(bool create, Deadline deadline) {
    const auto wrong = [](const char* what) { return StateError(StateErrorCode::refused, what); };
    constexpr std::string_view good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (options_.name.find_first_not_of(good) != std::string::npos) {
      throw wrong("Redis: RedisOptions::name is letters, digits, '-', '_' and '.'");
    }
    if (options_.name.empty()) throw wrong("Redis: RedisOptions::name is empty");
    base_ = '{' + options_.name + "}:";
    connecting_ = {detail::parse_redis_url(options_.url).value(), options_.plain_text, options_.ca_file};

    Connection connection(connecting_);
    connection.open(deadline);
    require_fit(connection, deadline);
    require_layout(connection, create, deadline);
    for (Script* const script : {&execute_, &read_, &keys_, &scopes_, &end_}) {
      script->sum = call(connection, {"SCRIPT", "LOAD", script->whole()}, deadline).text();
    }
    for (std::size_t i = 0; i < std::max<std::size_t>(options_.connections, 1); ++i) {
      connections_.add(std::make_unique<Connection>(connecting_));
    }
    is_prepared_ = true;
  }
  static Reply call(Connection& connection, const detail::RedisRequest& request, Deadline deadline) {
    Reply reply = connection.call(request, deadline, Effect::none);
    if (reply.is_error()) throw detail::redis_error(connection.server(), reply.text());
    return reply;
  }
  static void require_fit(Connection& connection, Deadline deadline) {
    const Reply reply = call(connection, {"INFO"}, deadline);
    const std::string_view info = reply.text();
    const auto field = [&](const std::string& name) -> std::string_view {
      const std::size_t at = info.find('\n' + name + ':');
      if (at == info.npos) return "";
      const std::string_view rest = info.substr(at + name.size() + 2);
      return rest.substr(0, rest.find_first_of("\r\n"));
    };
    const auto refused = [&](const std::string& why) { return connection.failure(StateErrorCode::refused, why); };
    const std::string_view version = field("redis_version");
    if (version.empty()) throw refused("it does not say which version of Redis it is");
    const auto number = [&](std::size_t at) {
      const std::string_view digits = version.substr(at, version.find('.', at) - at);
      return detail::redis_number(digits, 0, 10000).value_or(0);
    };
    if (number(0) * 1000 + number(version.find('.') + 1) < 6002) {
      throw refused("it is Redis " + std::string(version) + ", and 6.2 or later is needed");
    }
    if (field("redis_mode") == "sentinel") throw refused("it is a sentinel: name the server that it watches");
    if (field("cluster_enabled") == "1" || field("redis_mode") == "cluster") {
      throw refused("a Redis Cluster is not supported yet: name a server that is none");
    }
    if (field("role") == "slave") throw refused("it is a replica, and may only be read: name the primary");
    const std::string_view policy = field("maxmemory_policy");
    if (field("maxmemory") != "0" && policy != "noeviction") {
      throw refused("when its memory is full it forgets states (maxmemory-policy " + std::string(policy) +
                    "): set `maxmemory-policy noeviction`, or use a server for states alone");
    }
  }
  void require_layout(Connection& connection, bool create, Deadline deadline) {
    const std::string meta = base_ + "meta";
    const Reply layout = call(connection, {"HGET", meta, "layout"}, deadline);
    if (layout.is_none()) {
      if (create) call(connection, {"HSETNX", meta, "layout", detail::redis_layout}, deadline);
    } else if (layout.text() != detail::redis_layout) {
      throw connection.failure(StateErrorCode::refused,
                               "another version of this program keeps its states there (layout " +
                                   std::string(layout.text().substr(0, 20)) +
                                   "): use that one, or another RedisOptions::name");
    }
  }

  // ---- A batch

  /// Sends it; and again if there is something to be calculated here, on what has been found there.
  BatchResult execute_once(const Lane& lane, BatchMode mode, std::span<const Command> commands,
                           std::span<Outcome> outcomes, Deadline deadline) {
    tidy(deadline);
    std::vector<std::optional<detail::RedisDecision>> decisions(commands.size());
    for (;;) {
      detail::RedisRequest arguments = head_of(lane, mode, commands.size());
      detail::add_redis_commands(arguments, commands, decisions);
      const Reply reply = run(execute_, arguments, deadline, Effect::unknown);
      try {
        const std::string_view status = reply[0].text();
        if (status == "hard") {
          decide(mode, commands, reply[1], decisions);
          continue;
        }
        if (status == "done") {
          detail::take_redis_outcomes(reply[1].text(), outcomes);
          return {};
        }
        return failure(status, reply);
      } catch (const StateError& error) {
        throw StateError(error.code(), "Redis: an answer that no Redis gives", Effect::unknown, true);
      }
    }
  }
  detail::RedisRequest head_of(const Lane& lane, BatchMode mode, std::size_t count) {
    std::string name;
    for (const std::byte byte : lane.session) {
      name += detail::hex_digits[static_cast<std::size_t>(byte) >> 4];
      name += detail::hex_digits[static_cast<std::size_t>(byte) & 15];
    }
    detail::RedisRequest head{name + ':' + std::to_string(lane.number)};
    head.add(static_cast<std::int64_t>(lane.sequence)).add(lane.after_loss ? "1" : "0");
    head.add(mode == BatchMode::all_or_nothing ? "1" : "0");
    return head.add(static_cast<std::int64_t>(options_.feed_length)).add(static_cast<std::int64_t>(count));
  }
  BatchResult failure(std::string_view status, const Reply& reply) const {
    const auto refused = [](const char* why) {
      return BatchResult{BatchStatus::not_applied, StateError(StateErrorCode::refused, why)};
    };
    if (status == "older") return refused("Redis: the batch is older than its lane");
    if (status == "other") return refused("Redis: another batch had this number");
    if (status == "broken") {  // the lane was written, and something after it was not
      return {BatchStatus::in_doubt, detail::redis_error(connecting_.server, reply[1].text(), Effect::unknown)};
    }
    if (status == "in part") {  // so it was when it came before; to ask again tells no more
      const StateError why = detail::redis_error(connecting_.server, reply[1].text());
      return {
          BatchStatus::not_applied,
          StateError(why.code(), "Redis: the batch was carried out in part when this failed: " + detail::reason(why),
                     Effect::unknown)};
    }
    Value::require(status == "gap");
    return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "Redis: batches are missing"),
            static_cast<std::uint64_t>(reply[1].integer())};
  }

  /// Calculates what the script has left: of each command its number, and the state that is there.
  void decide(BatchMode mode, std::span<const Command> commands, const Value& left,
              std::vector<std::optional<detail::RedisDecision>>& decisions) const {
    for (std::size_t k = 0; k < left.size(); ++k) {
      const std::uint64_t i = static_cast<std::uint64_t>(left[k][0].integer()) - 1;  // of 0, one that is too great
      Value::require(i < commands.size() && commands[i].kind == Command::Kind::apply);
      const std::string_view packed = left[k][1].text();
      const auto there = packed.empty() ? detail::RedisState() : detail::RedisState::parse(packed);
      Made made = calculate(mode, commands[i], there.value ? *there.value : *commands[i].value);
      decisions[i] = {there.version, made.error, std::move(made.value)};
    }
  }

  /// Once a minute, in passing, states whose time is over are removed; sooner, if there are more of them. If that
  /// fails, it is done some other time.
  void tidy(Deadline deadline) {
    const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count();
    std::int64_t next = next_tidy_.load();
    if (now < next || !next_tidy_.compare_exchange_strong(next, now + 60)) return;
    static_cast<void>(attempt([&] {
      if (end_some({"over"}, deadline)[0].integer() >= at_once) next_tidy_ = 0;
    }));
  }

  // ---- Lists

  /// The scopes that are meant: from the first text to the last, as Redis has ranges. What lies below `a` begins with
  /// `a.`, and `/`, which no scope has, is the character after the dot.
  static std::vector<std::pair<std::string, std::string>> scopes_of(const Scope* scope, bool below) {
    if (!scope) return {{"-", "+"}};
    const std::string from = '[' + scope->text();
    if (!below) return {{from, from}};
    return {{from, from}, {from + '.', '(' + scope->text() + '/'}};
  }
  void list(std::string first, const std::string& last, const Range& range, std::vector<FoundState>& found,
            Deadline deadline) {
    // A range that begins later: `[` and `(` are before any text.
    if (!range.after_scope.empty() && (first == "-" || range.after_scope > std::string_view(first).substr(1))) {
      first = '[' + std::string(range.after_scope);
    }
    while (found.size() < range.limit) {
      const Reply part = ask(keys_, detail::RedisRequest{first, last, "100"}, deadline);
      if (part.size() == 0) return;
      for (std::size_t i = 0; i < part.size() && found.size() < range.limit; ++i) {
        const std::string_view scope = part[i][0].text();
        list(scope, part[i][1], scope == range.after_scope ? range.after_key : "", range.limit, found, deadline);
        first = '(' + std::string(scope);
      }
    }
  }
  /// Of one scope: reads the states, whose keys are in no order, after a key.
  void list(std::string_view scope, const Value& unsorted, std::string_view after, std::size_t limit,
            std::vector<FoundState>& found, Deadline deadline) {
    std::vector<std::string_view> keys;
    for (std::size_t i = 0; i < unsorted.size(); ++i) {
      if (unsorted[i].text() > after) keys.push_back(unsorted[i].text());
    }
    std::sort(keys.begin(), keys.end());
    for (std::size_t begin = 0; begin < keys.size() && found.size() < limit;) {
      const auto count = std::min(keys.size() - begin, static_cast<std::size_t>(some(limit - found.size())));
      detail::RedisRequest arguments;
      for (std::size_t i = 0; i < count; ++i) arguments.add(scope).add(keys[begin + i]).add("0");
      const Reply states = ask(read_, arguments, deadline);
      for (std::size_t i = 0; i < count; ++i) {
        if (states[i].size() == 0) continue;  // its time is over, or it has just ended
        detail::add_state(found, scope, keys[begin + i], states[i][0].integer(),
                          detail::redis_stored(states[i][1], states[i][2]));
      }
      begin += count;
    }
  }

  /// In parts, so that the server does not stand still for others. One that fails may have ended some.
  template <class All>
  StateResult<std::vector<FoundState>> erase(Deadline deadline, All all) {
    std::vector<FoundState> erased;
    bool has_begun = false;
    auto error = attempt([&] {
      all([&](const detail::RedisRequest& which) {
        for (std::int64_t seen = at_once; seen >= at_once;) {
          const Reply part = end_some(which, deadline);
          has_begun = true;
          seen = part[0].integer();
          for (std::size_t i = 0; i < part[1].size(); ++i) add_state(erased, part[1][i]);
        }
      });
    });
    if (!error) return erased;
    if (!has_begun || error->effect() != Effect::none) return *std::move(error);
    return StateError(error->code(), "Redis: a part was ended when this failed: " + detail::reason(*error),
                      Effect::unknown, error->retryable());
  }

  static constexpr std::int64_t at_once = 1000;
  Reply end_some(const detail::RedisRequest& which, Deadline deadline) {
    detail::RedisRequest arguments;
    arguments.add(static_cast<std::int64_t>(options_.feed_length)).add(at_once).add(which);
    Reply part = run(end_, arguments, deadline, Effect::unknown);
    if (part[0].integer() < 0) throw detail::redis_error(connecting_.server, part[1].text(), Effect::unknown);
    return part;
  }

  RedisOptions options_;
  const detail::HomeProcess home_;
  std::mutex preparing_;
  std::atomic<bool> is_prepared_ = false;
  std::string base_;
  Connection::Options connecting_;
  Script execute_{detail::redis_execute}, read_{detail::redis_read}, keys_{detail::redis_keys},
      scopes_{detail::redis_scopes}, end_{detail::redis_end};
  detail::Pool<Connection> connections_;
  std::atomic<std::int64_t> next_tidy_ = 0;  // in seconds of the steady clock
};

}  // namespace atom::inline v0_1

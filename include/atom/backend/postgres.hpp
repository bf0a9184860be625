// States in a PostgreSQL server, shared by the processes of many machines. Link `atom::postgres`.
//
//   atom::StateStore states{atom::Postgres{"postgresql://app@db.example.com/app?sslmode=verify-full"}};
//
// What the text does not say comes from the environment (PGHOST, PGUSER, PGPASSWORD, ...), as with all that use libpq.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/pool.hpp>
#include <atom/backend/detail/postgres_answers.hpp>
#include <atom/backend/detail/postgres_connection.hpp>
#include <atom/backend/detail/postgres_feed.hpp>
#include <atom/backend/detail/postgres_statements.hpp>
#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/clamped_sum.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct PostgresOptions {
  /// A URL or `keyword=value` pairs, as libpq has them; or empty: the environment says it all.
  std::string url = {};
  /// So many connections at most, besides one for each store that somebody listens to. Each is made when it is needed.
  std::size_t connections = 8;
  /// false: behind a pooler such as PgBouncer that gives each transaction another session. Slower.
  bool prepares_statements = true;
  /// Whether a store is told of what others write. If not, what somebody listens to is read again and again, as often
  /// as `StoreOptions::staleness` says.
  bool listens = true;
  /// Where to listen, if not at `url`: behind a pooler, at the server itself.
  std::string listen_url = {};
};

/// States in two tables, `atom_state` and `atom_lane`, in the first schema of the search path that has them. Any number
/// of objects and processes may use them; none may use an object after `fork`. A batch is one statement, in a
/// transaction of its own with its number. Errors name no value, no key and no password.
class Postgres : public TextBackend {
 public:
  explicit Postgres(PostgresOptions options) : options_(std::move(options)) {}
  /// See `PostgresOptions::url`.
  explicit Postgres(std::string url) : Postgres(PostgresOptions{.url = std::move(url)}) {}
  /// Before it is prepared: `StateStore states{Postgres{"..."}}`.
  Postgres(Postgres&& other) noexcept : options_(std::move(other.options_)) {}
  Postgres& operator=(Postgres&&) = delete;

  /// For `open_backend`: what `PostgresOptions::url` says of a URL.
  static constexpr std::array<std::string_view, 2> url_schemes{"postgresql", "postgres"};
  static Postgres from_url(std::string url) {
    if (url.find("://") == url.npos) throw refusal("its URL is postgresql://USER@HOST/DATABASE");
    require_good_url(url);
    return Postgres(std::move(url));
  }

  /// The statements that make the tables, for those who do that themselves. Whoever uses the tables must be granted
  /// select, insert, update and delete on both.
  static std::string schema() { return detail::postgres_schema_text(); }

  BackendTraits traits() const noexcept override { return {.name = "postgres"}; }

  /// Connects. A server that cannot be written to, whose text is not UTF-8 or that is older than version 12 is refused,
  /// and so are tables of these names that are another's or of a newer version of this program; they stay as they are.
  std::optional<StateError> prepare(bool create, Deadline deadline) override {
    const std::lock_guard lock(preparing_);
    if (is_prepared_) return std::nullopt;
    return attempt([&] {
      if (connections_ == 0) {
        for (; connections_ < std::max<std::size_t>(options_.connections, 1); ++connections_) {
          pool_.add(std::make_unique<Connection>(target(options_.url)));
        }
      }
      require_good_url(options_.url);
      require_good_url(options_.listen_url);
      const Lease connection = borrow(deadline);
      if (!has_tables(*connection)) {
        if (!create) throw refusal("it has no tables: `prepare` makes them if it is told to create, or run schema()");
        make_tables(*connection);
        if (!has_tables(*connection)) throw refusal("the tables that were made are not found: see its search_path");
      }
      is_prepared_ = true;
    });
  }

  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline deadline) override {
    BatchResult result;
    auto error = attempt([&] {
      const Lease connection = borrow(deadline);
      result = execute_on(*connection, lane, mode, commands, outcomes);
    });
    return error ? detail::failed_batch(*std::move(error)) : result;
  }
  /// Of integers, what comes to min(most, max(least, x + summand)); the server has the same integers.
  bool runs(const AnyEquation& equation, const detail::TypeOps& type) const override {
    return type.read && type.write && ClampedSum::of(equation).has_value();
  }

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes,
                                 Deadline deadline) override {
    return attempt([&] {
      Array scopes = Array::of_texts(), keys = Array::of_texts();
      for (std::size_t i = 0; i < names.size(); ++i) {
        outcomes[i] = {};
        scopes.add(names[i].scope.text());
        keys.add(names[i].key);
      }
      const Lease connection = borrow(deadline);
      connection->add(detail::postgres::read, Parameters(scopes, keys));
      touch(*connection, names);
      connection->end(Effect::none);
      const Rows rows = std::move(connection->receive().front());
      for (int row = 0; row < rows.size(); ++row) {
        const std::size_t i = detail::postgres_place(rows, row, 0, names.size(), Effect::none);
        outcomes[i] = {.version = rows.integer(row, 1), .value = detail::postgres_value(rows, row, 2)};
      }
    });
  }
  StateResult<std::vector<FoundState>> list(const Range& range, Deadline deadline) override {
    std::vector<FoundState> found;
    auto error = attempt([&] {
      for (const auto& [first, last] : detail::texts_of(range.scope, range.below, detail::beyond_all_texts())) {
        const bool is_later = range.after_scope > first;
        std::string scope = detail::last_text_before(is_later ? range.after_scope : first);
        std::string key = detail::last_text_before(is_later || range.after_scope == first ? range.after_key : "");
        const Lease connection = borrow(deadline);
        while (found.size() < range.limit) {  // of what comes, some may be none of ours
          const std::int64_t limit = detail::limit_of(range.limit - found.size());
          const Rows rows = ask(*connection, detail::postgres::list, Parameters(scope, key, last, limit));
          detail::add_postgres_states(found, rows);
          if (rows.size() < limit) break;
          scope = rows.text(rows.size() - 1, 0);
          key = rows.text(rows.size() - 1, 1);
        }
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) override {
    std::vector<Scope> found;
    auto error = attempt([&] {
      std::string last = detail::last_text_before(after);
      const Lease connection = borrow(deadline);
      while (found.size() < limit) {
        const std::int64_t some = detail::limit_of(limit - found.size());
        const Rows rows = ask(*connection, detail::postgres::scopes, Parameters(last, some));
        for (int row = 0; row < rows.size(); ++row) detail::add_scope(found, rows.text(row, 0));
        if (rows.size() < some) break;
        last = rows.text(rows.size() - 1, 0);
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline deadline) override {
    return erase(detail::postgres::erase_scope, Parameters(scope.text()), deadline);
  }
  StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline deadline) override {
    Array all = Array::of_texts();
    for (const std::string& label : labels) all.add(stored_label(label));
    return erase(detail::postgres::purge, Parameters(all), deadline);
  }

  /// It must not outlive this. It tells what is written through this object; of what others write, that they did.
  std::unique_ptr<Feed> open_feed() override {
    if (!options_.listens) return nullptr;
    PostgresTarget target = this->target(options_.listen_url.empty() ? options_.url : options_.listen_url);
    auto feed = std::make_unique<detail::PostgresFeed>(std::move(target), origin_, feeds_);
    if (!*feed) return nullptr;
    return feed;
  }

 private:
  using Connection = detail::PostgresConnection;
  using PostgresTarget = detail::PostgresTarget;
  using Rows = detail::PostgresRows;
  using Parameters = detail::PostgresParameters;
  using Array = detail::PostgresArray;
  using Lease = detail::Pool<Connection>::Lease;
  using Clock = std::chrono::steady_clock;

  // ---- Whatever is done

  template <class Work>
  std::optional<StateError> attempt(Work work) const {
    return detail::attempt(home_, "PostgreSQL", std::move(work));
  }
  PostgresTarget target(const std::string& url) const { return {url, options_.prepares_statements}; }
  Lease borrow(Deadline deadline) {
    Lease lease = detail::lend(pool_, connections_ > 0, "PostgreSQL", deadline);
    try {  // what has become of it since it was used last
      if (lease->is_open()) lease->pass_on();
    } catch (const StateError&) {  // it is closed now
    }
    lease->open(deadline);
    return lease;
  }
  static Rows ask(Connection& connection, const detail::PostgresStatement& statement, const Parameters& parameters) {
    connection.add(statement, parameters);
    connection.end(Effect::none);
    return std::move(connection.receive().front());
  }
  static StateError refusal(const std::string& why) { return {StateErrorCode::refused, "PostgreSQL: " + why}; }

  // ---- What is there before the first batch

  /// What is wrong with it is not told: it may be a piece of a password.
  static void require_good_url(const std::string& url) {
    if (url.find('=') == url.npos && url.find("://") == url.npos) return;  // the name of a database
    char* message = nullptr;
    PQconninfoOption* const parsed = PQconninfoParse(url.c_str(), &message);
    PQfreemem(message);
    PQconninfoFree(parsed);
    if (parsed) return;
    throw refusal(
        "libpq does not read its URL, or what stands in its place: in a URL all but letters, digits and -._~ of a name "
        "or a password is %XX, and among keyword=value one with spaces is 'a b'");
  }
  /// Whether the tables are there; those of others are refused, as is a server that is not good for them.
  static bool has_tables(Connection& connection) {
    const Rows rows = ask(connection, detail::postgres::inspect, Parameters());
    if (connection.server_version() < 120000) throw refusal("its server is older than version 12");
    if (rows.text(0, 0) != "UTF8") {
      throw refusal("the encoding of its database is " + std::string(rows.text(0, 0)) + ": make one with UTF8");
    }
    if (rows.integer(0, 1) != 0) {
      throw refusal("its server is a standby or read-only: name the one that takes writes");
    }
    bool has_all = true;
    for (const int column : {2, 3}) {
      if (rows.is_null(0, column)) {
        has_all = false;
        continue;
      }
      const std::string table = column == 2 ? "atom_state" : "atom_lane";
      const std::string_view mark = rows.text(0, column);
      if (mark == detail::postgres_mark) continue;
      if (mark.starts_with("atom::Postgres")) {
        throw refusal("a newer version of this program has made its table " + table + ": use that one");
      }
      throw refusal("its table " + table +
                    " is another application's (ours says so in a comment): name another schema");
    }
    if (!rows.is_null(0, 4) && rows.integer(0, 4) == 0) {
      throw refusal("its user must be granted select, insert, update and delete on atom_state and atom_lane");
    }
    return has_all;
  }
  static void make_tables(Connection& connection) {
    connection.add(detail::postgres::lock_schema);
    for (const detail::PostgresStatement& statement : detail::postgres_schema) connection.add(statement);
    connection.end(Effect::none);
    connection.receive();
  }

  // ---- Rows

  /// A label may be any bytes.
  static std::string stored_label(std::string_view label) {
    std::string text;
    detail::escape(text, label);
    return text;
  }
  /// In milliseconds; nothing: for ever. Longer than a thousand years is that, too, as no date is there.
  static std::optional<std::int64_t> time_to_live(std::int64_t ttl) noexcept {
    constexpr std::int64_t most = std::int64_t{1000} * 366 * 24 * 3600 * 1000;
    return ttl > 0 && ttl <= most ? std::optional(ttl) : std::nullopt;
  }
  /// Begins the time to live anew of those for which it is wanted.
  static void touch(Connection& connection, std::span<const StateName> names) {
    std::vector<const StateName*> wanted;
    for (const StateName& name : names) {
      if (name.ttl > 0) wanted.push_back(&name);
    }
    if (wanted.empty()) return;
    std::sort(wanted.begin(), wanted.end(),
              [](const StateName* a, const StateName* b) { return comes_before(*a, *b); });
    Array scopes = Array::of_texts(), keys = Array::of_texts(), ttls = Array::of_integers();
    for (const StateName* name : wanted) {
      scopes.add(name->scope.text());
      keys.add(name->key);
      ttls.add(time_to_live(name->ttl));
    }
    connection.add(detail::postgres::touch, Parameters(scopes, keys, ttls));
  }
  /// The order in which all lock rows, so that none waits for another in a circle.
  static bool comes_before(const StateName& a, const StateName& b) noexcept {
    return std::tie(a.scope.text(), a.key) < std::tie(b.scope.text(), b.key);
  }

  // ---- A batch

  static std::string text_of(detail::Int128 value) {
    const Number number = Number::of(value);
    return value < 0 ? std::to_string(number.int64()) : std::to_string(number.uint64());
  }

  BatchResult execute_on(Connection& connection, const Lane& lane, BatchMode mode, std::span<const Command> commands,
                         std::span<Outcome> outcomes) {
    std::vector<std::size_t> order(commands.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return comes_before(commands[a].name, commands[b].name); });
    const auto sequence = static_cast<std::int64_t>(lane.sequence);
    if (sequence == 1 || lane.after_loss) {
      connection.add(detail::postgres::add_lane, Parameters(lane.session, std::int64_t{lane.number}));
    }
    connection.add(detail::postgres::batch, parameters_of(lane, mode, commands, order));
    connection.end(Effect::unknown);
    if (const std::string notice = notice_of(commands); !notice.empty()) tell_others(connection, notice);
    tidy(connection);
    const Rows rows = std::move(connection.receive().back());

    return detail::take_postgres_outcomes(rows, lane.sequence, commands, order, outcomes,
                                          [&](const Command& command, std::int64_t version, const StoredValue* value) {
                                            feeds_.tell(command.name, version, value);
                                          });
  }
  static Parameters parameters_of(const Lane& lane, BatchMode mode, std::span<const Command> commands,
                                  std::span<const std::size_t> order) {
    Array kinds = Array::of_integers(), expected = Array::of_integers(), formats = Array::of_integers(),
          ttls = Array::of_integers();
    Array scopes = Array::of_texts(), keys = Array::of_texts(), values = Array::of_texts(), lowest = Array::of_texts(),
          highest = Array::of_texts(), summands = Array::of_texts(), least = Array::of_texts(),
          most = Array::of_texts(), labels = Array::of_texts();
    for (const std::size_t i : order) {
      const Command& command = commands[i];
      kinds.add(static_cast<std::int64_t>(command.kind));
      scopes.add(command.name.scope.text());
      keys.add(command.name.key);
      expected.add(command.expected);
      const bool has_value = command.kind == Command::Kind::write || command.kind == Command::Kind::apply;
      formats.add(has_value ? command.value->format : 0);
      has_value ? values.add(command.value->text) : values.add_null();
      ttls.add(time_to_live(command.ttl));
      // (A late repetition may come without its equations: it gets the outcome of the first time.)
      const auto sum = command.equations.empty() ? std::nullopt : ClampedSum::of(*command.equations.front());
      const auto add_bound = [](Array& to, std::optional<Number> bound) {
        bound ? to.add(text_of(bound->integer())) : to.add_null();
      };
      const auto [low, high, _] = detail::interval_of(sum ? sum->kind() : NumberKind::i64);
      lowest.add(text_of(low));
      highest.add(text_of(high));
      add_bound(summands, sum ? std::optional(sum->summand()) : std::nullopt);
      add_bound(least, sum ? sum->least() : std::nullopt);
      add_bound(most, sum ? sum->most() : std::nullopt);
      command.labels.empty() ? labels.add_null() : labels.add(labels_of(command));
    }
    return Parameters(lane.session, std::int64_t{lane.number}, static_cast<std::int64_t>(lane.sequence),
                      lane.after_loss, mode == BatchMode::all_or_nothing, kinds, scopes, keys, expected, formats,
                      values, ttls, labels, lowest, highest, summands, least, most);
  }
  /// As one text: no label has a character that would have to be escaped.
  static std::string labels_of(const Command& command) {
    std::string text;
    for (const std::string& label : command.labels) text += (text.empty() ? "{\"" : ",\"") + stored_label(label) + '"';
    return text + '}';
  }
  StateResult<std::vector<FoundState>> erase(const detail::PostgresStatement& statement, const Parameters& parameters,
                                             Deadline deadline) {
    std::vector<FoundState> erased;
    auto error = attempt([&] {
      const Lease connection = borrow(deadline);
      connection->add(statement, parameters);
      connection->end(Effect::unknown);
      detail::add_postgres_states(erased, connection->receive().front());
      std::string notice = origin_;
      for (const FoundState& state : erased) {
        feeds_.tell({state.scope, state.key}, state.version, nullptr);
        detail::add_to_postgres_notice(notice, state.scope, state.key);
      }
      if (erased.empty()) return;
      try {
        tell_others(*connection, notice);
        connection->pass_on();
      } catch (const StateError&) {  // it is done; and who listens finds out that the connection was lost
      }
    });
    if (error) return *std::move(error);
    return erased;
  }

  // ---- In passing

  /// Of what a batch may change; empty: of nothing.
  std::string notice_of(std::span<const Command> commands) const {
    std::string notice = origin_;
    for (const Command& command : commands) {
      if (command.kind == Command::Kind::check) continue;
      detail::add_to_postgres_notice(notice, command.name.scope, command.name.key);
    }
    return notice == origin_ ? "" : notice;
  }
  /// Sent along with the batch, but as a transaction that follows it.
  static void tell_others(Connection& connection, const std::string& notice) {
    connection.add(detail::postgres::tell, Parameters(notice));
    connection.end_untold();
  }
  /// Every ten seconds: removes what has ended, and lanes that nobody uses any more.
  void tidy(Connection& connection) {
    const Clock::time_point now = Clock::now();
    Clock::time_point next = next_tidy_.load();
    if (now < next || !next_tidy_.compare_exchange_strong(next, now + std::chrono::seconds(10))) return;
    connection.add(detail::postgres::tidy);
    connection.add(detail::postgres::tidy_lanes);
    connection.end_untold();
  }

  PostgresOptions options_;
  const std::string origin_ = detail::random_text(16);
  const detail::HomeProcess home_;
  std::mutex preparing_;
  std::atomic<bool> is_prepared_ = false;
  std::atomic<std::size_t> connections_ = 0;
  detail::Pool<Connection> pool_;
  detail::PostgresFeeds feeds_;
  std::atomic<Clock::time_point> next_tidy_{Clock::now() + std::chrono::seconds(10)};
};

}  // namespace atom::inline v0_1

// States in a file: what a program needs that keeps them over a restart, without a server. Several processes of one
// machine may use the file at once. Link `atom::sqlite`.
//
//   atom::StateStore states{atom::Sqlite{"app.db"}};
//
// SQLite has two more files beside it, `app.db-wal` and `app.db-shm`: the three belong together, and on a local disk.
#pragma once

#include <atom/backend/detail/change_queue.hpp>
#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/pool.hpp>
#include <atom/backend/detail/sqlite_connection.hpp>
#include <atom/backend/detail/sqlite_file.hpp>
#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/detail/outcomes.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// What an acknowledged write survives.
enum class Synchronous : std::uint8_t {
  full,    ///< A power cut: each batch waits until it is on the disk.
  normal,  ///< The end of the process, however it comes. A power cut may undo the last batches; the file stays sound.
};

struct SqliteOptions {
  /// The file. Its folder must be there. The umask decides who may read a new one.
  std::string path = {};
  Synchronous synchronous = Synchronous::full;
  /// How often a feed looks whether another process has written.
  std::chrono::milliseconds poll_every{20};
  /// So many threads read at once; more wait for their turn.
  std::size_t readers = 4;
};

// --------------------------------------------------------------------------------------------------------- the backend

/// States in a file. Several objects and several processes may use one file; none may use an object after `fork`. A
/// read never waits for a write; writes are one batch at a time, over all processes. What goes wrong with the file is
/// an error that names it; where the batch may nevertheless be on the disk, as after an I/O error, it is in doubt.
class Sqlite : public TextBackend {
 public:
  explicit Sqlite(SqliteOptions options) : options_(std::move(options)) {}
  explicit Sqlite(std::string path) : Sqlite(SqliteOptions{.path = std::move(path)}) {}
  /// Before it is prepared: `StateStore states{Sqlite{"app.db"}}`.
  Sqlite(Sqlite&& other) noexcept : options_(std::move(other.options_)) {}
  Sqlite& operator=(Sqlite&&) = delete;

  /// For `open_backend`: `sqlite:` and the path, `sqlite:app.db`, `sqlite:/var/lib/app.db`, `sqlite:///var/lib/app.db`.
  static constexpr std::array<std::string_view, 1> url_schemes{"sqlite"};
  static Sqlite from_url(std::string url) {
    url.erase(0, url_schemes[0].size() + 1);
    if (url.starts_with("///")) url.erase(0, 2);
    // After two slashes a URL has a host: `sqlite://app.db` would be a file in the root folder.
    if (!url.empty() && !url.starts_with("//")) return Sqlite(std::move(url));
    throw StateError(StateErrorCode::refused,
                     "the URL of states in SQLite is sqlite: and a path: sqlite:app.db, sqlite:///var/lib/app.db");
  }

  BackendTraits traits() const noexcept override { return {.name = "sqlite", .many_equations = true}; }

  /// Opens the file. One that is not ours, is damaged or read-only, or that a newer version of this program has written
  /// is refused, and left as it is.
  std::optional<StateError> prepare(bool create, Deadline deadline) override {
    const std::lock_guard lock(preparing_);
    if (is_prepared_) return std::nullopt;
    return attempt([&] { open(create, deadline); });
  }

  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline deadline) override {
    BatchResult result;
    auto error = attempt([&] {
      const Lease writer = borrow(writers_, deadline);
      result = execute_with(*writer, lane, mode, commands, outcomes);
    });
    return error ? detail::failed_batch(*std::move(error)) : result;
  }
  /// All of them: in the transaction, by the very code that an equation has in the program.
  bool runs(const AnyEquation&, const detail::TypeOps& type) const override { return type.read && type.write; }

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes,
                                 Deadline deadline) override {
    auto error = attempt([&] {
      const Lease reader = borrow(readers_, deadline);
      std::optional<Transaction> snapshot;
      if (names.size() > 1) snapshot.emplace(*reader, Transaction::Kind::read);
      for (std::size_t i = 0; i < names.size(); ++i) {
        outcomes[i] = {};
        Rows rows = find(*reader, names[i]);
        if (rows.next() && !is_over(rows)) outcomes[i] = {.version = rows.integer(0), .value = value_of(rows)};
      }
    });
    return error ? error : touch(names, outcomes, deadline);
  }
  StateResult<std::vector<FoundState>> list(const Range& range, Deadline deadline) override {
    std::vector<FoundState> found;
    auto error = attempt([&] {
      const Lease reader = borrow(readers_, deadline);
      const Transaction snapshot(*reader, Transaction::Kind::read);
      for (const auto& [first, last] : detail::texts_of(range.scope, range.below, beyond_all_texts)) {
        const bool is_later = range.after_scope > first;
        const std::string_view scope = is_later ? range.after_scope : first;
        const std::string_view key = is_later || range.after_scope == first ? range.after_key : "";
        Rows rows = reader->query(
            "select version, expires_at, format, value, scope, key from atom_state"
            " where (scope, key) > (?1, ?2) and scope <= ?3 and (expires_at is null or expires_at > ?4)"
            " order by scope, key",
            scope, key, last, now());
        while (found.size() < range.limit && rows.next()) add_state(found, rows);
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) override {
    std::vector<Scope> found;
    auto error = attempt([&] {
      const Lease reader = borrow(readers_, deadline);
      Rows rows = reader->query(
          "select distinct scope from atom_state where scope > ?1 and (expires_at is null or expires_at > ?2)"
          " order by scope",
          after, now());
      while (found.size() < limit && rows.next()) detail::add_scope(found, rows.text(0));
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline deadline) override {
    return erase(deadline, [&](Connection& writer, auto take) {
      for (const auto& [first, last] : detail::texts_of(&scope, true, beyond_all_texts)) {
        take(
            writer.query("delete from atom_state where scope >= ?1 and scope <= ?2"
                         " returning version, expires_at, format, value, scope, key",
                         first, last));
      }
    });
  }
  StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline deadline) override {
    return erase(deadline, [&](Connection& writer, auto take) {
      for (const std::string& label : labels) {
        take(
            writer.query("delete from atom_state where (scope, key) in"
                         " (select scope, key from atom_label where label = ?1)"
                         " returning version, expires_at, format, value, scope, key",
                         label));
      }
    });
  }

  /// It must not outlive this. It tells what is written through this object; of what others write, another process or
  /// another object, that they did.
  std::unique_ptr<Feed> open_feed() override { return std::make_unique<Changes>(*this); }

 private:
  using Connection = detail::SqliteConnection;
  using Rows = detail::SqliteRows;
  using Transaction = detail::SqliteTransaction;
  using Lease = detail::Pool<Connection>::Lease;
  using Clock = std::chrono::steady_clock;

  static constexpr const char* beyond_all_texts = "\xff";

  /// What a command comes to, before anything is written.
  struct Step {
    bool clears = false;  // there is a row, and its time is over
    std::optional<StoredValue> calculated = {};
  };
  /// The value that it writes, or null.
  static const StoredValue* next_value(const Command& command, const Step& step) noexcept {
    if (command.kind == Command::Kind::write) return command.value;
    return step.calculated ? &*step.calculated : nullptr;
  }

  // ---- Whatever is done

  template <class Work>
  std::optional<StateError> attempt(Work work) const {
    return detail::attempt(home_, "SQLite", std::move(work));
  }
  Lease borrow(detail::Pool<Connection>& pool, Deadline deadline) {
    Lease lease = detail::lend(pool, is_prepared_, "SQLite", deadline);
    lease->deadline = deadline;
    return lease;
  }
  void open(bool create, Deadline deadline) {
    if (!Connection::has_threads()) throw StateError(StateErrorCode::refused, "SQLite was built without threads");
    if (options_.path.empty()) throw StateError(StateErrorCode::refused, "SQLite: the path of the file is empty");
    std::error_code none;  // absolute, so that ":memory:" and "file:..." are names as any other
    const std::string path = std::filesystem::absolute(options_.path, none).string();
    auto writer = std::make_unique<Connection>(path, create, deadline);
    detail::require_own_file(*writer, create);
    // If something is wrong with the file, what others have left in the log is not put into it.
    if (writer->has_log()) writer->set_copies_log_at_end(false);
    detail::bring_up_to_date(*writer, detail::sqlite_schema, create);
    detail::use_write_ahead_log(*writer);
    if (options_.synchronous == Synchronous::full) {
      writer->run("pragma synchronous = full");
    } else {
      writer->run("pragma synchronous = normal");
    }
    std::vector<std::unique_ptr<Connection>> readers(std::max<std::size_t>(options_.readers, 1));
    for (auto& reader : readers) reader = std::make_unique<Connection>(path, false, deadline);
    writer->set_copies_log_at_end(true);
    for (auto& reader : readers) readers_.add(std::move(reader));
    writers_.add(std::move(writer));
    is_prepared_ = true;
  }

  // ---- Rows: version, expires_at, format, value, scope, key

  static Rows find(Connection& connection, const StateName& name) {
    return connection.query("select version, expires_at, format, value from atom_state where scope = ?1 and key = ?2",
                            name.scope.text(), name.key);
  }
  static std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  static bool is_over(const Rows& rows) { return !rows.is_null(1) && rows.integer(1) <= now(); }
  static StoredValue value_of(const Rows& rows) {
    return {std::string(rows.text(3)), static_cast<int>(rows.integer(2))};
  }
  static void add_state(std::vector<FoundState>& found, const Rows& rows) {
    detail::add_state(found, rows.text(4), rows.text(5), rows.integer(0), value_of(rows));
  }

  /// Begins the time to live anew of what was found, where it is wanted.
  std::optional<StateError> touch(std::span<const StateName> names, std::span<const Outcome> found, Deadline deadline) {
    const auto is_wanted = [&](std::size_t i) { return names[i].ttl > 0 && found[i].version > 0; };
    std::size_t first = 0;
    while (first < names.size() && !is_wanted(first)) ++first;
    if (first == names.size()) return std::nullopt;
    return attempt([&] {
      const Lease writer = borrow(writers_, deadline);
      Transaction transaction(*writer, Transaction::Kind::write);
      for (std::size_t i = first; i < names.size(); ++i) {
        if (!is_wanted(i)) continue;
        writer->run("update atom_state set expires_at = ?3 where scope = ?1 and key = ?2 and expires_at > ?4",
                    names[i].scope.text(), names[i].key, end_of(names[i].ttl), now());
      }
      transaction.commit();
    });
  }

  // ---- A batch

  BatchResult execute_with(Connection& writer, const Lane& lane, BatchMode mode, std::span<const Command> commands,
                           std::span<Outcome> outcomes) {
    const detail::SqlBlob session{{reinterpret_cast<const char*>(lane.session.data()), lane.session.size()}};
    const auto sequence = static_cast<std::int64_t>(lane.sequence);
    Transaction transaction(writer, Transaction::Kind::write);
    {
      Rows rows = writer.query("select sequence, results from atom_lane where session = ?1 and number = ?2", session,
                               std::int64_t{lane.number});
      const std::int64_t last = rows.next() ? rows.integer(0) : 0;
      if (sequence == last) {
        if (detail::unpack_outcomes(rows.text(1), outcomes)) return {};
        throw StateError(StateErrorCode::refused, "SQLite: another batch had this number");
      }
      if (sequence < last) throw StateError(StateErrorCode::refused, "SQLite: the batch is older than its lane");
      if (sequence > last + 1 && !lane.after_loss) {
        return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "SQLite: batches are missing"),
                static_cast<std::uint64_t>(last)};
      }
    }
    std::vector<Step> steps(commands.size());
    bool all = true;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      outcomes[i] = {};
      steps[i] = judge(writer, mode, commands[i], outcomes[i]);
      all = all && !outcomes[i].error;
    }
    const bool takes_effect = all || mode == BatchMode::independent;
    for (std::size_t i = 0; takes_effect && i < commands.size(); ++i) {
      if (!outcomes[i].error) carry_out(writer, commands[i], steps[i], outcomes[i]);
    }
    const std::string results = detail::pack_outcomes(outcomes);
    writer.run(
        "insert into atom_lane(session, number, sequence, touched, results) values(?1, ?2, ?3, ?4, ?5)"
        " on conflict do update set sequence = ?3, touched = ?4, results = ?5",
        session, std::int64_t{lane.number}, sequence, now(), detail::SqlBlob{results});
    tidy(writer);
    transaction.commit();
    if (takes_effect) tell(commands, steps, outcomes);
    return {};
  }
  /// Compares and calculates, and writes nothing.
  Step judge(Connection& writer, BatchMode mode, const Command& command, Outcome& outcome) const {
    Step step;
    Rows rows = find(writer, command.name);
    const bool found = rows.next();
    step.clears = found && is_over(rows);
    if (found && !step.clears) outcome.version = rows.integer(0);
    const bool conflicts = command.expected && *command.expected != outcome.version;
    if (outcome.version > 0 && (conflicts || command.kind == Command::Kind::apply)) outcome.value = value_of(rows);
    if (conflicts) {
      outcome.error = StateErrorCode::conflict;
    } else if (command.kind == Command::Kind::apply) {
      Made made = calculate(mode, command, outcome.value ? *outcome.value : *command.value);
      outcome.error = made.error;
      step.calculated = std::move(made.value);
    }
    return step;
  }
  void carry_out(Connection& writer, const Command& command, const Step& step, Outcome& outcome) {
    const std::string& scope = command.name.scope.text();
    const StoredValue* const next = next_value(command, step);
    const bool ends = command.kind == Command::Kind::erase && outcome.version > 0;
    if (ends || (next && step.clears)) {
      writer.run("delete from atom_state where scope = ?1 and key = ?2", scope, command.name.key);
    }
    if (!next) return;
    const bool is_new = outcome.version == 0;
    outcome.version = is_new ? first_version(writer) : detail::version_after(outcome.version, "SQLite");
    writer.run(
        "insert into atom_state(scope, key, version, expires_at, format, value) values(?1, ?2, ?3, ?4, ?5, ?6)"
        " on conflict do update set version = ?3, expires_at = ?4, format = ?5, value = ?6",
        scope, command.name.key, outcome.version, end_of(command.ttl), std::int64_t{next->format}, next->text);
    if (!is_new) return;
    for (const std::string& label : command.labels) {
      writer.run("insert or ignore into atom_label(scope, key, label) values(?1, ?2, ?3)", scope, command.name.key,
                 label);
    }
  }
  /// Of a state that comes to be: later ones go on from it by one.
  static std::int64_t first_version(Connection& writer) {
    Rows rows = writer.query("select version from atom_gone");
    return std::max(now(), rows.next() ? detail::version_after(rows.integer(0), "SQLite") : 0);
  }
  static std::optional<std::int64_t> end_of(std::int64_t ttl) {
    const std::int64_t start = now();
    const bool is_ever = ttl <= 0 || ttl > (std::numeric_limits<std::int64_t>::max() - start) / 1000;
    return is_ever ? std::nullopt : std::optional(start + ttl * 1000);
  }
  /// Once a minute, in passing: removes states whose time is over, and lanes that nobody has used for so long that no
  /// store is behind them any more. (One that is would take it for a loss of history.)
  void tidy(Connection& writer) {
    if (Clock::now() < next_tidy_) return;
    writer.run(
        "delete from atom_state where (scope, key) in"
        " (select scope, key from atom_state where expires_at <= ?1 limit 1000)",
        now());
    const bool is_all = writer.changes() < 1000;
    const std::chrono::microseconds month = std::chrono::hours(30 * 24);
    writer.run("delete from atom_lane where touched < ?1", now() - std::int64_t{month.count()});
    if (is_all) next_tidy_ = Clock::now() + std::chrono::minutes(1);
  }

  template <class Delete>
  StateResult<std::vector<FoundState>> erase(Deadline deadline, Delete remove) {
    std::vector<FoundState> erased;
    auto error = attempt([&] {
      const Lease writer = borrow(writers_, deadline);
      Transaction transaction(*writer, Transaction::Kind::write);
      remove(*writer, [&](Rows rows) {
        while (rows.next()) {
          if (!is_over(rows)) add_state(erased, rows);
        }
      });
      transaction.commit();
      for (const FoundState& state : erased) tell({state.scope, state.key}, state.version, nullptr);
    });
    if (error) return *std::move(error);
    return erased;
  }

  // ---- What changes

  class Changes final : public Feed {
   public:
    explicit Changes(Sqlite& sqlite) : sqlite_(sqlite) {
      {
        const std::lock_guard lock(sqlite_.feeds_mutex_);
        sqlite_.feeds_.push_back(&own_);
      }
      (void)look();
    }
    ~Changes() override {
      const std::lock_guard lock(sqlite_.feeds_mutex_);
      std::erase(sqlite_.feeds_, &own_);
    }

    std::optional<StateError> poll(FeedSink& sink, Deadline deadline) override {
      for (bool is_woken = false; !is_woken;) {
        is_woken = own_.wait(sink, std::min(deadline, next_look_));
        if (Clock::now() >= next_look_) {
          const StateResult<bool> others = look();
          if (!others) return others.error();
          if (*others) sink.lost_track();
        }
        if (Clock::now() >= deadline) break;
      }
      return std::nullopt;
    }
    void wake() noexcept override { own_.wake(); }

   private:
    /// Whether another connection than the one that writes for this object has changed the file since the last time.
    StateResult<bool> look() {
      next_look_ = Clock::now() + sqlite_.options_.poll_every;
      bool changed = false;
      auto error = sqlite_.attempt([&] {
        const Lease writer = sqlite_.borrow(sqlite_.writers_, next_look_);
        Rows rows = writer->query("pragma data_version");
        rows.next();
        changed = std::exchange(seen_, rows.integer(0)) != rows.integer(0);
      });
      if (error && error->code() != StateErrorCode::timed_out) return *std::move(error);  // else it is busy: next time
      return changed;
    }

    Sqlite& sqlite_;
    detail::ChangeQueue own_;
    std::optional<std::int64_t> seen_;
    Deadline next_look_;
  };

  /// While the connection that writes is borrowed, so that changes are told in their order.
  void tell(const StateName& name, std::int64_t version, const StoredValue* value) noexcept {
    const std::lock_guard lock(feeds_mutex_);
    for (detail::ChangeQueue* feed : feeds_) feed->add(name, version, value);
  }
  void tell(std::span<const Command> commands, std::span<const Step> steps, std::span<const Outcome> outcomes) {
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const StoredValue* const next = next_value(commands[i], steps[i]);
      const bool ends = commands[i].kind == Command::Kind::erase && outcomes[i].version > 0;
      if (!outcomes[i].error && (next || ends)) tell(commands[i].name, outcomes[i].version, next);
    }
  }

  SqliteOptions options_;
  const detail::HomeProcess home_;
  std::mutex preparing_;
  std::atomic<bool> is_prepared_ = false;
  detail::Pool<Connection> readers_;
  detail::Pool<Connection> writers_;  // one
  Clock::time_point next_tidy_{};     // of who has borrowed it
  std::mutex feeds_mutex_;
  std::vector<detail::ChangeQueue*> feeds_;
};

}  // namespace atom::inline v0_1

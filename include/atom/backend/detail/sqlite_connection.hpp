// SQLite as C++ has it: a connection, the rows of a statement, a transaction. What fails throws StateError.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if SQLITE_VERSION_NUMBER < 3037000
#error "atom::Sqlite needs SQLite 3.37 or later"
#endif

namespace atom::inline v0_1::detail {

/// The text of a statement. It is a literal: nothing that comes from outside becomes part of one.
struct SqlText {
  consteval SqlText(const char* literal) : text(literal) {}
  const char* text;
};
struct SqlBlob {
  std::string_view bytes;
};

struct SqliteCloser {
  void operator()(sqlite3* db) const noexcept { sqlite3_close(db); }
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

class SqliteRows;

/// A connection, for one thread at a time. What fails throws StateError.
class SqliteConnection {
 public:
  using Clock = std::chrono::steady_clock;

  /// Whether the library may be used by several threads at once, with a connection each.
  static bool has_threads() noexcept { return sqlite3_threadsafe() != 0; }
  /// Opens the file. Changes nothing, but if `create` makes an empty file where there is none.
  SqliteConnection(std::string path, bool create, Deadline until) : deadline(until), path_(std::move(path)) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path_.c_str(), &opened, flags | (create ? SQLITE_OPEN_CREATE : 0), nullptr);
    db_.reset(opened);
    check(code);
    sqlite3_busy_handler(opened, &wait_for_others, this);
    sqlite3_progress_handler(opened, 1000, &is_over, this);
  }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection() {
    if (home_.is_here()) return;
    // To close what a parent process uses would take its locks away.
    for (auto& [text, statement] : statements_) [[maybe_unused]]
      sqlite3_stmt* const kept = statement.release();
    [[maybe_unused]] sqlite3* const kept = db_.release();
  }

  /// Runs a statement. The values must outlive the rows.
  template <class... Values>
    requires(!std::same_as<Values, std::string> && ...)
  SqliteRows query(SqlText sql, Values&&... values);
  template <class... Values>
  void run(SqlText sql, const Values&... values);
  /// Several statements.
  void run_script(const char* script) { check(sqlite3_exec(db(), script, nullptr, nullptr, nullptr)); }

  /// Does what gives a code of SQLite's, again and again while others have the file locked: where SQLite does not wait
  /// for them itself.
  template <class Work>
  int patiently(Work work) {
    for (int times = 0;; ++times) {
      const int code = work();
      if ((code & 0xff) != SQLITE_BUSY || !wait_for_others(this, times)) return code;
    }
  }

  /// How many rows the last statement has changed, without what triggers did.
  int changes() const noexcept { return sqlite3_changes(db()); }
  /// What is written to a file that has no name any more is lost.
  void require_in_place() const {
    int has_moved = 0;
    check(sqlite3_file_control(db(), "main", SQLITE_FCNTL_HAS_MOVED, &has_moved));
    if (has_moved) throw refusal("the file was moved or deleted while it was in use");
  }
  /// Whether there is a log beside the file: somebody has it open, or did not close it.
  bool has_log() const {
    std::error_code none;
    return std::filesystem::exists(sqlite3_filename_wal(sqlite3_db_filename(db(), "main")), none);
  }
  /// Whether this one, if it is the last to close the file, copies the log into it.
  void set_copies_log_at_end(bool copies) {
    check(sqlite3_db_config(db(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, copies ? 0 : 1, nullptr));
  }

  sqlite3* db() const noexcept { return db_.get(); }
  void check(int code) const {
    if (code != SQLITE_OK) throw error(code);
  }
  StateError error(int code, Effect effect = Effect::none) const;
  StateError refusal(const std::string& why) const {
    return {StateErrorCode::refused, "SQLite, \"" + path_ + "\": " + why};
  }

  /// When its statements end, done or not.
  Deadline deadline;

 private:
  /// Called while another connection has the file locked.
  static int wait_for_others(void* self, int times) noexcept {
    const auto left = static_cast<SqliteConnection*>(self)->deadline - Clock::now();
    if (left <= Clock::duration::zero()) return 0;
    const Clock::duration longer = std::chrono::microseconds(100u << std::min(times, 6));
    std::this_thread::sleep_for(std::min(left, longer));
    return 1;
  }
  /// Called every now and then while a statement runs.
  static int is_over(void* self) noexcept { return Clock::now() >= static_cast<SqliteConnection*>(self)->deadline; }

  sqlite3_stmt* prepared(SqlText sql) {
    for (const auto& [text, statement] : statements_) {
      if (text == sql.text) return statement.get();
    }
    sqlite3_stmt* made = nullptr;
    check(sqlite3_prepare_v3(db(), sql.text, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr));
    statements_.emplace_back(sql.text, made);
    return made;
  }
  void bind(sqlite3_stmt* to, int index, std::int64_t value) { check(sqlite3_bind_int64(to, index, value)); }
  void bind(sqlite3_stmt* to, int index, std::optional<std::int64_t> value) {
    check(value ? sqlite3_bind_int64(to, index, *value) : sqlite3_bind_null(to, index));
  }
  void bind(sqlite3_stmt* to, int index, std::string_view text) {
    const char* const data = text.empty() ? "" : text.data();
    check(sqlite3_bind_text64(to, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  void bind(sqlite3_stmt* to, int index, SqlBlob blob) {
    const char* const data = blob.bytes.empty() ? "" : blob.bytes.data();
    check(sqlite3_bind_blob64(to, index, data, blob.bytes.size(), SQLITE_STATIC));
  }

  const std::string path_;
  const HomeProcess home_;
  std::unique_ptr<sqlite3, SqliteCloser> db_;
  std::vector<std::pair<const char*, std::unique_ptr<sqlite3_stmt, SqliteCloser>>> statements_;
};

inline StateError SqliteConnection::error(int code, Effect effect) const {
  std::string message = "SQLite, \"" + path_ + "\": " + (db() ? sqlite3_errmsg(db()) : sqlite3_errstr(code));
  const int kind = code & 0xff;
  if (db() && (kind == SQLITE_CANTOPEN || kind == SQLITE_IOERR)) {
    if (const int cause = sqlite3_system_errno(db())) message += ", " + std::system_category().message(cause);
  }
  const auto failed = [&](StateErrorCode why, bool retryable, const char* advice = "") {
    return StateError(why, message + advice, effect, retryable);
  };
  switch (kind) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT: {
      const bool late = Clock::now() >= deadline;
      return failed(late ? StateErrorCode::timed_out : StateErrorCode::unavailable, true);
    }
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return failed(StateErrorCode::unavailable, true);
    case SQLITE_FULL:
      return failed(StateErrorCode::refused, false, ": make room on the disk");
    case SQLITE_TOOBIG:
      return failed(StateErrorCode::too_large, false);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return failed(StateErrorCode::refused, false, ": the file and its folder must be there, and be writable");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return failed(StateErrorCode::refused, false,
                    ": the file is damaged; put a backup in its place, or save what `sqlite3 FILE .recover` can read");
    default:
      return failed(StateErrorCode::refused, false);
  }
}

/// The rows of a statement, one after the other. When this ends the statement may run again.
class SqliteRows {
 public:
  SqliteRows(SqliteConnection& connection, sqlite3_stmt* statement) noexcept
      : connection_(connection), statement_(statement) {}
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;
  ~SqliteRows() { sqlite3_reset(statement_); }

  /// Goes to the next one. Whether there is one.
  bool next() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) throw connection_.error(code);
    return code == SQLITE_ROW;
  }
  // Of this row.
  bool is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
  /// Also of a blob.
  std::string_view text(int column) const noexcept {
    const void* const bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes ? std::string_view(static_cast<const char*>(bytes), static_cast<std::size_t>(size)) : "";
  }

 private:
  SqliteConnection& connection_;
  sqlite3_stmt* statement_;
};

template <class... Values>
  requires(!std::same_as<Values, std::string> && ...)
SqliteRows SqliteConnection::query(SqlText sql, Values&&... values) {
  sqlite3_stmt* const statement = prepared(sql);
  int index = 0;
  (bind(statement, ++index, values), ...);
  return {*this, statement};
}
template <class... Values>
void SqliteConnection::run(SqlText sql, const Values&... values) {
  SqliteRows rows = query(sql, values...);
  while (rows.next()) {
  }
}

/// What is done until `commit` takes effect with it, or never.
class SqliteTransaction {
 public:
  enum class Kind : std::uint8_t {
    read,   // all is seen as it is at one moment
    write,  // waits until no other connection writes
  };
  SqliteTransaction(SqliteConnection& connection, Kind kind) : connection_(connection) {
    try {
      begin(kind);
    } catch (...) {
      end();
      throw;
    }
  }
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction() { end(); }
  void commit() {
    SqliteRows rows = connection_.query("commit");
    try {
      rows.next();
    } catch (const StateError&) {
      // Its last step is to make it lasting. If that fails, it may still be on the disk, and be found after a crash.
      const int code = sqlite3_extended_errcode(connection_.db());
      const bool none = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_FULL;
      throw connection_.error(code, none ? Effect::none : Effect::unknown);
    }
  }

 private:
  void begin(Kind kind) {
    if (kind == Kind::read) return connection_.run("begin");
    connection_.require_in_place();
    connection_.run("begin immediate");
  }
  void end() noexcept {
    const bool is_open = sqlite3_get_autocommit(connection_.db()) == 0;
    if (is_open) sqlite3_exec(connection_.db(), "rollback", nullptr, nullptr, nullptr);
  }

  SqliteConnection& connection_;
};

}  // namespace atom::inline v0_1::detail

// PostgreSQL as C++ has it: the parameters of a statement, its rows, and a connection on which nothing waits for longer
// than a deadline. What fails throws StateError.
#pragma once

#include <atom/backend/detail/postgres_error.hpp>
#include <atom/backend/detail/postgres_hosts.hpp>
#include <atom/backend/detail/postgres_statements.hpp>
#include <atom/backend/detail/waiting.hpp>
#include <atom/config.hpp>
#include <atom/detail/utf8.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if !defined(LIBPQ_HAS_PIPELINING)
#error "atom::Postgres needs libpq 14 or later (a server may be older)"
#endif

namespace atom::inline v0_1::detail {

// ------------------------------------------------------------------------------------------- what goes into a
// statement

/// Values as PostgreSQL sends them, in its binary form: nothing in them needs quoting.
class PostgresBytes {
 public:
  void integer(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
  }
  void text(std::string_view text) { bytes_ += text; }
  const std::string& all() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

/// A bigint[] or a text[], to which elements are added.
class PostgresArray {
 public:
  static PostgresArray of_integers() { return PostgresArray(20); }
  static PostgresArray of_texts() { return PostgresArray(25); }

  void add(std::int64_t value) {
    elements_.integer(8, 4);
    elements_.integer(static_cast<std::uint64_t>(value), 8);
    ++count_;
  }
  void add(std::string_view text) {
    elements_.integer(text.size(), 4);
    elements_.text(text);
    ++count_;
  }
  void add_null() {
    elements_.integer(0xffffffff, 4);
    has_null_ = true;
    ++count_;
  }
  void add(std::optional<std::int64_t> value) { value ? add(*value) : add_null(); }

  std::string bytes() const {
    PostgresBytes head;
    head.integer(count_ > 0 ? 1 : 0, 4);  // dimensions
    head.integer(has_null_, 4);
    head.integer(type_, 4);
    if (count_ > 0) {
      head.integer(count_, 4);
      head.integer(1, 4);  // the index of the first
    }
    return head.all() + elements_.all();
  }

 private:
  explicit PostgresArray(std::uint32_t type) : type_(type) {}

  std::uint32_t type_;
  std::uint32_t count_ = 0;
  bool has_null_ = false;
  PostgresBytes elements_;
};

/// The parameters of a statement, in their order.
class PostgresParameters {
 public:
  template <class... Values>
  explicit PostgresParameters(const Values&... values) {
    (add(values), ...);
  }

  void add(std::int64_t value) {
    PostgresBytes bytes;
    bytes.integer(static_cast<std::uint64_t>(value), 8);
    all_.push_back(bytes.all());
  }
  void add(bool value) { all_.emplace_back(1, value ? '\1' : '\0'); }
  void add(const std::string& text) { all_.push_back(text); }
  void add(const PostgresArray& array) { all_.push_back(array.bytes()); }
  /// A uuid.
  void add(const std::array<std::byte, 16>& bytes) {
    all_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const std::vector<std::string>& all() const noexcept { return all_; }

 private:
  std::vector<std::string> all_;
};

// ----------------------------------------------------------------------------------------------- what comes out of it

/// The rows of a statement, whose columns are bigint or text.
class PostgresRows {
 public:
  explicit PostgresRows(PGresult* result = nullptr) noexcept : result_(result) {}

  int size() const noexcept { return PQntuples(result_.get()); }
  bool is_null(int row, int column) const noexcept { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string_view text(int row, int column) const noexcept {
    const int size = PQgetlength(result_.get(), row, column);
    return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(size)};
  }
  std::int64_t integer(int row, int column) const noexcept {
    std::uint64_t value = 0;
    for (const char byte : text(row, column)) value = value << 8 | static_cast<unsigned char>(byte);
    return static_cast<std::int64_t>(value);
  }

  const PGresult* get() const noexcept { return result_.get(); }
  ExecStatusType status() const noexcept { return PQresultStatus(result_.get()); }

 private:
  struct Clearer {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clearer> result_;
};

// -------------------------------------------------------------------------------------------------------- a connection

/// Where to connect, and how.
struct PostgresTarget {
  std::string url;
  bool prepares = true;
};

/// A connection, for one thread at a time. Statements are queued; those up to an end are one transaction. After an
/// error that is not one of a statement's it is closed, and `open` opens it anew.
class PostgresConnection {
 public:
  using Clock = std::chrono::steady_clock;

  /// When the bell rings, it gives up what it waits for. Null: there is none.
  explicit PostgresConnection(PostgresTarget target, const Bell* bell = nullptr)
      : target_(std::move(target)), bell_(bell) {}
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;
  ~PostgresConnection() { close(); }

  bool is_open() const noexcept { return connection_ != nullptr; }
  /// Connects, unless it is, and from now on waits until that deadline. Looking up the address of a host is the
  /// system's, and may take longer.
  void open(Deadline deadline);
  void close() noexcept {
    // The server ends a session when it is told so; what a parent process uses must not be ended here.
    if (!home_.is_here()) static_cast<void>(connection_.release());
    connection_.reset();
    queue_.clear();
    prepared_.clear();
    is_amid_ = false;
  }

  /// Queues a statement.
  void add(const PostgresStatement& statement, const PostgresParameters& parameters = PostgresParameters());
  /// The transaction ends here; `effect` is what is known of it if there is no answer.
  void end(Effect effect) {
    effect_ = effect;
    end(Queued::told_end);
  }
  /// The transaction ends here, and nobody is told what becomes of it.
  void end_untold() {
    end(Queued::untold_end);
    is_amid_ = false;
  }
  /// Sends what is queued, and waits for the transaction that is to be told of: the rows of each of its statements. It
  /// is done then, and on the disk.
  std::vector<PostgresRows> receive();
  /// Sends as much of what is queued as goes without waiting, and takes what has come. Whether everything is answered.
  bool pass_on();

  /// What is notified, if anything has come.
  std::optional<std::string> notification() {
    struct Freer {
      void operator()(PGnotify* notify) const noexcept { PQfreemem(notify); }
    };
    const std::unique_ptr<PGnotify, Freer> notify(PQnotifies(connection_.get()));
    return notify ? std::optional<std::string>(notify->extra) : std::nullopt;
  }
  int server_version() const noexcept { return PQserverVersion(connection_.get()); }
  int socket() const noexcept { return PQsocket(connection_.get()); }
  bool has_more_to_send() { return PQflush(connection_.get()) == 1; }

 private:
  struct Finisher {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  /// What there will be an answer to.
  struct Queued {
    enum Kind : std::uint8_t { preparation, statement, told_end, untold_end } kind;
    const char* name = "";
  };
  enum class Waits : bool { no, yes };

  void connect_to_any();
  std::optional<StateError> connect(const PostgresHost& host);
  void end(Queued::Kind kind) {
    check(PQpipelineSync(connection_.get()));
    queue_.push_back({kind});
  }
  /// Waits until the socket can be read, if `reads`, or written, if `writes`.
  Waited wait(bool reads, bool writes) const {
    const auto events = static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
    return wait_for({socket(), events, 0}, bell_, deadline_);
  }
  bool is_readable() const noexcept {
    pollfd wanted{socket(), POLLIN, 0};
    return ::poll(&wanted, 1, 0) > 0;
  }
  void check(int is_good) {
    if (!is_good) throw lost();
  }
  StateError lost() {
    const std::string why = postgres_reason(PQerrorMessage(connection_.get()), target_.url);
    const Effect effect = std::exchange(effect_, Effect::none);
    close();
    return {StateErrorCode::unavailable, "PostgreSQL: the connection is lost: " + why, effect, true};
  }
  StateError late(Waited waited) {
    const Effect effect = std::exchange(effect_, Effect::none);
    close();
    if (waited == Waited::rung) return woken(effect);
    return {StateErrorCode::timed_out, "PostgreSQL: no answer before the deadline", effect, true};
  }
  static StateError woken(Effect effect) {
    return {StateErrorCode::unavailable, "PostgreSQL: it was woken, and has given up", effect, true};
  }
  StateError failure(const PGresult* result);
  /// Whether there is a result, after waiting for it.
  bool has_result(Waits waits);
  /// Takes the answer to what was queued first.
  PostgresRows take_next(Waits waits);

  const PostgresTarget target_;
  const Bell* const bell_;
  const HomeProcess home_;
  std::unique_ptr<PGconn, Finisher> connection_;
  std::deque<Queued> queue_;
  std::vector<const char*> prepared_;
  Deadline deadline_{};
  Effect effect_ = Effect::none;
  bool is_amid_ = false;  // in what it stays if there is no memory
};

inline void PostgresConnection::open(Deadline deadline) {
  deadline_ = deadline;
  if (is_amid_) close();
  if (is_open()) return;
  connect_to_any();
  PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) throw lost();
  if (!target_.prepares) return;  // behind a pooler a session is shared with others
  add(postgres::set_up);
  end_untold();
  if (PQserverVersion(connection_.get()) < 140000) return;
  add(postgres::end_when_left);
  end_untold();
}
/// To the first host that will do. Where libpq goes on to the next one only when it is told why there is no connection,
/// here one that says nothing has its share of the time.
inline void PostgresConnection::connect_to_any() {
  std::vector<PostgresHost> hosts = postgres_hosts(target_.url);
  if (hosts.empty()) hosts.emplace_back();
  const Deadline deadline = deadline_;
  std::string reasons;
  for (std::size_t left = hosts.size(); left > 0; --left) {
    deadline_ = share_of(deadline, left);
    const std::optional<StateError> why = connect(hosts[hosts.size() - left]);
    if (!why) break;
    reasons += (reasons.empty() ? "" : "; the next host: ") + reason(*why);
    if (left > 1 && why->retryable() && Clock::now() < deadline) continue;
    throw StateError(why->code(), std::move(reasons), why->effect(), why->retryable());
  }
  deadline_ = deadline;
}
/// Why there is no connection, if there is none; throws if it was woken.
inline std::optional<StateError> PostgresConnection::connect(const PostgresHost& host) {
  const char* const keywords[] = {"dbname", "host", "hostaddr", "port", "client_encoding", "fallback_application_name",
                                  nullptr};
  // What is empty leaves what the URL says.
  const char* const values[] = {
      target_.url.c_str(), host.host.c_str(), host.hostaddr.c_str(), host.port.c_str(), "UTF8", "atom", nullptr};
  connection_.reset(PQconnectStartParams(keywords, values, 1));
  PGconn* const connection = connection_.get();
  if (!connection) throw std::bad_alloc();
  PQsetNoticeReceiver(connection, [](void*, const PGresult*) {}, nullptr);  // else they are written to stderr
  PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);                        // with the codes of errors
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
    if (PQstatus(connection) == CONNECTION_BAD || next == PGRES_POLLING_FAILED) {
      StateError error = postgres_connect_error(connection, target_.url);
      close();
      return error;
    }
    const bool writes = next == PGRES_POLLING_WRITING;
    if (const Waited waited = wait(!writes, writes); waited != Waited::ready) {
      close();
      if (waited == Waited::rung) throw woken(Effect::none);
      return StateError(StateErrorCode::timed_out, "PostgreSQL: no connection before the deadline", Effect::none, true);
    }
    next = PQconnectPoll(connection);
  }
  return std::nullopt;
}

inline void PostgresConnection::add(const PostgresStatement& statement, const PostgresParameters& parameters) {
  is_amid_ = true;
  PGconn* const connection = connection_.get();
  const std::vector<std::string>& all = parameters.all();
  std::vector<const char*> values;
  std::vector<int> sizes;
  for (const std::string& value : all) {
    values.push_back(value.data());
    sizes.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> binary(all.size(), 1);
  const int count = static_cast<int>(all.size());
  if (target_.prepares && *statement.name) {
    const auto is_this = [&](const char* name) { return std::string_view(name) == statement.name; };
    if (std::none_of(prepared_.begin(), prepared_.end(), is_this)) {
      check(PQsendPrepare(connection, statement.name, statement.text, 0, nullptr));
      queue_.push_back({Queued::preparation, statement.name});
      prepared_.push_back(statement.name);
    }
    check(PQsendQueryPrepared(connection, statement.name, count, values.data(), sizes.data(), binary.data(), 1));
  } else {
    check(PQsendQueryParams(connection, statement.text, count, nullptr, values.data(), sizes.data(), binary.data(), 1));
  }
  queue_.push_back({Queued::statement});
}

inline bool PostgresConnection::has_result(Waits waits) {
  PGconn* const connection = connection_.get();
  for (;;) {
    const int left = PQflush(connection);
    if (left < 0) throw lost();
    if (!PQisBusy(connection)) return true;
    if (waits == Waits::yes) {
      if (const Waited waited = wait(true, left == 1); waited != Waited::ready) throw late(waited);
    }
    // If the server has gone away, there is a result that says so.
    if (!PQconsumeInput(connection) && PQisBusy(connection)) throw lost();
    if (waits == Waits::no && PQisBusy(connection)) return false;
  }
}

inline PostgresRows PostgresConnection::take_next(Waits waits) {
  PGconn* const connection = connection_.get();
  const Queued queued = queue_.front();
  const bool is_end = queued.kind == Queued::told_end || queued.kind == Queued::untold_end;
  PostgresRows rows;
  for (bool is_first = true;; is_first = false) {
    has_result(waits);
    PostgresRows next(PQgetResult(connection));
    if (PQstatus(connection) == CONNECTION_BAD) throw failure(next.get());
    if (is_end ? next.status() != PGRES_PIPELINE_SYNC : is_first && !next.get()) throw lost();
    if (!next.get()) break;
    rows = std::move(next);
    if (is_end) break;
  }
  queue_.pop_front();
  if (queued.kind == Queued::preparation && rows.status() != PGRES_COMMAND_OK) std::erase(prepared_, queued.name);
  return rows;
}

inline std::vector<PostgresRows> PostgresConnection::receive() {
  is_amid_ = true;
  std::vector<PostgresRows> all;
  PostgresRows failed;
  for (;;) {
    const Queued::Kind kind = queue_.front().kind;
    PostgresRows rows = take_next(Waits::yes);
    if (kind == Queued::told_end) break;
    if (kind == Queued::untold_end) {
      all.clear();
      failed = PostgresRows();
    } else if (rows.status() == PGRES_FATAL_ERROR) {
      failed = std::move(rows);
    } else if (kind == Queued::statement) {
      all.push_back(std::move(rows));
    }
  }
  is_amid_ = false;
  if (failed.get()) throw failure(failed.get());
  effect_ = Effect::none;
  return all;
}

inline bool PostgresConnection::pass_on() {
  is_amid_ = true;
  while (!queue_.empty() && has_result(Waits::no)) take_next(Waits::no);
  // A server that ends a session says so first: what is read may be followed by the end.
  while (queue_.empty() && is_readable()) check(PQconsumeInput(connection_.get()));
  is_amid_ = false;
  return queue_.empty();
}

inline StateError PostgresConnection::failure(const PGresult* result) {
  const auto field = [&](int which) -> std::string_view {
    const char* const text = result ? PQresultErrorField(result, which) : nullptr;
    return text ? text : "";
  };
  const std::string_view code = field(PG_DIAG_SQLSTATE);
  if (code.empty()) return lost();
  // After an error the transaction is rolled back, for certain. A session that is ended may have been so after it was
  // done; and what a pooler says of its connections (08) does not tell.
  const std::string_view severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  const bool is_certain = severity == "ERROR" && !code.starts_with("08") && code != "40003";
  const Effect effect = std::exchange(effect_, Effect::none);
  StateError error = postgres_error(code, field(PG_DIAG_MESSAGE_PRIMARY), is_certain ? Effect::none : effect);
  const bool is_of_session = code.starts_with("26") || code == "42P05" || code == "0A000" || code == "25006";
  if (!is_certain || is_of_session || PQstatus(connection_.get()) == CONNECTION_BAD) close();
  return error;
}

}  // namespace atom::inline v0_1::detail

// The file that an atom::Sqlite keeps its states in: its tables, and whether it is one of ours at all.
#pragma once

#include <atom/backend/detail/sqlite_connection.hpp>
#include <atom/config.hpp>
#include <atom/state/error.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

/// In the header of a file of ours: "ATOM".
inline constexpr std::uint32_t sqlite_application = 0x41544f4d;

/// Step i makes a file of version i + 1 of one of version i; version 0 is an empty file. A step that was released is
/// never changed: what is to be different is a new step. All times are in microseconds since 1970.
inline constexpr const char* sqlite_schema[] = {
    R"(
      -- With row numbers: without them, values of more than a few hundred bytes are read and written half as fast.
      create table atom_state(
        scope text not null, key text not null, version integer not null,
        expires_at integer,  -- null: never
        format integer not null, value text not null,
        primary key(scope, key)) strict;
      create index atom_state_expiry on atom_state(expires_at) where expires_at is not null;

      create table atom_label(
        scope text not null, key text not null, label text not null,
        primary key(scope, key, label)) without rowid, strict;
      create index atom_label_label on atom_label(label);

      -- The last batch of each lane.
      create table atom_lane(
        session blob not null, number integer not null, sequence integer not null, touched integer not null,
        results blob not null,
        primary key(session, number)) strict;

      -- The highest version of all states that are gone: one that comes back gets a higher one, whatever the clock says.
      create table atom_gone(version integer not null) strict;
      insert into atom_gone values(0);

      create trigger atom_state_gone after delete on atom_state begin
        delete from atom_label where scope = old.scope and key = old.key;
        update atom_gone set version = old.version where version < old.version;
      end;
      pragma application_id = 0x41544f4d;
      pragma user_version = 1;
    )",
};

inline StateError newer_sqlite_schema(const SqliteConnection& connection, std::int64_t version) {
  return connection.refusal("a newer version of this program has made its tables (version " + std::to_string(version) +
                            "): use that one");
}

/// Throws unless the file is ours or, if `create`, empty. It looks at the header, and before SQLite has done so: SQLite
/// might repair what is not ours to touch. It does so through SQLite, as the process that closes a file of its own
/// accord loses all locks on it.
inline void require_own_file(SqliteConnection& connection, bool create) {
  if (sqlite3_db_readonly(connection.db(), "main") == 1) {
    throw connection.refusal("it is read-only, and must be writable");
  }
  sqlite3_file* file = nullptr;
  sqlite3_int64 size = 0;
  unsigned char header[100] = {};
  connection.check(sqlite3_file_control(connection.db(), "main", SQLITE_FCNTL_FILE_POINTER, &file));
  // Not while another process makes it. (A lock of its own, as a statement would carry out what a log beside it says.)
  connection.check(connection.patiently([&] { return file->pMethods->xLock(file, SQLITE_LOCK_SHARED); }));
  int code = file->pMethods->xFileSize(file, &size);
  if (code == SQLITE_OK) code = file->pMethods->xRead(file, header, sizeof(header), 0);
  file->pMethods->xUnlock(file, SQLITE_LOCK_NONE);
  if (code != SQLITE_IOERR_SHORT_READ) connection.check(code);
  if (size == 0 && header[0] == 0) {  // of a file of one byte SQLite says that it is empty
    if (create) return;
    throw connection.refusal("it is empty: `prepare` makes the tables if it is told to create");
  }
  const auto number_at = [&](int at) {
    return std::uint32_t{header[at]} << 24 | std::uint32_t{header[at + 1]} << 16 | std::uint32_t{header[at + 2]} << 8 |
           header[at + 3];
  };
  if (size < std::ssize(header) || std::memcmp(header, "SQLite format 3", 16) != 0) {
    throw connection.refusal("it is no database of SQLite: name another file");
  }
  if (number_at(68) != sqlite_application) {
    throw connection.refusal("it is the database of another application: name another file");
  }
  const std::uint32_t version = number_at(60);
  if (version > std::size(sqlite_schema)) throw newer_sqlite_schema(connection, version);
}

/// Makes the tables those of now, in one step.
inline void bring_up_to_date(SqliteConnection& connection, std::span<const char* const> schema, bool create) {
  const auto version = [&] {
    SqliteRows rows = connection.query("pragma user_version");
    rows.next();
    const std::int64_t found = rows.integer(0);
    if (found > std::ssize(schema)) throw newer_sqlite_schema(connection, found);
    return static_cast<std::size_t>(found);
  };
  if (version() == schema.size()) return;
  if (!create) throw connection.refusal("its tables are old: `prepare` makes them new if it is told to create");
  SqliteTransaction transaction(connection, SqliteTransaction::Kind::write);
  for (std::size_t i = version(); i < schema.size(); ++i) connection.run_script(schema[i]);
  transaction.commit();
}

/// What is written goes to the end of a second file first: one write to the disk for a batch, and readers that do not
/// wait for writers. (It stays so. Before, the header with whose file it is must stand in the file itself.)
inline void use_write_ahead_log(SqliteConnection& connection) {
  bool is_done = false;
  const auto is_wal = [](void* done, int, char** values, char**) noexcept {
    *static_cast<bool*>(done) = values[0] && std::string_view(values[0]) == "wal";
    return 0;
  };
  connection.check(connection.patiently(
      [&] { return sqlite3_exec(connection.db(), "pragma journal_mode = wal", is_wal, &is_done, nullptr); }));
  if (!is_done) {
    throw connection.refusal("there is no shared memory for it, as on some network drives: put it on a local disk");
  }
}

}  // namespace atom::inline v0_1::detail

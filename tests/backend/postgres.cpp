// Batches on a server, and what becomes of them when it is down, stands still, refuses, or talks nonsense.
#include <atom/backend/open.hpp>
#include <atom/backend/postgres.hpp>
#include <atom/state/state_store.hpp>

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/backend_checks.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/chaos_proxy.hpp"
#include "support/child.hpp"
#include "support/equations.hpp"
#include "support/eventually.hpp"
#include "support/fake_server.hpp"
#include "support/postgres_server.hpp"
#include "support/server_process.hpp"

using namespace std::chrono_literals;

namespace postgres_test {
namespace {

using atom::BatchMode;
using atom::BatchResult;
using atom::BatchStatus;
using atom::current;
using atom::Effect;
using atom::Outcome;
using atom::Postgres;
using atom::PostgresOptions;
using atom::Scope;
using atom::StateError;
using atom::StateErrorCode;
using support::Batch;
using support::Client;
using support::ContainsSubstring;
using support::eventually;
using support::in;
using support::PostgresServer;
using support::soon;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
const Scope shop{"shop"};

/// One server for all tests that do it no harm.
const PostgresServer& server() {
  static const PostgresServer the_server;
  return the_server;
}
/// A schema in which nothing is.
std::string new_schema() {
  static int count = 0;
  const std::string name = "t" + std::to_string(++count);
  server().run("create schema " + name);
  return name;
}
std::string url_of(const std::string& schema, const std::string& settings = "") {
  return server().url("options='-c search_path=" + schema + settings + "'");
}
std::unique_ptr<Postgres> open(PostgresOptions options) {
  auto postgres = std::make_unique<Postgres>(std::move(options));
  if (const auto error = postgres->prepare(true, soon())) throw std::runtime_error(error->what());
  return postgres;
}
/// A database of a test's own, open.
struct Database {
  std::string schema = new_schema();
  std::unique_ptr<Postgres> postgres = open({.url = url_of(schema)});
  Client client{*postgres};

  std::string run(const std::string& sql) const { return server().run("set search_path = " + schema + ";\n" + sql); }
};
/// The error of a server that is not fit.
StateError refused(PostgresOptions options, bool create = true, atom::Deadline deadline = soon()) {
  Postgres postgres(std::move(options));
  auto error = postgres.prepare(create, deadline);
  REQUIRE(error);
  CHECK(error->effect() == Effect::none);
  return *error;
}

// ----------------------------------------------------------------------------------------------------------- answers

/// Rows as a server sends them; what is nothing is null.
atom::detail::PostgresRows rows_of(const std::vector<std::vector<std::optional<std::string>>>& all) {
  PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
  std::string name = "a";
  std::vector<PGresAttDesc> columns(5, PGresAttDesc{name.data(), 0, 0, 1, 20, 8, -1});
  PQsetResultAttrs(result, static_cast<int>(columns.size()), columns.data());
  for (int row = 0; row < static_cast<int>(all.size()); ++row) {
    for (int column = 0; column < static_cast<int>(columns.size()); ++column) {
      std::optional<std::string> field = all[static_cast<std::size_t>(row)][static_cast<std::size_t>(column)];
      PQsetvalue(result, row, column, field ? field->data() : nullptr, field ? static_cast<int>(field->size()) : -1);
    }
  }
  return atom::detail::PostgresRows(result);
}
std::string integer(std::int64_t value) {
  atom::detail::PostgresBytes bytes;
  bytes.integer(static_cast<std::uint64_t>(value), 8);
  return bytes.all();
}

TEST_CASE("postgres: an answer that names a command which there is not leaves a batch in doubt") {
  const Batch batch = std::move(Batch().write(shop, "a", "1").erase(shop, "b"));
  const std::size_t order[] = {0, 1};
  std::vector<Outcome> outcomes(2);
  std::vector<std::string> changes;
  const auto take = [&](std::int64_t first, std::int64_t second) {
    changes.clear();
    const auto rows = rows_of({{integer(1), integer(first), "0 7", std::nullopt, integer(2)},
                               {integer(1), integer(second), "0 8 3 x", "strange", integer(3)}});
    return atom::detail::take_postgres_outcomes(
        rows, 1, batch.commands(), order, outcomes,
        [&](const atom::Command& command, std::int64_t version, const atom::StoredValue* value) {
          changes.push_back(std::string(command.name.key) + std::to_string(version) + (value ? value->text : "-"));
        });
  };
  CHECK(take(1, 2).status == BatchStatus::done);
  CHECK(changes == std::vector<std::string>{"a71", "b8-"});  // what is written in an erase is no value
  CHECK(outcomes[1].value->text == "x");
  for (const std::int64_t place : {std::int64_t{3}, std::int64_t{0}, std::int64_t{-1}, highest, -highest - 1}) {
    INFO(place);
    try {
      take(1, place);
      FAIL("it is taken");
    } catch (const StateError& error) {
      CHECK(error.code() == StateErrorCode::unavailable);
      CHECK(error.effect() == Effect::unknown);
    }
  }
}

// ------------------------------------------------------------------------------------------------------ exactly once

TEST_CASE("postgres: a batch that comes again is not done again, and has the outcomes of the first time") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "n", "5").write(shop, "w", "\"old\""));
  Batch batch;
  batch.apply(shop, "n", {}, current + 1).write(shop, "w", "\"new\"", {.expected = 7}).write(shop, "x", "1");
  const std::vector<Outcome> first = client.run(batch);
  CHECK(first[0].value->text == "5");
  CHECK(first[1].error == StateErrorCode::conflict);
  CHECK(first[1].value->text == "\"old\"");
  REQUIRE(client.send(batch).status == BatchStatus::done);
  support::check_same(client.outcomes, first);
  CHECK(client.text(shop, "n") == "6");
}

TEST_CASE("postgres: an older batch, or another with the same number, is refused and does nothing") {
  Database database;
  Client& client = database.client;
  for (int i = 0; i < 3; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  const BatchResult other = client.send(Batch().erase(shop, "n").erase(shop, "m"));
  CHECK(other.status == BatchStatus::not_applied);
  CHECK(other.error->code() == StateErrorCode::refused);
  --client.lane.sequence;
  const BatchResult older = client.send(Batch().erase(shop, "n"));
  CHECK(older.status == BatchStatus::not_applied);
  CHECK_FALSE(older.error->retryable());
  CHECK(client.text(shop, "n") == "3");
}

TEST_CASE("postgres: a server that was emptied or set back is found out, to the number") {
  Database database;
  Client& client = database.client;
  for (int i = 0; i < 3; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  const auto next_is_gap = [&](std::uint64_t known) {
    ++client.lane.sequence;
    const BatchResult result = client.send(Batch().apply(shop, "n", {}, current + 1));
    CHECK(result.status == BatchStatus::gap);
    CHECK(result.error->code() == StateErrorCode::history_lost);
    CHECK(result.last_known == known);
    client.lane.after_loss = true;
    CHECK(client.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
    client.lane.after_loss = false;
  };
  database.run("update atom_lane set sequence = 1");
  next_is_gap(1);
  database.run("truncate atom_lane, atom_state");
  next_is_gap(0);
  CHECK(client.text(shop, "n") == "1");
}

TEST_CASE("postgres: where all commands count, one that fails keeps the others from being done") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "full", std::to_string(highest)));
  Batch batch;
  batch.write(shop, "a", "1").apply(shop, "full", {}, current + 1).erase(shop, "b");
  const std::vector<Outcome> all = client.run(batch, BatchMode::all_or_nothing);
  CHECK_FALSE(all[0].error);
  CHECK(all[0].version == 0);
  CHECK(all[1].error == StateErrorCode::overflow);
  CHECK(client.text(shop, "a").empty());

  const std::vector<Outcome> each = client.run(batch);
  CHECK(each[0].version > 0);
  CHECK_FALSE(each[1].error);  // who asked finds the overflow with the value before
  CHECK(each[1].value->text == std::to_string(highest));
  CHECK(client.text(shop, "a") == "1");
  CHECK(client.text(shop, "full") == std::to_string(highest));
}

TEST_CASE("postgres: many objects count at the same time, and each number is given out once") {
  Database database;
  constexpr std::size_t objects = 3, each = 60;
  std::vector<std::vector<std::int64_t>> seen(objects);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < objects; ++i) {
    threads.emplace_back([&, i] {
      const auto own = open({.url = url_of(database.schema)});
      Client client(*own);
      for (std::size_t n = 0; n < each; ++n) {
        ++client.lane.sequence;
        // Two states in either order, and at first none is there.
        Batch batch;
        const bool is_odd = (n + i) % 2 == 1;
        batch.apply(shop, is_odd ? "a" : "b", {}, current + 1).apply(shop, is_odd ? "b" : "a", {}, current + 1);
        BatchResult result = client.send(batch);
        for (; result.error && result.error->retryable(); result = client.send(batch)) {
        }
        if (result.error) throw std::runtime_error(result.error->what());
        const Outcome& a = client.outcomes[is_odd ? 0 : 1];
        seen[i].push_back(a.value ? std::stoll(a.value->text) + 1 : 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::int64_t> all;
  for (const auto& some : seen) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  std::vector<std::int64_t> wanted(objects * each);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(all == wanted);
  CHECK(database.client.text(shop, "b") == std::to_string(objects * each));
}

// --------------------------------------------------------------------------------------------------------- equations

TEST_CASE("postgres: an equation runs on integers as JSON has them, and on nothing else") {
  Database database;
  Client& client = database.client;
  const auto applied_to = [&](const char* text) {
    client.run(Batch().write(shop, "n", text));
    const Outcome outcome = client.run(Batch().apply(shop, "n", {}, current + 1))[0];
    return outcome.error ? "not run: " + client.text(shop, "n") : client.text(shop, "n");
  };
  CHECK(applied_to(" 5\n") == "6");
  CHECK(applied_to("-0") == "1");
  for (const std::string text :
       {"\"5\"", "5.0", "1e2", "null", "[]", "05", "+5", "9223372036854775808", "NaN", "five"}) {
    CHECK(applied_to(text.c_str()) == "not run: " + text);
  }
  client.run(Batch().write(shop, "n", "5", {.format = 3}));
  CHECK(client.run(Batch().apply(shop, "n", {}, current + 1))[0].error == StateErrorCode::undecodable);
}

TEST_CASE("postgres: what is no integer of its own is left to the program") {
  Database database;
  const auto runs = [&]<class T>(std::type_identity<T>, auto equation) {
    return database.postgres->runs(atom::AnyEquation::of<T>(equation), atom::detail::type_ops<T>);
  };
  CHECK(runs(std::type_identity<std::int64_t>(), atom::clamp(current + 1, 0, 10)));
  CHECK_FALSE(runs(std::type_identity<std::int64_t>(), current * 2));
  CHECK_FALSE(runs(std::type_identity<double>(), current + 0.5));
  CHECK_FALSE(runs(std::type_identity<support::Figures>(), atom::at(&support::Figures::count) + 1));
}

// ------------------------------------------------------------------------------------------------------------- names

TEST_CASE("postgres: hostile scopes, keys, labels and values are parameters, and come back as they were") {
  Database database;
  Client& client = database.client;
  const std::vector<std::string> hostile{"'; drop table atom_state; --",
                                         "\"",
                                         "\\",
                                         "$1",
                                         "{a,b}",
                                         "NULL",
                                         "null",
                                         "{\"x\"}",
                                         "%s%n",
                                         "*",
                                         "a b",
                                         "\xf4\x8f\xbf\xbf",
                                         "::regclass",
                                         "\\x00"};
  std::int64_t i = 0;
  for (const std::string& text : hostile) {
    const std::string value = "{\"" + std::to_string(++i) + "\": \"\\u0000 '\\\" \\\\ {},$1\"}";
    Batch batch;
    batch.write(shop / text, text, value, {.labels = {text, std::string("\0\xff", 2) + text}});
    client.run(batch);
    client.send(batch);  // as it is kept with the lane
    CHECK(client.text(shop / text, text) == value);
  }
  const auto all = database.postgres->list({.scope = &shop, .below = true}, soon());
  REQUIRE(all);
  CHECK(all->size() == hostile.size());
  for (const auto& state : *all) CHECK(state.scope == shop / state.key);
  for (const std::string& text : hostile) {
    const auto purged = database.postgres->purge(std::vector{std::string("\0\xff", 2) + text}, soon());
    REQUIRE(purged);
    REQUIRE(purged->size() == 1);
    CHECK((*purged)[0].key == text);
    CHECK(client.text(shop / text, text).empty());
  }
  CHECK(database.postgres->purge(std::vector<std::string>{"null", "a"}, soon())->empty());
}

TEST_CASE("postgres: for any bytes there is a text that has the same texts before it and behind it") {
  const std::vector<std::string> pieces{"",
                                        "a",
                                        "b",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
  std::vector<std::string> texts;
  for (const std::string& first : pieces) {
    for (const std::string& second : pieces) texts.push_back(first + second);
  }
  std::vector<std::string> any = texts;
  for (const std::string& text : pieces) {
    for (int byte = 0; byte < 256; ++byte) {
      any.push_back(text + static_cast<char>(byte));
      any.push_back(text + static_cast<char>(byte) + '\x80');
      any.push_back(text + static_cast<char>(byte) + "\xa0\xff");
    }
  }
  int wrong = 0;
  for (const std::string& bytes : any) {
    const std::string text = atom::detail::last_text_before(bytes);
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t length = rest[0] == '\0' ? 0 : atom::detail::utf8_length(rest);
      wrong += length == 0;
      rest.remove_prefix(length == 0 ? rest.size() : length);
    }
    for (const std::string& other : texts) wrong += (other > bytes) != (other > text);
  }
  CHECK(wrong == 0);
}

TEST_CASE("postgres: a scope is listed alone or with what lies below, in parts, and neighbours are not in it") {
  Database database;
  support::check_lists(*database.postgres, database.client);
}

TEST_CASE("postgres: what somebody else has written in scopes that are none is none of ours") {
  Database database;
  support::check_foreign_scopes(
      *database.postgres, database.client, [&](auto scope, auto key, const std::string& label) {
        database.run("insert into atom_state(scope, key, version, format, value, labels) values('" +
                     std::string(scope) + "', '" + key + "', 1, 0, '1', '{" + label + "}')");
      });
}

// ------------------------------------------------------------------------------------------------- what has an end

TEST_CASE("postgres: a state that comes back has a higher version than it ever had, whatever the clock says") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1"));
  database.run("update atom_state set version = version + 1800000000");  // of half an hour ahead
  const std::int64_t version = client.run(Batch().erase(shop, "a"))[0].version;
  CHECK(client.read(shop, "a").version == 0);
  database.run(atom::detail::postgres::tidy.text);
  CHECK(client.run(Batch().write(shop, "a", "2", {.expected = 0}))[0].version > version);
}

TEST_CASE("postgres: where the server has lost writes, their versions do not come again with other values") {
  Database database;
  Client& client = database.client;
  const std::int64_t first = client.run(Batch().write(shop, "a", "1"))[0].version;
  std::int64_t lost = 0;
  for (const char* text : {"2", "3", "4"}) lost = client.run(Batch().write(shop, "a", text))[0].version;
  database.run("update atom_state set value = '1', version = " + std::to_string(first));  // as after a restore
  for (const char* text : {"5", "6", "7"}) CHECK(client.run(Batch().write(shop, "a", text))[0].version > lost);
  CHECK(client.run(Batch().write(shop, "a", "8", {.expected = lost}))[0].error == StateErrorCode::conflict);
}

TEST_CASE("postgres: what has ended keeps nothing of its value, and its row goes an hour later") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "\"secret\"", {.labels = {"x"}}).write(shop, "b", "\"secret\"", {.ttl = 1}));
  client.run(Batch().erase(shop, "a"));
  REQUIRE(database.postgres->erase_scope(shop, soon()));
  CHECK(database.run("select count(*) from atom_state where key = 'a' and value || coalesce(labels::text, '') = ''") ==
        "1");
  database.run(atom::detail::postgres::tidy.text);
  CHECK(database.run("select count(*) from atom_state") == "2");
  database.run("update atom_state set version = version - 3600000001");
  database.run(atom::detail::postgres::tidy.text);
  CHECK(database.run("select count(*) from atom_state") == "0");
}

TEST_CASE("postgres: lanes that nobody uses are forgotten after a month, others are not") {
  Database database;
  database.client.run(Batch().check(shop, "a"));
  database.run(atom::detail::postgres::tidy_lanes.text);
  CHECK(database.run("select count(*) from atom_lane") == "1");
  database.run("update atom_lane set touched = touched - interval '31 days'");
  database.run(atom::detail::postgres::tidy_lanes.text);
  CHECK(database.run("select count(*) from atom_lane") == "0");
}

// ---------------------------------------------------------------------------------------------- servers that are
// refused

TEST_CASE("postgres: a server that is not there, or a database that is not, is an error that names no secret") {
  const StateError nowhere = refused({.url = "host=/nowhere user=atom password=hunter2"});
  CHECK(nowhere.code() == StateErrorCode::unavailable);
  CHECK(nowhere.retryable());
  const StateError database = refused({.url = server().url("dbname=none password=hunter2")});
  CHECK(database.code() == StateErrorCode::refused);
  CHECK_THAT(database.what(), ContainsSubstring("3D000"));
  for (const StateError& error : {nowhere, database}) CHECK_THAT(error.what(), !ContainsSubstring("hunter2"));
}

TEST_CASE("postgres: what is wrong with a URL is not told, as it may be a piece of a password") {
  for (const char* url :
       {"postgresql://atom:hunter2%zz@localhost/app", "password=hunter2 hunter2", "host='hunter2",
        "postgresql://atom:x@hunter2/hunter2@localhost:hunter2/app", "postgresql://[hunter2/app?port=1",
        "postgresql://a:hunter2@127.0.0.1:1/app?hunter2=1", "postgresql://a:b@hunter2@[::1]:1/app",
        "host=127.0.0.1 port=hunter2 password=x", "sslmode=hunter2 password=x host=127.0.0.1"}) {
    const StateError error = refused({.url = url});
    INFO(error.what());
    CHECK_THAT(error.what(), !ContainsSubstring("hunter2"));
  }
}

TEST_CASE("postgres: a URL names it, and one that is not right is refused without a word of it") {
  support::check_urls<Postgres>("postgres", {"postgresql://app@127.0.0.1/app", "postgres:///app?host=/run/postgresql"},
                                {"postgresql:app", "postgres://app:hunter2%zz@127.0.0.1/app", "postgres://[hunter2"},
                                "hunter2");
}

TEST_CASE("postgres: a wrong password is refused at once, and not shown") {
  const Database database;
  const std::string rules = server().folder() + "/data/pg_hba.conf";
  server().run("create role guarded login password 'right'");
  std::string before;
  {
    std::ifstream file(rules);
    before.assign(std::istreambuf_iterator<char>(file), {});
  }
  std::ofstream(rules) << "local all guarded scram-sha-256\n" << before;
  server().run("select pg_reload_conf()");
  std::optional<StateError> error;
  // The server takes the rules up soon.
  for (int i = 0; i < 1000; ++i) {
    Postgres postgres(server().url("user=guarded password=hunter2"));
    error = postgres.prepare(false, soon());
    REQUIRE(error);
    if (std::string_view(error->what()).find("28P01") != std::string_view::npos) break;
  }
  CHECK(error->code() == StateErrorCode::refused);
  CHECK_FALSE(error->retryable());
  CHECK_THAT(error->what(), ContainsSubstring("28P01"));
  CHECK_THAT(error->what(), !ContainsSubstring("hunter2"));
  const StateError none = refused({.url = server().url("user=guarded")});
  CHECK(none.code() == StateErrorCode::refused);
}

TEST_CASE("postgres: without tables it makes them if it is told to, and says how if it is not, or may not") {
  const std::string schema = new_schema();
  const StateError missing = refused({.url = url_of(schema)}, false);
  CHECK(missing.code() == StateErrorCode::refused);
  CHECK_THAT(missing.what(), ContainsSubstring("schema()"));
  server().run("create role poor login; grant usage on schema " + schema + " to poor");
  const StateError forbidden = refused({.url = url_of(schema) + " user=poor"});
  CHECK(forbidden.code() == StateErrorCode::refused);
  CHECK_THAT(forbidden.what(), ContainsSubstring("42501"));

  server().run("set search_path = " + schema + ";\n" + Postgres::schema());
  server().run("set search_path = " + schema + ";\n" + Postgres::schema());
  CHECK_THAT(refused({.url = url_of(schema) + " user=poor"}, false).what(), ContainsSubstring("granted"));
  server().run("grant select, insert, update, delete on " + schema + ".atom_state, " + schema + ".atom_lane to poor");
  Postgres postgres(url_of(schema) + " user=poor");
  CHECK_FALSE(postgres.prepare(false, soon()));
  CHECK_FALSE(postgres.prepare(true, soon()));
  Client client(postgres);
  client.run(Batch().write(shop, "a", "1"));
  CHECK(client.text(shop, "a") == "1");
}

TEST_CASE("postgres: tables that are another's, or of a newer version, are refused and left as they are") {
  const std::string schema = new_schema();
  const auto run = [&](const std::string& sql) { return server().run("set search_path = " + schema + ";\n" + sql); };
  run("create table atom_state(id int); insert into atom_state values(7)");
  CHECK_THAT(refused({.url = url_of(schema)}).what(), ContainsSubstring("another application's"));
  CHECK(run("select * from atom_state") == "7");
  CHECK(run("select to_regclass('atom_lane') is null") == "t");
  run("comment on table atom_state is 'atom::Postgres, version 2'");
  CHECK_THAT(refused({.url = url_of(schema)}).what(), ContainsSubstring("newer version"));
}

TEST_CASE("postgres: a server that takes no writes, and a database that is not UTF-8, are refused") {
  const std::string schema = new_schema();
  const StateError read_only = refused({.url = url_of(schema, " -c default_transaction_read_only=on")});
  CHECK(read_only.code() == StateErrorCode::refused);
  CHECK_THAT(read_only.what(), ContainsSubstring("read-only"));
  server().run("create database latin encoding 'LATIN1' template template0");
  CHECK_THAT(refused({.url = server().url("dbname=latin")}).what(), ContainsSubstring("LATIN1"));
}

TEST_CASE("postgres: many that make the tables at once all succeed") {
  const std::string schema = new_schema();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      Postgres postgres(url_of(schema));
      good += !postgres.prepare(true, soon());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 6);
}

TEST_CASE("postgres: before it is prepared, and in a forked process, nothing is done, and that is said") {
  Postgres unprepared(server().url());
  Client early(unprepared);
  ++early.lane.sequence;
  CHECK(early.send(Batch().check(shop, "a")).error->code() == StateErrorCode::closed);

  Database database;
  database.client.run(Batch().write(shop, "a", "1"));
  CHECK(support::exit_code_of_child([&] {
          ++database.client.lane.sequence;
          const BatchResult result = database.client.send(Batch().write(shop, "a", "2"));
          database.postgres.reset();  // and does not end its parent's sessions
          return result.error && result.error->code() == StateErrorCode::closed;
        }) == 0);
  database.client.run(Batch().apply(shop, "a", {}, current + 1));
  CHECK(database.client.text(shop, "a") == "2");
}

// -------------------------------------------------------------------------------------------------- errors of a batch

TEST_CASE("postgres: an error of the server has had no effect, and says whether to try again") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "n", "1"));
  database.run(R"(
    create table code(code text); insert into code values('');
    create function fail() returns trigger language plpgsql as $$
      begin
        if (select code <> '' from code) then
          raise exception 'secret' using errcode = (select code from code), detail = 'secret';
        end if;
        return new;
      end $$;
    create trigger fail after insert or update on atom_state for each row execute function fail())");
  const std::vector<std::pair<const char*, StateErrorCode>> lasting{
      {"53100", StateErrorCode::refused},   {"25006", StateErrorCode::refused}, {"42501", StateErrorCode::refused},
      {"54000", StateErrorCode::too_large}, {"22023", StateErrorCode::refused}, {"P0001", StateErrorCode::refused},
      {"23514", StateErrorCode::refused}};
  const std::vector<std::pair<const char*, StateErrorCode>> passing{
      {"40001", StateErrorCode::unavailable}, {"40P01", StateErrorCode::unavailable},
      {"53200", StateErrorCode::unavailable}, {"57014", StateErrorCode::timed_out},
      {"55P03", StateErrorCode::unavailable}, {"26000", StateErrorCode::unavailable}};
  ++client.lane.sequence;
  Batch batch;
  batch.apply(shop, "n", {}, current + 1);
  for (const auto* some : {&lasting, &passing}) {
    for (const auto& [code, expected] : *some) {
      INFO(code);
      database.run("update code set code = '" + std::string(code) + "'");
      const BatchResult result = client.send(batch);
      CHECK(result.status == BatchStatus::not_applied);
      REQUIRE(result.error);
      CHECK(result.error->code() == expected);
      CHECK(result.error->effect() == Effect::none);
      CHECK(result.error->retryable() == (some == &passing));
      CHECK_THAT(result.error->what(), ContainsSubstring(code));
    }
  }
  for (const char* code : {"22023", "23514", "P0001"}) {
    database.run("update code set code = '" + std::string(code) + "'");
    CHECK_THAT(client.send(batch).error->what(), !ContainsSubstring("secret"));
  }
  database.run("update code set code = '08006'");  // what a pooler says when it has lost the server
  CHECK(client.send(batch).status == BatchStatus::in_doubt);
  database.run("update code set code = ''");
  CHECK(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: where somebody has removed the tables, it says how to make them") {
  Database database;
  database.client.run(Batch().write(shop, "n", "1"));
  database.run("drop schema " + database.schema + " cascade; create schema " + database.schema);
  ++database.client.lane.sequence;
  const BatchResult result = database.client.send(Batch().write(shop, "n", "2"));
  CHECK(result.status == BatchStatus::not_applied);
  REQUIRE(result.error);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK_FALSE(result.error->retryable());
  CHECK_THAT(result.error->what(), ContainsSubstring("make the tables"));
}

/// Has all rows locked while it is there.
class Holder {
 public:
  explicit Holder(const Database& database) : connection_(PQconnectdb(url_of(database.schema).c_str())) {
    for (const char* sql : {"begin", "update atom_state set value = '5'"}) {
      PGresult* const result = PQexec(connection_, sql);
      REQUIRE(PQresultStatus(result) == PGRES_COMMAND_OK);
      PQclear(result);
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() { PQfinish(connection_); }  // which takes that back

 private:
  PGconn* const connection_;
};

TEST_CASE("postgres: where the server ends a statement it had no effect") {
  Database database;
  const auto impatient = open({.url = url_of(database.schema, " -c statement_timeout=300")});
  database.client.run(Batch().write(shop, "n", "1"));
  std::optional<Holder> holder(std::in_place, database);
  Client client(*impatient);
  ++client.lane.sequence;
  const BatchResult result = client.send(Batch().apply(shop, "n", {}, current + 1));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->retryable());
  holder.reset();
  CHECK(client.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: a batch that waits beyond its deadline is in doubt, and sent again it is done once") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "n", "1"));
  std::optional<Holder> holder(std::in_place, database);
  ++client.lane.sequence;
  Batch batch;
  batch.apply(shop, "n", {}, current + 1);
  const BatchResult result = client.send(batch, BatchMode::independent, in(500ms));
  CHECK(result.status == BatchStatus::in_doubt);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->effect() == Effect::unknown);
  holder.reset();
  CHECK(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: a batch for which nobody waits any more does not wait in the server") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "n", "1"));
  std::optional<Holder> holder(std::in_place, database);
  ++client.lane.sequence;
  CHECK(client.send(Batch().erase(shop, "n"), BatchMode::independent, in(500ms)).status == BatchStatus::in_doubt);
  const char* const waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
  CHECK(eventually([&] { return database.run(waiting) == "0"; }));
  holder.reset();
  CHECK(client.text(shop, "n") == "1");
}

TEST_CASE("postgres: more connections than the server has are an error for now") {
  Database database;
  database.run("create role few login connection limit 1; grant all on schema " + database.schema +
               " to few; grant all on all tables in schema " + database.schema + " to few");
  Postgres first(url_of(database.schema) + " user=few");
  REQUIRE_FALSE(first.prepare(false, soon()));
  const StateError error = refused({.url = url_of(database.schema) + " user=few"}, false);
  CHECK(error.code() == StateErrorCode::unavailable);
  CHECK(error.retryable());
  CHECK_THAT(error.what(), ContainsSubstring("53300"));
}

TEST_CASE("postgres: a thread waits until its deadline for a connection that another one uses") {
  Database database;
  const auto narrow = open({.url = url_of(database.schema), .connections = 1});
  Client client(*narrow);
  client.run(Batch().write(shop, "n", "1"));
  std::optional<Holder> holder(std::in_place, database);
  BatchResult waited;
  std::thread waiter([&] {
    ++client.lane.sequence;
    waited = client.send(Batch().apply(shop, "n", {}, current + 1));
  });
  const char* const waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
  CHECK(eventually([&] { return database.run(waiting) == "1"; }));
  Client other(*narrow);
  ++other.lane.sequence;
  const BatchResult result = other.send(Batch().check(shop, "m"), BatchMode::independent, in(100ms));
  holder.reset();
  waiter.join();
  CHECK(waited.status == BatchStatus::done);
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->effect() == Effect::none);
}

TEST_CASE("postgres: without prepared statements it does the same, and leaves nothing in the session") {
  const PostgresServer own({"log_statement=all"});
  const auto postgres = open({.url = own.url(), .prepares_statements = false});
  Client client(*postgres);
  client.run(Batch().write(shop, "n", "1", {.labels = {"x"}}));
  CHECK(client.run(Batch().apply(shop, "n", {}, current + 1))[0].value->text == "1");
  Batch again;
  again.apply(shop, "n", {}, current + 1);
  REQUIRE(client.send(again).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
  CHECK(postgres->list({}, soon())->size() == 1);
  CHECK(postgres->scopes("", 10, soon())->size() == 1);
  CHECK(postgres->purge(std::vector<std::string>{"x"}, soon())->size() == 1);
  std::ifstream file(own.folder() + "/log");
  const std::string log((std::istreambuf_iterator<char>(file)), {});
  CHECK_THAT(log, ContainsSubstring("execute <unnamed>"));
  CHECK_THAT(log, !ContainsSubstring("execute atom_"));
  CHECK_THAT(log, !ContainsSubstring("set_config"));
}

// --------------------------------------------------------------------------------- servers that do not do what they
// must

/// How long it takes, against how long it may.
template <class F>
double share_of(std::chrono::milliseconds time, F f) {
  const auto start = Clock::now();
  f();
  return std::chrono::duration<double>(Clock::now() - start) / std::chrono::duration<double>(time);
}

TEST_CASE("postgres: a server that stands still costs the deadline, and is used again when it goes on") {
  const PostgresServer own;
  const auto postgres = open({.url = own.url()});
  Client client(*postgres);
  client.run(Batch().write(shop, "n", "1"));
  own.pause();
  Batch batch;
  batch.apply(shop, "n", {}, current + 1);
  ++client.lane.sequence;
  BatchResult result;
  // First on a connection that is there, then on none: the second one cannot connect.
  const auto send = [&] { result = client.send(batch, BatchMode::independent, in(2s)); };
  const double sent = share_of(2s, send);
  CHECK((sent > 0.9 && sent < 1.8));
  CHECK(result.status == BatchStatus::in_doubt);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  const double sent_again = share_of(2s, send);
  CHECK((sent_again > 0.9 && sent_again < 1.8));
  CHECK(result.status == BatchStatus::not_applied);  // this time; the engine keeps in mind that it is in doubt
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->retryable());
  own.go_on();
  REQUIRE(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: a server that crashes ends no program, and is used again when it is back") {
  std::signal(SIGPIPE, SIG_DFL);
  PostgresServer own;
  const auto postgres = open({.url = own.url()});
  Client client(*postgres);
  client.run(Batch().write(shop, "n", "1"));
  own.stop(SIGQUIT);
  Batch batch;
  batch.apply(shop, "n", {}, current + 1);
  ++client.lane.sequence;
  for (int i = 0; i < 3; ++i) {
    const BatchResult result = client.send(batch);
    CHECK(result.error->code() == StateErrorCode::unavailable);
    CHECK(result.error->retryable());
  }
  const atom::StateName name{shop, "n"};
  Outcome outcome;
  const auto error = postgres->read({&name, 1}, {&outcome, 1}, soon());
  REQUIRE(error);
  CHECK(error->effect() == Effect::none);
  own.start();
  REQUIRE(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: a server that becomes a standby refuses writes and is read, until it takes writes again") {
  PostgresServer own;
  const auto postgres = open({.url = own.url()});
  Client client(*postgres);
  client.run(Batch().write(shop, "n", "1"));
  own.stop(SIGINT);
  std::ofstream(own.folder() + "/data/standby.signal").flush();
  own.start();
  Batch batch;
  batch.apply(shop, "n", {}, current + 1);
  ++client.lane.sequence;
  const BatchResult result = client.send(batch);
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK(result.error->effect() == Effect::none);
  CHECK(client.text(shop, "n") == "1");
  CHECK_THAT(refused({.url = own.url()}).what(), ContainsSubstring("standby"));
  own.run("select pg_promote()");
  REQUIRE(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("postgres: while the server crashes again and again, each number is given out once") {
  PostgresServer own;
  constexpr std::size_t threads = 4, each = 150;
  std::vector<std::vector<std::int64_t>> seen(threads);
  std::atomic<std::uint64_t> lost = 0;
  {
    atom::StateStore states{Postgres(own.url()), {.deadline = 60s, .on_event = [&](const atom::StateEvent& event) {
                                                    if (event.kind == atom::StateEvent::Kind::history_lost) ++lost;
                                                  }}};
    auto n = states.get_state<std::int64_t>(0, {.key = "n", .scope = Scope::global()});
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < threads; ++i) {
      all.emplace_back([&, i] {
        for (std::size_t k = 0; k < each; ++k) {
          seen[i].push_back(n.apply(current + 1));
          std::this_thread::sleep_for(5ms);
        }
      });
    }
    for (int crashes = 0; crashes < 3; ++crashes) {
      std::this_thread::sleep_for(300ms);
      own.stop(SIGQUIT);
      own.start();
    }
    for (std::thread& thread : all) thread.join();
    CHECK(n.load() == threads * each);
    CHECK(states.stats().retries > 0);
  }
  std::vector<std::int64_t> given;
  for (const auto& some : seen) given.insert(given.end(), some.begin(), some.end());
  std::sort(given.begin(), given.end());
  std::vector<std::int64_t> wanted(threads * each);
  std::iota(wanted.begin(), wanted.end(), 1);
  CHECK(given == wanted);
  CHECK(lost == 0);
}

/// Listens on a port, and answers whatever comes with the same bytes.
class Babbler {
 public:
  explicit Babbler(std::string says) : says_(std::move(says)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int one; (one = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(one)) {
        char some[512];
        for (int i = 0; i < 3 && ::recv(one, some, sizeof(some), 0) > 0; ++i) {
          ::send(one, says_.data(), says_.size(), MSG_NOSIGNAL);
        }
      }
    });
  }
  Babbler(const Babbler&) = delete;
  Babbler& operator=(const Babbler&) = delete;
  ~Babbler() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "host=127.0.0.1 user=atom sslmode=disable port=" + std::to_string(port_); }

 private:
  const std::string says_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST_CASE("postgres: of several hosts one that says nothing has its share of the time, and the next one has its turn") {
  const support::SilentServer silent_server(false);
  const std::string silent = std::to_string(silent_server.port()), nobody = std::to_string(support::free_port());
  const auto url = [](const std::string& hosts, const std::string& ports) {
    return "host=" + hosts + " port=" + ports + " user=atom dbname=postgres";
  };
  atom::StateStore states{Postgres(url("127.0.0.1,127.0.0.1," + server().folder(), nobody + ',' + silent + ",5432")),
                          {.deadline = 4s}};
  auto n = states.get_state<std::int64_t>(0, {.key = "n", .scope = Scope{"of.several.hosts"}});
  CHECK(n.apply(current + 1) == 1);

  for (const std::string& ports : {silent + ',' + nobody, nobody + ',' + silent, silent}) {
    const StateError error = refused({.url = url("127.0.0.1,127.0.0.1", ports)}, true, in(3s));
    INFO(error.what());
    CHECK(error.effect() == atom::Effect::none);
    CHECK(error.retryable());
    CHECK_THAT(error.what(), ContainsSubstring("no connection before the deadline"));
    CHECK_THAT(error.what(), ContainsSubstring("; the next host: "));
  }
  const StateError reader =
      refused({.url = url(server().folder() + ',' + server().folder(), "5432") +
                      " target_session_attrs=read-write options='-cdefault_transaction_read_only=on'"});
  CHECK(reader.retryable());
  CHECK_THAT(reader.what(), ContainsSubstring("read-only; the next host: ") && ContainsSubstring("read-only ("));
  // What another host would not do either is said at once.
  const StateError none = refused({.url = url(server().folder() + ',' + server().folder(), "5432") + " dbname=none"});
  CHECK_THAT(none.what(), ContainsSubstring("3D000") && !ContainsSubstring("the next host"));
}

TEST_CASE("postgres: the hosts of a URL are told apart where it says all of each, and else are libpq's to read") {
  using atom::detail::postgres_hosts;
  const auto text_of = [](const std::string& url) {
    std::string text;
    for (const auto& host : postgres_hosts(url)) text += host.host + '|' + host.hostaddr + '|' + host.port + ' ';
    return text;
  };
  CHECK(text_of("postgresql://me@a:1,b:2/app?target_session_attrs=read-write") == "a||1 b||2 ");
  CHECK(text_of("postgresql://me@a,b/app") == "a||5432 b||5432 ");
  CHECK(text_of("postgresql://me@a:1,b/app") == "a||1 b||5432 ");
  CHECK(text_of("host=a,b port=7") == "a||7 b||7 ");
  CHECK(text_of("hostaddr=1.1.1.1,2.2.2.2 host=a,b port=1,2") == "a|1.1.1.1|1 b|2.2.2.2|2 ");
  CHECK(text_of("hostaddr=1.1.1.1,2.2.2.2") == "|1.1.1.1| |2.2.2.2| ");
  for (const char* url : {"app", "host=a port=1", "host=a,b port=1,2,", "host=a,,b", "host=a,b hostaddr=1.1.1.1",
                          "host=a,b port=1,2,3", "host='a,b", "host=a,b service=other"}) {
    INFO(url);
    CHECK(text_of(url).empty());
  }
  ::setenv("PGPORT", "7,8", 1);
  CHECK(text_of("host=a,b") == "a||7 b||8 ");
  CHECK(text_of("host=a,b,c").empty());
  ::setenv("PGHOST", "a,b", 1);
  CHECK(text_of("hostaddr=1.1.1.1,2.2.2.2") == "a|1.1.1.1|7 b|2.2.2.2|8 ");
  for (const char* name : {"PGPORT", "PGHOST"}) ::unsetenv(name);
}

TEST_CASE("postgres: a server that talks nonsense is an error, and no later than the deadline") {
  const std::string welcome("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", 15);
  for (const std::string& says :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string(300, '\0'), std::string(100, '\xff'),
        std::string("R\0\0\0\x08\x7f\0\0\0", 9), std::string("R\0\0\0\x08\0\0\0\0", 9), welcome,
        std::string("E\0\0\0\x05\0", 6), std::string("D\x7f\xff\xff\xff", 5)}) {
    const Babbler babbler(says);
    Postgres postgres(babbler.url());
    std::optional<StateError> error;
    CHECK(share_of(1s, [&] { error = postgres.prepare(true, in(1s)); }) < 1.8);
    REQUIRE(error);
    INFO(error->what());
    CHECK((error->code() == StateErrorCode::unavailable || error->code() == StateErrorCode::timed_out));
  }
}

// -------------------------------------------------------------------------------------------------------- what changes

/// Polls a feed in a thread of its own, and counts.
class Listener final : public atom::FeedSink {
 public:
  explicit Listener(Postgres& postgres) : feed_(postgres.open_feed()) {
    thread_ = std::thread([this] {
      while (!ends_) {
        if (!feed_->poll(*this, in(100ms))) continue;
        ++errors_;
        std::this_thread::sleep_for(10ms);
      }
    });
    REQUIRE(eventually([&] { return gaps_ == 1; }));
  }
  ~Listener() override {
    ends_ = true;
    feed_->wake();
    thread_.join();
  }
  void changed(const Scope& scope, std::string_view key, std::int64_t,
               std::optional<atom::StoredValue> value) override {
    const std::lock_guard lock(mutex_);
    names_.push_back(scope.text() + ':' + std::string(key) + (value ? "=" + value->text : ""));
  }
  void lost_track() override { ++gaps_; }

  int gaps() const { return gaps_; }
  int errors() const { return errors_; }
  std::vector<std::string> names() const {
    const std::lock_guard lock(mutex_);
    return names_;
  }
  bool hears(const std::vector<std::string>& wanted) const {
    return eventually([&] { return names().size() >= wanted.size(); }) && names() == wanted;
  }

 private:
  std::unique_ptr<atom::Feed> feed_;
  std::atomic<int> gaps_ = 0, errors_ = 0;
  std::atomic<bool> ends_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> names_;
  std::thread thread_;
};

TEST_CASE("postgres: a feed tells what its own object writes, with the value, and of others that they wrote") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  Listener own(*database.postgres), others(*other);
  database.client.run(Batch().write(shop, "a", "1").apply(shop, "n", {}, current + 1).check(shop, "c"));
  CHECK(others.hears({"shop:a", "shop:n"}));
  database.client.run(Batch().erase(shop, "a"));
  CHECK(own.hears({"shop:a=1", "shop:n=1", "shop:a"}));
  CHECK(others.hears({"shop:a", "shop:n", "shop:a"}));
  Client theirs(*other);
  theirs.run(Batch().write(shop / "x y", "k: \xc3\xa4", "2"));
  CHECK(own.hears({"shop:a=1", "shop:n=1", "shop:a", "shop.x%20y:k: \xc3\xa4"}));
  REQUIRE(other->erase_scope(shop, soon()));
  CHECK(eventually([&] { return own.names().size() == 6; }));
  CHECK(own.gaps() == 1);
  CHECK(others.gaps() == 1);
}

TEST_CASE(
    "postgres: of many writes of one state by others a feed that was busy tells once, with what else is to be read") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  const auto feed = other->open_feed();
  struct Heard final : atom::FeedSink {
    void changed(const Scope&, std::string_view, std::int64_t, std::optional<atom::StoredValue>) override { ++alone; }
    void to_be_read(std::span<const atom::ChangedState> states) override {
      ++bursts;
      for (const atom::ChangedState& state : states) keys.push_back(state.key);
    }
    void lost_track() override {}
    int alone = 0, bursts = 0;
    std::vector<std::string> keys;
  } heard;
  REQUIRE_FALSE(feed->poll(heard, in(100ms)));  // it listens
  for (int i = 0; i < 50; ++i) database.client.run(Batch().apply(shop, "hot", {}, current + 1));
  database.client.run(Batch().write(shop, "quiet", "1"));
  const auto has_heard = [&](std::string_view key) {
    return std::find(heard.keys.begin(), heard.keys.end(), key) != heard.keys.end();
  };
  std::this_thread::sleep_for(100ms);
  for (const auto end = soon(); !has_heard("quiet") && Clock::now() < end;) {
    REQUIRE_FALSE(feed->poll(heard, in(10ms)));
  }
  CHECK(has_heard("hot"));
  CHECK(has_heard("quiet"));
  CHECK(heard.keys.size() < 20);  // if no server is very slow to pass them on: 2
  CHECK(heard.alone == 0);
}

TEST_CASE("postgres: what ends with rows that are none of ours is told none the less") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  Listener own(*database.postgres), others(*other);
  database.client.run(Batch().write(shop, "a", "1").write(shop / "b", "b", "2"));
  CHECK(others.hears({"shop:a", "shop.b:b"}));
  database.run("insert into atom_state(scope, key, version, format, value) values('shop.a b', 'k', 1, 0, '1')");
  const auto ended = database.postgres->erase_scope(shop, soon());
  REQUIRE(ended);
  CHECK(ended->size() == 2);
  CHECK(own.hears({"shop:a=1", "shop.b:b=2", "shop:a", "shop.b:b"}));
  CHECK(others.hears({"shop:a", "shop.b:b", "shop:a", "shop.b:b"}));
}

TEST_CASE("postgres: more changes than fit into a notice are told as a gap") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  const Listener listener(*other);
  Batch batch;
  for (int i = 0; i < 100; ++i) batch.write(shop, std::to_string(i) + std::string(200, 'x'), "1");
  database.client.run(batch);
  CHECK(eventually([&] { return listener.gaps() == 2; }));
  CHECK(listener.names().empty());
}

TEST_CASE("postgres: a feed hears nothing of another schema") {
  Database database, elsewhere;
  const Listener listener(*database.postgres);
  elsewhere.client.run(Batch().write(shop, "a", "1"));
  const auto other = open({.url = url_of(database.schema)});
  Client(*other).run(Batch().write(shop, "b", "1"));
  CHECK(listener.hears({"shop:b"}));
}

TEST_CASE("postgres: a feed that loses its connection tells of one gap, and then of what changes") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  const Listener listener(*other);
  for (int breaks = 1; breaks <= 3; ++breaks) {
    REQUIRE(database.run("select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'select "
                         "''atom_state''::regclass::oid::bigint%'") != "0");
    REQUIRE(eventually([&] { return listener.gaps() == 1 + breaks; }));
    database.client.run(Batch().write(shop, std::to_string(breaks), "1"));
    CHECK(eventually([&] { return listener.names().size() == static_cast<std::size_t>(breaks); }));
  }
  std::this_thread::sleep_for(300ms);
  CHECK(listener.gaps() == 4);
}

TEST_CASE("postgres: a feed whose server is far away connects, and does so again, though it takes longer than a poll") {
  Database database;
  support::ChaosProxy proxy(server().folder() + "/.s.PGSQL.5432");
  proxy.slow_down(100ms);
  Postgres far("host=127.0.0.1 user=atom dbname=postgres sslmode=disable port=" + std::to_string(proxy.port()) +
               " options='-c search_path=" + database.schema + "'");
  const Listener listener(far);
  proxy.cut();
  REQUIRE(eventually([&] { return listener.gaps() == 2; }));
  database.client.run(Batch().write(shop, "a", "1"));
  CHECK(listener.hears({"shop:a"}));
  CHECK(listener.errors() == 0);
}

struct Nobody final : atom::FeedSink {
  void changed(const Scope&, std::string_view, std::int64_t, std::optional<atom::StoredValue>) override { ++calls; }
  void lost_track() override { ++calls; }
  int calls = 0;
};

TEST_CASE("postgres: a feed that is woken while it connects gives that up") {
  const support::SilentServer full(true), silent(false);
  const support::FakeServer mute([](int peer) {
    support::read_some(peer);
    support::write_all(peer, std::string_view("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", 15));
    support::wait_for_end(peer);
  });
  for (const int port : {full.port(), silent.port(), mute.port()}) {
    const std::string first = std::to_string(port), second = std::to_string(silent.port());
    Postgres postgres("host=127.0.0.1,127.0.0.1 user=atom sslmode=disable port=" + first + ',' + second);
    const auto feed = postgres.open_feed();
    Nobody sink;
    for (int i = 0; i < 2; ++i) {
      const auto start = Clock::now();
      std::thread waker([&] {
        std::this_thread::sleep_for(100ms);
        feed->wake();
      });
      const auto error = feed->poll(sink, in(2s));
      const auto passed = Clock::now() - start;
      waker.join();
      CHECK(passed >= 100ms);
      CHECK(passed < 1s);
      support::check_was_woken(error);
      CHECK_THAT(error->what(), !ContainsSubstring("the next host"));
    }
    feed->wake();  // it has no connection yet, woken or not
    CHECK(feed->poll(sink, in(2s)));
    CHECK(sink.calls == 0);
  }
}

TEST_CASE("postgres: what is written through an object does not keep its feed from connecting") {
  Database database;
  support::ChaosProxy proxy(server().folder() + "/.s.PGSQL.5432");
  proxy.slow_down(100ms);
  const auto postgres = open(
      {.url = url_of(database.schema),
       .listen_url = "host=127.0.0.1 user=atom dbname=postgres sslmode=disable port=" + std::to_string(proxy.port()) +
                     " options='-c search_path=" + database.schema + "'"});
  std::atomic<bool> ends = false;
  std::thread writer([&] {
    Client client(*postgres);
    while (!ends) client.run(Batch().apply(shop, "n", {}, current + 1));
  });
  {
    const Listener listener(*postgres);
    CHECK(listener.errors() == 0);
  }
  ends = true;
  writer.join();
}

TEST_CASE("postgres: a feed that is not let listen has no connection, and loses track when it is") {
  Database database;
  const auto other = open({.url = url_of(database.schema)});
  database.run("alter table atom_state rename to elsewhere");
  const auto feed = other->open_feed();
  Nobody sink;
  for (int i = 0; i < 2; ++i) CHECK(feed->poll(sink, in(50ms)));
  CHECK(sink.calls == 0);
  database.run("alter table elsewhere rename to atom_state");
  CHECK_FALSE(feed->poll(sink, in(50ms)));
  CHECK(sink.calls == 1);
}

TEST_CASE("postgres: a feed whose server stands still says so, and tells of one gap when it goes on") {
  const PostgresServer own;
  const auto postgres = open({.url = own.url()}), other = open({.url = own.url()});
  const Listener listener(*other);
  CHECK(listener.errors() == 0);
  own.pause();
  CHECK(eventually([&] { return listener.errors() > 0; }));
  CHECK(listener.gaps() == 1);
  own.go_on();
  CHECK(eventually([&] { return listener.gaps() == 2; }));
  Client(*postgres).run(Batch().write(shop, "a", "1"));
  CHECK(listener.hears({"shop:a"}));
  CHECK(listener.gaps() == 2);
}

TEST_CASE("postgres: a store hears what another one writes, also after its connection was lost") {
  const std::string schema = new_schema();
  atom::StateStore here{Postgres(url_of(schema))}, there{Postgres(url_of(schema))};
  const atom::StateOptions name{.key = "n", .scope = Scope::global()};
  auto theirs = there.get_state<std::int64_t>(0, name);
  auto ours = here.get_state<std::int64_t>(0, name);
  std::atomic<std::int64_t> heard = -1;
  const auto hears = ours.on_change([&](std::int64_t now) { heard = now; });
  theirs.set(1);
  CHECK(eventually([&] { return heard == 1; }));
  server().run("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'atom'");
  theirs.set(2);
  CHECK(eventually([&] { return heard == 2; }));
  theirs.set(3);
  CHECK(eventually([&] { return heard == 3; }));
}

}  // namespace
}  // namespace postgres_test

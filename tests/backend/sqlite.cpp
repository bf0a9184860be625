#include <atom/backend/sqlite.hpp>

#include "support/backend_checks.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace sqlite_test {
namespace {

using atom::BatchMode;
using atom::BatchResult;
using atom::BatchStatus;
using atom::current;
using atom::Effect;
using atom::FoundState;
using atom::Outcome;
using atom::Scope;
using atom::Sqlite;
using atom::SqliteOptions;
using atom::StateError;
using atom::StateErrorCode;
using atom::StoredValue;
using support::Batch;
using support::Client;
using support::ContainsSubstring;
using support::exit_code_of;
using support::in;
using support::names;
using support::soon;
using support::TemporaryFolder;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
const Scope shop{"shop"};

std::unique_ptr<Sqlite> open(const std::string& path) {
  auto sqlite = std::make_unique<Sqlite>(path);
  if (const auto error = sqlite->prepare(true, soon())) throw std::runtime_error(error->what());
  return sqlite;
}

/// A file, open.
struct File {
  TemporaryFolder folder;
  std::string path = folder / "app.db";
  std::unique_ptr<Sqlite> sqlite = open(path);
  Client client{*sqlite};
};

/// Goes past the library, by a connection of its own.
std::string raw(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  std::string result;
  const auto append = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) += values[0] ? values[0] : "null";
    return 0;
  };
  char* error = nullptr;
  sqlite3_open(path.c_str(), &db);
  sqlite3_busy_timeout(db, 10000);
  if (sqlite3_exec(db, sql.c_str(), append, &result, &error) != SQLITE_OK) result = "error: "s + error;
  sqlite3_free(error);
  sqlite3_close(db);
  return result;
}

// ---------------------------------------------------------------------------------------------------------- commands

TEST_CASE("sqlite: what was written is read back, and its version goes up by one") {
  File file;
  CHECK(file.client.read(shop, "name").version == 0);
  CHECK_FALSE(file.client.read(shop, "name").value);
  const std::int64_t first = file.client.run(Batch().write(shop, "name", "\"a\"", {.format = 3}))[0].version;
  const std::int64_t second = file.client.run(Batch().write(shop, "name", "\"b\"", {.format = 4}))[0].version;
  CHECK(first > 1'600'000'000'000'000);
  CHECK(second == first + 1);
  const Outcome read = file.client.read(shop, "name");
  CHECK(read.version == second);
  CHECK(read.value->text == "\"b\"");
  CHECK(read.value->format == 4);
}

TEST_CASE("sqlite: several are read at once") {
  File file;
  file.client.run(Batch().write(shop, "a", "1").write(shop, "c", "3"));
  const atom::StateName wanted[] = {{shop, "a"}, {shop, "b"}, {shop, "c"}};
  Outcome outcomes[3];
  REQUIRE_FALSE(file.sqlite->read(wanted, outcomes, soon()));
  CHECK(outcomes[0].value->text == "1");
  CHECK(outcomes[1].version == 0);
  CHECK_FALSE(outcomes[1].value);
  CHECK(outcomes[2].value->text == "3");
}

TEST_CASE("sqlite: a time to live is begun anew by reading with one, and neither made nor brought back") {
  File file;
  const std::int64_t hour = 3'600'000;
  const auto end_of = [&](const std::string& key) {
    const std::string end = raw(file.path, "select expires_at from atom_state where key = '" + key + "'");
    return end == "null" ? 0 : std::stoll(end);
  };
  const auto read = [&](const char* key) {
    const atom::StateName name{shop, key, hour};
    Outcome outcome;
    REQUIRE_FALSE(file.sqlite->read({&name, 1}, {&outcome, 1}, soon()));
    return outcome.version;
  };
  file.client.run(Batch().write(shop, "a", "1", {.ttl = hour / 2}).write(shop, "b", "1", {.ttl = hour / 2}));
  file.client.run(Batch().write(shop, "ever", "1").write(shop, "over", "1", {.ttl = 1}));
  const std::int64_t version = file.client.read(shop, "a").version;
  const std::int64_t before = end_of("a");
  CHECK(read("a") == version);
  CHECK(end_of("a") - before > 1000 * hour / 4);
  CHECK(end_of("b") < before + 1000 * hour / 4);
  CHECK(file.client.read(shop, "a").version == version);
  CHECK(read("ever") > 0);
  CHECK(end_of("ever") == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(read("over") == 0);
  CHECK(file.client.read(shop, "over").version == 0);
}

TEST_CASE("sqlite: a version that is not the expected one is a conflict, with what is there") {
  File file;
  Client& client = file.client;
  const std::int64_t version = client.run(Batch().write(shop, "a", "1", {.expected = 0}))[0].version;
  const Batch batches[] = {std::move(Batch().write(shop, "a", "2", {.expected = 0})),
                           std::move(Batch().write(shop, "a", "2", {.expected = version - 1})),
                           std::move(Batch().erase(shop, "a", {.expected = version + 1})),
                           std::move(Batch().check(shop, "a", {.expected = 0})),
                           std::move(Batch().apply(shop, "a", {.expected = 0}, current + 1))};
  for (const Batch& batch : batches) {
    const Outcome outcome = client.run(batch)[0];
    CHECK(outcome.error == StateErrorCode::conflict);
    CHECK(outcome.version == version);
    CHECK(outcome.value->text == "1");
  }
  CHECK(client.run(Batch().write(shop, "b", "2", {.expected = 7}))[0].error == StateErrorCode::conflict);
  CHECK_FALSE(client.outcomes[0].value);
  CHECK(client.read(shop, "b").version == 0);
  CHECK_FALSE(client.run(Batch().check(shop, "a", {.expected = version}))[0].error);
  CHECK(client.outcomes[0].version == version);
  CHECK(client.run(Batch().write(shop, "a", "2", {.expected = version}))[0].version == version + 1);
}

TEST_CASE("sqlite: an erased value is gone, and its version is told") {
  File file;
  const std::int64_t version = file.client.run(Batch().write(shop, "a", "1"))[0].version;
  CHECK(file.client.run(Batch().erase(shop, "a"))[0].version == version);
  CHECK(file.client.read(shop, "a").version == 0);
  CHECK(file.client.run(Batch().erase(shop, "a"))[0].version == 0);
  CHECK_FALSE(file.client.outcomes[0].error);
}

TEST_CASE("sqlite: commands of a batch take effect each on its own, or all of them, or none") {
  File file;
  Client& client = file.client;
  client.run(Batch().write(shop, "taken", "1"));
  Batch batch;
  batch.write(shop, "a", "1").write(shop, "taken", "2", {.expected = 0}).apply(shop, "n", {}, current + 1);
  const std::vector<Outcome> none = client.run(batch, BatchMode::all_or_nothing);
  CHECK(none[1].error == StateErrorCode::conflict);
  CHECK_FALSE(none[0].error);
  CHECK(client.read(shop, "a").version == 0);
  CHECK(client.read(shop, "n").version == 0);
  client.run(batch);
  CHECK(client.text(shop, "a") == "1");
  CHECK(client.text(shop, "n") == "1");
  CHECK(client.text(shop, "taken") == "1");
}

// ---------------------------------------------------------------------------------------------------------- equations

TEST_CASE("sqlite: an equation starts from what is there, or from its initial value, and tells the value before") {
  File file;
  const std::int64_t first = file.client.run(Batch().apply(shop, "n", {}, current + 5))[0].version;
  CHECK_FALSE(file.client.outcomes[0].value);
  const Outcome outcome = file.client.run(Batch().apply(shop, "n", {}, current * 3))[0];
  CHECK(outcome.value->text == "5");
  CHECK(outcome.version == first + 1);
  CHECK(file.client.text(shop, "n") == "15");
}

TEST_CASE("sqlite: of several equations one that fails is left out, and if all fail nothing is written") {
  File file;
  Client& client = file.client;
  client.run(Batch().write(shop, "n", "7"));
  const std::int64_t version =
      client.run(Batch().apply(shop, "n", {}, current + 1, current + highest, current * 2))[0].version;
  CHECK(client.text(shop, "n") == "16");
  const Outcome outcome = client.run(Batch().apply(shop, "n", {}, current + highest, current * highest))[0];
  CHECK_FALSE(outcome.error);
  CHECK(outcome.version == version);
  CHECK(outcome.value->text == "16");
  CHECK(client.run(Batch().apply_to<std::int64_t>(shop, "m", "9", {}, current + highest))[0].version == 0);
  CHECK(client.read(shop, "m").version == 0);
}

TEST_CASE("sqlite: where all commands count, an equation that fails is an error of its command") {
  File file;
  Batch batch;
  batch.write(shop, "a", "1").apply(shop, "n", {}, current + 1, current + highest);
  CHECK(file.client.run(batch, BatchMode::all_or_nothing)[1].error == StateErrorCode::overflow);
  CHECK(file.client.read(shop, "a").version == 0);
}

TEST_CASE("sqlite: a text that does not read as the type stays as it is") {
  File file;
  for (const char* text : {"\"seven\"", "7.5", "", "{", "1e400"}) {
    file.client.run(Batch().write(shop, "n", text));
    const Outcome outcome = file.client.run(Batch().apply(shop, "n", {}, current + 1))[0];
    CHECK(outcome.error == StateErrorCode::undecodable);
    CHECK(outcome.value->text == text);
    CHECK(file.client.text(shop, "n") == text);
  }
}

TEST_CASE("sqlite: a list that grows beyond what a value may be does not grow") {
  File file;
  using List = std::vector<std::string>;
  const std::string item(200'000, 'x');
  CHECK_FALSE(
      file.client.run(Batch().apply_to<List>(shop, "list", "[]", {}, atom::append(std::string(item))))[0].error);
  const Outcome outcome =
      file.client.run(Batch().apply_to<List>(shop, "list", "[]", {}, atom::append(std::string(item))))[0];
  CHECK(outcome.error == StateErrorCode::too_large);
  CHECK(file.client.text(shop, "list") == "[\"" + item + "\"]");
}

// -------------------------------------------------------------------------------------------------------------- lanes

TEST_CASE("sqlite: a batch that comes again is not done again, and has the outcomes of the first time") {
  File file;
  Client& client = file.client;
  client.run(Batch().write(shop, "taken", "[\"as it \\u0000 was\"]").write(shop, "gone", "1"));
  Batch batch;
  batch.apply(shop, "n", {}, current + 1).write(shop, "taken", "2", {.expected = 0}).erase(shop, "gone");
  client.run(Batch().apply(shop, "n", {}, current + 41));
  client.run(batch);
  client.run(Batch());
  --client.lane.sequence;  // the one before, of which there is no other trace
  CHECK(client.send(batch).status == BatchStatus::not_applied);
  ++client.lane.sequence;

  Client other(*file.sqlite);
  const std::vector<Outcome> once = other.run(batch);
  file.client.run(Batch().write(shop, "taken", "3").write(shop, "n", "100"));
  for (int again = 0; again < 2; ++again) {
    if (again == 1) {
      file.sqlite = nullptr;
      file.sqlite = open(file.path);
    }
    Client same(*file.sqlite);
    same.lane = other.lane;
    REQUIRE(same.send(batch).status == BatchStatus::done);
    support::check_same(same.outcomes, once);
    CHECK(same.text(shop, "n") == "100");
    CHECK(same.text(shop, "taken") == "3");
  }
}

TEST_CASE(
    "sqlite: an older batch is refused, and one after missing ones is a gap until it is known that they are lost") {
  File file;
  Client& client = file.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  client.run(Batch().apply(shop, "n", {}, current + 1));
  client.lane.sequence = 1;
  const BatchResult older = client.send(Batch().apply(shop, "n", {}, current + 1));
  CHECK(older.status == BatchStatus::not_applied);
  CHECK(older.error->code() == StateErrorCode::refused);
  client.lane.sequence = 7;
  const BatchResult gap = client.send(Batch().apply(shop, "n", {}, current + 1));
  CHECK(gap.status == BatchStatus::gap);
  CHECK(gap.error->code() == StateErrorCode::history_lost);
  CHECK(client.text(shop, "n") == "2");
  client.lane.after_loss = true;
  CHECK(client.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "3");
}

TEST_CASE("sqlite: another batch with a number that was used is refused") {
  File file;
  file.client.run(Batch().write(shop, "a", "1"));
  const BatchResult result = file.client.send(Batch().write(shop, "a", "1").write(shop, "b", "1"));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
}

TEST_CASE("sqlite: a lane that nobody has used for a month is forgotten, others are not") {
  File file;
  Client old(*file.sqlite);
  old.run(Batch().write(shop, "a", "1"));
  file.client.run(Batch().write(shop, "a", "2"));
  const auto days_ago = [&](int days, int row) {
    const std::string time = std::to_string(days * std::int64_t{86'400'000'000});
    CHECK(raw(file.path,
              "update atom_lane set touched = touched - " + time + " where rowid = " + std::to_string(row)) == "");
  };
  days_ago(31, 1);
  days_ago(29, 2);
  file.sqlite = nullptr;
  file.sqlite = open(file.path);
  Client next(*file.sqlite);
  next.run(Batch().write(shop, "a", "3"));
  CHECK(raw(file.path, "select group_concat(rowid) from (select rowid from atom_lane order by rowid)") == "2,3");
}

// ----------------------------------------------------------------------------------------------------------- versions

TEST_CASE("sqlite: a state that comes back has a higher version than it ever had, whatever the clock says") {
  File file;
  Client& client = file.client;
  const auto later = [&](const char* key) {
    raw(file.path, "update atom_state set version = 4000000000000000 where key = '"s + key + "'");
  };
  client.run(Batch().write(shop, "erased", "1"));
  later("erased");
  client.run(Batch().erase(shop, "erased"));
  CHECK(client.run(Batch().write(shop, "erased", "1"))[0].version == 4'000'000'000'000'001);

  raw(file.path, "update atom_gone set version = 0");
  client.run(Batch().write(shop, "over", "1", {.ttl = 1}));
  later("over");
  std::this_thread::sleep_for(2ms);
  CHECK(client.run(Batch().apply(shop, "over", {}, current + 1))[0].version == 4'000'000'000'000'001);

  raw(file.path, "update atom_gone set version = 0");
  client.run(Batch().write(shop, "purged", "1", {.labels = {"x"}}));
  later("purged");
  REQUIRE(file.sqlite->purge(std::vector{"x"s}, soon()));
  CHECK(client.run(Batch().write(shop, "purged", "1"))[0].version == 4'000'000'000'000'001);

  raw(file.path, "update atom_gone set version = 0");
  client.run(Batch().write(Scope{"one"}, "swept", "1"));
  later("swept");
  REQUIRE(file.sqlite->erase_scope(Scope{"one"}, soon()));
  CHECK(client.run(Batch().write(Scope{"one"}, "swept", "1"))[0].version == 4'000'000'000'000'001);
}

TEST_CASE("sqlite: a state with the highest of all numbers as its version, which nobody gives it, is not written") {
  File file;
  file.client.run(Batch().write(shop, "there", "1").write(shop, "gone", "1"));
  raw(file.path, "update atom_state set version = 9223372036854775807");
  file.client.run(Batch().erase(shop, "gone"));
  for (const char* const key : {"there", "gone"}) {
    INFO(key);
    ++file.client.lane.sequence;
    const atom::BatchResult result = file.client.send(Batch().write(shop, key, "2"));
    CHECK(result.status == BatchStatus::not_applied);
    REQUIRE(result.error);
    CHECK(result.error->code() == StateErrorCode::refused);
    --file.client.lane.sequence;
  }
  CHECK(file.client.read(shop, "there").value->text == "1");
}

// ------------------------------------------------------------------------------------------------------- time to live

TEST_CASE("sqlite: a value whose time is over is not there, and the next write makes a new one") {
  File file;
  Client& client = file.client;
  client.run(Batch().write(shop, "a", "1", {.labels = {"old"}, .ttl = 3'600'000}));
  CHECK(client.text(shop, "a") == "1");
  raw(file.path, "update atom_state set expires_at = 1");
  CHECK(client.read(shop, "a").version == 0);
  CHECK(names(file.sqlite->list({}, soon())).empty());
  CHECK(file.sqlite->scopes("", 10, soon()).value().empty());
  CHECK(client.run(Batch().check(shop, "a", {.expected = 0}))[0].error == std::nullopt);
  CHECK(client.run(Batch().erase(shop, "a"))[0].version == 0);
  CHECK(client.run(Batch().apply(shop, "a", {.labels = {"new"}}, current + 5))[0].value == std::nullopt);
  CHECK(client.text(shop, "a") == "5");
  CHECK(file.sqlite->purge(std::vector{"old"s}, soon()).value().empty());
  CHECK(file.sqlite->purge(std::vector{"new"s}, soon()).value().size() == 1);
}

TEST_CASE("sqlite: each write starts the time anew, and without one the value stays") {
  File file;
  file.client.run(Batch().write(shop, "a", "1", {.ttl = 1000}).write(shop, "b", "1", {.ttl = highest}));
  CHECK(raw(file.path, "select abs(expires_at/1000000 - unixepoch() - 1) <= 1 from atom_state where key = 'a'") == "1");
  CHECK(raw(file.path, "select expires_at from atom_state where key = 'b'") == "null");
  file.client.run(Batch().apply(shop, "a", {}, current + 1));
  CHECK(raw(file.path, "select expires_at from atom_state where key = 'a'") == "null");
}

TEST_CASE("sqlite: what is over is neither purged nor erased for its caller, and is removed in passing") {
  File file;
  file.client.run(Batch());  // removes what there is, and then not for a minute
  file.client.run(Batch().write(shop, "a", "1", {.labels = {"x"}, .ttl = 1}).write(shop, "b", "1", {.ttl = 1}));
  std::this_thread::sleep_for(2ms);
  CHECK(file.sqlite->purge(std::vector{"x"s}, soon()).value().empty());
  CHECK(raw(file.path, "select count(*) from atom_state") == "1");
  file.sqlite = nullptr;
  file.sqlite = open(file.path);
  Client(*file.sqlite).run(Batch());
  CHECK(raw(file.path, "select count(*) from atom_state") == "0");
}

// -------------------------------------------------------------------------------------------------------------- lists

TEST_CASE("sqlite: a scope is listed alone or with what lies below, in parts, and neighbours are not in it") {
  File file;
  support::check_lists(*file.sqlite, file.client);
}

TEST_CASE("sqlite: what somebody else has written in scopes that are none is none of ours") {
  File file;
  support::check_foreign_scopes(*file.sqlite, file.client, [&](auto scope, auto key, const std::string& label) {
    const std::string name = "'"s + scope + "', '" + key + "', ";
    raw(file.path, "insert into atom_state(scope, key, version, format, value) values(" + name + "1, 0, '1');" +
                       "insert into atom_label(scope, key, label) values(" + name + "'" + label + "')");
  });
}

TEST_CASE("sqlite: labels are purged by their whole text, and go with their state") {
  File file;
  Client& client = file.client;
  client.run(Batch()
                 .write(shop, "a", "1", {.labels = {"poll", "poll"}})
                 .write(shop, "b", "2", {.labels = {"polls", "it's \"odd\" %"}})
                 .write(shop, "c", "3", {.labels = {"poll", "other"}})
                 .write(shop, "d", "4"));
  client.run(Batch().write(shop, "d", "5", {.labels = {"poll"}}));  // it has been there before
  CHECK(file.sqlite->purge(std::vector{"pol"s, ""s, "%"s, "POLL"s}, soon()).value().empty());
  const auto purged = file.sqlite->purge(std::vector{"poll"s, "other"s}, soon()).value();
  REQUIRE(purged.size() == 2);
  CHECK(purged[0].value.text == "1");
  CHECK(purged[1].value.text == "3");
  CHECK(file.sqlite->purge(std::vector{"it's \"odd\" %"s}, soon()).value().size() == 1);
  client.run(Batch().write(shop, "a", "1"));
  CHECK(file.sqlite->purge(std::vector{"poll"s}, soon()).value().empty());
  CHECK(raw(file.path, "select count(*) from atom_label") == "0");
}

TEST_CASE("sqlite: hostile scopes, keys and values are kept apart and come back as they were") {
  File file;
  const std::vector<std::string> hostile{
      "'",    "\"",   "\\",  "%",  "_",        "?1",        ":key",  "'; drop table atom_state; --",
      "null", "a\nb", " ",   "  ", "\xc3\xa9", "e\xcc\x81", "\xff",  "\xf0\x9f\x98\x80",
      "0",    "0.0",  "1e1", "A",  "a",        "a ",        "x'00'", "-- "};
  Batch batch;
  for (const std::string& segment : hostile) {
    for (const std::string& key : hostile) batch.write(Scope::client(segment), key, "\"" + segment + "|" + key + "\"");
  }
  file.client.run(batch);
  for (const std::string& segment : hostile) {
    for (const std::string& key : hostile) {
      REQUIRE(file.client.text(Scope::client(segment), key) == "\"" + segment + "|" + key + "\"");
    }
  }
  CHECK(file.sqlite->list({}, soon())->size() == hostile.size() * hostile.size());
  const std::string zero("\"a\0b\"", 5);
  file.client.run(Batch().write(shop, "k\0k"s, zero).write(shop, "k\0l"s, "2"));
  CHECK(file.client.text(shop, "k\0k"s) == zero);
  CHECK(file.client.text(shop, "k").empty());
}

// --------------------------------------------------------------------------------------------------------------- feed

struct Heard : atom::FeedSink {
  void changed(const Scope& scope, std::string_view key, std::int64_t version,
               std::optional<StoredValue> value) override {
    changes.push_back(atom::detail::state_id(scope, key) + (value ? " = " + value->text : " ended"));
    versions.push_back(version);
  }
  void lost_track() override { ++losses; }
  std::vector<std::string> changes;
  std::vector<std::int64_t> versions;
  int losses = 0;
};

TEST_CASE("sqlite: a feed tells what is written through its own object, and nothing else of it") {
  File file;
  const auto feed = file.sqlite->open_feed();
  Client& client = file.client;
  client.run(Batch().write(shop, "a", "1", {.labels = {"x"}}).apply(shop, "n", {}, current + 1).check(shop, "z"));
  client.run(Batch().write(shop, "a", "2", {.expected = 0}).erase(shop, "z"));
  client.run(Batch().write(shop, "b", "3").write(shop, "a", "2", {.expected = 0}), BatchMode::all_or_nothing);
  client.send(Batch().write(shop, "a", "1"));
  client.run(Batch().erase(shop, "n"));
  REQUIRE(file.sqlite->purge(std::vector{"x"s}, soon()));
  client.run(Batch().write(Scope{"one"}, "c", "4"));
  REQUIRE(file.sqlite->erase_scope(Scope{"one"}, soon()));
  Heard heard;
  for (int i = 0; i < 5; ++i) REQUIRE_FALSE(feed->poll(heard, in(25ms)));
  CHECK(heard.changes ==
        std::vector{"shop:a = 1"s, "shop:n = 1"s, "shop:n ended"s, "shop:a ended"s, "one:c = 4"s, "one:c ended"s});
  CHECK(heard.losses == 0);
}

TEST_CASE("sqlite: a feed loses track once when another connection has written, and not when nobody has") {
  File file;
  const auto feed = file.sqlite->open_feed();
  const auto other = open(file.path);
  Client client(*other);
  Heard heard;
  REQUIRE_FALSE(feed->poll(heard, in(50ms)));
  CHECK(heard.losses == 0);
  for (int i = 1; i <= 3; ++i) {
    client.run(Batch().apply(shop, "n", {}, current + 1));
    file.client.run(Batch().apply(shop, "own", {}, current + 1));
    for (int k = 0; k < 3; ++k) REQUIRE_FALSE(feed->poll(heard, in(30ms)));
    CHECK(heard.losses == i);
  }
  CHECK(heard.changes.size() == 3);
}

TEST_CASE("sqlite: a feed hears of a write of its own process at once, and is woken by another thread") {
  TemporaryFolder folder;
  Sqlite sqlite{SqliteOptions{.path = folder / "app.db", .poll_every = 1h}};
  REQUIRE_FALSE(sqlite.prepare(true, soon()));
  const auto feed = sqlite.open_feed();
  Heard heard;
  std::thread writer([&] {
    Client(sqlite).run(Batch().write(shop, "a", "1"));
    feed->wake();
  });
  while (heard.changes.empty()) REQUIRE_FALSE(feed->poll(heard, soon()));
  writer.join();
  feed->wake();
  const auto start = std::chrono::steady_clock::now();
  REQUIRE_FALSE(feed->poll(heard, soon()));
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

// --------------------------------------------------------------------------------------------------------- other files

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
/// What is in a folder: names and bytes.
std::map<std::string, std::string> everything(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    all[entry.path().filename().string()] = entry.is_regular_file() ? bytes_of(entry.path().string()) : "no file";
  }
  return all;
}
/// The file is refused, and nothing has changed.
void check_refused(const std::string& path, const std::string& why, bool create = true) {
  const auto before = everything(std::filesystem::path(path).parent_path().string());
  {
    Sqlite sqlite(path);
    const auto error = sqlite.prepare(create, soon());
    REQUIRE(error);
    INFO(error->what());
    CHECK(error->code() == StateErrorCode::refused);
    CHECK(error->effect() == Effect::none);
    CHECK_FALSE(error->retryable());
    CHECK_THAT(error->what(), ContainsSubstring(path));
    CHECK_THAT(error->what(), ContainsSubstring(why));
    Client client(sqlite);
    CHECK(client.send(Batch().write(shop, "a", "1")).status == BatchStatus::not_applied);
  }
  CHECK(everything(std::filesystem::path(path).parent_path().string()) == before);
}
/// A file of ours, with some states.
std::string make_own(const TemporaryFolder& folder) {
  const std::string path = folder / "app.db";
  const auto sqlite = open(path);
  Client client(*sqlite);
  Batch batch;
  for (int i = 0; i < 500; ++i) batch.write(shop, "key" + std::to_string(i), "\"" + std::string(100, 'x') + "\"");
  client.run(batch);
  return path;
}

TEST_CASE("sqlite: a file that is no database is refused and left as it is") {
  TemporaryFolder folder;
  const std::string path = folder / "app.db";
  for (const std::string& bytes : {"x"s, "A letter that somebody would miss.\n"s, "SQLite format 3"s,
                                   std::string(5000, '\0'), std::string(99, 'S')}) {
    put(path, bytes);
    check_refused(path, "is no database of SQLite: name another file");
  }
}

TEST_CASE("sqlite: the database of another application is refused and left as it is") {
  TemporaryFolder folder;
  const std::string path = folder / "app.db";
  for (const char* made : {"create table users(name)", "pragma application_id = 7; create table atom_state(x)",
                           "pragma journal_mode = wal; create table users(name); insert into users values('me')",
                           "pragma user_version = 1"}) {
    std::filesystem::remove(path);
    raw(path, made);
    check_refused(path, "is the database of another application: name another file");
  }
}

TEST_CASE("sqlite: what another application has left in its log is not put into its file") {
  TemporaryFolder folder;
  const std::string path = folder / "app.db";
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  sqlite3_exec(db, "pragma journal_mode = wal; create table users(name); insert into users values('me')", nullptr,
               nullptr, nullptr);
  TemporaryFolder crashed;  // as after a crash: a log, and nobody who has it open
  for (const char* name : {"app.db", "app.db-wal"}) std::filesystem::copy(folder / name, crashed / name);
  sqlite3_close(db);
  check_refused(crashed / "app.db", "another application");
  CHECK(raw(crashed / "app.db", "select name from users") == "me");
}

TEST_CASE("sqlite: a file that a newer version of the program has made is refused and left as it is") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);
  raw(path, "pragma user_version = 99");
  check_refused(path, "a newer version of this program has made its tables (version 99)");

  TemporaryFolder crashed;  // and where only the log says so
  {
    raw(path, "pragma user_version = 1");
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_exec(db, "pragma user_version = 99", nullptr, nullptr, nullptr);
    for (const char* name : {"app.db", "app.db-wal"}) std::filesystem::copy(folder / name, crashed / name);
    sqlite3_close(db);
  }
  const std::string before = bytes_of(crashed / "app.db");
  const std::string log = bytes_of(crashed / "app.db-wal");
  {
    Sqlite sqlite(crashed / "app.db");
    CHECK_THAT(sqlite.prepare(true, soon())->what(), ContainsSubstring("version 99"));
  }
  CHECK(bytes_of(crashed / "app.db") == before);
  CHECK(bytes_of(crashed / "app.db-wal") == log);
}

TEST_CASE("sqlite: a truncated or damaged file is refused and left as it is") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);
  const std::string whole = bytes_of(path);
  REQUIRE(whole.size() > 8 * 4096);
  put(path, whole.substr(0, whole.size() / 2));
  check_refused(path, "the file is damaged");
  put(path, whole.substr(0, 4096));
  check_refused(path, "the file is damaged");
  put(path, whole.substr(0, 100));
  check_refused(path, "the file is damaged");
  std::string damaged = whole;
  for (std::size_t i = 100; i < 4096; ++i) damaged[i] = static_cast<char>(i * 7);
  put(path, damaged);
  check_refused(path, "the file is damaged");
}

TEST_CASE("sqlite: damage that is met later is an error, too, and no value") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);
  std::string bytes = bytes_of(path);
  for (std::size_t page = 10 * 4096; page < bytes.size(); page += 4096) std::fill_n(&bytes[page], 4096, '\xa5');
  put(path, bytes);
  Sqlite sqlite(path);
  if (const auto error = sqlite.prepare(true, soon())) {
    CHECK(error->code() == StateErrorCode::refused);
    return;
  }
  const auto listed = sqlite.list({}, soon());
  REQUIRE_FALSE(listed);
  CHECK(listed.error().code() == StateErrorCode::refused);
  CHECK_THAT(listed.error().what(), ContainsSubstring("damaged"));
  Client client(sqlite);
  Batch batch;
  for (int i = 0; i < 500; ++i) batch.write(shop, "key" + std::to_string(i), "1");
  client.lane.sequence = 1;
  const BatchResult result = client.send(batch);
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
}

TEST_CASE("sqlite: a folder, a missing folder, no path and a missing file are refused") {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "app.db");
  check_refused(folder / "app.db", "the file and its folder must be there, and be writable");
  check_refused(folder / "none.db", "the file and its folder must be there, and be writable", false);
  put(folder / "empty.db", "");
  check_refused(folder / "empty.db", "is empty", false);
  Sqlite missing(folder / "no/app.db");
  CHECK_THAT(missing.prepare(true, soon())->what(), ContainsSubstring("No such file or directory"));
  Sqlite empty("");
  CHECK(empty.prepare(true, soon())->code() == StateErrorCode::refused);
}

TEST_CASE("sqlite: a path that SQLite takes for something else is a path") {
  TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "");
  for (const char* name : {":memory:", "file:app.db?mode=memory"}) {
    Sqlite sqlite{std::string(name)};
    CHECK_FALSE(sqlite.prepare(true, soon()));
    Client(sqlite).run(Batch().write(shop, "a", "1"));
    CHECK(std::filesystem::file_size(folder / name) > 0);
  }
  std::filesystem::current_path(before);
}

TEST_CASE("sqlite: it is created once, opened again without being told to, and prepared twice without harm") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);
  Sqlite sqlite(path);
  CHECK_FALSE(sqlite.prepare(false, soon()));
  CHECK_FALSE(sqlite.prepare(true, soon()));
  CHECK(sqlite.list({.limit = 1000}, soon())->size() == 500);
  Sqlite moved{Sqlite(path)};
  CHECK_FALSE(moved.prepare(false, soon()));
}

TEST_CASE("sqlite: before it is prepared nothing works, and says so") {
  TemporaryFolder folder;
  Sqlite sqlite(folder / "app.db");
  CHECK(Client(sqlite).send(Batch().write(shop, "a", "1")).error->code() == StateErrorCode::closed);
  CHECK(sqlite.list({}, soon()).error().code() == StateErrorCode::closed);
  CHECK_FALSE(std::filesystem::exists(folder / "app.db"));
}

TEST_CASE("sqlite: a file that is moved away under it takes no more writes") {
  File file;
  file.client.run(Batch().write(shop, "a", "1"));
  std::filesystem::rename(file.path, file.folder / "elsewhere.db");
  ++file.client.lane.sequence;
  const BatchResult result = file.client.send(Batch().write(shop, "a", "2"));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK_THAT(result.error->what(), ContainsSubstring("moved or deleted"));
}

TEST_CASE("sqlite: when it ends all is in the one file") {
  TemporaryFolder folder;
  make_own(folder);
  CHECK(everything(folder / "").size() == 1);
  CHECK(raw(folder / "app.db", "select count(*) from atom_state; pragma integrity_check") == "500ok");
}

TEST_CASE("sqlite: an older file is brought to the version of now, step by step, or stays as it was") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);  // version 1
  const char* const first = atom::detail::sqlite_schema[0];
  atom::detail::SqliteConnection connection(path, false, soon());
  const char* const bad[] = {first, "create table added(x); pragma user_version = 2;", "insert into nowhere values(1)"};
  CHECK_THROWS_AS(atom::detail::bring_up_to_date(connection, bad, true), StateError);
  CHECK(raw(path, "pragma user_version; select count(*) from sqlite_schema where name = 'added'") == "10");
  const char* const good[] = {first, "alter table atom_state add column added integer; pragma user_version = 2;",
                              "update atom_state set added = 7; pragma user_version = 3;"};
  CHECK_THROWS_WITH(atom::detail::bring_up_to_date(connection, good, false), ContainsSubstring("its tables are old"));
  atom::detail::bring_up_to_date(connection, good, true);
  atom::detail::bring_up_to_date(connection, good, false);
  CHECK(raw(path, "pragma user_version; select count(*), min(added) from atom_state where added = 7") == "3500");
  CHECK_THROWS_WITH(atom::detail::bring_up_to_date(connection, atom::detail::sqlite_schema, true),
                    ContainsSubstring("newer version"));
}

// ------------------------------------------------------------------------------------------------- locks and deadlines

/// Holds the lock for writing, as another process would.
struct Lock {
  explicit Lock(const std::string& path) {
    sqlite3_open(path.c_str(), &db);
    REQUIRE(sqlite3_exec(db, "begin immediate", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~Lock() { sqlite3_close(db); }
  sqlite3* db = nullptr;
};

TEST_CASE("sqlite: while another process has the lock a write waits until the deadline, and a read does not") {
  File file;
  file.client.run(Batch().write(shop, "a", "1"));
  ++file.client.lane.sequence;
  {
    const Lock lock(file.path);
    const auto start = std::chrono::steady_clock::now();
    const BatchResult result = file.client.send(Batch().write(shop, "a", "2"), BatchMode::independent, in(100ms));
    CHECK(std::chrono::steady_clock::now() - start >= 100ms);
    CHECK(result.status == BatchStatus::not_applied);
    CHECK(result.error->code() == StateErrorCode::timed_out);
    CHECK(result.error->effect() == Effect::none);
    CHECK(result.error->retryable());
    CHECK(file.client.text(shop, "a") == "1");
    CHECK(file.sqlite->purge(std::vector{"x"s}, in(10ms)).error().code() == StateErrorCode::timed_out);
  }
  CHECK(file.client.send(Batch().write(shop, "a", "2")).status == BatchStatus::done);
}

TEST_CASE("sqlite: a thread waits until the deadline for a connection that another one uses") {
  File file;
  const Lock lock(file.path);
  std::thread first([&] {
    Client client(*file.sqlite);
    ++client.lane.sequence;
    client.send(Batch().write(shop, "a", "1"), BatchMode::independent, in(500ms));
  });
  std::this_thread::sleep_for(50ms);
  ++file.client.lane.sequence;
  const BatchResult result = file.client.send(Batch().write(shop, "a", "2"), BatchMode::independent, in(50ms));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->retryable());
  first.join();
}

TEST_CASE("sqlite: a long statement ends at the deadline, without effect") {
  File file;
  raw(file.path,
      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)"
      " insert into atom_state select 'big', i, 1, null, 0, '1' from n");
  const auto listed = file.sqlite->list({.limit = 1'000'000}, in(2ms));
  REQUIRE_FALSE(listed);
  CHECK(listed.error().code() == StateErrorCode::timed_out);
  const auto erased = file.sqlite->erase_scope(Scope{"big"}, in(2ms));
  REQUIRE_FALSE(erased);
  CHECK(erased.error().code() == StateErrorCode::timed_out);
  CHECK(erased.error().effect() == Effect::none);
  CHECK(raw(file.path, "select count(*) from atom_state") == "50000");
  CHECK(file.client.run(Batch().write(shop, "a", "1"))[0].version > 0);
}

TEST_CASE("sqlite: a deadline that passes at any step of a batch leaves the connection as good as before") {
  TemporaryFolder folder;
  Sqlite sqlite{SqliteOptions{.path = folder / "app.db", .synchronous = atom::Synchronous::normal}};
  REQUIRE_FALSE(sqlite.prepare(true, soon()));
  Client client(sqlite);
  std::int64_t number = 0;
  for (int i = 0; i < 1000; ++i) {
    ++client.lane.sequence;
    Batch batch;
    for (int k = 0; k < i % 20; ++k) batch.apply(shop, "n" + std::to_string(k), {}, current + 1);
    batch.apply(shop, "n", {}, current + 1);
    BatchResult result = client.send(batch, BatchMode::independent, in(std::chrono::milliseconds(0)));
    const bool in_doubt = result.status == BatchStatus::in_doubt;
    if (result.error) CHECK(result.error->code() == StateErrorCode::timed_out);
    if (result.status != BatchStatus::done) result = client.send(batch);
    REQUIRE(result.status == BatchStatus::done);
    const Outcome& outcome = client.outcomes.back();
    REQUIRE((outcome.value ? outcome.value->text : "0") == std::to_string(number++));
    if (in_doubt) CHECK(client.text(shop, "n") == std::to_string(number));
  }
}

// --------------------------------------------------------------------------------------------------------- I/O errors

/// The system's files, but for the log: it fails when it is told to.
class FaultyLog {
 public:
  FaultyLog() {
    real_ = sqlite3_vfs_find(nullptr);
    own_ = *real_;
    own_.zName = "faulty";
    own_.pNext = nullptr;
    own_.xOpen = [](sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
      const int code = real_->xOpen(real_, name, file, flags, out);
      if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL)) {
        methods_ = file->pMethods;
        hooked_ = *methods_;
        hooked_.xWrite = [](sqlite3_file* to, const void* bytes, int size, sqlite3_int64 at) {
          const int failed = on_write.load();
          return failed ? failed : methods_->xWrite(to, bytes, size, at);
        };
        hooked_.xSync = [](sqlite3_file* to, int how) {
          const int failed = on_sync.load();
          return failed ? failed : methods_->xSync(to, how);
        };
        file->pMethods = &hooked_;
      }
      return code;
    };
    sqlite3_vfs_register(&own_, 1);
  }
  ~FaultyLog() {
    sqlite3_vfs_unregister(&own_);
    on_write = on_sync = 0;
  }
  static inline std::atomic<int> on_write = 0;
  static inline std::atomic<int> on_sync = 0;

 private:
  static inline sqlite3_vfs* real_ = nullptr;
  static inline sqlite3_vfs own_{};
  static inline const sqlite3_io_methods* methods_ = nullptr;
  static inline sqlite3_io_methods hooked_{};
};

TEST_CASE("sqlite: a full disk is an error without effect, and later writes go on") {
  const FaultyLog log;
  File file;
  Client& client = file.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  ++client.lane.sequence;
  FaultyLog::on_write = SQLITE_FULL;
  const BatchResult result = client.send(Batch().apply(shop, "n", {}, current + 1));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK_THAT(result.error->what(), ContainsSubstring("make room on the disk"));
  CHECK(client.text(shop, "n") == "1");
  FaultyLog::on_write = 0;
  CHECK(client.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("sqlite: a write to the disk that fails leaves a batch in doubt, and sent again it is done once") {
  const FaultyLog log;
  File file;
  Client& client = file.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  for (std::atomic<int>* fault : {&FaultyLog::on_write, &FaultyLog::on_sync}) {
    const std::string before = client.text(shop, "n");
    ++client.lane.sequence;
    const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
    *fault = fault == &FaultyLog::on_write ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
    for (int again = 0; again < 3; ++again) {
      const BatchResult result = client.send(batch);
      CHECK(result.status == BatchStatus::in_doubt);
      CHECK(result.error->code() == StateErrorCode::unavailable);
      CHECK(result.error->effect() == Effect::unknown);
      CHECK(result.error->retryable());
    }
    *fault = 0;
    REQUIRE(client.send(batch).status == BatchStatus::done);
    CHECK(client.outcomes[0].value->text == before);
    CHECK(std::stoi(client.text(shop, "n")) == std::stoi(before) + 1);
  }
}

TEST_CASE("sqlite: a batch in doubt that is found on the disk after a crash is not done again") {
  const FaultyLog log;
  File file;
  TemporaryFolder crashed;
  Client& client = file.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  ++client.lane.sequence;
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  FaultyLog::on_sync = SQLITE_IOERR_FSYNC;
  REQUIRE(client.send(batch).status == BatchStatus::in_doubt);
  CHECK(client.text(shop, "n") == "1");
  // A copy by another process: this one would lose its locks.
  const std::string copy = "cp '" + file.path + "' '" + file.path + "-wal' '" + (crashed / "") + "'";
  REQUIRE(std::system(copy.c_str()) == 0);
  FaultyLog::on_sync = 0;
  const auto after = open(crashed / "app.db");
  Client again(*after);
  again.lane = client.lane;
  CHECK(again.text(shop, "n") == "2");
  REQUIRE(again.send(batch).status == BatchStatus::done);
  CHECK(again.outcomes[0].value->text == "1");
  CHECK(again.text(shop, "n") == "2");
}

TEST_CASE("sqlite: a lack of memory inside SQLite is an error without effect") {
  File file;
  Client& client = file.client;
  client.run(Batch().write(shop, "a", "1"));
  ++client.lane.sequence;
  const Batch batch = std::move(Batch().write(shop, "a", "\"" + std::string(200'000, 'x') + "\""));
  sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1000);
  const BatchResult result = client.send(batch);
  sqlite3_hard_heap_limit64(0);
  CHECK(result.status == BatchStatus::not_applied);
  REQUIRE(result.error);
  CHECK(result.error->code() == StateErrorCode::unavailable);
  CHECK(result.error->retryable());
  CHECK(client.text(shop, "a") == "1");
  CHECK(client.send(batch).status == BatchStatus::done);
}

// ------------------------------------------------------------------------------------------------------------- threads

TEST_CASE("sqlite: threads write on lanes of their own and read meanwhile") {
  File file;
  std::vector<std::thread> threads;
  std::atomic<int> errors = 0;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Client client(*file.sqlite);
      for (int i = 0; i < 50; ++i) {
        try {
          client.run(Batch().apply(shop, "n", {}, current + 1));
        } catch (const std::exception&) {
          ++errors;
        }
      }
    });
    threads.emplace_back([&] {
      Client client(*file.sqlite);
      std::int64_t last = 0;
      for (int i = 0; i < 300; ++i) {
        const std::int64_t version = client.read(shop, "n").version;
        if (version < last || !file.sqlite->list({}, soon())) ++errors;
        last = version;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == 0);
  CHECK(file.client.text(shop, "n") == "150");
}

// ----------------------------------------------------------------------------------------------------- other processes

/// This program once more, running one of the hidden tests below; they are told by the environment what to do.
pid_t start(const char* test, const std::string& path, const std::string& argument = "") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("ATOM_SQLITE_PATH", path.c_str(), 1);
    ::setenv("ATOM_SQLITE_ARGUMENT", argument.c_str(), 1);
    const int quiet = ::open("/dev/null", O_WRONLY);
    ::dup2(quiet, 1);
    ::execl("/proc/self/exe", "child", test, static_cast<char*>(nullptr));
    ::_exit(99);
  }
  return child;
}
std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

TEST_CASE("sqlite child: counts", "[.][child-counts]") {
  const auto sqlite = open(environment("ATOM_SQLITE_PATH"));
  Client client(*sqlite);
  for (int i = 0; i < 100; ++i) {
    const Outcome outcome = client.run(Batch().apply(shop, "n", {}, current + 1))[0];
    client.run(Batch().write(shop, "took." + (outcome.value ? outcome.value->text : "0"), "1", {.expected = 0}));
    REQUIRE_FALSE(client.outcomes[0].error);  // nobody else has had this number
  }
}
TEST_CASE("sqlite child: writes once", "[.][child-writes]") {
  const auto sqlite = open(environment("ATOM_SQLITE_PATH"));
  Client(*sqlite).run(Batch().apply(shop, "n", {}, current + 1));
}
TEST_CASE("sqlite child: holds the lock until it is killed", "[.][child-holds]") {
  const Lock lock(environment("ATOM_SQLITE_PATH"));
  put(environment("ATOM_SQLITE_ARGUMENT"), "held");
  for (;;) ::pause();
}

TEST_CASE("sqlite: several processes create one file and count in it, and each number is given out once") {
  TemporaryFolder folder;
  const std::string path = folder / "app.db";
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) children.push_back(start("[child-counts]", path));
  for (const pid_t child : children) CHECK(exit_code_of(child) == 0);
  const auto sqlite = open(path);
  CHECK(Client(*sqlite).text(shop, "n") == "600");
  CHECK(sqlite->list({}, soon())->size() == 601);
}

TEST_CASE("sqlite: many processes that create one file at once all succeed") {
  for (int round = 0; round < 2; ++round) {
    TemporaryFolder folder;
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) children.push_back(start("[child-writes]", folder / "app.db"));
    for (const pid_t child : children) CHECK(exit_code_of(child) == 0);
    CHECK(Client(*open(folder / "app.db")).text(shop, "n") == "8");
  }
}

TEST_CASE("sqlite: a file that another process is just making is waited for, and not taken for another's") {
  for (int round = 0; round < 50; ++round) {
    TemporaryFolder folder;
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) ::_exit(Sqlite(folder / "app.db").prepare(true, soon()) ? 1 : 0);
      children.push_back(child);
    }
    for (const pid_t child : children) CHECK(exit_code_of(child) == 0);
  }
}

TEST_CASE("sqlite: a process that stands still with the lock costs a writer its deadline, and a reader nothing") {
  File file;
  file.client.run(Batch().write(shop, "a", "1"));
  const std::string sign = file.folder / "held";
  const pid_t child = start("[child-holds]", file.path, sign);
  while (!std::filesystem::exists(sign)) std::this_thread::sleep_for(1ms);
  REQUIRE(::kill(child, SIGSTOP) == 0);
  ++file.client.lane.sequence;
  const BatchResult result = file.client.send(Batch().write(shop, "a", "2"), BatchMode::independent, in(100ms));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(file.client.text(shop, "a") == "1");
  ::kill(child, SIGKILL);
  exit_code_of(child);
  CHECK(file.client.send(Batch().write(shop, "a", "2")).status == BatchStatus::done);
}

TEST_CASE("sqlite: a feed loses track when another process has written") {
  File file;
  const auto feed = file.sqlite->open_feed();
  CHECK(exit_code_of(start("[child-writes]", file.path)) == 0);
  Heard heard;
  while (heard.losses == 0) REQUIRE_FALSE(feed->poll(heard, in(100ms)));
  CHECK(heard.losses == 1);
  CHECK(heard.changes.empty());
}

TEST_CASE("sqlite: a second object on the file that comes and goes does not take the locks of the first") {
  File file;
  file.client.run(Batch().write(shop, "a", "1"));
  {
    const auto second = open(file.path);
  }
  {
    Sqlite refused(file.path + "-shm");
    CHECK(refused.prepare(true, soon()));
  }
  // Had they gone, the child would be the last one to close the file, and would remove the log.
  CHECK(exit_code_of(start("[child-writes]", file.path)) == 0);
  CHECK(std::filesystem::exists(file.path + "-wal"));
  file.client.run(Batch().apply(shop, "n", {}, current + 1));
  CHECK(file.client.text(shop, "n") == "2");
}

TEST_CASE("sqlite: a forked process is refused, and does no harm to its parent") {
  File file;
  support::check_forked(*file.sqlite, file.client, [&] { file.sqlite = nullptr; });
}

TEST_CASE("sqlite: a file or folder without permission is refused") {
  TemporaryFolder folder;
  const std::string path = make_own(folder);
  const std::string before = bytes_of(path);
  ::chmod((folder / "").c_str(), 0755);
  for (const auto& [file_mode, folder_mode] :
       {std::pair(0444u, 0777u), std::pair(0000u, 0777u), std::pair(0666u, 0555u)}) {
    ::chmod(path.c_str(), file_mode);
    ::chmod((folder / "").c_str(), folder_mode);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
      Sqlite sqlite(path);
      const auto error = sqlite.prepare(true, soon());
      ::_exit(error && error->code() == StateErrorCode::refused ? 0 : 1);
    }
    CHECK(exit_code_of(child) == 0);
    ::chmod((folder / "").c_str(), 0755);
    CHECK(everything(folder / "").size() == 1);
    ::chmod(path.c_str(), 0644);
    CHECK(bytes_of(path) == before);
  }
}

}  // namespace
}  // namespace sqlite_test

#include <atom/backend/redis.hpp>

#include <atom/backend/open.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include "support/backend_checks.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/chaos_proxy.hpp"
#include "support/equations.hpp"
#include "support/fake_server.hpp"
#include "support/redis_server.hpp"
#include "support/threads.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

constexpr const char* two_addresses = "two.addresses.test";

}  // namespace

/// The system's; but of one name they are 127.0.0.2 and 127.0.0.1.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!node || std::string_view(node) != two_addresses) return real(node, service, hints, found);
  const int failed = real("127.0.0.2", service, hints, found);
  return failed ? failed : real("127.0.0.1", service, hints, &(*found)->ai_next);
}

namespace redis_test {
namespace {

using atom::BatchMode;
using atom::BatchResult;
using atom::BatchStatus;
using atom::current;
using atom::Effect;
using atom::FoundState;
using atom::Outcome;
using atom::Redis;
using atom::RedisOptions;
using atom::Scope;
using atom::StateError;
using atom::StateErrorCode;
using atom::StoredValue;
using support::Batch;
using support::Client;
using support::ContainsSubstring;
using support::FakeServer;
using support::in;
using support::names;
using support::RedisServer;
using support::soon;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
const Scope shop{"shop"};

std::unique_ptr<Redis> open(RedisOptions options) {
  auto redis = std::make_unique<Redis>(std::move(options));
  if (const auto error = redis->prepare(true, soon())) throw std::runtime_error(error->what());
  return redis;
}
std::unique_ptr<Redis> open(const RedisServer& server) {
  return open(RedisOptions{.url = server.url()});
}

/// A server of its own, and who uses it.
struct Database {
  explicit Database(std::vector<std::string> settings = {}) : server(std::move(settings)) {}
  RedisServer server;
  std::unique_ptr<Redis> redis = open(server);
  Client client{*redis};
};
/// One that keeps what is written when it is killed.
struct Durable : Database {
  Durable() : Database({"--appendonly", "yes", "--appendfsync", "always"}) {}
};

std::optional<StateError> try_read(Redis& redis, std::string_view key, atom::Deadline deadline) {
  const atom::StateName name{shop, key};
  Outcome outcome;
  return redis.read({&name, 1}, {&outcome, 1}, deadline);
}

/// What was calculated in the server, and what has been waited for since this was made.
class Watch {
 public:
  std::chrono::steady_clock::duration passed() const { return std::chrono::steady_clock::now() - start_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// -------------------------------------------------------------------------------------------------------------- a URL

TEST_CASE("redis: a URL names it, and one that is not right is refused without a word of it") {
  support::check_urls<Redis>(
      "redis", {"redis://127.0.0.1", "rediss://app:hunter2@db.example.com:6380/3", "unix:///run/redis.sock"},
      {"redis:app", "redis://app:hunter2@host:port", "redis://app:hunter2%zz@host", "unix://hunter2"}, "hunter2");
}

// ----------------------------------------------------------------------------------------------------------- batches

TEST_CASE("redis: what was written is read back, and its version goes up") {
  Database database;
  CHECK(database.client.read(shop, "name").version == 0);
  CHECK_FALSE(database.client.read(shop, "name").value);
  const std::int64_t first = database.client.run(Batch().write(shop, "name", "\"a\"", {.format = 3}))[0].version;
  const std::int64_t second = database.client.run(Batch().write(shop, "name", "\"b\"", {.format = -4}))[0].version;
  CHECK(first > 1'600'000'000'000'000);
  CHECK(second > first);
  const Outcome read = database.client.read(shop, "name");
  CHECK(read.version == second);
  CHECK(read.value->text == "\"b\"");
  CHECK(read.value->format == -4);
}

TEST_CASE("redis: a version that is not the expected one is a conflict, with what is there") {
  Database database;
  Client& client = database.client;
  const std::int64_t version = client.run(Batch().write(shop, "a", "1", {.expected = 0}))[0].version;
  const Batch batches[] = {
      std::move(Batch().write(shop, "a", "2", {.expected = 0})),
      std::move(Batch().write(shop, "a", "2", {.expected = version - 1})),
      std::move(Batch().erase(shop, "a", {.expected = version + 1})),
      std::move(Batch().check(shop, "a", {.expected = 0})),
      std::move(Batch().apply(shop, "a", {.expected = 0}, current + 1)),
      std::move(Batch().apply_to<std::int64_t>(shop, "a", "0", {.expected = 0, .format = 7}, current + highest))};
  for (const Batch& batch : batches) {
    const Outcome outcome = client.run(batch)[0];
    CHECK(outcome.error == StateErrorCode::conflict);
    CHECK(outcome.version == version);
    CHECK(outcome.value->text == "1");
  }
  CHECK(client.run(Batch().write(shop, "b", "2", {.expected = 7}))[0].error == StateErrorCode::conflict);
  CHECK_FALSE(client.outcomes[0].value);
  CHECK_FALSE(client.run(Batch().check(shop, "a", {.expected = version}))[0].error);
  CHECK(client.run(Batch().write(shop, "a", "2", {.expected = version}))[0].version > version);
}

TEST_CASE("redis: commands of a batch take effect each on its own, or all of them, or none") {
  Database database;
  Client& client = database.client;
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

TEST_CASE("redis: a batch that comes again is not done again, and has the outcomes of the first time") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "taken", "[\"as it \\u0000 was\"]").write(shop, "gone", "1").write(shop, "x", "x"));
  Batch batch;
  batch.apply(shop, "n", {}, current + 1).write(shop, "taken", "2", {.expected = 0}).erase(shop, "gone");
  batch.apply(shop, "x", {}, current + 1);
  const std::vector<Outcome> once = client.run(batch);
  CHECK(once[3].error == StateErrorCode::undecodable);
  Client(*database.redis).run(Batch().write(shop, "taken", "3").write(shop, "n", "100"));
  const auto other = open(database.server);
  for (Redis* const redis : {database.redis.get(), other.get()}) {
    Client same(*redis);
    same.lane = client.lane;
    REQUIRE(same.send(batch).status == BatchStatus::done);
    support::check_same(same.outcomes, once);
    CHECK(same.text(shop, "n") == "100");
    CHECK(same.text(shop, "taken") == "3");
  }
  const BatchResult another = client.send(Batch().write(shop, "a", "1"));
  CHECK(another.status == BatchStatus::not_applied);
  CHECK(another.error->code() == StateErrorCode::refused);
  client.run(Batch());
  --client.lane.sequence;
  const BatchResult older = client.send(batch);
  CHECK(older.status == BatchStatus::not_applied);
  CHECK(older.error->code() == StateErrorCode::refused);
  CHECK(client.text(shop, "n") == "100");
}

/// What is the same as before is not sent again.
TEST_CASE("redis: commands that differ in anything but their keys are not taken for the same") {
  Database database;
  Client& client = database.client;
  const Scope other{"other"};
  client.run(Batch().write(shop, "e", "1").write(shop, "f", "1", {.format = 1}).write(shop, "l", "8"));
  Batch batch;
  batch.apply(shop, "a", {}, current + 1).apply(other, "a", {}, current + 1).apply(other, "b", {}, current + 1);
  batch.apply(shop, "b", {}, current + 2).apply(shop, "c", {}, max(current + 2, 9));
  batch.apply(shop, "d", {.labels = {"x"}}, current + 2).apply(shop, "e", {.expected = 0}, current + 2);
  batch.apply_to<std::int64_t>(shop, "f", "5", {}, current + 2);
  batch.apply_to<std::int64_t>(shop, "g", "5", {}, current + 2);
  batch.apply(shop, "h", {.ttl = 3'600'000}, current + 2).apply(shop, "i", {}, current + 2);
  batch.write(shop, "j", "0").write(shop, "k", "1").erase(shop, "l").check(shop, "m").write(shop, "n", "1");
  client.run(batch);
  std::string texts;
  for (const char* const key : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "n"}) {
    texts += client.text(shop, key) + ' ';
  }
  CHECK(texts == "1 2 9 2 1 1 7 2 2 0 1  1 ");
  CHECK(client.text(other, "a") + client.text(other, "b") == "11");
  CHECK(client.outcomes[6].error == StateErrorCode::conflict);
  CHECK(client.outcomes[7].error == StateErrorCode::undecodable);
  CHECK(database.server.run({"ZRANGE", "{atom}:ends", "0", "-1"}) == "shop h");
  CHECK(database.server.run({"SMEMBERS", "{atom}:label:x"}) == "shop d");
}

TEST_CASE("redis: a batch may be larger than what a function of Lua's takes, and has its outcomes in order") {
  Database database;
  Client& client = database.client;
  constexpr int count = 9000;
  Batch batch;
  for (int i = 0; i < count; ++i) batch.apply(shop, "k" + std::to_string(i), {.labels = {"x"}}, current + i);
  client.run(batch);
  const std::vector<Outcome> outcomes = client.run(batch);
  bool are_right = true;
  for (int i = 0; i < count; ++i) {
    are_right = are_right && outcomes[static_cast<std::size_t>(i)].value->text == std::to_string(i);
  }
  CHECK(are_right);
  CHECK(client.text(shop, "k8999") == "17998");
  CHECK(database.redis->purge(std::vector{"x"s}, soon())->size() == count);
}

TEST_CASE("redis: what a batch has found is told whatever its size, and told again") {
  Database database;
  Client& client = database.client;
  Batch before, batch;
  for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 5, 20, 230, 300, 65'000, 66'000, 300'000}) {
    const std::string key = std::to_string(size);
    before.write(shop, key, std::string(size, 'x'), {.labels = {"a", "b"}});
    batch.write(shop, key, "1", {.expected = 0});
  }
  client.run(before);
  const std::vector<Outcome> once = client.run(batch);
  for (std::size_t i = 0; i < once.size(); ++i) {
    CHECK(once[i].error == StateErrorCode::conflict);
    CHECK(once[i].value->text == before.commands()[i].value->text);
  }
  REQUIRE(client.send(batch).status == BatchStatus::done);
  support::check_same(client.outcomes, once);
}

TEST_CASE("redis: a lane is kept for a week after a batch, give or take an hour") {
  Database database;
  database.client.run(Batch());
  const std::string lane = database.server.run({"KEYS", "{atom}:lane:*"});
  const auto kept_for = [&] { return std::stoll(database.server.run({"PTTL", lane})); };
  CHECK(kept_for() > 604'000'000);
  database.server.run({"PEXPIRE", lane, "100000"});
  database.client.run(Batch());
  CHECK(kept_for() < 200'000);
  database.server.run({"HINCRBY", lane, "t", "-3601000000"});
  database.client.run(Batch());
  CHECK(kept_for() > 604'000'000);
}

TEST_CASE("redis: a state that comes back has a higher version than it ever had, whatever the clock says") {
  Database database;
  Client& client = database.client;
  constexpr std::int64_t later = 4'000'000'000'000'000;
  const auto put_later = [&](const std::string& scope, const std::string& key, const std::string& ends = "0") {
    const std::string packed = database.server.run({"HGET", "{atom}:s:" + scope, key});
    const std::string rest = packed.substr(packed.find(' ', packed.find(' ') + 1));
    database.server.run({"HSET", "{atom}:s:" + scope, key, std::to_string(later) + " " + ends + rest});
    database.server.run({"HDEL", "{atom}:meta", "gone"});
  };
  client.run(Batch().write(shop, "erased", "1"));
  put_later("shop", "erased");
  client.run(Batch().erase(shop, "erased"));
  CHECK(client.run(Batch().write(shop, "erased", "1"))[0].version == later + 1);

  client.run(Batch().write(shop, "over", "1"));
  put_later("shop", "over", "1");
  CHECK(client.run(Batch().apply(shop, "over", {}, current + 1))[0].version == later + 1);

  client.run(Batch().write(shop, "purged", "1", {.labels = {"x"}}));
  put_later("shop", "purged");
  REQUIRE(database.redis->purge(std::vector{"x"s}, soon()).value().size() == 1);
  CHECK(client.run(Batch().write(shop, "purged", "1"))[0].version == later + 1);

  client.run(Batch().write(Scope{"one"}, "swept", "1"));
  put_later("one", "swept");
  REQUIRE(database.redis->erase_scope(Scope{"one"}, soon()).value().size() == 1);
  CHECK(client.run(Batch().write(Scope{"one"}, "swept", "1"))[0].version == later + 1);
}

TEST_CASE("redis: where the server has lost writes, their versions do not come again with other values") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1"));
  const std::string before = database.server.run({"HGET", "{atom}:s:shop", "a"});
  std::int64_t lost = 0;
  for (const char* text : {"2", "3", "4"}) lost = client.run(Batch().write(shop, "a", text))[0].version;
  database.server.run({"HSET", "{atom}:s:shop", "a", before});  // as after a crash
  for (const char* text : {"5", "6", "7"}) CHECK(client.run(Batch().write(shop, "a", text))[0].version > lost);
  CHECK(client.run(Batch().write(shop, "a", "8", {.expected = lost}))[0].error == StateErrorCode::conflict);
}

// ------------------------------------------------------------------------------------------------------- time to live

TEST_CASE("redis: a value whose time is over is not there, and the next write makes a new one") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1", {.labels = {"old"}, .ttl = 1}).write(shop, "b", "1", {.ttl = 1}));
  std::this_thread::sleep_for(5ms);
  CHECK(client.read(shop, "a").version == 0);
  CHECK(names(database.redis->list({}, soon())).empty());
  CHECK(database.redis->scopes("", 10, soon()).value().empty());
  CHECK(client.run(Batch().check(shop, "a", {.expected = 0}))[0].error == std::nullopt);
  CHECK(client.run(Batch().erase(shop, "a"))[0].version == 0);
  CHECK(client.run(Batch().apply(shop, "a", {.labels = {"new"}}, current + 5))[0].value == std::nullopt);
  CHECK(client.text(shop, "a") == "5");
  CHECK(database.server.run({"EXISTS", "{atom}:label:old"}) == "0");
  CHECK(database.redis->erase_scope(shop, soon()).value().size() == 1);  // and not "b"
  CHECK(database.server.run({"EXISTS", "{atom}:s:shop", "{atom}:label:new", "{atom}:ends", "{atom}:scopes"}) == "0");
}

TEST_CASE("redis: each write starts the time anew, and without one the value stays") {
  Database database;
  const auto end_of = [&](const char* key) {
    const std::string packed = database.server.run({"HGET", "{atom}:s:shop", key});
    return std::stoll(packed.substr(packed.find(' ')));
  };
  const std::int64_t hour = 3'600'000;
  database.client.run(Batch().write(shop, "a", "1", {.ttl = hour}).write(shop, "b", "1", {.ttl = highest}));
  CHECK(end_of("a") > 0);
  CHECK(end_of("b") == 0);
  CHECK(database.server.run({"ZCARD", "{atom}:ends"}) == "1");
  const atom::StateName both[] = {{shop, "a", 2 * hour}, {shop, "b", hour}};
  Outcome outcomes[2];
  const long long before = end_of("a");
  REQUIRE_FALSE(database.redis->read(both, outcomes, soon()));
  CHECK(end_of("a") - before > 1000 * hour / 2);
  CHECK(end_of("b") == 0);
  CHECK(database.client.read(shop, "a").version == outcomes[0].version);
  database.client.run(Batch().apply(shop, "a", {}, current + 1));
  CHECK(end_of("a") == 0);
  CHECK(database.server.run({"ZCARD", "{atom}:ends"}) == "0");
}

TEST_CASE("redis: what is over is removed in passing") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1", {.labels = {"x"}, .ttl = 1}).write(shop, "b", "1", {.ttl = 1}));
  std::this_thread::sleep_for(5ms);
  const auto other = open(database.server);
  Client(*other).run(Batch());
  CHECK(database.server.run({"EXISTS", "{atom}:s:shop", "{atom}:label:x", "{atom}:ends", "{atom}:scopes"}) == "0");
}

TEST_CASE("redis: a state is removed as over only if it is, whatever the list of ends says") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1").write(shop, "b", "2", {.ttl = 3'600'000}));
  for (const char* key : {"a", "b", "gone"}) database.server.run({"ZADD", "{atom}:ends", "1", "shop "s + key});
  const auto other = open(database.server);
  Client client(*other);
  client.run(Batch());
  CHECK(client.text(shop, "a") == "1");
  CHECK(client.text(shop, "b") == "2");
  CHECK(database.server.run({"ZRANGE", "{atom}:ends", "0", "-1"}) == "shop b");
  CHECK(database.server.run({"ZRANGEBYSCORE", "{atom}:ends", "-inf", "1"}).empty());
}

// ---------------------------------------------------------------------------------------------------- names and lists

TEST_CASE("redis: a scope is listed alone or with what lies below, in parts, and neighbours are not in it") {
  Database database;
  support::check_lists(*database.redis, database.client);
}

TEST_CASE("redis: thousands of states in one scope, and thousands of scopes, are listed, purged and erased") {
  Database database;
  constexpr int count = 2500;
  for (int begin = 0; begin < count; begin += 500) {
    Batch many;
    for (int i = begin; i < begin + 500; ++i) {
      many.write(shop, "k" + std::to_string(i), "1", {.labels = {i % 2 ? "odd" : "even"}});
      many.write(Scope{"many"} / std::to_string(i), "k", "2");
    }
    database.client.run(many);
  }
  for (const Scope& scope : {shop, Scope{"many"}}) {
    std::vector<std::pair<Scope, std::string>> all;
    for (FoundState last{scope, "", 0, {}};;) {
      const auto part = database.redis->list(
          {.scope = &scope, .below = true, .after_scope = last.scope.text(), .after_key = last.key, .limit = 700},
          soon());
      for (const FoundState& state : part.value()) all.emplace_back(state.scope, state.key);
      if (part->size() < 700) break;
      last = part->back();
    }
    CHECK(all.size() == count);
    CHECK(std::is_sorted(all.begin(), all.end()));
  }
  CHECK(database.redis->purge(std::vector{"odd"s}, soon())->size() == count / 2);
  CHECK(database.redis->erase_scope(shop, soon())->size() == count / 2);
  CHECK(database.redis->erase_scope(Scope{"many"}, soon())->size() == count);
  CHECK(database.redis->list({}, soon())->empty());
  CHECK(database.server.run({"EXISTS", "{atom}:scopes", "{atom}:label:odd", "{atom}:label:even"}) == "0");
}

/// The table of a hash does not become smaller while it is emptied, but for the last tenth.
TEST_CASE("redis: tens of thousands of states in one scope are erased, all of them") {
  Database database;
  constexpr std::size_t count = 30'000;
  for (std::size_t begin = 0; begin < count; begin += 5000) {
    Batch many;
    for (std::size_t i = begin; i < begin + 5000; ++i) many.write(shop, "k" + std::to_string(i), "1");
    database.client.run(many);
  }
  CHECK(database.redis->erase_scope(shop, soon())->size() == count);
  CHECK(database.redis->list({}, soon())->empty());
  CHECK(database.server.run({"EXISTS", "{atom}:s:shop", "{atom}:scopes"}) == "0");
}

TEST_CASE(
    "redis: what somebody else has written in place of a state is undecodable, and keeps nothing from the others") {
  Database database;
  const std::string odd = GENERATE(as<std::string>{}, "garbage", "", "5", "1 2 3", "7 0 0 9x text");
  CAPTURE(odd);
  const auto put_odd = [&] { database.server.run({"HSET", "{atom}:s:shop", "bad", odd}); };
  database.client.run(Batch().write(shop, "good", "1"));
  put_odd();
  const atom::StateName both[] = {{shop, "good"}, {shop, "bad"}};
  Outcome found[2];
  REQUIRE_FALSE(database.redis->read(both, found, soon()));
  CHECK(found[0].value->text == "1");
  REQUIRE(found[1].value);
  const auto value = database.redis->read_value(atom::detail::type_ops<std::int64_t>, *found[1].value);
  REQUIRE_FALSE(value);
  CHECK(value.error().code() == StateErrorCode::undecodable);

  const auto outcomes = database.client.run(Batch()
                                                .write(shop, "good", "2")
                                                .write(shop, "bad", "3")
                                                .write(shop, "bad", "3", {.expected = 1})
                                                .apply(shop, "bad", {}, current + 1)
                                                .apply(shop, "bad", {}, current * 2)
                                                .erase(shop, "bad")
                                                .check(shop, "bad"));
  CHECK_FALSE(outcomes[0].error);
  for (std::size_t i = 1; i <= 5; ++i) CHECK(outcomes[i].error == StateErrorCode::undecodable);
  CHECK_FALSE(outcomes[6].error);  // of what nobody expects anything

  const auto listed = database.redis->list({.scope = &shop}, soon());
  REQUIRE(listed);
  CHECK(listed->size() == 2);
  CHECK(database.redis->scopes("", 10, soon()).value() == std::vector<Scope>{shop});
  atom::StateStore store{Redis{database.server.url()}};
  CHECK(store.get_state<std::int64_t>(0, {.key = "good", .scope = shop}).load() == 2);
  const auto bad = store.get_state<std::int64_t>(0, {.key = "bad", .scope = shop});
  CHECK(bad.try_load().error().code() == StateErrorCode::undecodable);

  const auto erased = database.redis->erase_scope(shop, soon());
  REQUIRE(erased);
  CHECK(erased->size() == 1);
  CHECK(database.redis->scopes("", 10, soon()).value().empty());
  CHECK(bad.load() == 0);
}

TEST_CASE("redis: labels that somebody else has written end nothing but themselves") {
  Database database;
  database.client.run(Batch().write(shop, "good", "1"));
  database.server.run({"HSET", "{atom}:s:shop", "bad", "7 0 0 3 abc1"});
  CHECK(database.redis->erase_scope(shop, soon()).value().size() == 2);
  CHECK(database.redis->scopes("", 10, soon()).value().empty());
}

TEST_CASE("redis: what somebody else has written in scopes that are none is none of ours") {
  Database database;
  support::check_foreign_scopes(*database.redis, database.client, [&](auto scope, auto key, const std::string& label) {
    database.server.run({"HSET", "{atom}:s:"s + scope, key, "1 0 0 0 1"});
    database.server.run({"ZADD", "{atom}:scopes", "0", scope});
    database.server.run({"SADD", "{atom}:label:" + label, scope + " "s + key});
  });
}

TEST_CASE("redis: labels are purged by their whole text, and go with their state") {
  Database database;
  Client& client = database.client;
  client.run(Batch()
                 .write(shop, "a", "1", {.labels = {"poll", "poll"}})
                 .write(shop, "b", "2", {.labels = {"polls", "it's \"odd\" %"}})
                 .write(shop, "c", "3", {.labels = {"poll", "other"}})
                 .write(shop, "d", "4"));
  client.run(Batch().write(shop, "d", "5", {.labels = {"poll"}}));  // it has been there before
  CHECK(database.redis->purge(std::vector{"pol"s, ""s, "*"s, "POLL"s}, soon()).value().empty());
  const auto purged = database.redis->purge(std::vector{"poll"s, "other"s}, soon()).value();
  REQUIRE(purged.size() == 2);
  CHECK(purged[0].value.text != purged[1].value.text);
  CHECK(database.redis->purge(std::vector{"it's \"odd\" %"s}, soon()).value().size() == 1);
  client.run(Batch().write(shop, "a", "1"));
  CHECK(database.redis->purge(std::vector{"poll"s}, soon()).value().empty());
  for (int i = 0; i < 1500; ++i) database.server.run({"SADD", "{atom}:label:lost", "shop k" + std::to_string(i)});
  CHECK(database.redis->purge(std::vector{"lost"s}, soon()).value().empty());
  CHECK(database.server.run({"KEYS", "{atom}:label:*"}).empty());
}

TEST_CASE("redis: a state is purged only if it has the label, whatever the list of the label says") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1").write(shop, "b", "2", {.labels = {"x", "y"}}));
  database.client.run(Batch().write(shop, "c", "3", {.labels = {"y"}}));
  for (const char* key : {"a", "c"}) database.server.run({"SADD", "{atom}:label:x", "shop "s + key});
  CHECK(names(database.redis->purge(std::vector{"x"s}, soon())) == std::vector{"shop:b"s});
  CHECK(names(database.redis->purge(std::vector{"x"s}, soon())).empty());
  CHECK(names(database.redis->list({}, soon())) == std::vector{"shop:a"s, "shop:c"s});
}

TEST_CASE(
    "redis: hostile scopes, keys, labels and values are kept apart, come back as they were, and are in no script") {
  Database database;
  const std::string before = database.server.run({"KEYS", "*"});
  const std::vector<std::string> hostile{"'",
                                         "\"",
                                         "\\",
                                         "%",
                                         "*",
                                         "]] error('x') --[[",
                                         "}",
                                         "{x}",
                                         "}:{",
                                         "a\r\nFLUSHALL\r\n",
                                         "$5\r\nhello",
                                         " ",
                                         "a b",
                                         "(",
                                         "[",
                                         "+",
                                         "-",
                                         "-0",
                                         "\xc3\xa9",
                                         "\xff",
                                         "nil",
                                         "false",
                                         "\\0",
                                         "%d+",
                                         "redis.call('FLUSHALL')"};
  const auto scripts = [&] { return database.server.run({"INFO", "memory"}); };
  const auto count_of_scripts = [&] {
    const std::string info = scripts();
    return info.substr(info.find("number_of_cached_scripts"), 30);
  };
  const std::string cached = count_of_scripts();
  Batch batch;
  for (const std::string& segment : hostile) {
    for (const std::string& key : hostile) {
      batch.write(Scope::client(segment), key, "\"" + segment + "|" + key + "\"", {.labels = {segment, key}});
    }
  }
  database.client.run(batch);
  for (const std::string& segment : hostile) {
    for (const std::string& key : hostile) {
      REQUIRE(database.client.text(Scope::client(segment), key) == "\"" + segment + "|" + key + "\"");
    }
  }
  CHECK(database.redis->list({}, soon())->size() == hostile.size() * hostile.size());
  CHECK(database.redis->scopes("", 1000, soon())->size() == hostile.size());
  CHECK(database.redis->purge(std::vector{hostile[5]}, soon())->size() == 2 * hostile.size() - 1);
  CHECK(database.redis->erase_scope(Scope::client("{x}"), soon())->size() == hostile.size() - 1);
  const std::string zero("\"a\0b\"", 5);
  database.client.run(Batch().write(shop, "k\0k"s, zero, {.labels = {"l\0l"s}}).write(shop, "k\0l"s, "2"));
  CHECK(database.client.text(shop, "k\0k"s) == zero);
  CHECK(database.client.text(shop, "k").empty());
  CHECK(database.redis->purge(std::vector{"l"s}, soon())->empty());
  CHECK(names(database.redis->purge(std::vector{"l\0l"s}, soon())).size() == 1);
  CHECK(count_of_scripts() == cached);
  // All keys are ours, and lie on one node.
  const std::string keys =
      database.server.run({"EVAL",
                           "for _, k in ipairs(redis.call('KEYS', '*')) do"
                           " if string.sub(k, 1, 7) ~= '{atom}:' then return k end end return 'none'",
                           "0"});
  CHECK(keys == "none");
}

TEST_CASE("redis: programs with different names do not see each other") {
  Database database;
  const auto other = open(RedisOptions{.url = database.server.url(), .name = "other"});
  Client second(*other);
  database.client.run(Batch().write(shop, "a", "1", {.labels = {"x"}}));
  second.run(Batch().write(shop, "a", "2", {.labels = {"x"}}));
  CHECK(database.client.text(shop, "a") == "1");
  CHECK(other->purge(std::vector{"x"s}, soon())->size() == 1);
  CHECK(database.client.text(shop, "a") == "1");
}

// ---------------------------------------------------------------------------------------------------------- equations

/// Of each equation, alone and with others, what comes of it in all modes is what SQLite's way, the evaluator, gives.
TEST_CASE("redis: of several equations one that fails is left out, and where all commands count it is an error") {
  Database database;
  Client& client = database.client;
  for (const char* const start : {"7", "9007199254740991", "9223372036854775800", "-9007199254740992"}) {
    client.run(Batch().write(shop, "n", start));
    const std::int64_t number = std::stoll(start);
    const std::int64_t version =
        client.run(Batch().apply(shop, "n", {}, current + 1, current + highest, max(current, -5) - 2))[0].version;
    std::int64_t expected = number + 1;
    if (std::int64_t sum = 0; !__builtin_add_overflow(expected, highest, &sum)) expected = sum;
    expected = std::max<std::int64_t>(expected, -5) - 2;
    CHECK(client.text(shop, "n") == std::to_string(expected));
    CHECK(client.outcomes[0].value->text == start);
    const Outcome outcome = client.run(Batch().apply(shop, "n", {}, current + highest, current + highest))[0];
    if (expected > 0) CHECK(outcome.version == version);
    CHECK_FALSE(outcome.error);
  }
  Batch batch;
  batch.write(shop, "a", "1").apply_to<std::int8_t>(shop, "small", "120", {}, current + 7, current + 1);
  CHECK(client.run(batch, BatchMode::all_or_nothing)[1].error == StateErrorCode::overflow);
  CHECK(client.read(shop, "a").version == 0);
  client.run(batch);
  CHECK(client.text(shop, "small") == "127");
  client.run(Batch().apply_to<std::int8_t>(shop, "small", "0", {}, current + 1));
  CHECK(client.text(shop, "small") == "127");
}

TEST_CASE("redis: a text that does not read as the type stays as it is") {
  Database database;
  for (const char* text : {"\"seven\"", "7.5", "", "{", "1e400", "nan", "0x10", " 7 x", "inf"}) {
    database.client.run(Batch().write(shop, "n", text));
    const Outcome outcome = database.client.run(Batch().apply(shop, "n", {}, current + 1))[0];
    CHECK(outcome.error == StateErrorCode::undecodable);
    CHECK(outcome.value->text == text);
    CHECK(database.client.text(shop, "n") == text);
  }
  for (const char* text : {"300", "-129"}) {
    database.client.run(Batch().write(shop, "n", text));
    const Batch back = std::move(Batch().apply_to<std::int8_t>(shop, "n", "0", {}, min(max(current, 0), 5)));
    CHECK(database.client.run(back)[0].error == StateErrorCode::undecodable);
    CHECK(database.client.text(shop, "n") == text);
  }
  database.client.run(Batch().write(shop, "n", "7", {.format = 3}));
  CHECK(database.client.run(Batch().apply(shop, "n", {}, current + 1))[0].error == StateErrorCode::undecodable);
}

TEST_CASE("redis: only sums of whole integers are calculated in the server") {
  Database database;
  const auto runs = [&]<class T>(std::type_identity<T>, auto equation) {
    return database.redis->runs(atom::AnyEquation::of<T>(equation), atom::detail::type_ops<T>);
  };
  using Int = std::type_identity<std::int64_t>;
  CHECK(runs(Int(), current + 1));
  CHECK(runs(Int(), clamp(current - 1, 0, 10)));
  CHECK(runs(Int(), current + ((std::int64_t{1} << 53) - 1)));
  CHECK_FALSE(runs(Int(), current + (std::int64_t{1} << 53)));
  CHECK_FALSE(runs(Int(), max(current, -(std::int64_t{1} << 53))));
  CHECK_FALSE(runs(Int(), current * 2));
  CHECK_FALSE(runs(std::type_identity<double>(), current + 1.0));
  CHECK_FALSE(runs(std::type_identity<support::Figures>(), atom::at(&support::Figures::count) + 1));
}

TEST_CASE("redis: numbers that a double does not keep are counted by several at once, each exactly") {
  Database database;
  database.client.run(Batch().write(shop, "n", "9007199254740990"));
  support::in_threads(4, [&](std::size_t) {
    Client client(*database.redis);
    for (int i = 0; i < 25; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  });
  CHECK(database.client.text(shop, "n") == "9007199254741090");
}

// --------------------------------------------------------------------------------------------------------------- feed

struct Heard : atom::FeedSink {
  void changed(const Scope& scope, std::string_view key, std::int64_t, std::optional<StoredValue> value) override {
    changes.push_back(atom::detail::state_id(scope, key) + (value ? " = " + value->text : " ended"));
  }
  void lost_track() override {
    ++losses;
    changes.push_back("lost");
  }
  std::vector<std::string> changes;
  int losses = 0;
};
/// Polls until there are so many changes, or it takes too long.
void poll(atom::Feed& feed, Heard& heard, std::size_t count) {
  for (int i = 0; i < 200 && heard.changes.size() < count; ++i) (void)feed.poll(heard, in(50ms));
}

TEST_CASE("redis: a feed tells what is written, through whichever object, and nothing else") {
  Database database;
  const auto other = open(database.server);
  database.client.run(Batch().write(shop, "before", "1"));
  const auto feed = database.redis->open_feed();
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1", {.labels = {"x"}}).apply(shop, "n", {}, current + 1).check(shop, "z"));
  client.run(Batch().write(shop, "a", "2", {.expected = 0}).erase(shop, "z"));
  client.run(Batch().write(shop, "b", "3").write(shop, "a", "2", {.expected = 0}), BatchMode::all_or_nothing);
  client.send(Batch().write(shop, "a", "1").write(shop, "b", "1"));  // it comes again
  Client(*other).run(Batch().erase(shop, "n"));
  REQUIRE(other->purge(std::vector{"x"s}, soon()));
  const std::string long_text = '"' + std::string(300, 'x') + '"';
  Client(*other).run(Batch().write(Scope{"one"}, "c", long_text));
  REQUIRE(database.redis->erase_scope(Scope{"one"}, soon()));
  Heard heard;
  poll(*feed, heard, 5);
  REQUIRE_FALSE(feed->poll(heard, in(50ms)));
  // A long value is read by whom it concerns; once, if it ends meanwhile.
  CHECK(heard.changes == std::vector{"shop:a = 1"s, "shop:n = 1"s, "shop:n ended"s, "shop:a ended"s, "one:c ended"s});
}

TEST_CASE("redis: a feed is woken by another thread, and goes on") {
  Database database;
  const auto feed = database.redis->open_feed();
  Heard heard;
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);
    feed->wake();
  });
  const Watch watch;
  REQUIRE_FALSE(feed->poll(heard, soon()));
  CHECK(watch.passed() < 10s);
  waker.join();
  database.client.run(Batch().write(shop, "a", "1"));
  poll(*feed, heard, 1);
  CHECK(heard.changes == std::vector{"shop:a = 1"s});
}

TEST_CASE("redis: a feed that is polled for moments only loses track of nothing") {
  Database database;
  const auto feed = database.redis->open_feed();
  Heard heard;
  int errors = 0;
  std::thread writer([&] {
    Client client(*database.redis);
    for (int i = 0; i < 300; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  });
  for (int i = 0; i < 100'000 && heard.changes.size() < 300; ++i) {
    errors += feed->poll(heard, std::chrono::steady_clock::now() + std::chrono::microseconds(i % 300)).has_value();
  }
  writer.join();
  CHECK(errors == 0);
  CHECK(heard.losses == 0);
  CHECK(heard.changes.size() == 300);
}

TEST_CASE("redis: a feed asks at most once in a millisecond, however much is written") {
  Database database;
  const support::ChaosProxy proxy(database.server.socket());
  const auto redis = open(RedisOptions{.url = "redis://127.0.0.1:" + std::to_string(proxy.port())});
  const auto feed = redis->open_feed();
  const Watch watch;
  const std::size_t before = proxy.round_trips();
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) database.client.run(Batch().apply(shop, "n", {}, current + 1));
  });
  Heard heard;
  poll(*feed, heard, 300);
  writer.join();
  CHECK(heard.changes.size() == 300);
  CHECK(proxy.round_trips() - before <= static_cast<std::size_t>(watch.passed() / 1ms) + 2);
}

TEST_CASE("redis: of many writes of one large state a feed that was busy tells once, with what else is to be read") {
  Database database;
  const auto feed = database.redis->open_feed();
  struct Several final : Heard {
    void to_be_read(std::span<const atom::ChangedState> states) override {
      ++bursts;
      Heard::to_be_read(states);
    }
    int bursts = 0;
  } heard;
  const std::string large = '"' + std::string(300, 'x') + '"';
  for (int i = 0; i < 50; ++i) database.client.run(Batch().write(shop, "hot", large));
  database.client.run(Batch().write(shop, "small", "1"));
  database.client.run(Batch().write(shop, "large", large));
  poll(*feed, heard, 3);
  CHECK(heard.changes == std::vector{"shop:small = 1"s, "shop:hot ended"s, "shop:large ended"s});
  CHECK(heard.bursts == 1);
}

TEST_CASE("redis: a feed whose connection breaks loses track once, and misses nothing") {
  Database database;
  const auto feed = database.redis->open_feed();
  Heard heard;
  for (int round = 1; round <= 3; ++round) {
    heard.changes.clear();
    database.client.run(Batch().apply(shop, "n", {}, current + 1));
    poll(*feed, heard, 1);
    database.server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    database.client.run(Batch().apply(shop, "n", {}, current + 1));
    database.client.run(Batch().apply(shop, "n", {}, current + 1));
    poll(*feed, heard, 4);
    REQUIRE_FALSE(feed->poll(heard, in(50ms)));
    const int n = 3 * round;
    CHECK(heard.changes == std::vector{"shop:n = " + std::to_string(n - 2), "lost"s,
                                       "shop:n = " + std::to_string(n - 1), "shop:n = " + std::to_string(n)});
  }
}

TEST_CASE("redis: a feed passes by what it cannot read, loses track once, and goes on") {
  Database database;
  const auto feed = database.redis->open_feed();
  Heard heard;
  database.client.run(Batch().write(shop, "a", "1"));
  const std::string good = "1 0 0 0 2";
  database.server.run({"XADD", "{atom}:feed", "*", "shop", good, "shop b", good});
  database.server.run({"XADD", "{atom}:feed", "*", "a scope that is none", "1 0 0 9 2", "shop", "x"});
  database.server.run({"XADD", "{atom}:feed", "*", "shop c", "two", "shop d", "1 0 0 9 2", "shop e", good});
  database.client.run(Batch().write(shop, "f", "3"));
  poll(*feed, heard, 5);
  CHECK_FALSE(feed->poll(heard, in(50ms)));
  CHECK(heard.changes == std::vector{"shop:a = 1"s, "shop:b = 2"s, "shop:e = 2"s, "shop:f = 3"s, "lost"s});
  // So it does where it is far behind.
  heard.changes.clear();
  for (int i = 0; i < 250; ++i) {
    database.server.run({"XADD", "{atom}:feed", "*", i == 10 ? "shop" : "shop g", good});
  }
  poll(*feed, heard, 250);
  CHECK_FALSE(feed->poll(heard, in(50ms)));
  CHECK(heard.losses == 2);
  CHECK(heard.changes.size() == 250);
}

TEST_CASE("redis: a feed whose server is away says so, loses track once when it is back, and goes on") {
  for (const bool is_empty : {false, true}) {
    Database database(is_empty ? std::vector<std::string>{} : std::vector<std::string>{"--appendonly", "yes"});
    const auto feed = database.redis->open_feed();
    Heard heard;
    database.client.run(Batch().write(shop, "a", "1"));
    poll(*feed, heard, 1);
    database.server.stop(SIGTERM);
    for (int i = 0; i < 3; ++i) {
      const auto error = feed->poll(heard, in(200ms));
      REQUIRE(error);
      CHECK(error->code() == StateErrorCode::unavailable);
      CHECK(error->retryable());
    }
    database.server.start();
    REQUIRE_FALSE(feed->poll(heard, in(100ms)));
    Client(*database.redis).run(Batch().write(shop, "b", "2"));
    poll(*feed, heard, 3);
    REQUIRE_FALSE(feed->poll(heard, in(50ms)));
    CHECK(heard.changes == std::vector{"shop:a = 1"s, "lost"s, "shop:b = 2"s});
  }
}

TEST_CASE("redis: a feed that was away for longer than the stream is goes on with what is new") {
  RedisServer server;
  const auto redis = open(RedisOptions{.url = server.url(), .feed_length = 10});
  const auto feed = redis->open_feed();
  Client client(*redis);
  Heard heard;
  client.run(Batch().write(shop, "a", "1"));
  poll(*feed, heard, 1);
  server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  for (int i = 0; i < 500; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  REQUIRE_FALSE(feed->poll(heard, in(100ms)));
  client.run(Batch().write(shop, "b", "2"));
  poll(*feed, heard, 3);
  CHECK(heard.changes == std::vector{"shop:a = 1"s, "lost"s, "shop:b = 2"s});
}

TEST_CASE(
    "redis: a feed that is further behind than the stream is long loses track once, and goes on with what is new") {
  Database database;
  const auto redis = open(RedisOptions{.url = database.server.url(), .feed_length = 100});
  Client client(*redis);
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const auto feed = redis->open_feed();
  constexpr int writes = 1000;
  for (int i = 0; i < writes; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  Heard heard;
  const std::string last = "shop:n = " + std::to_string(writes + 1);
  for (int i = 0; i < 200 && (heard.changes.empty() || heard.changes.back() != last); ++i) {
    REQUIRE_FALSE(feed->poll(heard, in(50ms)));
  }
  CHECK(heard.changes.back() == last);
  CHECK(heard.changes.size() < writes);
  CHECK(heard.losses == 1);
}

TEST_CASE("redis: a feed that is opened while the server is away loses track when it is there") {
  Database database({"--appendonly", "yes"});
  database.server.stop(SIGTERM);
  const auto feed = database.redis->open_feed();
  Heard heard;
  CHECK(feed->poll(heard, in(100ms)));
  CHECK(heard.losses == 0);
  database.server.start();
  REQUIRE_FALSE(feed->poll(heard, in(100ms)));
  CHECK(heard.losses == 1);
}

TEST_CASE("redis: a feed whose server is far away connects again, though that takes longer than a poll") {
  const RedisServer server({"--requirepass", "secret"});
  support::ChaosProxy proxy(server.socket());
  const auto at = [](int port) { return "redis://:secret@127.0.0.1:" + std::to_string(port) + "/1"; };
  const auto near = open(RedisOptions{.url = at(server.port())}), far = open(RedisOptions{.url = at(proxy.port())});
  const auto feed = far->open_feed();
  Client client(*near);
  Heard heard;
  client.run(Batch().write(shop, "a", "1"));
  poll(*feed, heard, 1);
  proxy.slow_down(200ms);
  proxy.cut();
  std::this_thread::sleep_for(100ms);
  client.run(Batch().write(shop, "b", "2"));
  for (int i = 0; i < 5 && heard.changes.size() < 3; ++i) CHECK_FALSE(feed->poll(heard, in(300ms)));
  CHECK(heard.changes == std::vector{"shop:a = 1"s, "lost"s, "shop:b = 2"s});
}

/// Polls, and wakes it meanwhile: the error. It must neither be woken before, nor wait for long.
std::optional<StateError> poll_and_wake(atom::Feed& feed, Heard& heard) {
  const Watch watch;
  std::thread waker([&] {
    std::this_thread::sleep_for(1s);
    feed.wake();
  });
  auto error = feed.poll(heard, in(10s));
  const auto passed = watch.passed();
  waker.join();
  CHECK(passed >= 1s);
  CHECK(passed < 4s);
  return error;
}

TEST_CASE("redis: a feed that is woken while it connects gives that up, and misses nothing later") {
  Database database;
  const auto feed = database.redis->open_feed();
  Heard heard;
  database.client.run(Batch().write(shop, "a", "1"));
  poll(*feed, heard, 1);
  database.server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  database.client.run(Batch().write(shop, "b", "2"));
  database.server.pause();
  for (int i = 0; i < 2; ++i) support::check_was_woken(poll_and_wake(*feed, heard));
  feed->wake();  // it has no connection yet, woken or not
  CHECK(feed->poll(heard, in(2s)));
  CHECK(heard.losses == 0);
  database.server.go_on();
  poll(*feed, heard, 3);
  CHECK(heard.changes == std::vector{"shop:a = 1"s, "lost"s, "shop:b = 2"s});
}

TEST_CASE("redis: a feed to whose server there is no way yet can be woken") {
  const support::SilentServer nobody(true);
  Redis redis("redis://127.0.0.1:" + std::to_string(nobody.port()));
  REQUIRE(redis.prepare(true, in(10ms)));
  const auto feed = redis.open_feed();
  Heard heard;
  support::check_was_woken(poll_and_wake(*feed, heard));
}

TEST_CASE("redis: of several addresses of a host one that says nothing has its share of the time") {
  Database database;
  sockaddr_in first = support::loopback(database.server.port());
  first.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  const support::SilentServer silent(true, first);
  const std::string url = "redis://"s + two_addresses + ':' + std::to_string(database.server.port());
  CHECK_FALSE(Redis(url).prepare(true, in(3s)));
  database.server.stop(SIGTERM);
  const auto error = Redis(url).prepare(true, in(3s));
  REQUIRE(error);
  CHECK_THAT(error->what(), ContainsSubstring("no connection: "));
}

TEST_CASE("redis: a store whose feed connects is closed without waiting for that, and without a word of it") {
  RedisServer server;
  std::atomic<int> events = 0;
  std::optional<atom::StateStore> store(std::in_place, Redis{server.url()},
                                        atom::StoreOptions{.on_event = [&](const atom::StateEvent&) { ++events; }});
  {
    auto n = store->get_state<std::int64_t>(0, {.key = "n", .scope = Scope::global()});
    const auto listener = n.on_change([](const std::int64_t&) {});
  }
  server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  server.pause();
  std::this_thread::sleep_for(100ms);
  const Watch watch;
  store.reset();
  CHECK(watch.passed() < 1s);
  CHECK(events == 0);
  server.go_on();
}

// ------------------------------------------------------------------------------------------------------- two programs

TEST_CASE("redis: what one store writes another one hears of, also after the server was away") {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  atom::StateStore here{Redis{server.url()}};
  atom::StateStore there{Redis{server.url()}};
  const auto count = [](atom::StateStore& states) {
    return states.get_state<std::int64_t>(0, {.key = "count", .scope = Scope::global()});
  };
  std::mutex mutex;
  std::vector<std::int64_t> heard;
  auto mine = count(here), theirs = count(there);
  const auto listener = theirs.on_change([&](const std::int64_t& n) {
    const std::lock_guard lock(mutex);
    heard.push_back(n);
  });
  const auto has_heard = [&](std::int64_t n) {
    for (int i = 0; i < 3000; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (!heard.empty() && heard.back() == n) return true;
      }
      std::this_thread::sleep_for(5ms);
    }
    return false;
  };
  CHECK(mine.apply(current + 1) == 1);
  CHECK(has_heard(1));
  server.stop(SIGKILL);
  server.start();
  CHECK(mine.apply(current + 1) == 2);
  CHECK(has_heard(2));
  const std::lock_guard lock(mutex);
  CHECK(heard == std::vector<std::int64_t>{1, 2});
}

// ----------------------------------------------------------------------------------------------------- other servers

/// The server is not taken, for that reason, and is left as it is.
void check_refused(const RedisOptions& options, const std::string& why, StateErrorCode code = StateErrorCode::refused) {
  Redis redis(options);
  const auto error = redis.prepare(true, in(5s));
  REQUIRE(error);
  INFO(error->what());
  CHECK(error->code() == code);
  CHECK(error->effect() == Effect::none);
  CHECK(error->retryable() == (code != StateErrorCode::refused));
  CHECK_THAT(error->what(), ContainsSubstring(why));
  CHECK_THAT(error->what(), !ContainsSubstring("secret"));
  CHECK_THAT(error->what(), !ContainsSubstring("somebody"));
  Client client(redis);
  CHECK(client.send(Batch().write(shop, "a", "1")).status == BatchStatus::not_applied);
  CHECK(try_read(redis, "a", soon())->code() == StateErrorCode::closed);
}
void check_refused(const RedisServer& server, const std::string& why) {
  check_refused(RedisOptions{.url = server.url()}, why);
}

TEST_CASE("redis: a server that makes room by forgetting is refused, and one that does not is not") {
  for (const char* policy : {"allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"}) {
    RedisServer server({"--maxmemory", "50mb", "--maxmemory-policy", policy});
    check_refused(server, "(maxmemory-policy "s + policy + "): set `maxmemory-policy noeviction`");
    CHECK(server.run({"DBSIZE"}) == "0");
  }
  CHECK_NOTHROW(open(RedisServer({"--maxmemory", "50mb", "--maxmemory-policy", "noeviction"})));
  CHECK_NOTHROW(open(RedisServer({"--maxmemory-policy", "allkeys-lru"})));
}

TEST_CASE("redis: a cluster, a replica and another layout are refused") {
  // Its bus would have the port 10,000 above, which not every port has.
  const std::string bus = std::to_string(support::free_port());
  check_refused(RedisServer({"--cluster-enabled", "yes", "--cluster-port", bus}),
                "a Redis Cluster is not supported yet");
  check_refused(RedisServer({"--replicaof", "127.0.0.1 " + std::to_string(support::free_port())}),
                "it is a replica, and may only be read: name the primary");
  RedisServer server;
  server.run({"HSET", "{atom}:meta", "layout", "9"});
  check_refused(server, "another version of this program keeps its states there (layout 9)");
}

TEST_CASE("redis: a server that is too old, a sentinel, and what does not say what it is are refused") {
  std::string info;
  const FakeServer fake([&](int peer) {
    for (std::string request; !(request = support::read_some(peer)).empty();) {
      support::write_all(peer, request.find("INFO") == request.npos
                                   ? "+OK\r\n"
                                   : "$" + std::to_string(info.size()) + "\r\n" + info + "\r\n");
    }
  });
  const auto check = [&](const std::string& says, const std::string& why) {
    info = "# Server\r\n" + says + "\r\n";
    check_refused(RedisOptions{.url = fake.url()}, why);
  };
  check("redis_version:6.0.16", "it is Redis 6.0.16, and 6.2 or later is needed");
  check("redis_version:2.8", "it is Redis 2.8, and 6.2 or later is needed");
  check("redis_version:new", "it is Redis new, and 6.2 or later is needed");
  check("redis_version:7.0.1\r\nredis_mode:sentinel", "it is a sentinel: name the server that it watches");
  check("redis_version:7.0.1\r\nredis_mode:cluster", "a Redis Cluster is not supported yet");
  check("redis_mode:standalone", "it does not say which version of Redis it is");
}

TEST_CASE("redis: a server that wants a password gets it, and no error tells it") {
  RedisServer server({"--requirepass", "secret word"});
  const std::string at = "@127.0.0.1:" + std::to_string(server.port());
  check_refused(server, "it wants a password");
  check_refused({.url = "redis://:secret1" + at}, "it does not take the user and the password of the URL");
  check_refused({.url = "redis://somebody:secret%20word" + at}, "it does not take the user and the password");
  const auto redis = open(RedisOptions{.url = "redis://:secret%20word" + at + "/2"});
  Client(*redis).run(Batch().write(shop, "a", "1"));
  CHECK(Client(*redis).text(shop, "a") == "1");
  const auto by_name = open(RedisOptions{.url = "redis://default:secret%20word" + at + "/2"});
  CHECK(Client(*by_name).text(shop, "a") == "1");
  const auto elsewhere = open(RedisOptions{.url = "redis://default:secret%20word" + at + "/3"});
  CHECK(Client(*elsewhere).text(shop, "a").empty());

  RedisServer open_to_all;
  check_refused({.url = "redis://somebody:secret@127.0.0.1:" + std::to_string(open_to_all.port())},
                "it does not take the user and the password");
  RedisServer without_auth({"--rename-command", "AUTH", ""});
  check_refused({.url = "redis://somebody:secret@127.0.0.1:" + std::to_string(without_auth.port())},
                "it does not take the user and the password");
}

TEST_CASE("redis: a user who may not do all of it is refused, and its values are not told") {
  RedisServer server({"--rename-command", "EVALSHA", ""});
  const auto redis = open(server);
  Client client(*redis);
  ++client.lane.sequence;
  const BatchResult result = client.send(Batch().write(shop, "a", "\"secret\""));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK_THAT(result.error->what(), ContainsSubstring("ERR unknown command"));
  CHECK_THAT(result.error->what(), !ContainsSubstring("secret") && !ContainsSubstring("args"));

  RedisServer strict;
  strict.run({"ACL", "SETUSER", "somebody", "on", ">secret", "~other:*", "+@all"});
  check_refused({.url = "redis://somebody:secret@127.0.0.1:" + std::to_string(strict.port())}, "NOPERM");
}

TEST_CASE("redis: a user needs no more than what the README says") {
  RedisServer server;
  server.run({"ACL", "SETUSER", "somebody", "on", ">secret", "~{atom}:*", "+@read", "+@write", "+@scripting",
              "+@connection", "+info", "+time"});
  const auto redis = open(RedisOptions{.url = "redis://somebody:secret@127.0.0.1:" + std::to_string(server.port())});
  const auto feed = redis->open_feed();
  Client client(*redis);
  client.run(Batch().write(shop, "a", "1", {.labels = {"x"}, .ttl = 1'000'000}).apply(shop, "n", {}, current + 1));
  const atom::StateName name{shop, "a", 2'000'000};
  Outcome outcome;
  CHECK_FALSE(redis->read({&name, 1}, {&outcome, 1}, soon()));
  CHECK(redis->list({}, soon())->size() == 2);
  CHECK(redis->scopes("", 10, soon())->size() == 1);
  CHECK(redis->purge(std::vector{"x"s}, soon())->size() == 1);
  CHECK(redis->erase_scope(shop, soon())->size() == 1);
  Heard heard;
  poll(*feed, heard, 4);
  CHECK(heard.changes.size() == 4);
}

TEST_CASE("redis: plain text goes to no other machine unless that is allowed") {
  for (const char* url : {"redis://192.0.2.1", "redis://:secret@[2001:db8::1]:6379", "redis://0.0.0.0:1"}) {
    check_refused({.url = url}, "is another machine, and redis:// sends all, passwords too, as plain text");
  }
  Redis allowed(RedisOptions{.url = "redis://:secret@192.0.2.1", .plain_text = true});
  const auto error = allowed.prepare(true, in(100ms));
  REQUIRE(error);
  CHECK(error->code() != StateErrorCode::refused);
  RedisServer server;
  CHECK_NOTHROW(open(RedisOptions{.url = "redis://localhost:" + std::to_string(server.port())}));
  CHECK_NOTHROW(open(RedisOptions{.url = "unix://" + server.socket()}));
}

#if defined(ATOM_REDIS_TLS)
/// Certificates for this machine, by an authority of their own, and a server that speaks nothing but TLS.
struct Encrypted {
  Encrypted() {
    const std::string script =
        "cd '" + (folder / "") +
        "' && exec >log 2>&1 && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca"
        " && openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=server"
        " && echo 'subjectAltName=DNS:localhost,IP:127.0.0.1' >names"
        " && openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem";
    if (std::system(script.c_str()) != 0) throw std::runtime_error("openssl makes no certificates");
    server.emplace(std::vector<std::string>{"--tls-port", std::to_string(port), "--tls-cert-file", folder / "cert.pem",
                                            "--tls-key-file", folder / "key.pem", "--tls-ca-cert-file",
                                            folder / "ca.pem", "--tls-auth-clients", "no", "--appendonly", "yes"});
  }
  std::string url(const std::string& host = "localhost") const {
    return "rediss://" + host + ":" + std::to_string(port);
  }
  support::TemporaryFolder folder;
  const int port = support::free_port();
  std::optional<RedisServer> server;
};

TEST_CASE("redis: with TLS the server shows a certificate, for this name and by whom we trust") {
  const Encrypted encrypted;
  const std::string trusted = encrypted.folder / "ca.pem";
  for (const char* host : {"localhost", "127.0.0.1"}) {
    CHECK_NOTHROW(open(RedisOptions{.url = encrypted.url(host), .ca_file = trusted}));
  }
  check_refused({.url = encrypted.url()}, "its certificate is not to be trusted");
  check_refused({.url = encrypted.url("127.1"), .ca_file = trusted}, "its certificate is not to be trusted");
  check_refused({.url = encrypted.url(), .ca_file = encrypted.folder / "none.pem"}, "cannot be read");
  const FakeServer plain([](int peer) {
    (void)support::read_some(peer);
    support::write_all(peer, "-ERR what?\r\n");
  });
  check_refused({.url = "rediss://localhost:" + std::to_string(plain.port()), .ca_file = trusted},
                "does the server speak it on this port?", StateErrorCode::unavailable);
}

TEST_CASE(
    "redis: what is large goes through TLS, and a server that stands still, is killed or comes back, as without") {
  Encrypted encrypted;
  const auto redis = open(RedisOptions{.url = encrypted.url(), .ca_file = encrypted.folder / "ca.pem"});
  Client client(*redis);
  const auto feed = redis->open_feed();
  const std::string large = '"' + std::string(250'000, 'x') + '"';
  Batch batch;
  for (int i = 0; i < 10; ++i) batch.write(shop, "k" + std::to_string(i), large);
  client.run(batch);
  CHECK(redis->list({}, soon())->size() == 10);
  CHECK(client.text(shop, "k9") == large);
  for (int i = 1; i <= 100; ++i) client.run(Batch().apply(shop, "n", {}, current + 1));
  Heard heard;
  poll(*feed, heard, 110);
  CHECK(heard.changes.size() == 110);

  encrypted.server->pause();
  ++client.lane.sequence;
  const Watch watch;
  CHECK(client.send(batch, BatchMode::independent, in(1s)).status == BatchStatus::in_doubt);
  CHECK(try_read(*redis, "n", in(100ms))->code() == StateErrorCode::timed_out);
  CHECK(watch.passed() < 2s);
  encrypted.server->go_on();
  CHECK(client.send(batch).status == BatchStatus::done);
  encrypted.server->stop(SIGTERM);
  ++client.lane.sequence;
  CHECK(client.send(batch).status == BatchStatus::not_applied);
  CHECK(feed->poll(heard, in(100ms)));
  encrypted.server->start();
  CHECK(client.send(batch).status == BatchStatus::done);
  REQUIRE_FALSE(feed->poll(heard, in(500ms)));
  CHECK(heard.losses == 1);
}
#else
TEST_CASE("redis: without TLS in hiredis its URL is refused, and nothing is sent as plain text instead") {
  RedisServer server;
  check_refused({.url = "rediss://:secret@127.0.0.1:" + std::to_string(server.port())},
                "rediss:// needs a hiredis with TLS");
}
#endif

TEST_CASE("redis: a server that is not there is an error that says so") {
  const std::string port = std::to_string(support::free_port());
  check_refused({.url = "redis://127.0.0.1:" + port}, "127.0.0.1:" + port + ": no connection: Connection refused",
                StateErrorCode::unavailable);
  check_refused({.url = "unix:///nowhere/redis.sock"}, "/nowhere/redis.sock: no connection: No such file",
                StateErrorCode::unavailable);
  check_refused({.url = "unix:///" + std::string(200, 'x')}, "the path of the socket is too long");
  check_refused({.url = "redis://no-such-host.invalid"}, "the host is not found", StateErrorCode::unavailable);
  check_refused({.url = "redis://:secret@host:port"}, "the port in the URL");
  check_refused({.url = "redis://localhost", .name = ""}, "name is empty");
  check_refused({.url = "redis://localhost", .name = "a{b}"}, "name is letters");
}

TEST_CASE("redis: what speaks nonsense is no server, and costs no more than the deadline") {
  const std::string answers[] = {
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      "\x15\x03\x01\x00\x02\x02\x0a",
      "\r\n\r\n",
      "$-1\r\n",
      ":1\r\n",
      "*0\r\n",
      "*2\r\n:1\r\n",
      "+OK\r\n",
      "$10\r\nshort",
      "*1000000\r\n",
      "$9000000000000000000\r\n",
      "-ERR what?\r\n",
      std::string(100'000, '\0'),
      "",
  };
  for (const std::string& answer : answers) {
    INFO(answer.substr(0, 30));
    const FakeServer fake([&](int client) {
      (void)support::read_some(client);
      support::write_all(client, answer);
      if (answer.size() % 2) support::wait_for_end(client);
    });
    Redis redis(fake.url());
    const Watch watch;
    const auto error = redis.prepare(true, in(1s));
    CHECK(watch.passed() < 1100ms);
    REQUIRE(error);
    CHECK(error->effect() == Effect::none);
  }
}

// -------------------------------------------------------------------------------------------------- while it is used

TEST_CASE("redis: scripts that the server has forgotten are sent again") {
  Database database;
  for (int i = 1; i <= 3; ++i) {
    database.server.run({"SCRIPT", "FLUSH"});
    database.client.run(Batch().apply(shop, "n", {.labels = {"x"}}, current + 1));
    database.server.run({"SCRIPT", "FLUSH"});
    CHECK(database.client.text(shop, "n") == std::to_string(i));
    database.server.run({"SCRIPT", "FLUSH"});
    CHECK(database.redis->list({}, soon())->size() == 1);
  }
  database.server.run({"SCRIPT", "FLUSH"});
  CHECK(database.redis->purge(std::vector{"x"s}, soon())->size() == 1);
}

TEST_CASE("redis: a server that stands still costs the deadline, and what was in doubt is done once") {
  Database database;
  database.client.run(Batch().write(shop, "n", "1"));
  database.server.pause();
  ++database.client.lane.sequence;
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  for (int again = 0; again < 2; ++again) {
    const Watch watch;
    const BatchResult result = database.client.send(batch, BatchMode::independent, in(1s));
    CHECK(watch.passed() >= 1s);
    CHECK(watch.passed() < 1900ms);
    CHECK(result.status == BatchStatus::in_doubt);
    REQUIRE(result.error);
    CHECK(result.error->code() == StateErrorCode::timed_out);
    CHECK(result.error->effect() == Effect::unknown);
    CHECK(result.error->retryable());
  }
  const Watch watch;
  const auto error = try_read(*database.redis, "n", in(1s));
  CHECK(watch.passed() < 1900ms);
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::timed_out);
  CHECK(error->effect() == Effect::none);
  Redis other(database.server.url());
  CHECK(other.prepare(true, in(100ms))->code() == StateErrorCode::timed_out);
  database.server.go_on();
  CHECK(database.client.send(batch).status == BatchStatus::done);
  CHECK(database.client.outcomes[0].value->text == "1");
  CHECK(database.client.text(shop, "n") == "2");
  CHECK_FALSE(other.prepare(true, soon()));
}

TEST_CASE("redis: a deadline that has passed is an error without effect") {
  Database database;
  ++database.client.lane.sequence;
  const BatchResult result = database.client.send(Batch().write(shop, "a", "1"), BatchMode::independent, in(-1ms));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(try_read(*database.redis, "a", in(-1ms))->code() == StateErrorCode::timed_out);
  CHECK(database.client.send(Batch().write(shop, "a", "1")).status == BatchStatus::done);
}

TEST_CASE("redis: a server that was killed is an error without effect, and when it is back all goes on") {
  Durable database;
  Client& client = database.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  for (int round = 1; round <= 3; ++round) {
    database.server.stop(SIGKILL);
    ++client.lane.sequence;
    const BatchResult result = client.send(batch);
    CHECK(result.status == BatchStatus::not_applied);
    CHECK(result.error->code() == StateErrorCode::unavailable);
    CHECK(result.error->effect() == Effect::none);
    CHECK(result.error->retryable());
    CHECK(try_read(*database.redis, "n", soon())->code() == StateErrorCode::unavailable);
    database.server.start();
    CHECK(client.send(batch).status == BatchStatus::done);
    CHECK(client.text(shop, "n") == std::to_string(1 + round));
    CHECK(client.send(batch).status == BatchStatus::done);
    CHECK(client.text(shop, "n") == std::to_string(1 + round));
  }
}

TEST_CASE("redis: a server that is killed while it has a batch leaves it in doubt, and then it is done once") {
  Durable database;
  support::ChaosProxy proxy(database.server.socket());
  const auto redis = open(RedisOptions{.url = "redis://127.0.0.1:" + std::to_string(proxy.port())});
  Client client(*redis);
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  database.server.pause();
  ++client.lane.sequence;
  BatchResult result;
  const std::size_t before = proxy.requests();
  std::thread sender([&] { result = client.send(batch); });
  while (proxy.requests() == before) std::this_thread::sleep_for(1ms);
  database.server.stop(SIGKILL);
  sender.join();
  CHECK(result.status == BatchStatus::in_doubt);
  CHECK(result.error->code() == StateErrorCode::unavailable);
  CHECK(result.error->effect() == Effect::unknown);
  database.server.start();
  CHECK(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("redis: a server that comes back empty is a gap, and the store says how much is lost") {
  RedisServer server;
  std::mutex mutex;
  std::uint64_t lost = 0;
  int losses = 0;
  atom::StoreOptions options;
  options.on_event = [&](const atom::StateEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.kind != atom::StateEvent::Kind::history_lost) return;
    lost += event.lost;
    ++losses;
  };
  atom::StateStore states{Redis{server.url()}, std::move(options)};
  auto n = states.get_state<std::int64_t>(0, {.key = "n", .scope = Scope::global()});
  for (int i = 1; i <= 5; ++i) CHECK(n.apply(current + 1) == i);
  server.stop(SIGKILL);
  server.start();
  CHECK(n.apply(current + 1) == 1);
  CHECK(n.apply(current + 1) == 2);
  const std::lock_guard lock(mutex);
  CHECK(losses == 1);
  CHECK(lost == 5);
}

TEST_CASE("redis: a scope whose deletion breaks off half way is in doubt, and may be deleted again") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1"));
  const auto error_of_erasing = [&] { return database.redis->erase_scope(shop, soon()).error(); };
  database.server.run({"RENAME", "{atom}:scopes", "away"});
  database.server.run({"SET", "{atom}:scopes", "somebody's"});
  CHECK(error_of_erasing().effect() == atom::Effect::none);  // nothing was found yet
  CHECK(database.client.text(shop, "a") == "1");
  database.server.run({"RENAME", "away", "{atom}:scopes"});
  database.server.run({"RENAME", "{atom}:feed", "away"});
  database.server.run({"SET", "{atom}:feed", "somebody's"});
  const StateError broken = error_of_erasing();
  CHECK(broken.effect() == atom::Effect::unknown);
  CHECK(broken.retryable());
  CHECK_THAT(broken.what(), ContainsSubstring("WRONGTYPE"));
  CHECK(database.redis->list({.scope = &shop}, soon())->empty());
  database.server.run({"RENAME", "away", "{atom}:feed"});
  CHECK(database.redis->erase_scope(shop, soon())->empty());
}

TEST_CASE("redis: a server that becomes a replica is an error without effect, until it is none any more") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1"));
  // Before it has found its primary it still has its own data.
  database.server.run({"REPLICAOF", "127.0.0.1", std::to_string(support::free_port())});
  ++client.lane.sequence;
  const BatchResult result = client.send(Batch().write(shop, "a", "2"));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK(result.error->effect() == Effect::none);
  CHECK(result.error->retryable());  // it may be that another server takes over
  CHECK_THAT(result.error->what(), ContainsSubstring("it is a replica, and may only be read"));
  CHECK(client.text(shop, "a") == "1");
  CHECK_FALSE(database.redis->erase_scope(shop, soon()));
  CHECK(client.text(shop, "a") == "1");
  database.server.run({"REPLICAOF", "NO", "ONE"});
  CHECK(client.send(Batch().write(shop, "a", "2")).status == BatchStatus::done);
  CHECK(client.text(shop, "a") == "2");
}

TEST_CASE("redis: a server that is full is an error without effect, and what is there can be read and erased") {
  Database database({"--maxmemory", "4mb", "--maxmemory-policy", "noeviction"});
  Client& client = database.client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const std::string much = '"' + std::string(200'000, 'x') + '"';
  BatchResult result;
  int written = 0;
  for (; written < 100 && !result.error; ++written) {
    ++client.lane.sequence;
    Batch batch;
    batch.apply(shop, "n", {}, current + 1).write(shop, "big" + std::to_string(written), much);
    result = client.send(batch);
  }
  REQUIRE(written < 100);
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK(result.error->effect() == Effect::none);
  CHECK_THAT(result.error->what(), ContainsSubstring("its memory is full (maxmemory): give it more"));
  CHECK(client.text(shop, "n") == std::to_string(written));
  CHECK(database.redis->list({.scope = &shop}, soon())->size() == static_cast<std::size_t>(written));
  CHECK_NOTHROW(open(database.server));
  CHECK(database.redis->erase_scope(Scope{"other"}, soon())->empty());
  database.server.run({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(client.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == std::to_string(written + 1));
}

TEST_CASE("redis: an error in a script is known also as a server before 7.0 writes it") {
  const atom::detail::RedisServer server{.host = "host"};
  for (const char* text :
       {"OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:12.",
        "@user_script: 12: -OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_0a1b): @user_script:12: @user_script: 12: -OOM command not allowed"}) {
    CHECK_THAT(atom::detail::redis_error(server, text).what(), ContainsSubstring("its memory is full"));
  }
  CHECK(atom::detail::redis_error(server, "@user_script: 9: -NOREPLICAS Not enough good replicas").retryable());
}

TEST_CASE("redis: what a server will not do is an error that says why, and of some whether it may be tried again") {
  const atom::detail::RedisServer server{.host = "host"};
  const auto check = [&](const std::string& text, const char* why, bool retryable) {
    INFO(text);
    const StateError error = atom::detail::redis_error(server, text);
    CHECK(error.code() == StateErrorCode::refused);
    CHECK(error.retryable() == retryable);
    CHECK_THAT(error.what(), ContainsSubstring(why) && !ContainsSubstring("secret"));
  };
  check("MISCONF Redis is configured to save RDB snapshots", "it cannot save them to its disk", false);
  check("READONLY You can't write against a read only replica.", "name the primary", true);
  for (const char* of_a_cluster :
       {"MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381", "CROSSSLOT Keys in request"}) {
    check(of_a_cluster, "a Redis Cluster is not supported yet", false);
  }
  check("ERR unknown command `HGET`, with args beginning with: `secret`", "ERR unknown command", false);
  CHECK(atom::detail::redis_error(server, "ERR what is it", atom::Effect::unknown).retryable());
}

TEST_CASE("redis: a batch that breaks off half way is in doubt, and is not said to be done when it comes again") {
  Database database;
  Client& client = database.client;
  const std::int64_t before = client.run(Batch().write(shop, "a", "1"))[0].version;
  database.server.run({"SET", "{atom}:ends", "somebody's"});
  const Batch batch = std::move(Batch().write(shop, "a", "2", {.ttl = 3'600'000}).apply(shop, "n", {}, current + 1));
  ++client.lane.sequence;
  const BatchResult broken = client.send(batch);
  CHECK(broken.status == BatchStatus::in_doubt);
  REQUIRE(broken.error);
  CHECK(broken.error->effect() == Effect::unknown);
  CHECK_THAT(broken.error->what(), ContainsSubstring("WRONGTYPE"));
  database.server.run({"DEL", "{atom}:ends"});
  // Also what is left of it when nobody waits for the first command any more; and whatever is compared with.
  const Batch rest = std::move(Batch().check(shop, "a").apply(shop, "n", {}, current + 1));
  const Batch compared = std::move(Batch().check(shop, "a").check(shop, "n", {.expected = 0}));
  for (const Batch* const again : {&batch, &batch, &rest, &compared}) {
    const BatchResult result = client.send(*again);
    CHECK(result.status == BatchStatus::not_applied);
    REQUIRE(result.error);
    CHECK(result.error->code() == StateErrorCode::refused);
    CHECK(result.error->effect() == Effect::unknown);
    CHECK_FALSE(result.error->retryable());
    CHECK_THAT(result.error->what(),
               ContainsSubstring("carried out in part when this failed: ") && ContainsSubstring("WRONGTYPE"));
  }
  CHECK(client.text(shop, "a") == "1");
  const Batch checks = std::move(Batch().check(shop, "a").check(shop, "n"));
  for (int i = 0; i < 2; ++i) {
    REQUIRE(client.send(checks).status == BatchStatus::done);
    CHECK(client.outcomes[0].version == before);
  }
  CHECK(client.send(batch).status == BatchStatus::done);  // it comes late, and does nothing any more
  CHECK(client.text(shop, "a") == "1");
  client.run(batch);
  CHECK(client.text(shop, "a") == "2");
}

TEST_CASE("redis: a lane is kept for a week even if its first batch breaks off") {
  Database database;
  database.server.run({"SET", "{atom}:ends", "somebody's"});
  ++database.client.lane.sequence;
  REQUIRE(database.client.send(Batch().write(shop, "a", "1", {.ttl = 1000})).status == BatchStatus::in_doubt);
  CHECK(std::stoll(database.server.run({"PTTL", database.server.run({"KEYS", "{atom}:lane:*"})})) > 604'000'000);
}

TEST_CASE("redis: of what breaks off half way a store says at once that it does not know, and what is told is true") {
  RedisServer server;
  server.run({"ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-zadd"});
  const std::string url = "redis://app:secret@127.0.0.1:" + std::to_string(server.port());
  atom::StateStore states{Redis{url}, {.deadline = 60s}};
  const auto state = [&](const char* key, std::chrono::milliseconds ttl) {
    return states.get_state<std::int64_t>(0, {.key = key, .scope = shop, .ttl = ttl});
  };
  auto ends = state("ends", 1h), stays = state("stays", 0ms);
  const auto check_unknown = [](auto work) {
    try {
      work();
      FAIL("it is said to be done");
    } catch (const StateError& error) {
      CHECK(error.effect() == Effect::unknown);
      CHECK_THAT(error.what(), ContainsSubstring("carried out in part") && !ContainsSubstring("secret"));
    }
  };
  const Watch watch;
  for (int i = 0; i < 2; ++i) {
    check_unknown([&] { ends.set(7); });
    CHECK(ends.load() == 0);
    check_unknown([&] { ends.apply(current + 1); });
    CHECK(ends.get() == 0);
    check_unknown([&] { stays.set(1); });  // its scope is new
    CHECK(stays.load() == 0);
  }
  CHECK(watch.passed() < 20s);
  server.run({"ACL", "SETUSER", "app", "+zadd"});
  CHECK(ends.apply(current + 1) == 1);
  CHECK(ends.load() == 1);
  CHECK(stays.apply(current + 1) == 1);
  CHECK(states.list(shop).size() == 2);
}

TEST_CASE("redis: a session that breaks off half way says that it does not know, and the next one is committed") {
  RedisServer server;
  atom::StateStore states{Redis{server.url()}, {.deadline = 60s}};
  static const atom::Atom<int> mine{"redis.mine", 0};
  server.run({"SET", "{atom}:scopes", "somebody's"});
  const auto commit = [&](int value) {
    atom::Session session{states, shop};
    session.use(mine).update(value);
    session.commit();
  };
  const Watch watch;
  for (int i = 0; i < 2; ++i) {
    try {
      commit(7);
      FAIL("it is said to be done");
    } catch (const StateError& error) {
      CHECK(error.effect() == Effect::unknown);
      CHECK_THAT(error.what(), ContainsSubstring("WRONGTYPE"));
    }
  }
  CHECK(watch.passed() < 20s);
  server.run({"DEL", "{atom}:scopes"});
  CHECK_NOTHROW(commit(8));
  CHECK(states.use(mine, shop).load() == 8);
}

TEST_CASE("redis: who announces more than a server ever answers gets no memory for it") {
  for (const std::string& answer : {"*2147483647\r\n"s, "*2\r\n$4\r\ndone\r\n*16777217\r\n$1\r\n1\r\n"s}) {
    INFO(answer);
    const FakeServer fake([&](int peer) {
      (void)support::read_some(peer);
      support::write_all(peer, answer);
      support::wait_for_end(peer);
    });
    const atom::detail::RedisConnection::Options options{.server = atom::detail::parse_redis_url(fake.url()).value()};
    atom::detail::RedisConnection connection(options);
    connection.open(soon());
    try {
      (void)connection.call({"PING"}, in(2s), Effect::unknown);
      FAIL("it is taken");
    } catch (const StateError& error) {
      CHECK(error.code() == StateErrorCode::unavailable);
      CHECK(error.effect() == Effect::unknown);
      CHECK_THAT(error.what(), ContainsSubstring("what answers is no Redis server"));
    }
  }
}

TEST_CASE("redis: somebody who takes our place and speaks nonsense leaves a batch in doubt") {
  const auto done = [](const std::string& results) {
    return "*2\r\n$4\r\ndone\r\n$" + std::to_string(results.size()) + "\r\n" + results + "\r\n";
  };
  auto database = std::make_unique<Durable>();
  Client& client = database->client;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const int port = database->server.port();
  ++client.lane.sequence;
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  for (const std::string& answer : {"nonsense\r\n"s,
                                    "*1\r\n$4\r\ndone\r\n"s,
                                    "*2\r\n$4\r\ndone\r\n*0\r\n"s,
                                    "*2\r\n$4\r\nhard\r\n*1\r\n*0\r\n"s,
                                    "*2\r\n$4\r\nhard\r\n*1\r\n*2\r\n:9\r\n:9\r\n"s,
                                    "*2\r\n$4\r\nhard\r\n*1\r\n*2\r\n:0\r\n$0\r\n\r\n"s,
                                    "*2\r\n$4\r\nhard\r\n*1\r\n*2\r\n:-9223372036854775808\r\n$0\r\n\r\n"s,
                                    ":7\r\n"s,
                                    "*1\r\n$5\r\nwhat?\r\n"s,
                                    "$-1\r\n"s,
                                    "*0\r\n"s,
                                    "*2\r\n$4\r\ndone\r\n*1\r\n*2\r\n$1\r\n1\r\n:0\r\n"s,
                                    "*2\r\n$4\r\ndone\r\n$0\r\n\r\n"s,
                                    done("\x90"),
                                    done("\x93"),
                                    done("\x93\x01\xa0"),
                                    done("\x93\xc0\xa0\xa0"),
                                    done("\x93\x01\x02\xa0"),
                                    done("\x93\x01\xa0\xa5x"),
                                    done("\x93\x01\xa0\xdb\xff\xff\xff\xff"),
                                    done("\x93\x01\xa0\xa3x y"),
                                    done("\x93\x01\xa0\xa7"
                                         "1 0 0 9 "),
                                    done("\xdd\xff\xff\xff\xff\x01"),
                                    done("\xdc\x03"),
                                    ""s}) {
    INFO(answer);
    database->server.stop(SIGKILL);
    {
      const FakeServer fake(
          [&](int peer) {
            (void)support::read_some(peer);
            support::write_all(peer, answer);
          },
          port);
      const BatchResult result = client.send(batch, BatchMode::independent, in(2s));
      CHECK(result.status == BatchStatus::in_doubt);
      REQUIRE(result.error);
      CHECK(result.error->effect() == Effect::unknown);
      CHECK(result.error->retryable());
      CHECK(try_read(*database->redis, "n", in(2s)));
      if (answer != "*0\r\n") CHECK_FALSE(database->redis->list({}, in(2s)));  // that is an answer
    }
    database->server.start();
    CHECK(client.text(shop, "n") == "1");
  }
  CHECK(client.send(batch).status == BatchStatus::done);
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("redis: a server that goes away in the middle of a request neither has it nor ends the program") {
  support::TemporaryFolder folder;
  const std::string path = folder / "redis.sock";
  Database database;
  // A socket of this machine says at once that nobody reads any more, with SIGPIPE.
  REQUIRE(std::signal(SIGPIPE, SIG_DFL) != SIG_IGN);
  FakeServer relay([&](int peer) { support::relay(peer, database.server.port()); }, path);
  const auto redis = open(RedisOptions{.url = "unix://" + path, .connections = 1});
  Client client(*redis);
  client.run(Batch().write(shop, "a", "1"));
  relay.serve([](int peer) {
    char few[100];
    (void)!::read(peer, few, sizeof few);
  });
  database.server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  CHECK(try_read(*redis, "a", in(5s)));  // the connection of before has ended, and none is of use
  Batch large;
  for (int i = 0; i < 10; ++i) large.write(shop, "k" + std::to_string(i), std::string(250'000, '1'));
  ++client.lane.sequence;
  for (int i = 0; i < 5; ++i) {
    const BatchResult result = client.send(large, BatchMode::independent, in(5s));
    CHECK(result.status == BatchStatus::not_applied);
    REQUIRE(result.error);
    CHECK(result.error->code() == StateErrorCode::unavailable);
  }
  sigset_t pending;
  ::sigpending(&pending);
  CHECK(::sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("redis: more callers than connections wait for their turn, and not beyond their deadline") {
  RedisServer server;
  const auto redis = open(RedisOptions{.url = server.url(), .connections = 1});
  server.pause();
  std::optional<StateError> of_first;
  std::thread first([&] { of_first = try_read(*redis, "a", in(700ms)); });
  std::this_thread::sleep_for(50ms);
  const auto error = try_read(*redis, "a", in(100ms));
  first.join();
  CHECK(of_first);
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::timed_out);
  server.go_on();
  CHECK_FALSE(try_read(*redis, "a", soon()));
}

TEST_CASE("redis: threads write on lanes of their own, read, and lose their connections meanwhile") {
  Database database;
  std::atomic<bool> is_done = false;
  std::thread killer([&] {
    while (!is_done) {
      database.server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
      std::this_thread::sleep_for(2ms);
    }
  });
  std::atomic<int> broken = 0;
  std::atomic<int> done = 0;
  support::in_threads(4, [&](std::size_t) {
    Client client(*database.redis);
    const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
    for (int i = 0; i < 200 || (broken == 0 && i < 100'000); ++i) {
      ++client.lane.sequence;
      while (client.send(batch).status != BatchStatus::done) ++broken;
      ++done;
    }
  });
  is_done = true;
  killer.join();
  CHECK(broken > 0);
  CHECK(database.client.text(shop, "n") == std::to_string(done));
}

TEST_CASE("redis: a forked process is refused, and does no harm to its parent") {
  Database database;
  support::check_forked(*database.redis, database.client, [&] { database.redis = nullptr; });
}

}  // namespace
}  // namespace redis_test

#include <atom/backend/dynamodb.hpp>

#include <atom/atom.hpp>
#include <atom/backend/open.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include "support/backend_checks.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/chaos_proxy.hpp"
#include "support/dynamo_server.hpp"
#include "support/equations.hpp"
#include "support/fake_server.hpp"
#include "support/threads.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

std::atomic<bool> names_are_slow = false;

}  // namespace

/// The system's; but where names are slow, those of AWS are looked up until they are not any more.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  if (node && std::string_view(node).ends_with(".amazonaws.com")) {
    while (names_are_slow) std::this_thread::sleep_for(1ms);
    return EAI_AGAIN;
  }
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, found);
}

namespace dynamodb_test {
namespace {

using atom::BatchMode;
using atom::BatchResult;
using atom::BatchStatus;
using atom::current;
using atom::DynamoDb;
using atom::DynamoDbCredentials;
using atom::DynamoDbOptions;
using atom::Effect;
using atom::Outcome;
using atom::Scope;
using atom::StateError;
using atom::StateErrorCode;
using atom::StoredValue;
using support::Batch;
using support::Client;
using support::ContainsSubstring;
using support::DynamoServer;
using support::FakeServer;
using support::in;
using support::names;
using support::soon;
using Fault = support::ChaosProxy::Fault;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
const Scope shop{"shop"};

DynamoDbOptions at(const std::string& endpoint) {
  return {.table = "states", .region = "eu-central-1", .endpoint = endpoint};
}
std::unique_ptr<DynamoDb> open(DynamoDbOptions options) {
  auto dynamodb = std::make_unique<DynamoDb>(std::move(options));
  if (const auto error = dynamodb->prepare(true, soon())) throw std::runtime_error(error->what());
  return dynamodb;
}
std::optional<StateError> try_read(DynamoDb& dynamodb, std::string_view key, atom::Deadline deadline) {
  const atom::StateName name{shop, key};
  Outcome outcome;
  return dynamodb.read({&name, 1}, {&outcome, 1}, deadline);
}
bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// A server of its own, and who uses it.
struct Database {
  explicit Database(DynamoServer::Kind kind = DynamoServer::Kind::whole) : server(kind) {}
  DynamoServer server;
  std::unique_ptr<DynamoDb> dynamodb = open(at(server.endpoint()));
  Client client{*dynamodb};

  /// Another process, which goes on with the lane of this one.
  struct Other {
    explicit Other(const Database& database) : dynamodb(open(at(database.server.endpoint()))) {
      client.lane = database.client.lane;
    }
    std::unique_ptr<DynamoDb> dynamodb;
    Client client{*dynamodb};
  };
  /// What the server has of an item, past the library.
  std::string item(const std::string& key, const std::string& partition = "s:shop") const {
    return server.run("GetItem", R"({"TableName":"states","ConsistentRead":true,"Key":{"p":{"S":")" + partition +
                                     R"("},"k":{"S":")" + key + R"("}}})");
  }
  std::string write(const std::string& item) const {
    return server.run("PutItem", R"({"TableName":"states","Item":)" + item + "}");
  }
};

/// What has been waited for since this was made.
class Watch {
 public:
  std::chrono::steady_clock::duration passed() const { return std::chrono::steady_clock::now() - start_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A request as it came, and what it is about.
struct Request {
  std::string text;
  std::string operation() const {
    const std::string name = "X-Amz-Target: DynamoDB_20120810.";
    const std::size_t at = text.find(name) + name.size();
    return text.substr(at, text.find('\r', at) - at);
  }
  std::string body() const { return text.substr(text.find("\r\n\r\n") + 4); }
};
/// Reads a request, or an answer, as it came; empty at the end of the connection.
std::string read_message(int peer) {
  std::string text;
  for (std::size_t wanted = std::string::npos; text.size() < wanted;) {
    const std::string some = support::read_some(peer);
    if (some.empty()) return {};
    text += some;
    // A server may say first that it wants the rest.
    if (text.starts_with("HTTP/1.1 100 ") && contains(text, "\r\n\r\n")) text.erase(0, text.find("\r\n\r\n") + 4);
    const std::size_t end = text.find("\r\n\r\n");
    if (wanted != std::string::npos || end == std::string::npos) continue;
    std::string head = text.substr(0, end);
    std::transform(head.begin(), head.end(), head.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    const std::size_t length = head.find("content-length: ");
    wanted = end + 4 + (length == head.npos ? 0 : std::strtoull(head.c_str() + length + 16, nullptr, 10));
  }
  return text;
}
void answer(int peer, int status, const std::string& body) {
  support::write_all(peer, "HTTP/1.1 " + std::to_string(status) +
                               " Is\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: " +
                               std::to_string(body.size()) + "\r\n\r\n" + body);
}
std::string error_of(const std::string& type) {
  return R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":"it is hunter2 who asks"})";
}

/// Stands before a server: notes what is asked, and answers some of it itself.
class Front {
 public:
  struct Answer {
    std::string operation;  ///< that it is an answer to
    int status;             ///< 0: the connection is closed instead
    std::string body;
    bool is_carried_out = false;  ///< the server gets the request all the same
    std::string key = {};         ///< of the state that it is about; empty: of any
  };

  explicit Front(const DynamoServer& server) : server_(server) {}
  std::string endpoint() const { return DynamoServer::endpoint_at(fake_.port()); }
  /// To the next requests of these operations.
  void script(std::vector<Answer> answers) {
    const std::lock_guard lock(mutex_);
    script_.insert(script_.end(), answers.begin(), answers.end());
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    script_.clear();
  }
  /// Since it was asked last.
  std::vector<Request> requests() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }
  std::vector<std::string> operations() {
    std::vector<std::string> all;
    for (const Request& request : requests()) all.push_back(request.operation());
    return all;
  }
  std::size_t left() const {
    const std::lock_guard lock(mutex_);
    return script_.size();
  }

 private:
  void serve(int peer) {
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, server_.socket().c_str(), server_.socket().size());
    const bool is_there = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    for (std::string text; is_there && !(text = read_message(peer)).empty();) {
      const std::optional<Answer> own = next({text});
      if (!own || own->is_carried_out) {
        support::write_all(server, text);
        text = read_message(server);
      }
      if (own && own->status == 0) break;
      own ? answer(peer, own->status, own->body) : support::write_all(peer, text);
    }
    ::close(server);
  }
  std::optional<Answer> next(const Request& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    const auto found = std::find_if(script_.begin(), script_.end(), [&](const Answer& own) {
      return own.operation == request.operation() &&
             (own.key.empty() || contains(request.body(), R"("k":{"S":")" + own.key + R"("})"));
    });
    if (found == script_.end()) return std::nullopt;
    Answer own = *found;
    script_.erase(found);
    return own;
  }

  const DynamoServer& server_;
  mutable std::mutex mutex_;
  std::deque<Answer> script_;
  std::vector<Request> requests_;
  FakeServer fake_{[this](int peer) { serve(peer); }};
};
struct Fronted : Database {
  Front front{server};
  std::unique_ptr<DynamoDb> through = open(at(front.endpoint()));
  Client client_through{*through};
};

// -------------------------------------------------------------------------------------------------------- a URL, a
// table

TEST_CASE("dynamodb: a URL names it, and one that is not right is refused without a word of it") {
  support::check_urls<DynamoDb>(
      "dynamodb",
      {"dynamodb://states", "dynamodb://states?region=eu-central-1",
       "dynamodb://states?region=eu-central-1&endpoint=http://127.0.0.1:8000&transactions=off",
       "dynamodb://states?endpoint=http%3A%2F%2F127.0.0.1%3A8000"},
      {"dynamodb:hunter2", "dynamodb://", "dynamodb://?region=hunter2", "dynamodb://states?hunter2=1",
       "dynamodb://states?region", "dynamodb://states?region=", "dynamodb://hunter2 states",
       "dynamodb://states?transactions=hunter2", "dynamodb://states?endpoint=hunter2%2"},
      "hunter2");
  CHECK(atom::open_backend<DynamoDb>("dynamodb://states")->traits().all_or_nothing);
  CHECK_FALSE(atom::open_backend<DynamoDb>("dynamodb://states?transactions=off")->traits().all_or_nothing);
}

TEST_CASE("dynamodb: what cannot be an endpoint, a region or a table is refused before anything is sent") {
  const auto why = [](DynamoDbOptions options) {
    DynamoDb dynamodb(std::move(options));
    const auto error = dynamodb.prepare(true, soon());
    return error && error->code() == StateErrorCode::refused && error->effect() == Effect::none ? error->message() : "";
  };
  for (const char* endpoint : {"127.0.0.1:1", "ftp://127.0.0.1:1", "http://", "http://a@127.0.0.1:1",
                               "http://127.0.0.1:1/x", "http://127.0.0.1:1?x", "http://127.0.0.1:1 ", "file:///etc"}) {
    CHECK_THAT(why(at(endpoint)), ContainsSubstring("its endpoint is https://HOST"));
  }
  for (const char* region : {"eu central", "eu/../x", "EU", "eu\r\nX-Evil: 1"}) {
    CHECK_THAT(why({.table = "states", .region = region}), ContainsSubstring("its region is small letters"));
  }
  for (const char* table : {"", "ab", "a b c", "a/b", "states\n"}) {
    CHECK_THAT(why({.table = table, .region = "eu-central-1", .endpoint = "http://127.0.0.1:1"}),
               ContainsSubstring("the name of its table"));
  }
}

TEST_CASE("dynamodb: a table is made when that is wanted, by several at once, and paid for by the request") {
  const DynamoServer server;
  DynamoDb patient(at(server.endpoint()));
  const auto missing = patient.prepare(false, soon());
  REQUIRE(missing);
  CHECK(missing->code() == StateErrorCode::refused);
  CHECK_THAT(missing->what(), ContainsSubstring("there is no such table"));
  support::in_threads(4, [&](std::size_t) { open(at(server.endpoint())); });
  CHECK_FALSE(patient.prepare(false, soon()));
  CHECK_THAT(server.run("DescribeTable", R"({"TableName":"states"})"), ContainsSubstring("PAY_PER_REQUEST"));
}

TEST_CASE("dynamodb: a table of others is refused, and left as it is") {
  const DynamoServer server;
  const auto make = [&](const std::string& table, const std::string& key) {
    const std::string made =
        server.run("CreateTable", R"({"TableName":")" + table + R"(","BillingMode":"PAY_PER_REQUEST",)" +
                                      R"("AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},)" +
                                      R"({"AttributeName":")" + key + R"(","AttributeType":"S"}],)" +
                                      R"("KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":")" +
                                      key + R"(","KeyType":"RANGE"}]})");
    REQUIRE(contains(made, "200 OK"));
    const std::string described = R"({"TableName":")" + table + R"("})";
    while (!contains(server.run("DescribeTable", described), R"("TableStatus":"ACTIVE")"))
      std::this_thread::sleep_for(1ms);
  };
  const auto put = [&](const std::string& table, const std::string& item) {
    const std::string done = server.run("PutItem", R"({"TableName":")" + table + R"(","Item":)" + item + "}");
    INFO(done);
    REQUIRE(contains(done, "200 OK"));
  };
  const auto prepare = [&](const std::string& table, bool create = true) {
    DynamoDbOptions options = at(server.endpoint());
    options.table = table;
    DynamoDb dynamodb(std::move(options));
    return dynamodb.prepare(create, soon());
  };
  const auto check = [&](const std::optional<StateError>& error, const char* why) {
    INFO(why);
    REQUIRE(error);
    CHECK(error->code() == StateErrorCode::refused);
    CHECK_FALSE(error->retryable());
    CHECK_THAT(error->what(), ContainsSubstring(why));
  };
  make("other_keys", "id");
  check(prepare("other_keys"), "it is another application's (ours has the keys p and k");
  make("not_empty", "k");
  put("not_empty", R"({"p":{"S":"customer"},"k":{"S":"1"}})");
  check(prepare("not_empty"), "it is another application's: it is not empty");
  CHECK(contains(server.run("Scan", R"({"TableName":"not_empty"})"), R"("Count":1)"));
  make("newer", "k");
  put("newer", R"({"p":{"S":"meta"},"k":{"S":"layout"},"v":{"S":"2"}})");
  check(prepare("newer"), "another version of this program keeps its states there (layout 2)");
  make("empty", "k");
  check(prepare("empty", false), "no states of ours are there");
  CHECK_FALSE(prepare("empty"));
  CHECK_FALSE(prepare("empty", false));
}

TEST_CASE("dynamodb: what the server says of a table must make sense, or nothing more is asked") {
  const DynamoServer server;
  Front front(server);
  DynamoDb dynamodb(at(front.endpoint()));
  const std::string described =
      R"("AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"k","AttributeType":"S"}],)"
      R"("KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"k","KeyType":"RANGE"}])";
  SECTION("a description that is none") {
    for (const std::string nonsense :
         {"", "hello", "[]", "{}", R"({"Table":7})", R"({"Table":{}})", R"({"Table":{"KeySchema":7}})",
          R"({"Table":{"KeySchema":[]}})", R"({"Table":{"KeySchema":[],"AttributeDefinitions":7}})",
          R"({"Table":{"KeySchema":[7],"AttributeDefinitions":[7]}})"}) {
      INFO(nonsense);
      front.script({{"DescribeTable", 200, nonsense}});
      CHECK(dynamodb.prepare(true, soon()));
      CHECK(front.operations() == std::vector<std::string>{"DescribeTable"});
    }
  }
  SECTION("one that is not ready before the deadline") {
    const std::string creating = R"({"Table":{"TableStatus":"CREATING",)" + described + "}}";
    front.script(std::vector<Front::Answer>(1000, {"DescribeTable", 200, creating}));
    const auto error = dynamodb.prepare(true, in(100ms));
    REQUIRE(error);
    CHECK(error->code() == StateErrorCode::timed_out);
    CHECK(error->effect() == Effect::none);
    CHECK(error->retryable());
  }
  SECTION("a right that is not given") {
    for (const char* operation : {"CreateTable", "UpdateTimeToLive"}) {
      INFO(operation);
      front.script({{operation, 400, error_of("AccessDeniedException")}});
      const auto error = dynamodb.prepare(true, soon());
      REQUIRE(error);
      CHECK(error->code() == StateErrorCode::refused);
      CHECK(front.left() == 0);
    }
  }
  SECTION("a list of what is in it that is none") {
    REQUIRE(contains(
        server.run("CreateTable", R"({"TableName":"states","BillingMode":"PAY_PER_REQUEST",)" + described + "}"),
        "200 OK"));
    for (const char* nonsense : {"", "{}", R"({"Items":7})"}) {
      INFO(nonsense);
      front.script({{"Scan", 200, nonsense}});
      CHECK(dynamodb.prepare(true, soon()));
      CHECK(front.left() == 0);
    }
  }
  front.clear();
  CHECK_FALSE(dynamodb.prepare(true, soon()));
}

TEST_CASE("dynamodb: before it is prepared it does nothing, and it has no feed") {
  DynamoDb dynamodb(at("http://127.0.0.1:1"));
  CHECK(try_read(dynamodb, "n", soon())->code() == StateErrorCode::closed);
  CHECK(dynamodb.open_feed() == nullptr);
  CHECK_FALSE(dynamodb.traits().local);
}

// ------------------------------------------------------------------------------------------------------------- batches

TEST_CASE("dynamodb: what was written is read back, and its version goes up") {
  Database database;
  Client& client = database.client;
  const auto first = client.run(Batch().write(shop, "n", "1", {.format = 3}).write(shop, "text", R"("a")"));
  REQUIRE(first[0].version > 0);
  const Outcome found = client.read(shop, "n");
  CHECK(found.version == first[0].version);
  CHECK(found.value->text == "1");
  CHECK(found.value->format == 3);
  CHECK(client.run(Batch().write(shop, "n", "2"))[0].version == first[0].version + 1);
  CHECK(client.text(shop, "n") == "2");
  CHECK(client.text(shop, "text") == R"("a")");
  const auto ended = client.run(Batch().erase(shop, "n").erase(shop, "never"));
  CHECK(ended[0].version == first[0].version + 1);
  CHECK(ended[1].version == 0);
  CHECK(client.read(shop, "n").version == 0);
  CHECK(client.run(Batch().write(shop, "n", "3"))[0].version > first[0].version + 1);
}

TEST_CASE("dynamodb: a version that is not the expected one is a conflict, with what is there") {
  Database database;
  Client& client = database.client;
  const std::int64_t version = client.run(Batch().write(shop, "n", "1"))[0].version;
  Batch batch;
  batch.write(shop, "n", "2", {.expected = version - 1}).write(shop, "new", "1", {.expected = 5});
  for (const Outcome& outcome : client.run(batch)) CHECK(outcome.error == StateErrorCode::conflict);
  CHECK(client.outcomes[0].version == version);
  CHECK(client.outcomes[0].value->text == "1");
  CHECK(client.outcomes[1].version == 0);
  CHECK_FALSE(client.outcomes[1].value);
  CHECK(client.run(Batch().write(shop, "n", "2", {.expected = 0}))[0].error == StateErrorCode::conflict);
  CHECK(client.run(Batch().erase(shop, "n", {.expected = version + 1}))[0].error == StateErrorCode::conflict);
  CHECK(client.run(Batch().apply(shop, "n", {.expected = 0}, current + 1))[0].error == StateErrorCode::conflict);
  CHECK(client.run(Batch().check(shop, "n", {.expected = 3}))[0].error == StateErrorCode::conflict);
  CHECK(client.run(Batch().check(shop, "n", {.expected = version}))[0].version == version);
  CHECK(client.text(shop, "n") == "1");
  CHECK_FALSE(client.run(Batch().write(shop, "n", "2", {.expected = version}))[0].error);
  CHECK_FALSE(client.run(Batch().write(shop, "new", "2", {.expected = 0}))[0].error);
  CHECK(client.text(shop, "n") + client.text(shop, "new") == "22");
}

TEST_CASE("dynamodb: commands of a batch take effect each on its own, or all of them, or none") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1").write(shop, "gone", "1"));
  const auto batch = [](std::int64_t expected) {
    return std::move(Batch()
                         .write(shop, "a", "2")
                         .erase(shop, "gone")
                         .apply(shop, "n", {}, current + 1)
                         .write(shop, "b", "2", {.expected = expected}));
  };
  const auto values = [&] {
    return client.text(shop, "a") + ',' + client.text(shop, "gone") + ',' + client.text(shop, "n") + ',' +
           client.text(shop, "b");
  };
  CHECK(client.run(batch(5), BatchMode::all_or_nothing)[3].error == StateErrorCode::conflict);
  CHECK(values() == "1,1,,");
  const auto all = client.run(batch(0), BatchMode::all_or_nothing);
  for (const Outcome& outcome : all) CHECK_FALSE(outcome.error);
  CHECK(values() == "2,,1,2");
  CHECK(all[0].version == client.read(shop, "a").version);
  client.run(Batch().write(shop, "gone", "1").erase(shop, "b"));
  CHECK(client.run(batch(5))[3].error == StateErrorCode::conflict);
  CHECK(values() == "2,,2,");
  Batch overflow;
  overflow.write(shop, "a", "3").apply_to<std::int8_t>(shop, "small", "127", {}, current + 1);
  CHECK(client.run(overflow, BatchMode::all_or_nothing)[1].error == StateErrorCode::overflow);
  CHECK(client.text(shop, "a") == "2");
  // What is only compared must be so when the others are written.
  Batch compared;
  compared.write(shop, "a", "4").check(shop, "n", {.expected = client.read(shop, "n").version});
  CHECK_FALSE(client.run(compared, BatchMode::all_or_nothing)[1].error);
  CHECK(client.text(shop, "a") == "4");
  client.run(Batch().apply(shop, "n", {}, current + 1));
  CHECK(client.run(compared, BatchMode::all_or_nothing)[1].error == StateErrorCode::conflict);
}

TEST_CASE("dynamodb: a batch that comes to another process is not done again, and has the outcomes of the first time") {
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    Database database;
    Client& client = database.client;
    client.run(Batch().write(shop, "a", "1").write(shop, "text", R"("x")").write(shop, "gone", "1"));
    const auto batch = [] {
      return std::move(Batch()
                           .write(shop, "a", "2")
                           .write(shop, "new", R"("y")")
                           .apply(shop, "n", {}, current + 1)
                           .apply(shop, "a b", {}, min(current + 7, 5))
                           .erase(shop, "gone"));
    };
    const auto before = client.run(batch(), mode);
    Database::Other other(database);
    CHECK(other.client.send(batch(), mode).status == BatchStatus::done);
    support::check_same(other.client.outcomes, before);
    CHECK(client.text(shop, "n") + client.text(shop, "a b") + client.text(shop, "a") == "152");

    const auto sum = client.run(Batch().apply(shop, "n", {}, current + 41), mode);
    other.client.lane = client.lane;
    Database::Other another(database);
    CHECK(another.client.send(Batch().apply(shop, "n", {}, current + 41), mode).status == BatchStatus::done);
    support::check_same(another.client.outcomes, sum);
    CHECK(client.text(shop, "n") == "42");
    // Nor is one that is older than the last one of its lane, in that state.
    another.client.lane.sequence -= 1;
    Database::Other late(database);
    late.client.lane = another.client.lane;
    const BatchResult refused = late.client.send(Batch().apply(shop, "n", {}, current + 1), mode);
    CHECK(refused.status == BatchStatus::not_applied);
    CHECK_FALSE(refused.error->retryable());
    CHECK(client.text(shop, "n") == "42");
  }
}

TEST_CASE("dynamodb: a number that the server would write otherwise is told as it was, also to who asks again") {
  Database database;
  database.client.run(Batch().write(shop, "n", "-0"));
  const auto batch = [] { return std::move(Batch().apply(shop, "n", {}, current + 1)); };
  const auto before = database.client.run(batch());
  CHECK(before[0].value->text == "-0");
  Database::Other other(database);
  CHECK(other.client.send(batch()).status == BatchStatus::done);
  support::check_same(other.client.outcomes, before);
  CHECK(database.client.text(shop, "n") == "1");
}

TEST_CASE("dynamodb: where only a part of a scope could be ended, the error says so") {
  Fronted database;
  database.client_through.run(Batch().write(shop, "a", "1").write(shop, "b", "1").write(shop, "c", "1"));
  database.front.script({{"UpdateItem", 400, error_of("AccessDeniedException")}});
  const auto erased = database.through->erase_scope(shop, soon());
  REQUIRE_FALSE(erased);
  CHECK(erased.error().code() == StateErrorCode::refused);
  CHECK(erased.error().effect() == Effect::unknown);
  CHECK_THAT(erased.error().what(), ContainsSubstring("a part was ended"));
  CHECK(database.through->list({.scope = &shop}, soon())->size() == 1);
  CHECK(database.through->erase_scope(shop, soon())->size() == 1);
}

TEST_CASE("dynamodb: who ends states is told which they were, though the answer to that was lost") {
  Fronted database;
  const std::string label = "label";
  for (const int status : {500, 0}) {
    database.client_through.run(Batch().write(shop, "a", "1", {.labels = {label}}).write(shop, "b", "1"));
    database.front.script({{"UpdateItem", status, error_of("InternalServerError"), true, "a"}});
    CHECK(names(database.through->purge({&label, 1}, soon())) == std::vector{"shop:a"s});
    database.front.script({{"UpdateItem", status, error_of("InternalServerError"), true, "a"}});
    CHECK(database.through->purge({&label, 1}, soon())->empty());  // what had ended before is not among them
    database.front.script({{"UpdateItem", status, error_of("InternalServerError"), true, "b"}});
    CHECK(names(database.through->erase_scope(shop, soon())) == std::vector{"shop:b"s});
  }
  CHECK(database.front.left() == 0);
}

TEST_CASE("dynamodb: a value whose time is over is not there, and the next write makes a new one, with its labels") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "n", "1", {.labels = {"old"}, .ttl = 60'000}));
  CHECK(client.text(shop, "n") == "1");
  const std::int64_t version = client.run(Batch().write(shop, "n", "1", {.labels = {"old"}, .ttl = 1}))[0].version;
  std::this_thread::sleep_for(5ms);
  CHECK(client.read(shop, "n").version == 0);
  CHECK(database.dynamodb->list({.scope = &shop}, soon())->empty());
  CHECK(database.dynamodb->scopes("", 10, soon())->empty());
  const auto made = client.run(Batch().apply(shop, "n", {.labels = {"new"}}, current + 7));
  CHECK(made[0].version > version);
  CHECK_FALSE(made[0].value);
  CHECK(client.text(shop, "n") == "7");
  const std::vector<std::string> labels{"old", "new"};
  CHECK(database.dynamodb->purge({labels.data(), 1}, soon())->empty());
  CHECK(names(database.dynamodb->purge({labels.data() + 1, 1}, soon())) == std::vector{"shop:n"s});
}

TEST_CASE("dynamodb: reading with a time begins it anew, and gives none to what has none") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "short", "1", {.ttl = 3'000}).write(shop, "long", "2"));
  const std::int64_t version = client.read(shop, "short").version;
  const std::vector<atom::StateName> wanted{{shop, "short", 60'000}, {shop, "long", 1}, {shop, "never", 1}};
  std::vector<Outcome> found(3);
  REQUIRE_FALSE(database.dynamodb->read(wanted, found, soon()));
  CHECK(found[0].value->text + found[1].value->text == "12");
  CHECK_FALSE(found[2].value);
  std::this_thread::sleep_for(3'050ms);
  CHECK(client.read(shop, "short").version == version);
  CHECK(client.text(shop, "long") == "2");
  CHECK_FALSE(contains(database.item("long"), R"("x")"));
  // What has ended may be removed by the server an hour later, and not before.
  CHECK(contains(database.item("short"), R"("e":{"N":")"));
  CHECK_FALSE(contains(database.item("long"), R"("e":{"N":")"));
}

TEST_CASE("dynamodb: a scope is listed alone or with what lies below, in parts, and neighbours are not in it") {
  Database database;
  support::check_lists(*database.dynamodb, database.client);
}

TEST_CASE("dynamodb: what somebody else has written in scopes that are none is none of ours") {
  Database database;
  support::check_foreign_scopes(
      *database.dynamodb, database.client, [&](auto scope, auto key, const std::string& label) {
        const auto put = [&](const std::string& partition, const std::string& its_key, const std::string& more) {
          REQUIRE(
              contains(database.write(R"({"p":{"S":")" + partition + R"("},"k":{"S":")" + its_key + "\"}" + more + "}"),
                       "200 OK"));
        };
        put("s:"s + scope, key, R"(,"n":{"N":"1"},"f":{"N":"0"},"v":{"N":"1"},"b":{"SS":["l:)" + label + "\"]}");
        put("scopes", scope, R"(,"t":{"N":"9999999999"})");
        put("l:" + label, scope + " "s + key, R"(,"t":{"N":"9999999999"})");
        for (const char* one : {scope, "a", "a "}) put("l:" + label, one, R"(,"t":{"N":"9999999999"})");  // of no state
      });
}

TEST_CASE("dynamodb: an item of somebody else's among the states is an error of its own") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1"));
  REQUIRE(contains(database.write(R"({"p":{"S":"s:shop"},"k":{"S":"b"},"v":{"N":"7"}})"), "200 OK"));
  CHECK(database.client.text(shop, "a") == "1");
  CHECK(names(database.dynamodb->list({.scope = &shop}, soon())) == std::vector{"shop:a"s});
  Batch both;
  both.apply(shop, "a", {}, current + 1).apply(shop, "b", {}, current + 1);
  CHECK(database.client.run(both)[0].value->text == "1");
  CHECK(database.client.outcomes[1].error == StateErrorCode::undecodable);
  Batch made;
  made.write(shop, "b", "1", {.expected = 0}).check(shop, "a");
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    CHECK(database.client.run(made, mode)[0].error == StateErrorCode::undecodable);
  }
  atom::StateStore states{std::make_shared<DynamoDb>(at(database.server.endpoint()))};
  auto foreign = states.get_state(0, {.key = "b", .scope = shop});
  CHECK(foreign.try_load().error().code() == StateErrorCode::undecodable);
  CHECK(states.get_state(0, {.key = "a", .scope = shop}).load() == 2);
  CHECK(contains(database.item("b"), R"("v":{"N":"7"})"));
}

TEST_CASE("dynamodb: more than an answer holds is listed, read, purged and erased in parts") {
  Database database;
  constexpr int states = 1050, labelled = 150, scopes = 120, large = 66;
  for (int begin = 0; begin < states; begin += 50) {
    Batch batch;
    support::More more;
    if (begin < labelled) more.labels = {"some"};
    for (int i = begin; i < begin + 50; ++i) {
      more.expected = 0;
      batch.write(shop, "k" + std::to_string(1000 + i), "1", more);
    }
    database.client.run(batch);
  }
  for (int begin = 0; begin < scopes; begin += 60) {
    Batch batch;
    for (int i = begin; i < begin + 60; ++i) batch.write(Scope{"many"} / std::to_string(1000 + i), "k", "1");
    database.client.run(batch);
  }
  // An answer to a query has at most 1 MB, and one to a read 16 MB.
  const std::string text = '"' + std::string(250'000, 'x') + '"';
  const Scope bulk{"bulk"};
  std::vector<atom::StateName> wanted;
  std::deque<std::string> keys;
  for (int i = 0; i < large; ++i) {
    keys.push_back(std::to_string(100 + i));
    database.client.run(Batch().write(bulk, keys.back(), text, {.expected = 0}));
    wanted.push_back({bulk, keys.back()});
  }
  CHECK(database.dynamodb->list({.scope = &shop, .limit = 5000}, soon())->size() == states);
  CHECK(database.dynamodb->list({.limit = 5000}, soon())->size() == states + scopes + large);
  CHECK(database.dynamodb->scopes("", 1000, soon())->size() == scopes + 2);
  CHECK(database.dynamodb->list({.scope = &bulk}, soon())->size() == large);
  std::vector<Outcome> found(wanted.size());
  REQUIRE_FALSE(database.dynamodb->read(wanted, found, soon()));
  for (const Outcome& one : found) CHECK(one.value->text == text);
  const std::string label = "some";
  CHECK(database.dynamodb->purge({&label, 1}, soon())->size() == labelled);
  CHECK(database.dynamodb->purge({&label, 1}, soon())->empty());
  CHECK(database.dynamodb->erase_scope(shop, soon())->size() == states - labelled);
  CHECK(database.dynamodb->erase_scope(Scope{"many"}, soon())->size() == scopes);
  CHECK(database.dynamodb->scopes("", 1000, soon()).value() == std::vector{bulk});
}

TEST_CASE("dynamodb: names, labels and values may be anything that they may be, and mean nothing else") {
  Database database;
  const std::vector<std::string> keys{"#s",         ":v", "p",   "SET v = :v", "' or 1=1 --", "\\\"}],{",
                                      "\U0001f600", " ",  "%25", "<script>&'", "a.b[0]",      std::string(256, 'k')};
  const Scope scope = Scope::client("\0:$\xff\"\\.#"s) / "x";
  const std::vector<std::string> labels{"", " ", "#b", "\xff\0"s, "\"}", std::string(600, 'l')};
  Batch batch;
  std::vector<std::string> values;
  for (const std::string& key : keys) {
    atom::detail::JsonWriter writer;
    writer.text(key + "\u2028\u00e9<");
    values.emplace_back(writer.text());
    batch.write(scope, key, values.back(), {.labels = labels});
  }
  database.client.run(batch);
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK(database.client.text(scope, keys[i]) == values[i]);
  CHECK(database.dynamodb->list({.scope = &scope}, soon())->size() == keys.size());
  for (const std::string label : {"#", "b", "\xff", "l"}) CHECK(database.dynamodb->purge({&label, 1}, soon())->empty());
  for (const std::string& label : labels) {
    CHECK(database.dynamodb->purge({&label, 1}, soon())->size() == keys.size());
    database.client.run(batch);
  }
  for (const std::string_view after : {"\xff\xff", "\xf4\x8f\xbf\xbf", "\0"}) {
    CHECK(database.dynamodb->list({.after_scope = "zz", .after_key = after}, soon())->empty());
    CHECK(database.dynamodb->list({.scope = &scope, .after_scope = scope.text(), .after_key = after}, soon())->size() <=
          keys.size());
  }
  const std::string long_text(5000, 'z');
  CHECK(database.dynamodb->list({.after_scope = long_text}, soon())->empty());
  CHECK(database.dynamodb->scopes(long_text, 10, soon())->empty());
  Batch too_long;
  too_long.write(shop, "n", "1", {.labels = {std::string(3000, 'l')}});
  ++database.client.lane.sequence;
  const BatchResult refused = database.client.send(too_long);
  CHECK(refused.status == BatchStatus::not_applied);
  CHECK(refused.error->code() == StateErrorCode::too_large);
}

TEST_CASE("dynamodb: numbers come back as the text that they were") {
  Database database;
  for (const char* text :
       {"0", "-0", "-0.0", "1", "-1", "10", "100000000000000000", "9223372036854775807", "-9223372036854775808",
        "18446744073709551615", "18446744073709551616", "1.0", "1e3", "01", "0.1", "1E400", "", "null", "true"}) {
    database.client.run(Batch().write(shop, "n", text));
    CHECK(database.client.text(shop, "n") == text);
    Database::Other(database).client.run(Batch().write(shop, "other", "1"));
  }
}

TEST_CASE("dynamodb: an item that grows beyond 400 KB is an error of its command alone, and without effect") {
  Database database;
  const std::string large = '"' + std::string(262'000, 'x') + '"';
  std::vector<std::string> labels;
  for (int i = 0; i < 100; ++i) labels.push_back(std::string(1900, 'l') + std::to_string(i));
  Batch batch;
  batch.write(shop, "large", large, {.labels = labels}).write(shop, "small", "1");
  const auto outcomes = database.client.run(batch);
  CHECK(outcomes[0].error == StateErrorCode::too_large);
  CHECK_FALSE(outcomes[1].error);
  CHECK(database.client.text(shop, "large") + database.client.text(shop, "small") == "1");
  ++database.client.lane.sequence;
  const BatchResult whole = database.client.send(batch, BatchMode::all_or_nothing);
  CHECK(whole.status == BatchStatus::not_applied);
  CHECK(whole.error->code() == StateErrorCode::too_large);
  CHECK_FALSE(whole.error->retryable());
}

// ---------------------------------------------------------------------------------------------------------- equations

template <class T>
void check_sums(std::uint64_t seed, int count, Database& database) {
  support::RandomEquations<support::Value<T>> random(seed);
  for (int done = 0; done < count;) {
    auto [equation, old] = random.next();
    if (!database.dynamodb->runs(equation, atom::detail::type_ops<T>)) continue;
    T after = old;
    const auto failed = equation.apply_to(&after);
    const std::int64_t version = database.client.run(Batch().write(shop, "n", std::to_string(old)))[0].version;
    const StoredValue initial{"0"};
    const atom::AnyEquation* const pointer = &equation;
    const atom::Command command{.kind = atom::Command::Kind::apply,
                                .name = {shop, "n"},
                                .value = &initial,
                                .equations = {&pointer, 1},
                                .type = &atom::detail::type_ops<T>};
    ++database.client.lane.sequence;
    Outcome outcome;
    REQUIRE(
        database.dynamodb->execute(database.client.lane, BatchMode::independent, {&command, 1}, {&outcome, 1}, soon())
            .status == BatchStatus::done);
    INFO(std::to_string(old) << " should be " << std::to_string(after));
    REQUIRE(outcome.error == std::nullopt);
    REQUIRE(outcome.value->text == std::to_string(old));
    REQUIRE((outcome.version > version) == !failed);
    REQUIRE(database.client.text(shop, "n") == std::to_string(failed ? old : after));
    ++done;
  }
}
TEST_CASE("dynamodb: what the server calculates is what the evaluator does") {
  Database database;
  check_sums<std::int64_t>(1, 100, database);
  check_sums<std::uint64_t>(2, 100, database);
  check_sums<std::int32_t>(3, 100, database);
  check_sums<std::uint8_t>(4, 100, database);
}

TEST_CASE("dynamodb: a sum is one request, whatever others have written, and one that meets a bound is three") {
  Fronted database;
  Client& client = database.client_through;
  client.run(Batch().write(shop, "n", "5"));
  database.front.requests();
  database.client.run(Batch().apply(shop, "n", {}, current + 5));
  CHECK(client.run(Batch().apply(shop, "n", {}, current + 1))[0].value->text == "10");
  const auto requests = database.front.requests();
  REQUIRE(requests.size() == 1);
  CHECK_THAT(requests[0].body(), ContainsSubstring("v = v + :d"));
  CHECK(client.run(Batch().apply(shop, "n", {}, clamp(current + 100, 0, 50)))[0].value->text == "11");
  CHECK(client.text(shop, "n") == "50");
  CHECK(client.run(Batch().apply(shop, "n", {}, current + highest), BatchMode::all_or_nothing)[0].error ==
        StateErrorCode::overflow);
  CHECK(client.text(shop, "n") == "50");
}

TEST_CASE("dynamodb: a text that does not read as the type stays as it is") {
  Database database;
  for (const char* text : {"\"seven\"", "7.5", "", "{", "1e400", "nan", " 7 x"}) {
    database.client.run(Batch().write(shop, "n", text));
    const Outcome outcome = database.client.run(Batch().apply(shop, "n", {}, current + 1))[0];
    CHECK(outcome.error == StateErrorCode::undecodable);
    CHECK(database.client.text(shop, "n") == text);
  }
  database.client.run(Batch().write(shop, "n", "7", {.format = 3}));
  CHECK(database.client.run(Batch().apply(shop, "n", {}, current + 1))[0].error == StateErrorCode::undecodable);
}

TEST_CASE("dynamodb: several processes and threads count together, each on lanes of its own") {
  Database database;
  const auto other = open(at(database.server.endpoint()));
  support::in_threads(4, [&](std::size_t thread) {
    Client client(thread % 2 ? *other : *database.dynamodb);
    for (int i = 0; i < 25; ++i) {
      client.run(Batch().apply(shop, "n", {}, current + 1).apply(shop, "clamped", {}, min(current + 1, 90)));
      Batch both;
      both.apply(shop, "x", {}, current + 1).apply(shop, "y", {}, current - 1);
      client.run(both, BatchMode::all_or_nothing);
    }
  });
  CHECK(database.client.text(shop, "n") == "100");
  CHECK(database.client.text(shop, "clamped") == "90");
  CHECK(database.client.text(shop, "x") + database.client.text(shop, "y") == "100-100");
}

// ------------------------------------------------------------------------------------- without transactions, and old
// lanes

TEST_CASE("dynamodb: without transactions a session is of one atom, and several states are not all or nothing") {
  static const atom::Atom<int> count{"dynamodb.count", 0}, other{"dynamodb.other", 0};
  const DynamoServer server(DynamoServer::Kind::plain);
  DynamoDbOptions options = at(server.endpoint());
  options.transactions = false;
  atom::StateStore states{DynamoDb(options)};
  {
    atom::Session session{states, shop};
    session.use(count).update(1);
    session.commit();
    CHECK_THROWS_AS(session.use(other), StateError);
  }
  CHECK(states.use(count, shop).load() == 1);
  const auto dynamodb = open(options);
  Client client(*dynamodb);
  ++client.lane.sequence;
  const BatchResult refused =
      client.send(Batch().write(shop, "a", "1").write(shop, "b", "1"), BatchMode::all_or_nothing);
  CHECK(refused.status == BatchStatus::not_applied);
  CHECK(refused.error->code() == StateErrorCode::refused);
  CHECK_FALSE(client.send(Batch().write(shop, "a", "1"), BatchMode::all_or_nothing).error);
  CHECK(client.run(Batch().write(shop, "a", "2").apply(shop, "b", {}, current + 1))[1].version > 0);
  CHECK(client.text(shop, "a") + client.text(shop, "b") == "21");
}

TEST_CASE("dynamodb: dynalite has no transactions, and a server that has none is an error that says so") {
  const DynamoServer server(DynamoServer::Kind::plain);
  const auto dynamodb = open(at(server.endpoint()));
  Client client(*dynamodb);
  ++client.lane.sequence;
  const BatchResult refused =
      client.send(Batch().write(shop, "a", "1").write(shop, "b", "1"), BatchMode::all_or_nothing);
  CHECK(refused.status == BatchStatus::not_applied);
  CHECK_THAT(refused.error->what(), ContainsSubstring("it has no TransactWriteItems"));
}

TEST_CASE("dynamodb: lanes that nobody has used for more than an hour are forgotten, and others are not") {
  Database database;
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string item = R"({"p":{"S":"s:shop"},"k":{"S":"n"},"v":{"N":"5"},"f":{"N":"0"},"n":{"N":"7"})";
  const auto add = [&](const std::string& lane, std::int64_t time) {
    item += R"(,"s:)" + lane + R"(":{"N":"12.)" + std::to_string(time) + R"("},"m:)" + lane + R"(":{"N":"3"},"o:)" +
            lane + R"(":{"N":"3"})";
  };
  for (int i = 0; i < 20; ++i) add("old" + std::to_string(i), now - 3700 - i);
  for (int i = 0; i < 3; ++i) add("young" + std::to_string(i), now - 3500);
  REQUIRE(contains(database.write(item + "}"), "200 OK"));
  const auto count = [&](const std::string& text) {
    const std::string all = database.item("n");
    std::size_t found = 0;
    for (std::size_t place = all.find(text); place != all.npos; place = all.find(text, place + 1)) ++found;
    return found;
  };
  CHECK(count(":old") == 60);
  database.client.run(Batch().apply(shop, "n", {}, current + 1));
  CHECK(count(":old") == 12);
  database.client.run(Batch().apply(shop, "n", {}, current + 1));
  CHECK(count(":old") == 0);
  CHECK(count(":young") == 9);
  CHECK(database.client.text(shop, "n") == "7");
}

TEST_CASE("dynamodb: a state that is full of lanes that nobody uses any more is written all the same") {
  Fronted database;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto fill = [&](std::int64_t age) {
    const std::string time = std::to_string(seconds - age);
    std::string item = R"({"p":{"S":"s:shop"},"k":{"S":"n"},"v":{"N":"5"},"f":{"N":"0"},"n":{"N":"7"})";
    const std::string large(9900, 'x');
    for (int i = 10; i < 50; ++i) {
      const std::string lane = "lane" + std::to_string(i);
      item += R"(,"s:)" + lane + R"(":{"N":"1.)" + time + R"("},"m:)" + lane + R"(":{"N":"3"},"o:)" + lane +
              R"(":{"S":"0 )" + large + R"("})";
    }
    for (int size = 13'000; size > 0; size -= 10) {  // as much as there is room for
      if (contains(database.write(item + R"(,"b":{"S":")" + std::string(static_cast<std::size_t>(size), 'x') + "\"}}"),
                   "200 OK"))
        return;
    }
    FAIL("it was not written");
  };
  const std::string large = '"' + std::string(50'000, 'x') + '"';
  const Batch sum = std::move(Batch().apply(shop, "n", {}, current + 1));
  fill(3700);
  CHECK_FALSE(database.client_through.run(sum)[0].error);
  CHECK(database.client.text(shop, "n") == "6");
  fill(3700);
  CHECK_FALSE(Client(*database.through).run(Batch().write(shop, "n", large))[0].error);
  CHECK(database.client.text(shop, "n") == large);
  fill(3700);
  CHECK_FALSE(Client(*database.through).run(Batch().erase(shop, "n"))[0].error);
  CHECK(database.client.text(shop, "n") == "");
  fill(3700);
  Batch whole;
  whole.write(shop, "n", large).write(shop, "m", "1");
  CHECK_FALSE(Client(*database.through).run(whole, BatchMode::all_or_nothing)[0].error);
  CHECK(database.client.text(shop, "n") + database.client.text(shop, "m") == large + "1");
  // What is in doubt is found out as well.
  fill(3700);
  Client client(*database.through);
  database.front.script(std::vector(100, Front::Answer{"UpdateItem", 500, error_of("InternalServerError"), false}));
  ++client.lane.sequence;
  CHECK(client.send(sum, BatchMode::independent, in(1s)).status == BatchStatus::in_doubt);
  database.front.clear();
  CHECK(client.send(Batch().check(shop, "n")).status == BatchStatus::done);
  // What others may still ask for stays.
  fill(3500);
  CHECK(Client(*database.through).run(sum)[0].error == StateErrorCode::too_large);
  CHECK(contains(database.item("n"), "s:lane49"));
}

TEST_CASE("dynamodb: what leads to nothing is forgotten by who meets it, if it is old") {
  Database database;
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto put = [&](const std::string& partition, const std::string& key, std::int64_t time) {
    REQUIRE(contains(database.write(R"({"p":{"S":")" + partition + R"("},"k":{"S":")" + key + R"("},"t":{"N":")" +
                                    std::to_string(time) + R"("}})"),
                     "200 OK"));
  };
  put("scopes", "old", now - 4000);
  put("scopes", "young", now - 3000);
  put("l:label", "old k", now - 4000);
  put("l:label", "young k", now - 3000);
  CHECK(database.dynamodb->scopes("", 10, soon())->empty());
  const std::string label = "label";
  CHECK(database.dynamodb->purge({&label, 1}, soon())->empty());
  CHECK_FALSE(contains(database.item("old", "scopes"), "\"t\""));
  CHECK(contains(database.item("young", "scopes"), "\"t\""));
  CHECK_FALSE(contains(database.item("old k", "l:label"), "\"t\""));
  CHECK(contains(database.item("young k", "l:label"), "\"t\""));
}

TEST_CASE("dynamodb: what is only forgotten in passing is tried once, and its failure keeps nobody waiting") {
  Fronted database;
  const std::int64_t old =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count() -
      4000;
  const std::string label = "label", time = std::to_string(old);
  const auto write = [&](const std::string& item) { REQUIRE(contains(database.write("{" + item + "}"), "200 OK")); };
  const auto throttled = [&](const char* operation) {
    database.front.clear();
    database.front.script(std::vector(50, Front::Answer{operation, 400, error_of("ThrottlingException")}));
  };
  std::string lanes;
  for (const char* lane : {"a", "b", "c", "d"})
    lanes += R"(,"s:)" + std::string(lane) + R"(":{"N":"1.)" + time + R"("})";
  write(R"("p":{"S":"s:shop"},"k":{"S":"n"},"v":{"N":"5"},"f":{"N":"0"},"n":{"N":"7"})" + lanes);
  database.client_through.run(Batch().write(shop, "m", "1"));
  throttled("UpdateItem");
  database.client_through.run(Batch().apply(shop, "n", {}, current + 1).apply(shop, "m", {}, current + 1),
                              BatchMode::all_or_nothing);
  CHECK(database.front.left() == 49);
  CHECK(contains(database.item("n"), "\"s:a\""));
  write(R"("p":{"S":"scopes"},"k":{"S":"old"},"t":{"N":")" + time + R"("})");
  throttled("DeleteItem");
  CHECK(database.through->scopes("", 10, soon())->size() == 1);
  CHECK(database.front.left() == 49);
  write(R"("p":{"S":"l:label"},"k":{"S":"old k"},"t":{"N":")" + time + R"("})");
  throttled("DeleteItem");
  CHECK(database.through->purge({&label, 1}, soon())->empty());
  CHECK(database.front.left() == 49);
}

// ------------------------------------------------------------------------------------------------- what servers refuse

TEST_CASE("dynamodb: what the server refuses for a while is sent again, and done once") {
  Fronted database;
  database.client_through.run(Batch().write(shop, "n", "1"));
  database.front.requests();
  for (const char* type : {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
                           "TransactionConflictException"}) {
    database.front.script({{"UpdateItem", 400, error_of(type)}, {"UpdateItem", 400, error_of(type)}});
    ++database.client_through.lane.sequence;
    const Batch one = std::move(Batch().apply(shop, "n", {}, current + 1));
    while (database.client_through.send(one).status != BatchStatus::done) {  // which takes its time here
    }
    CHECK(database.front.operations() == std::vector<std::string>(3, "UpdateItem"));
    database.front.script({{"BatchGetItem", 400, error_of(type)}});
    CHECK_FALSE(try_read(*database.through, "n", soon()));
    CHECK(database.front.operations() == std::vector<std::string>(2, "BatchGetItem"));
  }
  database.front.script({{"UpdateItem", 429, ""}});
  database.client_through.run(Batch().apply(shop, "n", {}, current + 1));
  CHECK(database.client.text(shop, "n") == "6");
}

TEST_CASE("dynamodb: an error of the server's after which it may be done is sent again, and done once") {
  Fronted database;
  database.client_through.run(Batch().write(shop, "n", "1"));
  for (const bool is_carried_out : {true, false}) {
    database.front.script({{"UpdateItem", 500, error_of("InternalServerError"), is_carried_out},
                           {"UpdateItem", 503, "<html>no JSON</html>", is_carried_out}});
    const auto outcomes = database.client_through.run(Batch().apply(shop, "n", {}, current + 1));
    CHECK(outcomes[0].version == database.client.read(shop, "n").version);
    CHECK(outcomes[0].value->text == (is_carried_out ? "1" : "2"));
    database.front.script({{"TransactWriteItems", 500, error_of("InternalServerError"), is_carried_out}});
    Batch both;
    both.apply(shop, "x", {}, current + 1).apply(shop, "y", {}, current + 1);
    database.client_through.run(both, BatchMode::all_or_nothing);
  }
  CHECK(database.front.left() == 0);
  CHECK(database.client.text(shop, "n") + database.client.text(shop, "x") + database.client.text(shop, "y") == "322");
}

TEST_CASE("dynamodb: a server that refuses for good costs the deadline, and the error says what it did") {
  Fronted database;
  database.client_through.run(Batch().write(shop, "n", "1"));
  const auto refuse = [&](int status, const std::string& type) {
    database.front.script(std::vector(100, Front::Answer{"UpdateItem", status, error_of(type)}));
    ++database.client_through.lane.sequence;
    const Watch watch;
    const BatchResult result =
        database.client_through.send(Batch().apply(shop, "n", {}, current + 1), BatchMode::independent, in(1s));
    CHECK(watch.passed() < 1900ms);
    CHECK(database.front.left() > 80);  // it was not asked all the time
    CHECK(database.front.left() < 99);
    CHECK(result.error->code() == StateErrorCode::unavailable);
    CHECK(result.error->retryable());
    database.front.clear();
    return result;
  };
  const BatchResult throttled = refuse(400, "ThrottlingException");
  CHECK(throttled.status == BatchStatus::not_applied);
  CHECK(throttled.error->effect() == Effect::none);
  CHECK_THAT(throttled.error->what(), ContainsSubstring("ThrottlingException"));
  --database.client_through.lane.sequence;
  const BatchResult failed = refuse(500, "InternalServerError");
  CHECK(failed.status == BatchStatus::in_doubt);
  CHECK(failed.error->effect() == Effect::unknown);
  CHECK(database.client_through.send(Batch().apply(shop, "n", {}, current + 1)).status == BatchStatus::done);
  CHECK(database.client.text(shop, "n") == "2");
}

TEST_CASE("dynamodb: a state that is refused is an error of its command alone, and keeps no other waiting for long") {
  Fronted database;
  Client& client = database.client_through;
  client.run(Batch().write(shop, "orders", "0").write(shop, "b", "0"));
  const auto refuse = [&](const char* type, const char* key = "b") {
    database.front.script(std::vector(100, Front::Answer{"UpdateItem", 400, error_of(type), false, key}));
  };
  Batch both;
  both.apply(shop, "orders", {}, current + 1).apply(shop, "b", {}, current + 1);
  const Watch watch;
  refuse("ThrottlingException");
  CHECK(client.run(both)[0].value->text == "0");
  CHECK(client.outcomes[1].error == StateErrorCode::unavailable);
  CHECK(database.front.left() < 99);  // it was tried again
  database.front.clear();
  refuse("AccessDeniedException");
  CHECK(client.run(both)[0].value->text == "1");
  CHECK(client.outcomes[1].error == StateErrorCode::refused);
  refuse("ThrottlingException", "orders");
  CHECK(client.run(both)[0].error == StateErrorCode::unavailable);
  CHECK(client.outcomes[1].error == StateErrorCode::refused);
  database.front.clear();
  // What leads to a state that is new is a request of its own.
  refuse("ThrottlingException", "far");
  const auto outcomes = client.run(Batch().write(Scope{"far"}, "n", "1").apply(shop, "orders", {}, current + 1));
  CHECK(outcomes[0].error == StateErrorCode::unavailable);
  CHECK(outcomes[1].value->text == "2");
  database.front.clear();
  CHECK(watch.passed() < 5s);
  CHECK(client.run(both)[1].value->text == "0");
  CHECK(database.client.text(shop, "orders") + database.client.text(shop, "b") == "41");
}

TEST_CASE("dynamodb: of a batch in doubt only the states that are in doubt are written when nobody waits any more") {
  Fronted database;
  Client& client = database.client_through;
  Batch batch;
  for (const char* key : {"done", "doubtful", "refused"}) {
    client.run(Batch().write(shop, key, "0"));
    batch.apply(shop, key, {}, current + 1);
  }
  database.front.script(
      std::vector(100, Front::Answer{"UpdateItem", 500, error_of("InternalServerError"), false, "doubtful"}));
  const auto refuse = [&](const char* key) {
    database.front.script(
        std::vector(100, Front::Answer{"UpdateItem", 400, error_of("ThrottlingException"), false, key}));
  };
  refuse("refused");
  ++client.lane.sequence;
  CHECK(client.send(batch, BatchMode::independent, in(2s)).status == BatchStatus::in_doubt);
  Batch checks;
  checks.check(shop, "done").check(shop, "doubtful").check(shop, "refused");
  for (const char* key : {"done", "doubtful"}) refuse(key);
  CHECK(client.send(checks, BatchMode::independent, in(300ms)).status == BatchStatus::in_doubt);
  database.front.clear();
  for (const char* key : {"done", "refused"}) refuse(key);
  CHECK(client.send(checks).status == BatchStatus::done);
  CHECK(database.front.left() == 200);  // nobody has asked for these
  database.front.clear();
  CHECK_FALSE(contains(database.item("refused"), "{\"N\":\"" + std::to_string(client.lane.sequence) + "."));
  CHECK(contains(database.item("doubtful"), "{\"N\":\"" + std::to_string(client.lane.sequence) + "."));
  client.run(batch);
  for (const Outcome& outcome : client.outcomes) CHECK_FALSE(outcome.error);
  CHECK(database.client.text(shop, "done") + database.client.text(shop, "doubtful") +
            database.client.text(shop, "refused") ==
        "211");
}

TEST_CASE("dynamodb: transactions that meet others are tried again, and those that are too large are not") {
  Fronted database;
  const auto canceled = [](const std::string& code) {
    return R"({"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[{"Code":")" +
           code + R"("},{"Code":"None"}]})";
  };
  Batch both;
  both.apply(shop, "x", {}, current + 1).apply(shop, "y", {}, current + 1);
  database.front.script({{"TransactWriteItems", 400, canceled("TransactionConflict")},
                         {"TransactWriteItems", 400, canceled("ConditionalCheckFailed")},
                         {"TransactWriteItems", 400, canceled("ThrottlingError")},
                         {"TransactWriteItems", 400, error_of("TransactionInProgressException")}});
  database.client_through.run(both, BatchMode::all_or_nothing);
  CHECK(database.front.left() == 0);
  CHECK(database.client.text(shop, "x") + database.client.text(shop, "y") == "11");
  database.front.script({{"TransactWriteItems", 400, canceled("ValidationError")}});
  ++database.client_through.lane.sequence;
  const BatchResult refused = database.client_through.send(both, BatchMode::all_or_nothing);
  CHECK(refused.status == BatchStatus::not_applied);
  CHECK(refused.error->code() == StateErrorCode::too_large);
}

TEST_CASE("dynamodb: keys that a read leaves are read again") {
  Fronted database;
  database.client.run(Batch().write(shop, "a", "1").write(shop, "b", "2"));
  const std::string left =
      R"({"Responses":{"states":[{"p":{"S":"s:shop"},"k":{"S":"a"},"v":{"N":"1"},"f":{"N":"0"},"n":{"N":"5"}}]},)"
      R"("UnprocessedKeys":{"states":{"ConsistentRead":true,"Keys":[{"p":{"S":"s:shop"},"k":{"S":"b"}}]}}})";
  database.front.script({{"BatchGetItem", 200, left}});
  const std::vector<atom::StateName> wanted{{shop, "a"}, {shop, "b"}, {shop, "a"}};
  std::vector<Outcome> found(3);
  database.front.requests();
  REQUIRE_FALSE(database.through->read(wanted, found, soon()));
  CHECK(found[0].value->text + found[1].value->text + found[2].value->text == "121");
  const auto requests = database.front.requests();
  REQUIRE(requests.size() == 2);
  CHECK_THAT(requests[0].body(), ContainsSubstring(R"("ConsistentRead":true)"));
  CHECK_FALSE(contains(requests[1].body(), R"("k":{"S":"a"})"));
}

TEST_CASE("dynamodb: what is refused for good is an error without effect, with the server's word and no text of it") {
  Fronted database;
  const auto check = [&](int status, const std::string& type, StateErrorCode code, const char* says) {
    INFO(type);
    database.front.script({{"UpdateItem", status, error_of(type)}});
    ++database.client_through.lane.sequence;
    const BatchResult result = database.client_through.send(Batch().write(shop, "n", "1"));
    --database.client_through.lane.sequence;
    CHECK(result.status == BatchStatus::not_applied);
    REQUIRE(result.error);
    CHECK(result.error->code() == code);
    CHECK(result.error->effect() == Effect::none);
    CHECK_FALSE(result.error->retryable());
    CHECK_THAT(result.error->what(), ContainsSubstring(says) && !ContainsSubstring("hunter2"));
  };
  using enum StateErrorCode;
  check(400, "ResourceNotFoundException", refused, "there is no such table");
  check(400, "AccessDeniedException", refused, "it needs DescribeTable");
  check(400, "UnrecognizedClientException", refused, "does not take the credentials");
  check(400, "InvalidSignatureException", refused, "does not take the credentials, or the clock is wrong");
  check(400, "ValidationException", refused, "ValidationException");
  check(418, "hunter2", refused, "HTTP 418");
  CHECK(database.client.read(shop, "n").version == 0);
  database.client_through.run(Batch().write(shop, "n", "1"));
}

TEST_CASE("dynamodb: a state with the highest of all numbers as its version, which nobody gives it, is not written") {
  Database database;
  database.client.run(Batch().write(shop, "b", "1"));
  database.write(R"({"p":{"S":"s:shop"},"k":{"S":"a"},"v":{"N":"1"},"f":{"N":"0"},"n":{"N":"9223372036854775807"}})");
  REQUIRE(database.client.read(shop, "a").version == highest);
  ++database.client.lane.sequence;
  const Batch batch = std::move(Batch().write(shop, "a", "2").write(shop, "b", "2"));
  const BatchResult result = database.client.send(batch, BatchMode::all_or_nothing);
  CHECK(result.status == BatchStatus::not_applied);
  REQUIRE(result.error);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK(database.client.text(shop, "b") == "1");
}

TEST_CASE("dynamodb: a command that is refused does not hide what others of its batch have done") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1"));
  database.write(R"({"p":{"S":"s:shop"},"k":{"S":"n"},"v":{"N":"1"},"f":{"N":"0"},"n":{"N":"9223372036854775807"}})");
  ++database.client.lane.sequence;
  const Batch batch = std::move(Batch().apply(shop, "n", {}, max(current + 1, 7)).apply(shop, "a", {}, current + 1));
  CHECK(database.client.send(batch).status == BatchStatus::done);
  CHECK(database.client.outcomes[0].error == StateErrorCode::refused);
  CHECK(database.client.text(shop, "n") + database.client.text(shop, "a") == "12");
  CHECK(database.client.run(Batch().apply(shop, "a", {}, current + 1))[0].value->text == "2");
}

TEST_CASE("dynamodb: an answer that makes no sense leaves a batch in doubt, and then it is done once") {
  Fronted database;
  database.client_through.run(Batch().write(shop, "n", "1"));
  for (const char* nonsense : {"", "{}", "[]", "hello", R"({"Attributes":7})", R"({"Attributes":{"n":{"N":"x"}}})"}) {
    INFO(nonsense);
    ++database.client_through.lane.sequence;
    database.front.script({{"UpdateItem", 200, nonsense, true}});
    const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
    const BatchResult result = database.client_through.send(batch);
    CHECK(result.status == BatchStatus::in_doubt);
    CHECK(result.error->effect() == Effect::unknown);
    CHECK(database.client_through.send(batch).status == BatchStatus::done);
    database.front.script({{"BatchGetItem", 200, nonsense}, {"Query", 200, nonsense}});
    CHECK(try_read(*database.through, "n", soon()));
    CHECK_FALSE(database.through->list({.scope = &shop}, soon()));
  }
  CHECK(database.client.text(shop, "n") == "7");
  // It does not say why.
  database.front.script({{"TransactWriteItems", 400, error_of("TransactionCanceledException")}});
  const Batch both = std::move(Batch().apply(shop, "n", {}, current + 1).write(shop, "m", "1"));
  ++database.client_through.lane.sequence;
  CHECK(database.client_through.send(both, BatchMode::all_or_nothing).status == BatchStatus::in_doubt);
  CHECK(database.client_through.send(both, BatchMode::all_or_nothing).status == BatchStatus::done);
  CHECK(database.client.text(shop, "n") + database.client.text(shop, "m") == "81");
}

// --------------------------------------------------------------------------------------------------------- credentials

/// What the verifier says of a request, and whether it is good.
std::pair<bool, std::string> verify(const Request& request, const std::string& secret) {
  const support::TemporaryFolder folder;
  std::ofstream(folder / "request", std::ios::binary) << request.text;
  const std::string command = "node " ATOM_DYNALITE_VERIFY " eu-central-1 AKIDEXAMPLE '" + secret + "' < " +
                              (folder / "request") + " > " + (folder / "answer");
  const bool is_good = std::system(command.c_str()) == 0;  // NOLINT(concurrency-mt-unsafe)
  std::ifstream file(folder / "answer");
  std::string text;
  std::getline(file, text);
  return {is_good, text};
}

TEST_CASE("dynamodb: each request is signed, as an independent verifier finds, and the token with it") {
  const std::string secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY:hunter2";
  for (const std::string token : {"", "IQoJb3JpZ2luX2VjEXAMPLE/TOKEN+=="}) {
    const DynamoServer server;
    Front front(server);
    DynamoDbOptions options = at(front.endpoint());
    options.credentials = [&] { return DynamoDbCredentials{"AKIDEXAMPLE", secret, token}; };
    const auto dynamodb = open(options);
    Client client(*dynamodb);
    client.run(Batch().write(shop, "n", R"("\u00e9 < \" a  b")").write(shop, "n 2", "1"), BatchMode::all_or_nothing);
    CHECK_FALSE(try_read(*dynamodb, "\xc3\xa9", soon()));
    // More than 1 MB, of which libcurl asks first whether it is wanted.
    const std::string large = '"' + std::string(200'000, '<') + '"';
    client.run(Batch().write(shop, "large", large).write(shop, "larger", large), BatchMode::all_or_nothing);
    const auto requests = front.requests();
    CHECK(requests.size() >= 8);
    for (const Request& request : requests) {
      const auto [is_good, says] = verify(request, secret);
      INFO(request.operation() << ": " << says);
      CHECK(is_good);
      CHECK(contains(says, "x-amz-security-token") == !token.empty());
      CHECK_FALSE(contains(request.text, "hunter2"));
    }
    // The verifier finds what is wrong.
    const Request& last = requests.back();
    CHECK_FALSE(verify(last, "another").first);
    Request changed = last;
    changed.text[changed.text.size() - 3] ^= 1;
    CHECK(verify(changed, secret).second == "another signature");
    changed = last;
    changed.text.replace(changed.text.find("TransactWriteItems"), 8, "Untested");
    CHECK(verify(changed, secret).second == "another signature");
  }
}

TEST_CASE("dynamodb: credentials that have expired are asked for again") {
  Fronted database;
  std::atomic<int> asked{0};
  DynamoDbOptions options = at(database.front.endpoint());
  options.credentials = [&] { return DynamoDbCredentials{"AKID" + std::to_string(++asked), "secret", "token"}; };
  const auto dynamodb = open(options);
  Client client(*dynamodb);
  client.run(Batch().write(shop, "n", "1"));
  const int before = asked;
  database.front.requests();
  database.front.script({{"UpdateItem", 400, error_of("ExpiredTokenException")}});
  client.run(Batch().apply(shop, "n", {}, current + 1));
  const auto requests = database.front.requests();
  REQUIRE(requests.size() == 2);
  CHECK_THAT(requests[1].text, ContainsSubstring("Credential=AKID" + std::to_string(before + 2)));
  CHECK(database.client.text(shop, "n") == "2");
  // Those that stay expired are not asked for again and again.
  database.front.script(std::vector(20, Front::Answer{"UpdateItem", 400, error_of("ExpiredTokenException")}));
  ++client.lane.sequence;
  const BatchResult result = client.send(Batch().apply(shop, "n", {}, current + 1));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::refused);
  CHECK_THAT(result.error->what(), ContainsSubstring("have expired"));
  CHECK(database.front.left() > 10);
}

TEST_CASE("dynamodb: credentials that are gone when a request is sent again do not hide what was done before") {
  Fronted database;
  std::atomic<int> left{0};  // so often they are there; 0: always
  const bool is_thrown = GENERATE(false, true);
  DynamoDbOptions options = at(database.front.endpoint());
  options.credentials = [&] {
    if (left > 0 && --left == 0) return is_thrown ? throw std::runtime_error("hunter2") : DynamoDbCredentials{};
    return DynamoDbCredentials{"test", "test"};
  };
  const auto dynamodb = open(options);
  Client client(*dynamodb);
  client.run(Batch().write(shop, "a", "10").write(shop, "b", "10"));
  const auto throttle = [&](int times) {
    database.front.script({{"UpdateItem", 400, error_of("ThrottlingException"), false, "b"}});
    left = times + 1;
  };
  const Batch batch = std::move(Batch().apply(shop, "a", {}, current + 1).apply(shop, "b", {}, current + 1));
  throttle(1);
  ++client.lane.sequence;
  REQUIRE(client.send(batch).status == BatchStatus::done);
  CHECK(left == 0);
  CHECK(client.outcomes[0].value->text == "10");
  CHECK(client.outcomes[1].error == (is_thrown ? StateErrorCode::unavailable : StateErrorCode::refused));
  CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == "1110");
  CHECK(client.run(Batch().apply(shop, "a", {}, current + 100))[0].value->text == "11");
  CHECK(database.client.text(shop, "a") == "111");
  throttle(2);  // the list is the first
  const auto erased = dynamodb->erase_scope(shop, soon());
  CHECK(left == 0);
  REQUIRE_FALSE(erased);
  CHECK(erased.error().effect() == Effect::unknown);
  CHECK_THAT(erased.error().what(), !ContainsSubstring("hunter2"));
  CHECK(database.client.text(shop, "a") == "");
}

TEST_CASE("dynamodb: without credentials, or with some that cannot be, nothing is sent; no error has a word of them") {
  const DynamoServer server;
  Front front(server);
  const auto why = [&](std::function<DynamoDbCredentials()> credentials) {
    DynamoDbOptions options = at(front.endpoint());
    options.credentials = std::move(credentials);
    DynamoDb dynamodb(std::move(options));
    const auto error = dynamodb.prepare(true, in(2s));
    CHECK(front.requests().empty());
    return error ? error->message() : "";
  };
  CHECK_THAT(why([] { return DynamoDbCredentials{}; }), ContainsSubstring("there are no credentials"));
  CHECK_THAT(why([] { return DynamoDbCredentials{"hunter2", ""}; }),
             ContainsSubstring("there are no credentials") && !ContainsSubstring("hunter2"));
  CHECK_THAT(why([] { return DynamoDbCredentials{"AKID", "hunter2", "a\r\nX-Evil: 1"}; }),
             ContainsSubstring("control byte") && !ContainsSubstring("hunter2"));
  CHECK_THAT(why([]() -> DynamoDbCredentials { throw std::runtime_error("hunter2"); }),
             ContainsSubstring("has thrown") && !ContainsSubstring("hunter2"));
}

TEST_CASE("dynamodb: plain text goes to no other machine unless that is allowed") {
  DynamoDbOptions options = at("http://192.0.2.1:8000");
  options.credentials = [] { return DynamoDbCredentials{"test", "test"}; };
  DynamoDb refused(options);
  const Watch watch;
  const auto error = refused.prepare(true, in(5s));
  CHECK(watch.passed() < 2s);
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::refused);
  CHECK_FALSE(error->retryable());
  CHECK_THAT(error->what(), ContainsSubstring("use https://"));
  options.plain_text = true;
  DynamoDb allowed(options);
  const auto unreachable = allowed.prepare(true, in(300ms));
  REQUIRE(unreachable);
  CHECK(unreachable->code() != StateErrorCode::refused);
}

// --------------------------------------------------------------------------------------- servers and networks that
// fail

TEST_CASE("dynamodb: an answer that is lost is asked for again, and the batch is done once") {
  Database database;
  support::ChaosProxy proxy(database.server.socket());
  const auto dynamodb = open(at(DynamoServer::endpoint_at(proxy.port())));
  Client client(*dynamodb);
  client.run(Batch().write(shop, "n", "0"));
  int number = 0;
  for (const Fault fault : {Fault::lost_answer, Fault::lost_request, Fault::reset, Fault::delayed, Fault::duplicated,
                            Fault::split, Fault::stalled, Fault::lost_answer}) {
    ++client.lane.sequence;
    // (libcurl itself sends a request again whose connection broke before there was an answer.)
    proxy.script({fault, fault});
    const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
    BatchResult result = client.send(batch);
    for (int i = 0; i < 10 && result.status == BatchStatus::in_doubt; ++i) {
      CHECK(result.error->effect() == Effect::unknown);
      CHECK(result.error->retryable());
      result = client.send(batch);
    }
    CHECK(result.status == BatchStatus::done);
    CHECK(client.outcomes[0].value->text == std::to_string(number++));
  }
  proxy.close();
  CHECK(database.client.text(shop, "n") == std::to_string(number));
}

TEST_CASE("dynamodb: a transaction whose answer is lost is done once") {
  Database database;
  support::ChaosProxy proxy(database.server.socket());
  const auto dynamodb = open(at(DynamoServer::endpoint_at(proxy.port())));
  Client client(*dynamodb);
  client.run(Batch().write(shop, "x", "0").write(shop, "y", "0"));
  int doubts = 0;
  for (int number = 1; number <= 5; ++number) {
    ++client.lane.sequence;
    proxy.script({Fault::none, Fault::lost_answer, Fault::lost_answer});  // of what is sent after the read
    Batch both;
    both.apply(shop, "x", {}, current + 1).apply(shop, "y", {}, current - 1);
    BatchResult result = client.send(both, BatchMode::all_or_nothing);
    for (int i = 0; i < 10 && result.status == BatchStatus::in_doubt; ++i) {
      ++doubts;
      result = client.send(both, BatchMode::all_or_nothing);
    }
    CHECK(result.status == BatchStatus::done);
    CHECK(client.outcomes[0].value->text == std::to_string(number - 1));
  }
  CHECK(doubts > 0);
  proxy.close();
  CHECK(database.client.text(shop, "x") + database.client.text(shop, "y") == "5-5");
}

TEST_CASE("dynamodb: a batch without effect leaves nothing, and who has sent it knows its outcomes") {
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    Fronted database;
    Client& client = database.client_through;
    client.run(Batch().write(shop, "a", "1").write(shop, "b", "1"));
    const std::string a = database.item("a"), b = database.item("b");
    const auto batch = [] {
      return std::move(
          Batch().write(shop, "a", "2", {.expected = 5}).apply_to<std::int8_t>(shop, "b", "0", {}, current + 127));
    };
    const auto before = client.run(batch(), mode);
    CHECK(before[0].error == StateErrorCode::conflict);
    CHECK(before[0].value->text == "1");
    CHECK(before[1].version == client.read(shop, "b").version);  // it would overflow
    CHECK(database.item("a").substr(database.item("a").find('{')) == a.substr(a.find('{')));
    CHECK(database.item("b").substr(database.item("b").find('{')) == b.substr(b.find('{')));
    // It may be sent again: nobody is asked, though others have written meanwhile.
    database.client.run(Batch().write(shop, "a", "7").write(shop, "b", "-1"));
    database.front.requests();
    CHECK(client.send(batch(), mode).status == BatchStatus::done);
    support::check_same(client.outcomes, before);
    CHECK(database.front.requests().empty());
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == "7-1");
  }
}

TEST_CASE("dynamodb: what has no effect when it is sent again leaves that, as the first time may still come") {
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    Fronted database;
    Client& client = database.client_through;
    const auto written = client.run(Batch().write(shop, "a", "1").write(shop, "b", "1"));
    const auto batch = [&] {
      return std::move(Batch()
                           .write(shop, "a", "2", {.expected = written[0].version})
                           .write(shop, "b", "2", {.expected = written[1].version}));
    };
    const char* const operation = mode == BatchMode::independent ? "UpdateItem" : "TransactWriteItems";
    database.front.script(std::vector(100, Front::Answer{operation, 500, error_of("InternalServerError")}));
    ++client.lane.sequence;
    CHECK(client.send(batch(), mode, in(1s)).status == BatchStatus::in_doubt);
    database.front.clear();
    database.client.run(Batch().write(shop, "a", "7"));
    CHECK(client.send(batch(), mode).status == BatchStatus::done);
    const std::vector<Outcome> before = client.outcomes;
    CHECK(before[0].error == StateErrorCode::conflict);
    CHECK(before[0].value->text == "7");
    const std::string now = mode == BatchMode::independent ? "72" : "71";
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == now);
    // The first one, when it comes, is a batch of that number; so is what another process sends.
    Database::Other other(database);
    other.client.lane = client.lane;
    CHECK(other.client.send(batch(), mode).status == BatchStatus::done);
    support::check_same(other.client.outcomes, before);
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == now);
  }
}

TEST_CASE("dynamodb: what its caller has given up takes no effect when it arrives late") {
  Database database;
  support::ChaosProxy proxy(database.server.socket());
  const auto dynamodb = open(at(DynamoServer::endpoint_at(proxy.port())));
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    Client client(*dynamodb);
    for (const char* key : {"there", "new"}) {
      INFO(key);
      if (key == "there"s) client.run(Batch().write(shop, key, "0"));
      client.run(Batch().write(shop, "other", "0"));
      ++client.lane.sequence;
      const std::size_t arrived = proxy.happened(Fault::delayed);
      mode == BatchMode::independent ? proxy.script({Fault::delayed, Fault::delayed})
                                     : proxy.script({Fault::none, Fault::delayed, Fault::delayed});
      Batch batch;
      batch.apply(shop, key, {}, current + 1).write(shop, "other", "1");
      const BatchResult lost = client.send(batch, mode);
      Batch checks;
      checks.check(shop, key).check(shop, "other");
      BatchResult result = lost;
      for (int i = 0; i < 10 && result.status == BatchStatus::in_doubt; ++i) result = client.send(checks, mode);
      REQUIRE(result.status == BatchStatus::done);
      const std::string now = client.text(shop, key) + client.text(shop, "other");
      for (int i = 0; i < 1000 && proxy.happened(Fault::delayed) == arrived; ++i) std::this_thread::sleep_for(5ms);
      CHECK(proxy.happened(Fault::delayed) > arrived);
      CHECK(client.text(shop, key) + client.text(shop, "other") == now);
      client.run(Batch().erase(shop, key));
    }
  }
  proxy.close();
}

TEST_CASE("dynamodb: what is in doubt for half an hour is not known any more, and the lane goes on without it") {
  Fronted database;
  database.client.run(Batch().write(shop, "a", "0").write(shop, "b", "0"));
  atom::detail::DynamoDbClient client(atom::detail::dynamodb_target("eu-central-1", database.front.endpoint()),
                                      "states", {}, 1);
  atom::detail::DynamoDbLanes lanes;
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    const bool is_whole = mode == BatchMode::all_or_nothing;
    atom::Lane lane = Client(*database.dynamodb).lane;
    std::vector<Outcome> outcomes(2);
    const auto send = [&](const Batch& batch, atom::Deadline deadline = soon()) {
      return atom::detail::DynamoDbBatch(client, lanes, lane, mode, batch.commands(), outcomes, {}).run(deadline);
    };
    const auto write = [](const char* text) {
      return std::move(Batch().write(shop, "a", text).write(shop, "b", text));
    };
    const auto begin = [&] {
      ++lane.sequence;
      database.front.script(std::vector(
          100, Front::Answer{is_whole ? "TransactWriteItems" : "UpdateItem", 500, error_of("InternalServerError")}));
      CHECK(send(write("1"), in(1s)).status == BatchStatus::in_doubt);
      database.front.clear();
      database.front.requests();
    };
    begin();
    lanes.find(lane)->doubtful_since -= 29min;
    CHECK(send(write("1")).status == BatchStatus::done);
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == "11");

    begin();
    lanes.find(lane)->doubtful_since -= 31min;
    for (int attempt = 1; attempt <= 2; ++attempt) {
      const BatchResult result = send(write("2"));
      CHECK(result.status == BatchStatus::in_doubt);
      REQUIRE(result.error);
      CHECK(result.error->code() == StateErrorCode::timed_out);
      CHECK(result.error->effect() == Effect::unknown);
      CHECK_FALSE(result.error->retryable());
    }
    CHECK(database.front.requests().empty());
    CHECK(send(Batch().check(shop, "a").check(shop, "b")).status == BatchStatus::done);  // when nobody waits any more
    CHECK(outcomes[0].version == database.client.read(shop, "a").version);
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == "11");
    ++lane.sequence;
    CHECK(send(write("3")).status == BatchStatus::done);
    CHECK(database.client.text(shop, "a") + database.client.text(shop, "b") == "33");
  }
}

TEST_CASE("dynamodb: what a lane has left is asked for within half an hour, and not any more after that") {
  Database database;
  atom::detail::DynamoDbClient client(atom::detail::dynamodb_target("eu-central-1", database.server.endpoint()),
                                      "states", {}, 1);
  atom::detail::DynamoDbLanes lanes;
  for (const auto& [age, status] : {std::pair(29min, BatchStatus::gap), std::pair(31min, BatchStatus::done)}) {
    atom::Lane lane = Client(*database.dynamodb).lane;
    std::vector<Outcome> outcomes(1);
    const auto send = [&](const char* text) {
      ++lane.sequence;
      const Batch batch = std::move(Batch().write(shop, "n", text));
      return atom::detail::DynamoDbBatch(client, lanes, lane, BatchMode::independent, batch.commands(), outcomes, {})
          .run(soon());
    };
    CHECK(send("1").status == BatchStatus::done);
    for (auto& [_, mark] : lanes.find(lane)->marks) mark.time -= age;
    // Who meets it an hour later removes it.
    REQUIRE(contains(database.write(R"({"p":{"S":"s:shop"},"k":{"S":"n"},"v":{"N":"1"},"f":{"N":"0"},"n":{"N":"7"}})"),
                     "200 OK"));
    CHECK(send("2").status == status);
  }
  CHECK(database.client.text(shop, "n") == "2");
}

TEST_CASE("dynamodb: a server that is not there is an error that says so") {
  Database database;
  database.client.run(Batch().write(shop, "n", "1"));
  database.server.stop(SIGKILL);
  const Watch watch;
  ++database.client.lane.sequence;
  const BatchResult result = database.client.send(Batch().write(shop, "n", "2"), BatchMode::independent, in(5s));
  CHECK(result.error->code() == StateErrorCode::unavailable);
  CHECK(result.error->retryable());
  const auto error = try_read(*database.dynamodb, "n", in(5s));
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::unavailable);
  CHECK(error->effect() == Effect::none);
  CHECK(error->retryable());
  CHECK(watch.passed() < 4s);
  DynamoDb fresh(at(database.server.endpoint()));
  CHECK(fresh.prepare(true, in(5s))->code() == StateErrorCode::unavailable);
}

#if LIBCURL_VERSION_NUM >= 0x075700
TEST_CASE("dynamodb: a name that is looked up for long costs the deadline") {
  names_are_slow = true;
  std::thread end([] {  // if it is waited for
    for (int i = 0; i < 300 && names_are_slow; ++i) std::this_thread::sleep_for(10ms);
    names_are_slow = false;
  });
  DynamoDbOptions options{.table = "states", .region = "eu-central-1"};
  options.credentials = [] { return DynamoDbCredentials{"test", "test"}; };
  DynamoDb dynamodb(std::move(options));
  const Watch watch;
  const auto error = dynamodb.prepare(true, in(300ms));
  CHECK(watch.passed() < 1s);
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::timed_out);
  CHECK(error->effect() == Effect::none);
  names_are_slow = false;
  end.join();
}
#endif

TEST_CASE("dynamodb: a server that stands still costs the deadline, and what was in doubt is done once") {
  Database database;
  database.client.run(Batch().write(shop, "n", "1"));
  database.server.pause();
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  ++database.client.lane.sequence;
  const Watch watch;
  const BatchResult result = database.client.send(batch, BatchMode::independent, in(1s));
  CHECK(watch.passed() >= 1s);
  CHECK(watch.passed() < 1900ms);
  CHECK(result.status == BatchStatus::in_doubt);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(result.error->effect() == Effect::unknown);
  const Watch again;
  const auto error = try_read(*database.dynamodb, "n", in(1s));
  CHECK(again.passed() < 1900ms);
  CHECK(error->code() == StateErrorCode::timed_out);
  CHECK(error->effect() == Effect::none);
  database.server.go_on();
  CHECK(database.client.send(batch).status == BatchStatus::done);
  CHECK(database.client.outcomes[0].value->text == "1");
  CHECK(database.client.text(shop, "n") == "2");
}

TEST_CASE("dynamodb: a deadline that has passed is an error without effect") {
  Database database;
  ++database.client.lane.sequence;
  const BatchResult result = database.client.send(Batch().write(shop, "n", "1"), BatchMode::independent, in(-1s));
  CHECK(result.status == BatchStatus::not_applied);
  CHECK(result.error->code() == StateErrorCode::timed_out);
  CHECK(try_read(*database.dynamodb, "n", in(-1s))->code() == StateErrorCode::timed_out);
  CHECK(database.client.send(Batch().write(shop, "n", "2")).status == BatchStatus::done);
  CHECK(database.client.text(shop, "n") == "2");
}

TEST_CASE("dynamodb: a table that comes back empty is a gap, and the store says how much is lost") {
  Database database;
  std::atomic<std::uint64_t> lost{0};
  atom::StateStore states{std::make_shared<DynamoDb>(at(database.server.endpoint())),
                          {.on_event = [&](const atom::StateEvent& event) { lost += event.lost; }}};
  auto number = states.get_state(std::int64_t{0}, {.key = "n", .scope = shop});
  CHECK(number.apply(current + 1) == 1);
  CHECK(number.apply(current + 1) == 2);
  database.client.run(Batch().write(shop, "m", "1"));
  database.client.run(Batch().write(shop, "m", "2"));
  database.server.stop(SIGKILL);
  database.server.start();
  open(at(database.server.endpoint()));
  CHECK(number.apply(current + 1) == 1);
  CHECK(lost == 2);
  ++database.client.lane.sequence;
  const BatchResult gap = database.client.send(Batch().write(shop, "m", "3"));
  CHECK(gap.status == BatchStatus::gap);
  CHECK(gap.last_known == 0u);
  CHECK(database.client.read(shop, "m").version == 0);
  database.client.lane.after_loss = true;
  CHECK(database.client.send(Batch().write(shop, "m", "3")).status == BatchStatus::done);
  CHECK(database.client.text(shop, "m") == "3");
}

TEST_CASE("dynamodb: a state that is lost is a gap for who writes it again, also after others") {
  Database database;
  Client& client = database.client;
  client.run(Batch().write(shop, "a", "1"));
  client.run(Batch().write(shop, "b", "1"));
  client.run(Batch().write(shop, "c", "1").check(shop, "a"));
  REQUIRE(
      contains(database.server.run("DeleteItem", R"({"TableName":"states","Key":{"p":{"S":"s:shop"},"k":{"S":"a"}}})"),
               "200 OK"));
  ++client.lane.sequence;
  for (const BatchMode mode : {BatchMode::independent, BatchMode::all_or_nothing}) {
    const BatchResult gap = client.send(Batch().apply(shop, "a", {}, current + 1).write(shop, "d", "1"), mode);
    CHECK(gap.status == BatchStatus::gap);
    CHECK(gap.last_known == 3u);  // which lies in c
    CHECK(client.read(shop, "a").version == 0);
  }
  client.lane.after_loss = true;
  const Batch batch = std::move(Batch().apply(shop, "a", {}, current + 1).write(shop, "d", "1"));
  CHECK(client.send(batch).status == BatchStatus::done);
  client.lane.after_loss = false;
  CHECK(client.run(Batch().apply(shop, "a", {}, current + 1))[0].value->text == "1");
  CHECK(client.text(shop, "a") + client.text(shop, "d") == "21");
}

TEST_CASE("dynamodb: a table that was made anew is a gap for who has written in the old one, and nobody else") {
  Database database;
  database.client.run(Batch().write(shop, "a", "1"));
  const bool is_restart = GENERATE(true, false);
  INFO((is_restart ? "restart" : "another table"));
  if (is_restart) {
    database.server.stop(SIGKILL);
    database.server.start();
  } else {
    REQUIRE(contains(database.server.run("DeleteTable", R"({"TableName":"states"})"), "200 OK"));
    while (contains(database.server.run("DescribeTable", R"({"TableName":"states"})"), "TableStatus")) {
      std::this_thread::sleep_for(1ms);
    }
    CHECK(try_read(*database.dynamodb, "a", soon())->code() == StateErrorCode::refused);
  }
  open(at(database.server.endpoint()));
  ++database.client.lane.sequence;
  BatchResult result = database.client.send(Batch().write(shop, "z", "1"));
  // It was carried out, by a server of which it was not known yet that it had another table.
  if (is_restart) {
    CHECK(result.status == BatchStatus::in_doubt);
    result = database.client.send(Batch().write(shop, "z", "1"));
  }
  CHECK(result.status == BatchStatus::gap);
  CHECK(result.last_known == 0u);
  CHECK((database.client.read(shop, "z").version == 0) != is_restart);
  Client(*database.dynamodb).run(Batch().write(shop, "y", "1"));
  database.client.lane.after_loss = true;
  CHECK(database.client.send(Batch().write(shop, "z", "1")).status == BatchStatus::done);
  database.client.lane.after_loss = false;
  database.client.run(Batch().write(shop, "x", "1"));
  CHECK(database.client.text(shop, "x") + database.client.text(shop, "y") + database.client.text(shop, "z") == "111");
}

TEST_CASE("dynamodb: a batch during which the table was made anew, perhaps, is in doubt, and then a gap") {
  Fronted database;
  Client& client = database.client_through;
  client.run(Batch().apply(shop, "n", {}, current + 1));
  ++client.lane.sequence;
  // The connection breaks, and another table is there.
  database.front.script({{"UpdateItem", 0, "", true}, {"DescribeTable", 200, R"({"Table":{"TableId":"another"}})"}});
  const Batch batch = std::move(Batch().apply(shop, "n", {}, current + 1));
  const BatchResult result = client.send(batch);
  CHECK(result.status == BatchStatus::in_doubt);
  CHECK(result.error->retryable());
  CHECK(database.front.left() == 0);
  const BatchResult gap = client.send(batch);
  CHECK(gap.status == BatchStatus::gap);
  CHECK(gap.last_known == 0u);
  client.lane.after_loss = true;
  CHECK(client.send(batch).status == BatchStatus::done);
  CHECK(client.outcomes[0].value->text == "1");
  CHECK(client.text(shop, "n") == "2");
}

TEST_CASE("dynamodb: more callers than connections wait for their turn, and not beyond their deadline") {
  Database database;
  DynamoDbOptions options = at(database.server.endpoint());
  options.connections = 1;
  const auto dynamodb = open(options);
  database.server.pause();
  std::thread first([&] { CHECK_FALSE(try_read(*dynamodb, "n", soon())); });
  std::this_thread::sleep_for(200ms);
  const Watch watch;
  const auto error = try_read(*dynamodb, "n", in(300ms));
  CHECK(watch.passed() < 1s);
  REQUIRE(error);
  CHECK(error->code() == StateErrorCode::timed_out);
  database.server.go_on();
  first.join();
  CHECK_FALSE(try_read(*dynamodb, "n", soon()));
}

TEST_CASE("dynamodb: a forked process is refused, and does no harm to its parent") {
  Database database;
  support::check_forked(*database.dynamodb, database.client, [&] { database.dynamodb = nullptr; });
}

}  // namespace
}  // namespace dynamodb_test

// Any bytes as what a database answers: a value, or a StateError, whatever it says. Where a part reads it that does no
// I/O, that is given the bytes; the rest is asked of a server on this machine that answers with them. As json.cpp.
#include "bytes.hpp"
#include "support/backend_client.hpp"

#include <atom/json_reader.hpp>
#include <atom/state/detail/any_json.hpp>
#include <atom/state/detail/outcomes.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/text_backend.hpp>
#if defined(ATOM_HAS_SQLITE)
#include <atom/backend/sqlite.hpp>

#include <sqlite3.h>
#endif
#if defined(ATOM_HAS_REDIS)
#include <atom/backend/redis.hpp>
#endif
#if defined(ATOM_HAS_POSTGRES)
#include <atom/backend/postgres.hpp>
#endif
#if defined(ATOM_HAS_DYNAMODB)
#include <atom/backend/dynamodb.hpp>
#endif
#if defined(ATOM_HAS_REDIS) || defined(ATOM_HAS_DYNAMODB)
#include "answering.hpp"
#endif

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace fuzz {
namespace {

using atom::BatchMode;
using atom::BatchResult;
using atom::BatchStatus;
using atom::FoundState;
using atom::Outcome;
using atom::Scope;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateResult;
using atom::StoredValue;

/// Runs it; what it throws must be a StateError.
template <class Work>
void attempt(Work work) {
  try {
    work();
  } catch (const StateError& error) {
    require(!error.message().empty(), "an error says nothing");
  }
}
std::size_t size_of(std::span<const Outcome> outcomes) {
  std::size_t size = 0;
  for (const Outcome& outcome : outcomes) size += outcome.value ? outcome.value->text.size() : 0;
  return size;
}
std::int64_t edge(Bytes& bytes) {
  static constexpr std::int64_t edges[] = {0,
                                           1,
                                           2,
                                           3,
                                           7,
                                           -1,
                                           127,
                                           128,
                                           100'000'000,
                                           std::int64_t{1} << 53,
                                           std::numeric_limits<std::int64_t>::max(),
                                           std::numeric_limits<std::int64_t>::min()};
  const std::size_t which = bytes.below(std::size(edges) + 1);
  return which < std::size(edges) ? edges[which] : static_cast<std::int64_t>(bytes.number());
}

// -------------------------------------------------------------------------------------------------------- stored
// values

struct Old {
  std::map<std::string, int> counts;
  bool operator==(const Old&) const = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("counts", &Old::counts)); }
};
struct Item {
  std::string name;
  std::optional<double> price;
  std::variant<std::monostate, bool, std::vector<std::int8_t>> more;
  std::chrono::milliseconds time{};
  bool operator==(const Item&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Item::name), atom::field("price", &Item::price),
                          atom::field("more", &Item::more), atom::field("time", &Item::time));
  }
};
/// Of version 1 it was a map, of version 2 a list.
struct Cart {
  std::vector<Item> items;
  std::set<std::string> names;
  bool operator==(const Cart&) const = default;
  static constexpr int atom_version = 3;
  static std::optional<Cart> atom_migrate(int from, const atom::Value& stored) {
    Cart cart;
    if (from == 1) {
      const auto old = stored.to<Old>();
      if (!old) return std::nullopt;
      for (const auto& [name, count] : old->counts) cart.items.push_back({name, count, {}, {}});
      return cart;
    }
    auto items = stored.to<std::vector<Item>>();
    if (from != 2 || !items) return std::nullopt;
    cart.items = *std::move(items);
    return cart;
  }
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("items", &Cart::items), atom::field("names", &Cart::names));
  }
};

template <class T>
void read_as(std::string_view text, int format) {
  const atom::detail::TypeOps& type = atom::detail::type_ops<T>;
  const auto value = atom::detail::read_stored(type, {std::string(text), format});
  if (!value) {
    require(value.error().code() == StateErrorCode::undecodable, "what does not read is another error");
    require(value.error().message().size() < 5000, "an error says too much");
    return;
  }
  const T& read = *static_cast<const T*>(value->get());
  atom::detail::JsonWriter writer;
  type.write(value->get(), writer);
  const auto again = atom::detail::read_stored(type, {std::string(writer.text()), type.version});
  require(again.has_value(), "what was written is not read back");
  require(*static_cast<const T*>(again->get()) == read, "what was written is read back as something else");
}
bool is_same(simdjson::dom::element a, simdjson::dom::element b) {
  double x = 0, y = 0;
  std::int64_t i = 0, j = 0;
  std::uint64_t u = 0, v = 0;
  std::string_view s, t;
  bool p = false, q = false;
  if (a.get(i) == simdjson::SUCCESS && b.get(j) == simdjson::SUCCESS) return i == j;
  if (a.get(u) == simdjson::SUCCESS && b.get(v) == simdjson::SUCCESS) return u == v;
  if (a.get(x) == simdjson::SUCCESS && b.get(y) == simdjson::SUCCESS) return x == y;
  if (a.get(s) == simdjson::SUCCESS && b.get(t) == simdjson::SUCCESS) return s == t;
  if (a.get(p) == simdjson::SUCCESS && b.get(q) == simdjson::SUCCESS) return p == q;
  if (a.is_null() && b.is_null()) return true;
  simdjson::dom::array array, other;
  if (a.get(array) == simdjson::SUCCESS && b.get(other) == simdjson::SUCCESS) {
    auto from = other.begin();
    for (const simdjson::dom::element one : array) {
      if (!(from != other.end()) || !is_same(one, *from)) return false;
      ++from;
    }
    return !(from != other.end());
  }
  simdjson::dom::object object, other_object;
  if (a.get(object) != simdjson::SUCCESS || b.get(other_object) != simdjson::SUCCESS) return false;
  auto from = other_object.begin();
  for (const auto [key, value] : object) {
    if (!(from != other_object.end()) || from.key() != key || !is_same(value, from.value())) return false;
    ++from;
  }
  return !(from != other_object.end());
}
void any_json(std::string_view text) {
  const auto any = atom::from_json<atom::detail::AnyJson>(text);
  if (!any) return;
  require(any->text.find_first_of("\r\n<>&'") == std::string::npos,
          "it is not safe in a page, or has the end of a line");
  require(any->text.find("\xe2\x80\xa8") == std::string::npos, "it has the end of a line of JavaScript");
  const auto again = atom::from_json<atom::detail::AnyJson>(any->text);
  require(again && again->text == any->text, "the same is written in two ways");
  simdjson::dom::parser one, other;
  const std::string before(text);
  require(is_same(one.parse(before), other.parse(any->text)), "it is something else than it was");
}
void stored(Bytes bytes) {
  const int format = static_cast<int>(bytes.below(5));
  const std::string_view text = bytes.rest();
  read_as<std::int64_t>(text, format);
  read_as<double>(text, format);
  read_as<std::string>(text, format);
  read_as<Item>(text, format);
  read_as<Cart>(text, format);
  read_as<std::map<std::string, std::vector<std::optional<int>>>>(text, format);
  any_json(text);
  std::vector<Outcome> outcomes(static_cast<std::size_t>(format));
  if (atom::detail::unpack_outcomes(text, outcomes)) {
    require(size_of(outcomes) <= text.size(), "values come from nowhere");
    std::vector<Outcome> again(outcomes.size());
    require(atom::detail::unpack_outcomes(atom::detail::pack_outcomes(outcomes), again), "outcomes are not read back");
  }
}

// ------------------------------------------------------------------------------------------------ what a backend is
// asked

struct Sink final : atom::FeedSink {
  void changed(const Scope& scope, std::string_view key, std::int64_t, std::optional<StoredValue> value) override {
    size += scope.text().size() + key.size() + (value ? value->text.size() : 0);
  }
  void lost_track() override {}
  std::size_t size = 0;
};
const Scope& shop() {
  static const Scope scope{"shop"};
  return scope;
}
support::Batch some_commands(std::size_t which) {
  support::Batch batch;
  if (which & 1) batch.write(shop(), "a", "\"text\"", {.labels = {"label"}});
  if (which & 2) batch.apply(shop(), "n", {}, atom::current + 1);
  if (which & 4) batch.erase(shop(), "e");
  if (which & 8) batch.check(Scope{"other"}, "c", {.expected = 3});
  return batch;
}
/// Whatever a StateStore asks a backend.
void ask(atom::Backend& backend, support::Client& client, Bytes& bytes, atom::Deadline deadline) {
  const std::size_t which = bytes.below(7);
  const auto look = [&](const StoredValue& value) {
    static_cast<void>(backend.read_value(atom::detail::type_ops<std::int64_t>, value));
    static_cast<void>(backend.read_value(atom::detail::type_ops<Cart>, value));
  };
  const auto look_at = [&](const StateResult<std::vector<FoundState>>& found) {
    if (!found) return require(!found.error().message().empty(), "an error says nothing");
    for (const FoundState& state : *found) look(state.value);
  };
  switch (which) {
    case 0:
    case 1: {
      const std::size_t commands = 1 + bytes.below(15);
      const BatchMode mode = bytes.flag() ? BatchMode::all_or_nothing : BatchMode::independent;
      ++client.lane.sequence;
      client.lane.after_loss = bytes.flag();
      const BatchResult result = client.send(some_commands(commands), mode, deadline);
      require((result.status == BatchStatus::done) == !result.error, "a batch is done, and is not");
      for (const Outcome& outcome : client.outcomes) {
        if (outcome.value) look(*outcome.value);
      }
      return;
    }
    case 2: {
      const atom::StateName names[] = {{shop(), "a"}, {shop(), "n", bytes.flag() ? 1000 : 0}, {Scope::global(), "g"}};
      std::vector<Outcome> outcomes(std::size(names));
      if (backend.read(names, outcomes, deadline)) return;
      for (const Outcome& outcome : outcomes) {
        if (outcome.value) look(*outcome.value);
      }
      return;
    }
    case 3:
      return look_at(backend.list(
          {.scope = bytes.flag() ? &shop() : nullptr, .below = bytes.flag(), .limit = 1 + bytes.below(20)}, deadline));
    case 4: {
      const std::size_t limit = 1 + bytes.below(20);
      const auto found = backend.scopes(bytes.flag() ? "s" : "", limit, deadline);
      return require(found || !found.error().message().empty(), "an error says nothing");
    }
    case 5:
      return look_at(backend.erase_scope(shop(), deadline));
    default: {
      const std::string labels[] = {"label", "\xff"};
      return look_at(backend.purge(labels, deadline));
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------
// SQLite

#if defined(ATOM_HAS_SQLITE)
class File {
 public:
  static File& instance() {
    static File file;
    return file;
  }
  /// Rows that no program of ours writes, and then what one asks.
  void run(Bytes bytes) {
    exec(
        "begin; delete from atom_state; delete from atom_lane; delete from atom_label; update atom_gone set version = "
        "0");
    static const std::string scopes[] = {"shop", "shop.cart", "other", "$client.1", "global"};
    static const std::string keys[] = {"a", "n", "e", "c"};
    for (std::size_t i = bytes.below(4); i > 0; --i) {
      const bool is_strange = bytes.below(8) == 0;
      const std::string scope = is_strange ? std::string(bytes.text()) : scopes[bytes.below(std::size(scopes))];
      const std::string key = is_strange ? std::string(bytes.text()) : keys[bytes.below(std::size(keys))];
      const std::int64_t version = edge(bytes), format = edge(bytes);
      const bool ends = bytes.flag();
      const std::int64_t expires = ends ? edge(bytes) : 0;
      insert("insert or replace into atom_state(scope, key, version, expires_at, format, value) values(?,?,?,?,?,?)",
             {scope, key, version, ends ? Field(expires) : Field(), format, std::string(bytes.text())});
      if (bytes.flag()) insert("insert or replace into atom_label values(?,?,?)", {scope, key, "label"});
    }
    client_.lane.sequence = static_cast<std::uint64_t>(edge(bytes)) & ~(std::uint64_t{1} << 63);
    if (bytes.flag()) {
      const std::string_view session(reinterpret_cast<const char*>(client_.lane.session.data()), 16);
      insert("insert into atom_lane values(?,?,?,?,?)",
             {Blob{std::string(session)}, std::int64_t{0}, edge(bytes), edge(bytes), Blob{std::string(bytes.text())}});
    }
    if (bytes.flag()) insert("update atom_gone set version = ?", {edge(bytes)});
    exec("commit");
    for (int i = 0; i < 2; ++i) ask(*sqlite_, client_, bytes, support::in(std::chrono::seconds(5)));
  }

 private:
  struct Blob {
    std::string bytes;
  };
  using Field = std::variant<std::monostate, std::int64_t, std::string, Blob>;

  File() {
    if (sqlite_->prepare(true, support::soon())) std::abort();
    if (sqlite3_open((folder_ / "app.db").c_str(), &raw_) != SQLITE_OK) std::abort();
    exec("pragma synchronous = off");
  }
  ~File() { sqlite3_close(raw_); }
  void exec(const char* sql) { require(sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, "SQL"); }
  void insert(const char* sql, const std::vector<Field>& fields) {
    sqlite3_stmt* statement = nullptr;
    require(sqlite3_prepare_v2(raw_, sql, -1, &statement, nullptr) == SQLITE_OK, "SQL");
    for (int i = 0; i < static_cast<int>(fields.size()); ++i) {
      const Field& field = fields[static_cast<std::size_t>(i)];
      if (const auto* const number = std::get_if<std::int64_t>(&field)) sqlite3_bind_int64(statement, i + 1, *number);
      if (const auto* const text = std::get_if<std::string>(&field)) {
        sqlite3_bind_text(statement, i + 1, text->data(), static_cast<int>(text->size()), SQLITE_STATIC);
      }
      if (const auto* const blob = std::get_if<Blob>(&field)) {
        sqlite3_bind_blob(statement, i + 1, blob->bytes.data(), static_cast<int>(blob->bytes.size()), SQLITE_STATIC);
      }
    }
    sqlite3_step(statement);
    sqlite3_finalize(statement);
  }

  support::TemporaryFolder folder_;
  std::unique_ptr<atom::Sqlite> sqlite_ = std::make_unique<atom::Sqlite>(
      atom::SqliteOptions{.path = folder_ / "app.db", .synchronous = atom::Synchronous::normal, .readers = 1});
  support::Client client_{*sqlite_};
  sqlite3* raw_ = nullptr;
};
#endif

// ----------------------------------------------------------------------------------------------------------------
// Redis

#if defined(ATOM_HAS_REDIS)
std::string bulk(std::string_view text) {
  return '$' + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
/// An answer of some form.
std::string redis_answer(Bytes& bytes, int depth = 0) {
  static const std::string words[] = {"done",   "hard",      "gap", "older",     "other",         "broken",
                                      "",       "1",         "-1",  "1 0 0 0 5", "1 0 3 0 \"a\"", "shop",
                                      "shop a", "$client.1", "1-1", "shop.x k"};
  switch (bytes.below(depth < 5 ? 12 : 8)) {
    case 0:
      return "$-1\r\n";
    case 1:
      return ':' + std::to_string(edge(bytes)) + "\r\n";
    case 2:
    case 3:
      return bulk(bytes.text());
    case 4:
    case 5:
    case 6:
      return bulk(words[bytes.below(std::size(words))]);
    case 7: {
      static const std::string errors[] = {"NOSCRIPT no", "LOADING", "READONLY", "ERR x", "@user_script: 1: -OOM"};
      return '-' + errors[bytes.below(std::size(errors))] + "\r\n";
    }
    default: {
      const std::size_t count = bytes.below(6);
      std::string all = '*' + std::to_string(count) + "\r\n";
      for (std::size_t i = 0; i < count; ++i) all += redis_answer(bytes, depth + 1);
      return all;
    }
  }
}
/// Of a request, as RESP has it: *N and N times $SIZE and the word.
std::size_t size_of_redis_request(std::string_view bytes) {
  std::size_t at = 0;
  const auto number = [&](char sign) -> std::optional<std::size_t> {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == bytes.npos || bytes[at] != sign) return std::nullopt;
    std::size_t value = 0;
    std::from_chars(bytes.data() + at + 1, bytes.data() + end, value);
    at = end + 2;
    return value;
  };
  const std::optional<std::size_t> words = number('*');
  for (std::size_t i = 0; words && i < *words; ++i) {
    const std::optional<std::size_t> size = number('$');
    if (!size || at + *size + 2 > bytes.size()) return 0;
    at += *size + 2;
  }
  return words ? at : 0;
}
std::optional<std::string> good_redis_answer(std::string_view request) {
  if (request.find("INFO") != request.npos) return bulk("# Server\r\nredis_version:7.0.0\r\nmaxmemory:0\r\n");
  if (request.find("HGET") != request.npos) return bulk(atom::detail::redis_layout);
  if (request.find("SCRIPT") != request.npos) return bulk("0123456789012345678901234567890123456789");
  return std::nullopt;
}
class FakeRedis {
 public:
  static FakeRedis& instance() {
    static FakeRedis fake;
    return fake;
  }
  void run(Bytes bytes) {
    std::vector<std::string> answers;
    Bytes question(bytes);
    static_cast<void>(bytes.take(8));
    for (std::size_t i = bytes.below(5); i > 0; --i) answers.push_back(redis_answer(bytes));
    if (bytes.flag()) answers.emplace_back(bytes.rest());
    server_.set([answers, at = std::make_shared<std::size_t>(0)](std::string_view) -> std::optional<std::string> {
      if (*at >= answers.size()) return std::nullopt;
      // What is cut off is followed by the end.
      return answers[(*at)++];
    });
    const atom::Deadline deadline = support::in(std::chrono::milliseconds(50));
    if (question.below(8) != 0) return ask(*redis_, client_, question, deadline);
    Sink sink;
    const auto feed = redis_->open_feed();
    std::thread waker([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      feed->wake();  // else it waits for long to be connected
    });
    static_cast<void>(feed->poll(sink, support::in(std::chrono::milliseconds(5))));
    waker.join();
  }

 private:
  FakeRedis() {
    if (redis_->prepare(true, support::soon())) std::abort();
  }

  Answering server_{&size_of_redis_request, &good_redis_answer};
  std::unique_ptr<atom::Redis> redis_ = std::make_unique<atom::Redis>("redis://127.0.0.1:" + server_.port());
  support::Client client_{*redis_};
};

/// Whether all that is said to come is there: hiredis makes room for as many elements as a server says.
bool is_modest(std::string_view bytes) {
  for (std::size_t at = bytes.find('*'); at != bytes.npos; at = bytes.find('*', at + 1)) {
    std::size_t count = 0;
    const char* const first = bytes.data() + at + 1;
    const auto [end, error] = std::from_chars(first, bytes.data() + bytes.size(), count);
    if (end != first && (error != std::errc() || count > 1000)) return false;
  }
  return true;
}
void look_through(const atom::detail::RedisValue& value, std::size_t& size) {
  attempt([&] { size += value.text().size(); });
  attempt([&] { static_cast<void>(value.integer()); });
  attempt([&] { static_cast<void>(atom::detail::redis_scope(value.text())); });
  attempt([&] { static_cast<void>(atom::detail::RedisState::parse(value.text())); });
  attempt([&] { static_cast<void>(atom::detail::redis_error({}, value.text())); });
  attempt([&] {
    std::vector<Outcome> outcomes(2);
    atom::detail::take_redis_outcomes(value.text(), outcomes);
    require(size_of(outcomes) <= value.text().size(), "values come from nowhere");
  });
  attempt([&] { static_cast<void>(value[value.size()]); });
  attempt([&] { static_cast<void>(atom::detail::redis_stored(value[0], value[1])); });
  attempt([&] {
    for (std::size_t i = 0; i < value.size(); ++i) look_through(value[i], size);
  });
}
void redis_bytes(Bytes bytes) {
  const std::string_view text = bytes.rest();
  attempt([&] { static_cast<void>(atom::detail::RedisState::parse(text)); });
  attempt([&] {
    std::vector<Outcome> outcomes(2);
    atom::detail::take_redis_outcomes(text, outcomes);
    require(size_of(outcomes) <= text.size(), "values come from nowhere");
  });
  if (!is_modest(text)) return;
  struct Free {
    void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
  };
  const std::unique_ptr<redisReader, Free> reader(redisReaderCreate());
  redisReaderFeed(reader.get(), text.data(), text.size());
  for (void* reply = nullptr; redisReaderGetReply(reader.get(), &reply) == REDIS_OK && reply; reply = nullptr) {
    const atom::detail::RedisReply owned(static_cast<redisReply*>(reply));
    std::size_t size = 0;
    look_through(owned, size);
    require(size <= text.size(), "texts come from nowhere");
  }
}
#endif

// -----------------------------------------------------------------------------------------------------------
// PostgreSQL

#if defined(ATOM_HAS_POSTGRES)
void postgres(Bytes bytes) {
  {
    Sink sink;
    Bytes copy(bytes);
    const std::string notice = (copy.flag() ? "7 origin " : "") + std::string(copy.rest());
    atom::detail::read_postgres_notice(notice, "7", "own", sink);
    require(sink.size <= notice.size(), "names come from nowhere");
    static_cast<void>(atom::detail::postgres_outcome(notice));
    for (const char* const url : {"", "postgresql://a:b@c/d"}) {
      const std::string reason = atom::detail::postgres_reason(notice, url);
      require(reason.size() <= notice.size() + 3, "a reason is longer than what it is of");
      require(!*url || reason.find('"') == reason.npos, "a reason has what is quoted");
    }
    static_cast<void>(atom::detail::postgres_error(std::string_view(notice).substr(0, 5), notice, atom::Effect::none));
  }
  PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
  std::string name = "a";
  const auto columns = static_cast<int>(bytes.below(7));
  std::vector<PGresAttDesc> attributes(static_cast<std::size_t>(columns),
                                       PGresAttDesc{name.data(), 0, 0, 1, 20, 8, -1});
  PQsetResultAttrs(result, columns, attributes.data());
  const auto rows = static_cast<int>(bytes.below(6));
  std::size_t size = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      std::string field;
      switch (bytes.below(5)) {
        case 0:
          PQsetvalue(result, row, column, nullptr, -1);
          continue;
        case 1:
        case 2: {
          atom::detail::PostgresBytes integer;
          integer.integer(static_cast<std::uint64_t>(edge(bytes)), 8);
          field = integer.all();
          break;
        }
        case 3:
          field = bytes.flag() ? "shop" : "0 7 0 text";
          break;
        default:
          field = bytes.text();
      }
      size += field.size();
      PQsetvalue(result, row, column, field.data(), static_cast<int>(field.size()));
    }
  }
  const atom::detail::PostgresRows all(result);
  if (columns < 5) return;  // of a column that there is not, libpq says on its standard error that there is none
  attempt([&] {
    std::vector<FoundState> found;
    atom::detail::add_postgres_states(found, all);
    require(found.size() <= static_cast<std::size_t>(all.size()), "states come from nowhere");
    for (const FoundState& state : found) {
      require(state.key.size() + state.value.text.size() <= size, "values come from nowhere");
    }
  });
  for (int row = 0; row < all.size(); ++row) {
    attempt([&] { require(atom::detail::postgres_place(all, row, 0, 3, atom::Effect::none) < 3, "a place is none"); });
  }
  const support::Batch batch = some_commands(1 + bytes.below(15));
  std::vector<std::size_t> order(batch.commands().size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
  std::vector<Outcome> outcomes(order.size());
  attempt([&] {
    const BatchResult taken = atom::detail::take_postgres_outcomes(
        all, static_cast<std::uint64_t>(edge(bytes)), batch.commands(), order, outcomes,
        [&](const atom::Command&, std::int64_t, const StoredValue* value) {
          require(!value || value->text.size() <= size + 6, "values come from nowhere");
        });
    require((taken.status == BatchStatus::done) == !taken.error, "a batch is done, and is not");
  });
}
#endif

// -------------------------------------------------------------------------------------------------------------
// DynamoDB

#if defined(ATOM_HAS_DYNAMODB)
void dynamodb_bytes(Bytes bytes) {
  const std::string text(bytes.rest());
  static_cast<void>(atom::detail::DynamoDbSequence::of(text));
  require(!atom::detail::is_dynamodb_number(text) || text.size() <= 20, "a long text is a number");
  attempt([&] {
    const atom::detail::DynamoDbJson json(text);
    if (!json) throw atom::detail::strange_dynamodb_answer();
    const auto read = [&](simdjson::dom::element item) {
      static_cast<void>(atom::detail::dynamodb_text(item, "k"));
      attempt([&] {
        const atom::detail::DynamoDbItem found = atom::detail::dynamodb_item(item, "LANE", 1, 1'700'000'000'000'000);
        require(found.version != 0 || !found.value || found.value->text.empty(), "what is not ours is read");
        require(!found.value || found.value->text.size() <= text.size(), "a value comes from nowhere");
      });
    };
    read(json.root());
    attempt([&] { atom::detail::DynamoDbClient::read_query({.answer = text}, read); });
  });
}
/// One attribute as DynamoDB has it.
std::string attribute(Bytes& bytes) {
  static const std::string some[] = {R"({"N":"1"})",
                                     R"({"N":"9223372036854775807"})",
                                     R"({"S":"shop"})",
                                     R"({"S":"a"})",
                                     R"({"S":"shop a"})",
                                     R"({"N":"-1"})",
                                     R"({"N":"1.1700000000"})",
                                     R"({"S":"1 2"})",
                                     R"({"SS":["l:label"]})",
                                     R"({"N":"x"})",
                                     R"({"S":7})",
                                     R"({})"};
  const std::size_t which = bytes.below(std::size(some) + 3);
  if (which < std::size(some)) return some[which];
  const std::string text = atom::to_json(std::string(bytes.text()));
  if (which > std::size(some)) return "{\"N\":\"" + std::to_string(edge(bytes)) + "\"}";
  return "{\"S\":" + text + '}';
}
std::string dynamodb_item_text(Bytes& bytes, const std::string& lane) {
  static const std::string names[] = {"v", "n", "n", "x", "f", "t", "b", "e", "s:", "m:", "o:", "c:"};
  std::map<std::string, std::string> all{{"p", R"({"S":"s:shop"})"}, {"k", R"({"S":"a"})"}};
  if (bytes.below(4) != 0) all["n"] = R"({"N":"5"})";
  if (bytes.below(4) != 0) all["v"] = R"({"N":"5"})";
  for (std::size_t i = bytes.below(8); i > 0; --i) {
    std::string name = names[bytes.below(std::size(names))];
    if (name.size() > 1) name += bytes.flag() ? lane : "other" + std::to_string(bytes.below(8));
    all[name] = attribute(bytes);
  }
  if (bytes.flag()) all["p"] = attribute(bytes);
  if (bytes.flag()) all["k"] = attribute(bytes);
  std::string text;
  for (const auto& [name, value] : all) text += (text.empty() ? "{\"" : ",\"") + name + "\":" + value;
  return text + '}';
}
std::string dynamodb_answer(Bytes& bytes, const std::string& lane) {
  static const std::string types[] = {"ConditionalCheckFailedException", "TransactionCanceledException",
                                      "ResourceNotFoundException",       "ValidationException",
                                      "ExpiredTokenException",           "x"};
  std::string items;
  for (std::size_t i = bytes.below(4); i > 0; --i)
    items += (items.empty() ? "" : ",") + dynamodb_item_text(bytes, lane);
  const std::string one = dynamodb_item_text(bytes, lane);
  std::string body = "{\"Items\":[" + items + "],\"Responses\":{\"states\":[" + items + "]},\"Item\":" + one +
                     ",\"Attributes\":" + one + ",\"ScannedCount\":" + std::to_string(bytes.below(3)) +
                     ",\"Table\":{\"TableId\":\"" + std::to_string(bytes.below(8) == 0) + "\"}";
  if (bytes.below(8) == 0) body += ",\"LastEvaluatedKey\":" + one;
  if (bytes.below(8) == 0) body += ",\"UnprocessedKeys\":{\"states\":{\"Keys\":[" + one + "]}}";
  if (bytes.below(4) == 0)
    body += ",\"CancellationReasons\":[{\"Code\":\"None\"},{\"Code\":\"ConditionalCheckFailed\"}]";
  const bool is_error = bytes.below(4) == 0;
  if (is_error) body += ",\"__type\":\"com.amazon#" + types[bytes.below(std::size(types))] + '"';
  body += '}';
  if (bytes.below(16) == 0) body = bytes.text();
  return std::string("HTTP/1.1 ") + (is_error ? "400" : "200") +
         " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::size_t size_of_http_request(std::string_view bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  constexpr std::string_view name = "Content-Length: ";
  const std::size_t at = bytes.find(name);
  if (head == bytes.npos || at > head) return 0;
  std::size_t size = 0;
  std::from_chars(bytes.data() + at + name.size(), bytes.data() + head, size);
  return head + 4 + size <= bytes.size() ? head + 4 + size : 0;
}
class FakeDynamoDb {
 public:
  static FakeDynamoDb& instance() {
    static FakeDynamoDb fake;
    return fake;
  }
  void run(Bytes bytes) {
    const std::string lane = atom::detail::dynamodb_lane(client_lane_);
    std::vector<std::string> answers;
    Bytes question(bytes);
    static_cast<void>(bytes.take(8));
    for (std::size_t i = 1 + bytes.below(8); i > 0; --i) answers.push_back(dynamodb_answer(bytes, lane));
    server_.set([answers, at = std::make_shared<std::size_t>(0)](std::string_view) -> std::optional<std::string> {
      if (*at >= answers.size()) return std::nullopt;
      return answers[(*at)++];
    });
    atom::detail::DynamoDbLanes lanes;
    client_lane_.sequence = 0;
    for (int i = 0; i < 2; ++i) {
      attempt([&] { ask_client(lanes, question, support::in(std::chrono::milliseconds(50))); });
    }
  }

 private:
  void ask_client(atom::detail::DynamoDbLanes& lanes, Bytes& bytes, atom::Deadline deadline) {
    std::vector<FoundState> found;
    switch (bytes.below(6)) {
      case 0:
      case 1:
      case 2: {
        const support::Batch batch = some_commands(1 + bytes.below(15));
        std::vector<Outcome> outcomes(batch.commands().size());
        client_lane_.sequence = std::max<std::uint64_t>(client_lane_.sequence + bytes.below(3), 1);
        client_lane_.after_loss = bytes.flag();
        const BatchMode mode = bytes.flag() ? BatchMode::all_or_nothing : BatchMode::independent;
        atom::detail::DynamoDbBatch attempt(client_, lanes, client_lane_, mode, batch.commands(), outcomes,
                                            [](const atom::Command&, const StoredValue& start) {
                                              return std::pair(std::optional<StateErrorCode>(), std::optional(start));
                                            });
        const BatchResult result = attempt.run(deadline);
        require((result.status == BatchStatus::done) == !result.error, "a batch is done, and is not");
        return;
      }
      case 3:
        return atom::detail::list_dynamodb_states(client_, "", atom::detail::beyond_all_texts(), {.limit = 5}, found,
                                                  deadline);
      case 4: {
        std::vector<Scope> scopes;
        return atom::detail::list_dynamodb_scopes(client_, "", 5, scopes, deadline);
      }
      default:
        return atom::detail::purge_dynamodb_label(client_, "label", found, deadline);
    }
  }

  Answering server_{&size_of_http_request, [](std::string_view) { return std::nullopt; }};
  atom::detail::DynamoDbClient client_{atom::detail::dynamodb_target("r", "http://127.0.0.1:" + server_.port()),
                                       "states", [] { return atom::DynamoDbCredentials{"key", "secret", ""}; }, 1};
  atom::Lane client_lane_;
};
#endif

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  switch (bytes.below(8)) {
#if defined(ATOM_HAS_SQLITE)
    case 1:
      fuzz::File::instance().run(bytes);
      return 0;
#endif
#if defined(ATOM_HAS_REDIS)
    case 2:
      fuzz::FakeRedis::instance().run(bytes);
      return 0;
    case 3:
      fuzz::redis_bytes(bytes);
      return 0;
#endif
#if defined(ATOM_HAS_POSTGRES)
    case 4:
      fuzz::postgres(bytes);
      return 0;
#endif
#if defined(ATOM_HAS_DYNAMODB)
    case 5:
      fuzz::FakeDynamoDb::instance().run(bytes);
      return 0;
    case 6:
      fuzz::dynamodb_bytes(bytes);
      return 0;
#endif
    default:
      fuzz::stored(bytes);
      return 0;
  }
}

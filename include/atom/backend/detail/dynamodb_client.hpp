// A table of DynamoDB: requests that are sent until there is an answer, what lies in the table, and how it is made.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/backend/detail/pool.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class DynamoDbClient {
 public:
  using Clock = std::chrono::steady_clock;
  using Provider = std::function<DynamoDbCredentials()>;

  DynamoDbClient(DynamoDbTarget target, std::string table, Provider credentials, std::size_t connections)
      : target_(std::move(target)), table_(std::move(table)), credentials_(std::move(credentials)) {
    if (!credentials_) {
      own_ = {dynamodb_setting("AWS_ACCESS_KEY_ID"), dynamodb_setting("AWS_SECRET_ACCESS_KEY"),
              dynamodb_setting("AWS_SESSION_TOKEN")};
    }
    for (std::size_t i = 0; i < connections; ++i) {
      pool_.add(std::make_unique<DynamoDbConnection>(target_, most_at_once));
    }
  }

  const std::string& table() const noexcept { return table_; }
  StateError failure(const std::string& why) const {
    return {StateErrorCode::refused, "DynamoDB, " + target_.endpoint + ", table " + table_ + ": " + why};
  }

  /// Sends them until each has an answer; what the server refuses for a while is sent again, after growing times with
  /// some chance in them, until the deadline. What comes of each is in it.
  void send(std::span<DynamoDbCall* const> calls, Deadline deadline) {
    const auto lease = lend(pool_, true, "DynamoDB", deadline);
    int expired = 0;
    for (int attempt = 1;; ++attempt) {
      lease->run(calls, credentials(), deadline);
      bool is_again = false, is_throttled = false;
      for (const DynamoDbCall* call : calls) {
        if (call->status != DynamoDbCall::Status::failed) continue;
        is_throttled = is_throttled || call->is_throttled;
        is_again = is_again || call->is_throttled || call->is_expired;
        if (call->is_expired) ++expired;
      }
      constexpr int most_expired = 3;
      if (!is_again || (!is_throttled && expired >= most_expired)) return;
      const Deadline next = Clock::now() + pause_after(attempt);
      if (next >= deadline) return;
      std::this_thread::sleep_until(next);
      for (DynamoDbCall* call : calls) {
        const bool has_failed = call->status == DynamoDbCall::Status::failed;
        if (has_failed && (call->is_throttled || call->is_expired)) call->status = DynamoDbCall::Status::waits;
      }
    }
  }
  void send(std::vector<DynamoDbCall>& calls, Deadline deadline) {
    std::vector<DynamoDbCall*> all;
    for (DynamoDbCall& call : calls) all.push_back(&call);
    send(all, deadline);
  }
  /// The same with what may be done twice. Throws what has failed; without effect, that is.
  void ask(std::vector<DynamoDbCall>& calls, Deadline deadline) {
    send(calls, deadline);
    for (const DynamoDbCall& call : calls) {
      if (call.error) throw StateError(call.error->code(), reason(*call.error), Effect::none, call.error->retryable());
    }
  }
  /// One, of which only an answer is good.
  std::string ask(std::string_view operation, std::string_view body, Deadline deadline) {
    std::vector<DynamoDbCall> calls(1);
    calls[0].operation = operation;
    calls[0].body = body;
    ask(calls, deadline);
    return std::move(calls[0].answer);
  }

  /// Reads items, of other keys each, a hundred at most, as they are now: `use` gets the attributes of each that is
  /// there.
  template <class Use>
  void get(std::span<const std::pair<std::string, std::string>> keys, std::string_view attributes, Deadline deadline,
           Use use) {
    std::vector<std::pair<std::string, std::string>> wanted(keys.begin(), keys.end());
    for (int attempt = 1; !wanted.empty(); ++attempt) {
      JsonWriter body;
      body.begin_object();
      body.key("RequestItems");
      body.begin_object();
      body.key(table_);
      body.begin_object();
      body.key("ConsistentRead");
      body.boolean(true);
      if (!attributes.empty()) {
        body.key("ProjectionExpression");
        body.text(attributes);
      }
      body.key("Keys");
      body.begin_array();
      for (const auto& [partition, key] : wanted) DynamoDbRequest::write_key(body, partition, key);
      body.end_array();
      body.end_object();
      body.end_object();
      body.end_object();
      const std::string answer = ask("BatchGetItem", body.text(), deadline);
      const DynamoDbJson json(answer);
      const auto responses = json ? member_of(json.root(), "Responses") : std::nullopt;
      if (!responses) throw strange_dynamodb_answer();
      if (const auto items = member_of(*responses, table_)) {
        simdjson::dom::array all;
        if (items->get(all) != simdjson::SUCCESS) throw strange_dynamodb_answer();
        for (const simdjson::dom::element item : all) use(item);
      }
      wanted.clear();
      const auto unprocessed = member_of(json.root(), "UnprocessedKeys");
      const auto rest = unprocessed ? member_of(*unprocessed, table_) : std::nullopt;
      const auto left = rest ? member_of(*rest, "Keys") : std::nullopt;
      simdjson::dom::array all;
      if (!left || left->get(all) != simdjson::SUCCESS) return;
      for (const simdjson::dom::element key : all) {
        wanted.emplace_back(dynamodb_text(key, "p"), dynamodb_text(key, "k"));
      }
      // Those beyond 16 MB are left as well, so there is no need to wait at first.
      const Deadline next = Clock::now() + (attempt == 1 ? Clock::duration(0) : pause_after(attempt));
      if (!wanted.empty() && next >= deadline) {
        throw StateError(StateErrorCode::unavailable, "DynamoDB: it takes no more at present", Effect::none, true);
      }
      std::this_thread::sleep_until(next);
    }
  }

  // ---- What there may be

  /// Names that lists begin with: written before the states that they lead to, and again after a while. Those that lead
  /// to nothing are removed only long after they were written last.
  void note(std::vector<std::pair<std::string, std::string>> names, Deadline deadline) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    const std::int64_t now = dynamodb_now() / 1'000'000;
    {
      const std::lock_guard lock(mutex_);
      if (noted_.size() > most_noted) {
        std::erase_if(noted_, [&](const auto& known) { return known.second + noted_for <= now; });
        if (noted_.size() > most_noted) noted_.clear();
      }
      std::erase_if(names, [&](const auto& name) {
        const auto known = noted_.find(name);
        return known != noted_.end() && known->second <= now && now < known->second + noted_for;
      });
    }
    if (names.empty()) return;
    std::vector<DynamoDbCall> calls;
    for (const auto& [partition, key] : names) {
      DynamoDbRequest request(table_, partition, key);
      request.set("t = :t").number(":t", now);
      calls.push_back({.operation = "UpdateItem", .body = request.body("")});
    }
    ask(calls, deadline);
    const std::lock_guard lock(mutex_);
    for (auto& name : names) noted_[std::move(name)] = now;
  }
  /// Names that nobody has written since then, in seconds, may be removed.
  static std::int64_t forgotten() noexcept { return dynamodb_now() / 1'000'000 - 6 * noted_for; }
  /// Removes such a name, if it may be.
  DynamoDbCall forgetting(std::string_view partition, std::string_view key) const {
    DynamoDbRequest request(table_, partition, key);
    request.require("t < :t").number(":t", forgotten());
    return {.operation = "DeleteItem", .body = request.body("")};
  }

  /// Of a partition, in the order of their keys: those that are greater than `after`, up to `last`, which is empty for
  /// all. `limit` is of those that are looked at.
  DynamoDbCall query(std::string_view partition, std::string_view after, std::string_view last, bool is_of_states,
                     std::size_t limit) const {
    JsonWriter body;
    body.begin_object();
    body.key("TableName");
    body.text(table_);
    body.key("ConsistentRead");
    body.boolean(true);
    body.key("Limit");
    body.unsigned_integer(std::clamp<std::size_t>(limit, 1, 1000));
    // Two conditions of one key are one: what is equal to the first is left out by who reads.
    const std::string from = after_key(after);
    const bool has_from = !from.empty(), has_last = !last.empty();
    body.key("KeyConditionExpression");
    body.text(has_from && has_last ? "p = :p AND k BETWEEN :from AND :last"
              : has_from           ? "p = :p AND k > :from"
              : has_last           ? "p = :p AND k <= :last"
                                   : "p = :p");
    if (is_of_states) {
      body.key("FilterExpression");
      body.text("attribute_exists(v) AND (attribute_not_exists(x) OR x > :now)");
      body.key("ProjectionExpression");
      body.text("k, v, f, n, x");
    }
    body.key("ExpressionAttributeValues");
    body.begin_object();
    const auto add = [&](std::string_view name, std::string_view text) {
      body.key(name);
      DynamoDbRequest::write_text(body, text);
    };
    add(":p", partition);
    if (has_from) add(":from", from);
    if (has_last) add(":last", last);
    if (is_of_states) {
      body.key(":now");
      body.begin_object();
      body.key("N");
      body.text(std::to_string(dynamodb_now() / 1000));
      body.end_object();
    }
    body.end_object();
    body.end_object();
    return {.operation = "Query", .body = std::string(body.text())};
  }
  /// A part of what was asked for; `use` gets the attributes of each. Where to go on, or nothing.
  template <class Use>
  static std::optional<std::string> read_query(const DynamoDbCall& call, Use use) {
    const DynamoDbJson json(call.answer);
    const auto items = json ? member_of(json.root(), "Items") : std::nullopt;
    simdjson::dom::array all;
    if (!items || items->get(all) != simdjson::SUCCESS) throw strange_dynamodb_answer();
    for (const simdjson::dom::element item : all) use(item);
    const auto last = member_of(json.root(), "LastEvaluatedKey");
    if (!last) return std::nullopt;
    return std::string(dynamodb_text(*last, "k"));
  }

  static std::chrono::microseconds pause_after(int attempt) {
    constexpr std::int64_t first = 25'000, longest = 1'000'000;
    const std::int64_t most = std::min(first << std::min(attempt - 1, 6), longest);
    thread_local std::minstd_rand random{std::random_device()()};
    return std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(most / 4, most)(random));
  }

  static constexpr std::size_t most_at_once = 16;

 private:
  /// A key of 1 KB at most, that is greater than just those that are not greater than `bytes`.
  static std::string after_key(std::string_view bytes) {
    constexpr std::size_t longest = 1024, longest_of_ours = longest_scope + 1 + longest_key;
    std::size_t size = std::min(bytes.size(), longest_of_ours);
    std::string text = last_text_before(bytes.substr(0, size));
    while (text.size() > longest) text.resize(text.size() - 4);
    return text;
  }
  DynamoDbCredentials credentials() const {
    DynamoDbCredentials found;
    try {
      found = credentials_ ? credentials_() : own_;
    } catch (...) {  // what it says may be a secret
      throw StateError(StateErrorCode::unavailable, "DynamoDB: DynamoDbOptions::credentials has thrown", Effect::none,
                       true);
    }
    if (!found.key_id.empty() && !found.secret.empty()) {
      const auto is_plain = [](const std::string& text) {
        return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != '\x7f'; });
      };
      if (is_plain(found.key_id) && is_plain(found.secret) && is_plain(found.session_token)) return found;
      throw dynamodb_refusal("the credentials have a space or a control byte in them");
    }
    throw dynamodb_refusal(
        "there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or "
        "DynamoDbOptions::credentials");
  }

  // In seconds; see `note`.
  static constexpr std::int64_t noted_for = 600;
  static constexpr std::size_t most_noted = 100'000;

  const DynamoDbTarget target_;
  const std::string table_;
  const Provider credentials_;
  DynamoDbCredentials own_;
  Pool<DynamoDbConnection> pool_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::int64_t> noted_;
};

// ------------------------------------------------------------------------------------------------------------ the
// table

/// What DescribeTable says: nothing if there is no table.
inline std::optional<std::string> describe_dynamodb_table(DynamoDbClient& client, Deadline deadline) {
  JsonWriter body;
  body.begin_object();
  body.key("TableName");
  body.text(client.table());
  body.end_object();
  std::vector<DynamoDbCall> calls(1);
  calls[0].operation = "DescribeTable";
  calls[0].body = body.text();
  client.send(calls, deadline);
  if (calls[0].type == "ResourceNotFoundException") return std::nullopt;
  if (calls[0].error) throw StateError(*calls[0].error);
  return std::move(calls[0].answer);
}
inline void create_dynamodb_table(DynamoDbClient& client, Deadline deadline) {
  JsonWriter body;
  body.begin_object();
  body.key("TableName");
  body.text(client.table());
  body.key("BillingMode");
  body.text("PAY_PER_REQUEST");
  body.key("AttributeDefinitions");
  body.begin_array();
  for (const char* const name : {"p", "k"}) {
    body.begin_object();
    body.key("AttributeName");
    body.text(name);
    body.key("AttributeType");
    body.text("S");
    body.end_object();
  }
  body.end_array();
  body.key("KeySchema");
  body.begin_array();
  for (const auto& [name, type] : {std::pair("p", "HASH"), std::pair("k", "RANGE")}) {
    body.begin_object();
    body.key("AttributeName");
    body.text(name);
    body.key("KeyType");
    body.text(type);
    body.end_object();
  }
  body.end_array();
  body.end_object();
  std::vector<DynamoDbCall> calls(1);
  calls[0].operation = "CreateTable";
  calls[0].body = body.text();
  client.send(calls, deadline);
  // Somebody else may make it just now; then it is waited for.
  if (calls[0].error && calls[0].type != "ResourceInUseException") throw StateError(*calls[0].error);
}
/// Has the server remove what has ended, if it can.
inline void expire_in_dynamodb_table(DynamoDbClient& client, Deadline deadline) {
  JsonWriter body;
  body.begin_object();
  body.key("TableName");
  body.text(client.table());
  body.key("TimeToLiveSpecification");
  body.begin_object();
  body.key("AttributeName");
  body.text("e");
  body.key("Enabled");
  body.boolean(true);
  body.end_object();
  body.end_object();
  std::vector<DynamoDbCall> calls(1);
  calls[0].operation = "UpdateTimeToLive";
  calls[0].body = body.text();
  client.send(calls, deadline);
  // (It may be so already, which is an error.)
  const std::string& type = calls[0].type;
  if (calls[0].error && type != "UnknownOperationException" && type != "ValidationException") {
    throw StateError(*calls[0].error);
  }
}

/// Throws if the table is not there, or is none of ours.
inline void prepare_dynamodb_table(DynamoDbClient& client, bool create, Deadline deadline) {
  constexpr std::string_view good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const std::string& table = client.table();
  if (table.size() < 3 || table.size() > 255 || table.find_first_not_of(good) != std::string::npos) {
    throw dynamodb_refusal("the name of its table is 3 to 255 letters, digits, '-', '_' and '.'");
  }
  bool is_made = false;
  for (int attempt = 1;; ++attempt) {
    const std::optional<std::string> found = describe_dynamodb_table(client, deadline);
    if (!found && !create) {
      throw client.failure("there is no such table in this region: `prepare` makes it if it is told to create");
    }
    if (!found && !is_made) {
      create_dynamodb_table(client, deadline);
      is_made = true;
      continue;
    }
    if (found) {
      const DynamoDbJson json(*found);
      const auto described = json ? member_of(json.root(), "Table") : std::nullopt;
      if (!described) throw strange_dynamodb_answer();
      std::string keys;
      simdjson::dom::array schema, attributes;
      const auto all = member_of(*described, "KeySchema"), types = member_of(*described, "AttributeDefinitions");
      if (!all || all->get(schema) != simdjson::SUCCESS || !types || types->get(attributes) != simdjson::SUCCESS) {
        throw strange_dynamodb_answer();
      }
      for (const simdjson::dom::element key : schema) {
        keys.append(text_of(key, "AttributeName")).append(" ").append(text_of(key, "KeyType")).append(" ");
        for (const simdjson::dom::element attribute : attributes) {
          if (text_of(attribute, "AttributeName") == text_of(key, "AttributeName")) {
            keys.append(text_of(attribute, "AttributeType")).append(" ");
          }
        }
      }
      if (keys != "p HASH S k RANGE S ") {
        throw client.failure("it is another application's (ours has the keys p and k, both text): name another one");
      }
      const std::string_view status = text_of(*described, "TableStatus");
      if (status == "ACTIVE" || status == "UPDATING") break;
    }
    const Deadline next = DynamoDbClient::Clock::now() + DynamoDbClient::pause_after(attempt);
    if (next >= deadline) {
      throw StateError(StateErrorCode::timed_out, "DynamoDB: the table is not ready before the deadline", Effect::none,
                       true);
    }
    std::this_thread::sleep_until(next);
  }

  const std::vector<std::pair<std::string, std::string>> mark{{"meta", "layout"}};
  std::optional<std::string> layout;
  client.get(mark, "", deadline, [&](simdjson::dom::element attributes) { layout = dynamodb_text(attributes, "v"); });
  if (layout && *layout == dynamodb_layout) return;
  if (layout) {
    throw client.failure("another version of this program keeps its states there (layout " + layout->substr(0, 20) +
                         "): use that one, or another table");
  }
  if (!create) {
    throw client.failure("no states of ours are there: `prepare` makes an empty table ours if it is told to create");
  }
  if (!is_made) {
    JsonWriter body;
    body.begin_object();
    body.key("TableName");
    body.text(table);
    body.key("Limit");
    body.integer(1);
    body.key("ConsistentRead");
    body.boolean(true);
    body.end_object();
    const std::string answer = client.ask("Scan", body.text(), deadline);
    const DynamoDbJson json(answer);
    const auto items = json ? member_of(json.root(), "Items") : std::nullopt;
    simdjson::dom::array all;
    if (!items || items->get(all) != simdjson::SUCCESS) throw strange_dynamodb_answer();
    // Another process may have made it ours just now.
    if (all.size() > 0 && dynamodb_text(all.at(0), "p") != "meta" && dynamodb_text(all.at(0), "p") != "scopes" &&
        !dynamodb_text(all.at(0), "p").starts_with("s:")) {
      throw client.failure("it is another application's: it is not empty, and has no mark of ours. Name another one");
    }
  }
  expire_in_dynamodb_table(client, deadline);
  DynamoDbRequest request(table, "meta", "layout");
  request.set("v = :v").text(":v", std::string(dynamodb_layout));
  client.ask("UpdateItem", request.body(""), deadline);
}

// -----------------------------------------------------------------------------------------------------------------
// lists

/// Adds states of one scope, in the order of their keys, from the answer to a query, and to those that follow.
inline void add_dynamodb_states(DynamoDbClient& client, const atom::Scope& scope, std::string_view after,
                                DynamoDbCall call, std::size_t limit, std::vector<FoundState>& found,
                                Deadline deadline) {
  const std::string partition = dynamodb_partition(scope);
  for (;;) {
    const std::int64_t now = dynamodb_now();
    const std::optional<std::string> last = DynamoDbClient::read_query(call, [&](simdjson::dom::element attributes) {
      const std::string_view key = dynamodb_text(attributes, "k");
      DynamoDbItem item = dynamodb_item(attributes, "", 0, now);
      if (found.size() >= limit || key <= after || !item.is_alive(now)) return;
      found.push_back({scope, std::string(key), item.version, *std::move(item.value)});
    });
    if (!last || found.size() >= limit) return;
    std::vector<DynamoDbCall> next{client.query(partition, *last, "", true, limit - found.size())};
    client.ask(next, deadline);
    call = std::move(next[0]);
  }
}
/// Those of scopes whose texts lie between two, both included.
template <class Use>
void each_dynamodb_scope(DynamoDbClient& client, std::string_view after, const std::string& last, Deadline deadline,
                         Use use) {
  for (std::optional<std::string> from(after); from;) {
    std::vector<DynamoDbCall> calls{client.query("scopes", *from, last, false, 100)};
    client.ask(calls, deadline);
    std::vector<atom::Scope> some;
    from = DynamoDbClient::read_query(calls[0], [&](simdjson::dom::element attributes) {
      const std::string_view text = dynamodb_text(attributes, "k");
      if (text <= *from) return;  // as a range includes its ends
      if (StateResult<atom::Scope> scope = atom::Scope::from_database(text)) some.push_back(*std::move(scope));
    });
    for (std::size_t begin = 0; begin < some.size(); begin += DynamoDbClient::most_at_once) {
      const std::size_t count = std::min(DynamoDbClient::most_at_once, some.size() - begin);
      if (!use(std::span<const atom::Scope>(some.data() + begin, count))) return;
    }
  }
}
inline void list_dynamodb_states(DynamoDbClient& client, const std::string& first, const std::string& last,
                                 const Backend::Range& range, std::vector<FoundState>& found, Deadline deadline) {
  const auto read_some = [&](std::span<const atom::Scope> some) {
    std::vector<DynamoDbCall> calls;
    const auto after = [&](const atom::Scope& scope) {
      return scope.text() == range.after_scope ? range.after_key : std::string_view();
    };
    const std::size_t left = range.limit - found.size();
    for (const atom::Scope& scope : some) {
      calls.push_back(client.query(dynamodb_partition(scope), after(scope), "", true, left));
    }
    client.ask(calls, deadline);
    for (std::size_t i = 0; i < some.size() && found.size() < range.limit; ++i) {
      add_dynamodb_states(client, some[i], after(some[i]), std::move(calls[i]), range.limit, found, deadline);
    }
    return found.size() < range.limit;
  };
  if (found.size() >= range.limit || range.after_scope > last) return;
  if (first == last) {
    if (range.after_scope > first) return;
    const StateResult<atom::Scope> scope = atom::Scope::from_database(first);
    read_some({&scope.value(), 1});
    return;
  }
  // The scope itself that a range begins with is in it, and one that it begins after may have more.
  if (range.after_scope >= first) {
    if (const StateResult<atom::Scope> scope = atom::Scope::from_database(range.after_scope)) {
      if (!read_some({&scope.value(), 1})) return;
    }
    each_dynamodb_scope(client, range.after_scope, last, deadline, read_some);
    return;
  }
  each_dynamodb_scope(client, first, last, deadline, read_some);
}
/// In passing, scopes in which nothing has been for a long time are forgotten.
inline void list_dynamodb_scopes(DynamoDbClient& client, std::string_view after, std::size_t limit,
                                 std::vector<atom::Scope>& found, Deadline deadline) {
  if (limit == 0) return;
  each_dynamodb_scope(client, after, "", deadline, [&](std::span<const atom::Scope> some) {
    std::vector<DynamoDbCall> calls;
    for (const atom::Scope& scope : some) calls.push_back(client.query(dynamodb_partition(scope), "", "", true, 10));
    client.ask(calls, deadline);
    std::vector<DynamoDbCall> forgetting;
    for (std::size_t i = 0; i < some.size() && found.size() < limit; ++i) {
      bool has_items = false;
      {
        const DynamoDbJson json(calls[i].answer);
        const auto scanned = json ? member_of(json.root(), "ScannedCount") : std::nullopt;
        std::int64_t count = 1;
        has_items = !scanned || scanned->get(count) != simdjson::SUCCESS || count > 0;
      }
      if (!has_items) {
        forgetting.push_back(client.forgetting("scopes", some[i].text()));
        continue;
      }
      std::vector<FoundState> one;
      add_dynamodb_states(client, some[i], "", std::move(calls[i]), 1, one, deadline);
      if (!one.empty()) found.push_back(some[i]);
    }
    if (!forgetting.empty()) client.send(forgetting, deadline);
    return found.size() < limit;
  });
}

/// Ends states, if they are there, and have the label unless it is empty; what they were is added.
inline void end_dynamodb_states(DynamoDbClient& client, std::span<const FoundState> states, const std::string& label,
                                std::vector<FoundState>& ended, Deadline deadline) {
  const std::int64_t now = dynamodb_now();
  std::vector<DynamoDbCall> calls;
  for (const FoundState& state : states) {
    const std::string partition = dynamodb_partition(state.scope);
    DynamoDbRequest request(client.table(), partition, state.key);
    end_dynamodb_state(request, now);
    require_alive_in_dynamodb(request, now);
    if (!label.empty()) request.require("contains(b, :label)").text(":label", label);
    calls.push_back({.operation = "UpdateItem", .body = request.body("ALL_OLD")});
  }
  client.send(calls, deadline);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].status != DynamoDbCall::Status::good) continue;
    const DynamoDbJson json(calls[i].answer);
    const auto attributes = json ? member_of(json.root(), "Attributes") : std::nullopt;
    if (!attributes) throw strange_dynamodb_answer();
    DynamoDbItem item = dynamodb_item(*attributes, "", 0, now);
    if (item.value) ended.push_back({states[i].scope, states[i].key, item.version, *std::move(item.value)});
  }
  for (const DynamoDbCall& call : calls) {
    if (call.error) throw StateError(*call.error);
  }
}
inline void purge_dynamodb_label(DynamoDbClient& client, std::string_view label, std::vector<FoundState>& erased,
                                 Deadline deadline) {
  const std::string partition = dynamodb_label(label);
  for (std::optional<std::string> after(""); after;) {
    std::vector<DynamoDbCall> calls{client.query(partition, *after, "", false, 100)};
    client.ask(calls, deadline);
    std::vector<FoundState> found;
    std::vector<DynamoDbCall> forgetting;
    after = DynamoDbClient::read_query(calls[0], [&](simdjson::dom::element attributes) {
      const std::string_view name = dynamodb_text(attributes, "k");
      const std::size_t space = std::min(name.find(' '), name.size() - 1);
      if (StateResult<atom::Scope> scope = atom::Scope::from_database(name.substr(0, space))) {
        found.push_back({*std::move(scope), std::string(name.substr(space + 1)), 0, {}});
      }
      if (dynamodb_number<std::int64_t>(attributes, "t").value_or(0) < DynamoDbClient::forgotten()) {
        forgetting.push_back(client.forgetting(partition, name));
      }
    });
    end_dynamodb_states(client, found, partition, erased, deadline);
    if (!forgetting.empty()) client.send(forgetting, deadline);
  }
}

}  // namespace atom::inline v0_1::detail

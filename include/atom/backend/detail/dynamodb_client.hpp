// A table of DynamoDB, and requests that are sent until there is an answer.
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
#include <atomic>
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
      pool_.add(std::make_unique<DynamoDbConnection>(target_, most_at_once, breaks_));
    }
  }

  const std::string& table() const noexcept { return table_; }
  StateError failure(const std::string& why) const {
    return {StateErrorCode::refused, "DynamoDB, " + target_.endpoint + ", table " + table_ + ": " + why};
  }

  /// Sends them until each has an answer; what the server refuses for a while is sent again, after growing times with
  /// some chance in them, until the deadline. With `patience`, until that is over, if it is certain to have had no
  /// effect; so is what could not be sent. What comes of each is in it; what is thrown was thrown before any was sent.
  void send(std::span<DynamoDbCall* const> calls, Deadline deadline, std::optional<Deadline> patience = {}) {
    const auto lease = lend(pool_, true, "DynamoDB", deadline);
    int expired = 0;
    DynamoDbCredentials who = credentials();
    for (int attempt = 1;; ++attempt) {
      if (attempt > 1) {
        // Some have an answer now, that is to be looked at whatever becomes of the others.
        try {
          who = credentials();
        } catch (const StateError& error) {
          return give_up(calls, error);
        }
      }
      lease->run(calls, who, deadline);
      const Deadline next = Clock::now() + pause_after(attempt);
      const auto is_worth_it = [&](const DynamoDbCall& call) {
        if (!patience || call.is_doubtful) return call.is_throttled;
        return next < *patience && !call.is_expired && call.error->retryable();
      };
      bool is_again = false, is_throttled = false;
      for (const DynamoDbCall* call : calls) {
        if (call->status != DynamoDbCall::Status::failed) continue;
        is_throttled = is_throttled || is_worth_it(*call);
        is_again = is_again || is_throttled || call->is_expired;
        if (call->is_expired) ++expired;
      }
      constexpr int most_expired = 3;
      if (!is_again || (!is_throttled && expired >= most_expired)) return;
      if (next >= deadline) return;
      std::this_thread::sleep_until(next);
      for (DynamoDbCall* call : calls) {
        const bool has_failed = call->status == DynamoDbCall::Status::failed;
        if (has_failed && (is_worth_it(*call) || call->is_expired)) call->status = DynamoDbCall::Status::waits;
      }
    }
  }
  void send(std::vector<DynamoDbCall>& calls, Deadline deadline, std::optional<Deadline> patience = {}) {
    std::vector<DynamoDbCall*> all;
    for (DynamoDbCall& call : calls) all.push_back(&call);
    send(all, deadline, patience);
  }
  /// The same with what may be done twice. Throws what has failed; without effect, that is.
  void ask(std::vector<DynamoDbCall>& calls, Deadline deadline, std::optional<Deadline> patience = {}) {
    send(calls, deadline, patience);
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
  /// Sends once what need not go well, and gives it half of the time that is left: who has an answer already must not
  /// get it too late.
  void send_in_passing(std::vector<DynamoDbCall>& calls, Deadline deadline) {
    if (calls.empty()) return;
    std::vector<DynamoDbCall*> all;
    for (DynamoDbCall& call : calls) all.push_back(&call);
    const Clock::time_point now = Clock::now();
    const Deadline half = now + (deadline - now) / 2;
    try {
      lend(pool_, true, "DynamoDB", half)->run(all, credentials(), half);
    } catch (const StateError&) {  // some other time
    }
  }

  /// What DescribeTable says: nothing if there is no table.
  std::optional<std::string> describe(Deadline deadline) {
    const std::uint64_t before = breaks_;
    JsonWriter body;
    body.begin_object();
    body.key("TableName");
    body.text(table_);
    body.end_object();
    std::vector<DynamoDbCall> calls(1);
    DynamoDbCall& call = calls[0];
    call.operation = "DescribeTable";
    call.body = body.text();
    send(calls, deadline);
    if (call.type == "ResourceNotFoundException") return std::nullopt;
    if (call.error) throw StateError(call.error->code(), reason(*call.error), Effect::none, call.error->retryable());
    const DynamoDbJson json(call.answer);
    const auto described = json ? member_of(json.root(), "Table") : std::nullopt;
    if (!described) throw strange_dynamodb_answer();
    // (What others have met meanwhile may have been after the answer.)
    const std::uint64_t breaks = before + call.breaks;
    const std::lock_guard lock(mutex_);
    if (!table_id_ || breaks >= table_id_->breaks) {
      table_id_ = TableId{std::string(text_of(*described, "TableId")), breaks};
    }
    return std::move(call.answer);
  }
  /// Which one it is, of all tables that have this name one after the other. That costs no request, unless since it was
  /// asked last a connection was made or has broken, or there was no table, which goes with another one as a rule.
  std::string table_id(Deadline deadline) {
    {
      const std::lock_guard lock(mutex_);
      if (table_id_ && table_id_->breaks == breaks_) return table_id_->text;
    }
    if (!describe(deadline)) throw no_table();
    const std::lock_guard lock(mutex_);
    return table_id_->text;
  }
  StateError no_table() const {
    return failure("there is no such table in this region: `prepare` makes it if it is told to create");
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
  void note(std::vector<std::pair<std::string, std::string>> names, Deadline deadline,
            std::optional<Deadline> patience = {}) {
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
    ask(calls, deadline, patience);
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
  /// Those that wait.
  static void give_up(std::span<DynamoDbCall* const> calls, const StateError& why) {
    for (DynamoDbCall* call : calls) {
      if (call->status != DynamoDbCall::Status::waits) continue;
      call->status = DynamoDbCall::Status::failed;
      call->error = StateError(why.code(), reason(why), call->is_doubtful ? Effect::unknown : Effect::none,
                               why.retryable() || call->is_doubtful);
    }
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

  struct TableId {
    std::string text;
    std::uint64_t breaks;  ///< so many there had been
  };

  const DynamoDbTarget target_;
  const std::string table_;
  const Provider credentials_;
  DynamoDbCredentials own_;
  std::atomic<std::uint64_t> breaks_ = 0;
  Pool<DynamoDbConnection> pool_;
  std::mutex mutex_;
  std::optional<TableId> table_id_;
  std::map<std::pair<std::string, std::string>, std::int64_t> noted_;
};

}  // namespace atom::inline v0_1::detail

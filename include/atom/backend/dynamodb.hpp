// States in a table of Amazon DynamoDB, shared by the processes of many machines, with no server to run. Link
// `atom::dynamodb`.
//
//   atom::StateStore states{atom::DynamoDb{"dynamodb://states?region=eu-central-1"}};
//
// Who asks is what the environment says (AWS_ACCESS_KEY_ID, ...), or a function: see DynamoDbOptions::credentials.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/dynamodb_batch.hpp>
#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_lanes.hpp>
#include <atom/backend/detail/dynamodb_lists.hpp>
#include <atom/backend/detail/dynamodb_table.hpp>
#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/clamped_sum.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct DynamoDbOptions {
  /// One for each program: the states of two in one table are the same states.
  std::string table = "atom";
  /// Empty: AWS_REGION or AWS_DEFAULT_REGION.
  std::string region = {};
  /// `https://HOST[:PORT]`, or `http://` on this machine. Empty: AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL, or the
  /// one of the region.
  std::string endpoint = {};
  /// Asked before requests, by any thread: it should remember what it knows. Empty: AWS_ACCESS_KEY_ID,
  /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as they are when the backend is prepared.
  std::function<DynamoDbCredentials()> credentials = {};
  /// Whether the server has TransactWriteItems, as DynamoDB has, and some that stand in for it do not. Without, a batch
  /// is not all or nothing if it has several states: a session is of one atom then, and a visitor has none.
  bool transactions = true;
  /// Sends all as plain text even to another machine: if nobody can listen on the way.
  bool plain_text = false;
  /// The certificates that TLS trusts, a file of PEM; empty: the system's.
  std::string ca_file = {};
  /// So many calls are under way at once; more wait for their turn. Each sends up to 16 requests at a time.
  std::size_t connections = 4;
};

/// States in one table. Any number of objects and processes may use it; none may use an object after `fork`. What a
/// batch has done is stored with the state that it has changed, in the same step. That a table is another one than
/// before, of the same name, is noticed by who has written in that one, after any connection was made or has broken;
/// that states are lost, by who writes one of them again within half an hour, of the hundred that he has written last.
/// Nothing runs in the background, and nobody is told of what others write: what somebody listens to is read again and
/// again, as often as `StoreOptions::staleness` says. The clocks of the processes must agree, as far as times to live
/// do. Errors name no value, no key and no credentials.
class DynamoDb : public TextBackend {
 public:
  explicit DynamoDb(DynamoDbOptions options) : options_(std::move(options)) {}
  /// `dynamodb://TABLE?region=eu-central-1`, and perhaps `&endpoint=http://127.0.0.1:8000` and `&transactions=off`.
  /// Throws StateError (`refused`) if it is none.
  explicit DynamoDb(const std::string& url) : DynamoDb(options_of(url)) {}
  /// Before it is prepared: `StateStore states{DynamoDb{"..."}}`.
  DynamoDb(DynamoDb&& other) noexcept : options_(std::move(other.options_)) {}
  DynamoDb& operator=(DynamoDb&&) = delete;

  /// For `open_backend`.
  static constexpr std::array<std::string_view, 1> url_schemes{"dynamodb"};
  static DynamoDb from_url(const std::string& url) { return DynamoDb(url); }

  BackendTraits traits() const noexcept override {
    return {.name = "dynamodb", .most_commands = 100, .all_or_nothing = options_.transactions};
  }

  /// Connects. A table that is another program's is refused, and stays as it is. `create`: makes the table, which is
  /// paid for by the request, and has what has ended removed; or takes one that is empty, with the keys `p` and `k`.
  std::optional<StateError> prepare(bool create, Deadline deadline) override {
    const std::lock_guard lock(preparing_);
    if (is_prepared_) return std::nullopt;
    return attempt([&] {
      if (!client_) {
        detail::DynamoDbTarget target = detail::dynamodb_target(options_.region, options_.endpoint);
        target.plain_text = options_.plain_text;
        target.ca_file = options_.ca_file;
        client_ = std::make_unique<Client>(std::move(target), options_.table, options_.credentials,
                                           std::max<std::size_t>(options_.connections, 1));
      }
      detail::prepare_dynamodb_table(*client_, create, deadline);
      is_prepared_ = true;
    });
  }

  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline deadline) override {
    BatchResult result;
    auto error = attempt([&] {
      detail::DynamoDbBatch batch(client(), lanes_, lane, mode, commands, outcomes,
                                  [&](const Command& command, const StoredValue& start) {
                                    Made made = calculate(mode, command, start);
                                    return std::pair(made.error, std::move(made.value));
                                  });
      if (mode == BatchMode::all_or_nothing && commands.size() > 1 && !options_.transactions) {
        throw detail::dynamodb_refusal("without DynamoDbOptions::transactions several states are not all or nothing");
      }
      result = batch.run(deadline);
    });
    return error ? detail::failed_batch(*std::move(error)) : result;
  }
  /// Of integers, what comes to min(most, max(least, x + summand)).
  bool runs(const AnyEquation& equation, const detail::TypeOps& type) const override {
    return type.read && type.write && ClampedSum::of(equation).has_value();
  }

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes,
                                 Deadline deadline) override {
    return attempt([&] {
      Client& all = client();
      std::vector<std::size_t> plain;
      std::vector<std::size_t> touched;
      for (std::size_t i = 0; i < names.size(); ++i) {
        outcomes[i] = {};
        (names[i].ttl > 0 ? touched : plain).push_back(i);
      }
      if (!touched.empty()) touch(all, names, outcomes, touched, plain, deadline);
      constexpr std::size_t most = 100;
      for (std::size_t begin = 0; begin < plain.size(); begin += most) {
        const std::span<const std::size_t> some(plain.data() + begin, std::min(most, plain.size() - begin));
        read(all, names, outcomes, some, deadline);
      }
    });
  }
  StateResult<std::vector<FoundState>> list(const Range& range, Deadline deadline) override {
    std::vector<FoundState> found;
    auto error = attempt([&] {
      for (const auto& [first, last] : detail::texts_of(range.scope, range.below, detail::beyond_all_texts())) {
        detail::list_dynamodb_states(client(), first, last, range, found, deadline);
      }
    });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) override {
    std::vector<Scope> found;
    auto error = attempt([&] { detail::list_dynamodb_scopes(client(), after, limit, found, deadline); });
    if (error) return *std::move(error);
    return found;
  }
  StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline deadline) override {
    return erase([&](std::vector<FoundState>& erased) {
      for (const auto& [first, last] : detail::texts_of(&scope, true, detail::beyond_all_texts())) {
        for (FoundState after{scope, "", 0, {}};;) {
          std::vector<FoundState> found;
          const bool is_first = after.key.empty();
          detail::list_dynamodb_states(client(), first, last,
                                       {.after_scope = is_first ? "" : std::string_view(after.scope.text()),
                                        .after_key = after.key,
                                        .limit = 100},
                                       found, deadline);
          if (found.empty()) break;
          detail::end_dynamodb_states(client(), found, "", erased, deadline);
          after = std::move(found.back());
        }
      }
    });
  }
  StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline deadline) override {
    return erase([&](std::vector<FoundState>& erased) {
      for (const std::string& label : labels) detail::purge_dynamodb_label(client(), label, erased, deadline);
    });
  }

 private:
  using Client = detail::DynamoDbClient;

  static DynamoDbOptions options_of(const std::string& url) {
    detail::DynamoDbUrl parsed = detail::parse_dynamodb_url(url).value();
    DynamoDbOptions options;
    options.table = std::move(parsed.table);
    options.region = std::move(parsed.region);
    options.endpoint = std::move(parsed.endpoint);
    options.transactions = parsed.transactions;
    return options;
  }

  template <class Work>
  std::optional<StateError> attempt(Work work) const {
    return detail::attempt(home_, "DynamoDB", std::move(work));
  }
  Client& client() {
    if (!is_prepared_) throw StateError(StateErrorCode::closed, "DynamoDB: `prepare` comes first");
    return *client_;
  }

  // ---- Reading

  static Outcome outcome_of(simdjson::dom::element attributes, std::int64_t now) {
    detail::DynamoDbItem item = detail::dynamodb_item(attributes, "", 0, now);
    if (!item.is_alive(now)) return {};
    return {.version = item.version, .value = std::move(item.value)};
  }
  static void read(Client& client, std::span<const StateName> names, std::span<Outcome> outcomes,
                   std::span<const std::size_t> wanted, Deadline deadline) {
    std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> places;
    for (const std::size_t i : wanted) {
      places[{detail::dynamodb_partition(names[i].scope), std::string(names[i].key)}].push_back(i);
    }
    std::vector<std::pair<std::string, std::string>> keys;
    for (const auto& [key, _] : places) keys.push_back(key);
    client.get(keys, "p, k, v, f, n, x", deadline, [&](simdjson::dom::element attributes) {
      const std::pair<std::string, std::string> key(detail::dynamodb_text(attributes, "p"),
                                                    detail::dynamodb_text(attributes, "k"));
      const Outcome outcome = outcome_of(attributes, detail::dynamodb_now());
      for (const std::size_t i : places[key]) outcomes[i] = outcome;
    });
  }
  /// Begins their times to live anew, and reads them in the same step. Those that have none, or have ended, are still
  /// to be read.
  static void touch(Client& client, std::span<const StateName> names, std::span<Outcome> outcomes,
                    std::span<const std::size_t> wanted, std::vector<std::size_t>& left, Deadline deadline) {
    const std::int64_t now = detail::dynamodb_now();
    std::vector<detail::DynamoDbCall> calls;
    for (const std::size_t i : wanted) {
      const std::string partition = detail::dynamodb_partition(names[i].scope);
      detail::DynamoDbRequest request(client.table(), partition, names[i].key);
      request.require("attribute_exists(v) AND x > :now").number(":now", now / 1000);
      detail::set_dynamodb_end(request, names[i].ttl, now);
      calls.push_back({.operation = "UpdateItem", .body = request.body("ALL_NEW")});
    }
    client.ask(calls, deadline);
    for (std::size_t at = 0; at < calls.size(); ++at) {
      if (calls[at].status != detail::DynamoDbCall::Status::good) {
        left.push_back(wanted[at]);
        continue;
      }
      const detail::DynamoDbJson json(calls[at].answer);
      const auto attributes = json ? detail::member_of(json.root(), "Attributes") : std::nullopt;
      if (!attributes) throw detail::strange_dynamodb_answer();
      outcomes[wanted[at]] = outcome_of(*attributes, now);
    }
  }

  /// One that fails may have ended some.
  template <class Work>
  StateResult<std::vector<FoundState>> erase(Work work) {
    std::vector<FoundState> erased;
    auto error = attempt([&] { work(erased); });
    if (!error) return erased;
    if (erased.empty() || error->effect() != Effect::none) return *std::move(error);
    return StateError(error->code(), "DynamoDB: a part was ended when this failed: " + detail::reason(*error),
                      Effect::unknown, error->retryable());
  }

  DynamoDbOptions options_;
  const detail::HomeProcess home_;
  std::mutex preparing_;
  std::atomic<bool> is_prepared_ = false;
  std::unique_ptr<Client> client_;
  detail::DynamoDbLanes lanes_;
};

}  // namespace atom::inline v0_1

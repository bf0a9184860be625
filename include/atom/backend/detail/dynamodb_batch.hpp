// How a batch is carried out in DynamoDB: each state by an UpdateItem with a condition, which stores what came of it in
// the state, so that it is not done twice; several of which all or none are to change by one TransactWriteItems.
#pragma once

#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_lanes.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/segment.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/clamped_sum.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// One attempt at a batch.
class DynamoDbBatch {
 public:
  using Clock = std::chrono::steady_clock;
  /// What the equations of a command make of a value.
  using Calculate = std::function<std::pair<std::optional<StateErrorCode>, std::optional<StoredValue>>(
      const Command&, const StoredValue&)>;

  DynamoDbBatch(DynamoDbClient& client, DynamoDbLanes& lanes, const Lane& lane, BatchMode mode,
                std::span<const Command> commands, std::span<Outcome> outcomes, Calculate calculate)
      : client_(client),
        lanes_(lanes),
        lane_(lane),
        lane_name_(dynamodb_lane(lane)),
        known_(lanes.find(lane)),
        is_whole_(mode == BatchMode::all_or_nothing && commands.size() > 1),
        outcomes_(outcomes),
        calculate_(std::move(calculate)) {
    steps_.reserve(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) steps_.emplace_back(commands[i], outcomes[i]);
  }

  BatchResult run(Deadline deadline) {
    if (known_.last > 0) {
      if (lane_.sequence == known_.last) {
        if (known_.outcomes->size() != outcomes_.size()) throw dynamodb_refusal("another batch had this number");
        std::copy(known_.outcomes->begin(), known_.outcomes->end(), outcomes_.begin());
        return {};
      }
      if (lane_.sequence < known_.last) throw older();
      if (lane_.sequence > known_.last + 1 && !lane_.after_loss) return gap(known_.last);
    }
    is_doubtful_ = known_.doubtful == lane_.sequence;
    if (is_doubtful_) {
      for (Step& step : steps_) step.is_doubtful = true;
      // What it has left may have been removed by others, so it cannot be asked for any more.
      const auto age = std::chrono::system_clock::now() - known_.doubtful_since;
      if (age > std::chrono::seconds(dynamodb_lane_life / 2)) {
        throw StateError(StateErrorCode::timed_out, "DynamoDB: what became of a batch is not known any more",
                         Effect::unknown, false);
      }
    }
    try {
      is_whole_ ? run_whole(deadline) : run_each(deadline);
      return result(deadline);
    } catch (const StateError& error) {
      if (error.effect() == Effect::none && !is_in_doubt()) throw;
      lanes_.in_doubt(lane_);
      return {BatchStatus::in_doubt, StateError(error.code(), reason(error), Effect::unknown, true)};
    } catch (...) {
      lanes_.in_doubt(lane_);
      throw;
    }
  }

 private:
  struct Step {
    Step(const Command& its_command, Outcome& its_outcome)
        : command(its_command), outcome(its_outcome), partition(dynamodb_partition(command.name.scope)) {
      outcome = {};
    }
    enum class Stage : std::uint8_t { begins, looks, decides, done, failed };
    const Command& command;
    Outcome& outcome;
    std::string partition;
    Stage stage = Stage::begins;
    DynamoDbCall call = {};
    std::optional<DynamoDbItem> seen = {};  ///< with version 0 if there is none
    bool is_new = false;                    ///< what leads to it is written first
    bool is_doubtful = false;               ///< a request may still take effect
    bool is_stored = false;                 ///< the number of the batch lies in the state
    std::optional<Outcome> expected = {};   ///< if the request is carried out
    std::optional<StateError> error = {};
  };
  using Stage = Step::Stage;

  static StateError older() { return dynamodb_refusal("the batch is older than its lane"); }
  static BatchResult gap(std::uint64_t last) {
    return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "DynamoDB: batches are missing"), last};
  }
  bool is_in_doubt() const {
    return is_doubtful_ || whole_.is_doubtful || std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
             const bool is_write = step.stage == Stage::decides;
             return step.is_doubtful || step.is_stored || (is_write && step.call.is_doubtful);
           });
  }
  static bool is_ended(const Step& step) { return step.stage == Stage::done || step.stage == Stage::failed; }

  BatchResult result(Deadline deadline) {
    forget_lanes(deadline);
    const StateError* error = nullptr;
    for (const Step& step : steps_) {
      if (step.error && (!error || !step.error->retryable())) error = &*step.error;
    }
    if (gap_) return gap(*gap_);
    if (!error) {
      std::vector<std::string> written;
      for (const Step& step : steps_) {
        if (step.is_stored) written.push_back(state_id(step.command.name.scope, step.command.name.key));
      }
      lanes_.done(lane_, outcomes_, std::move(written));
      return {};
    }
    if (!is_in_doubt()) {
      return {BatchStatus::not_applied, StateError(error->code(), reason(*error), Effect::none, error->retryable())};
    }
    if (is_older_) return {BatchStatus::not_applied, *error};
    lanes_.in_doubt(lane_);
    return {BatchStatus::in_doubt, StateError(error->code(), reason(*error), Effect::unknown, true)};
  }

  // ---- Each state by itself

  void run_each(Deadline deadline) {
    for (Step& step : steps_) begin(step);
    for (;;) {
      note(deadline);
      std::vector<DynamoDbCall*> calls;
      std::vector<Step*> sent;
      for (Step& step : steps_) {
        if (is_ended(step)) continue;
        calls.push_back(&step.call);
        sent.push_back(&step);
      }
      if (calls.empty()) return;
      client_.send(calls, deadline);
      for (Step* const step : sent) go_on(*step);
    }
  }
  /// As it would be if nothing is unusual: without looking at what there is.
  void begin(Step& step) {
    const Command& command = step.command;
    const std::int64_t now = dynamodb_now();
    const bool is_creation = command.expected == 0;
    DynamoDbRequest request(client_.table(), step.partition, command.name.key);
    const auto require_version = [&] {
      require_alive_in_dynamodb(request, now);
      if (command.expected) request.require("n = :seen").number(":seen", *command.expected);
    };
    if (command.kind == Command::Kind::write && is_creation) {
      step.is_new = true;
      request.require("(attribute_not_exists(v) OR x <= :now)").number(":now", now / 1000);
      request.set("n = if_not_exists(n, :t) + :one").number(":t", now).number(":one", 1);
      put(request, command, *command.value, now, true);
      leave(request, step, "if_not_exists(n, :t) + :one", "", now);
      return send(step, Stage::decides, request.body("ALL_NEW"));
    }
    if (command.kind == Command::Kind::write) {
      require_version();
      request.set("n = n + :one").number(":one", 1);
      put(request, command, *command.value, now, false);
      leave(request, step, "n + :one", "", now);
      return send(step, Stage::decides, request.body("ALL_NEW"));
    }
    if (command.kind == Command::Kind::erase && !is_creation) {
      require_version();
      end_dynamodb_state(request, now);
      leave(request, step, "n", "", now);
      return send(step, Stage::decides, request.body("ALL_NEW"));
    }
    const auto sum = command.kind == Command::Kind::apply && !is_creation && command.equations.size() == 1
                         ? ClampedSum::of(*command.equations.front())
                         : std::nullopt;
    if (sum) {
      // Where none of its bounds makes a difference, and the result fits.
      const auto [smallest, largest, _] = interval_of(sum->kind());
      const Int128 summand = sum->summand().integer();
      const Int128 least = sum->least() ? sum->least()->integer() : smallest;
      const Int128 most = sum->most() ? sum->most()->integer() : largest;
      const Int128 from = std::max(smallest, std::max(smallest, least) - summand);
      const Int128 to = std::min(largest, std::min(largest, most) - summand);
      if (from <= to) {
        require_version();
        request.require("v BETWEEN :from AND :to").number(":from", digits_of(from)).number(":to", digits_of(to));
        request.require("f = :f").number(":f", command.value->format);
        request.set("v = v + :d").number(":d", digits_of(summand));
        request.set("n = n + :one").number(":one", 1);
        set_end(request, command, now);
        leave(request, step, "n + :one", "v", now);
        return send(step, Stage::decides, request.body("ALL_NEW"));
      }
    }
    look(step);
  }
  static std::string digits_of(Int128 value) {
    const Number number = Number::of(value);
    return value < 0 ? std::to_string(number.int64()) : std::to_string(number.uint64());
  }
  static void send(Step& step, Stage stage, std::string body) {
    step.stage = stage;
    step.call = {.operation = "UpdateItem", .body = std::move(body)};
  }
  void look(Step& step) const {
    JsonWriter body;
    body.begin_object();
    body.key("TableName");
    body.text(client_.table());
    body.key("Key");
    DynamoDbRequest::write_key(body, step.partition, step.command.name.key);
    body.key("ConsistentRead");
    body.boolean(true);
    body.end_object();
    step.stage = Stage::looks;
    step.call = {.operation = "GetItem", .body = std::string(body.text())};
  }

  void go_on(Step& step) {
    DynamoDbCall& call = step.call;
    const bool is_write = step.stage != Stage::looks;
    if (is_write && call.is_doubtful) step.is_doubtful = true;
    if (call.status == DynamoDbCall::Status::failed) {
      if (call.error->code() == StateErrorCode::too_large && !step.is_doubtful) {
        step.outcome = {.error = StateErrorCode::too_large};
        step.stage = Stage::done;
        return;
      }
      step.error = *call.error;
      step.stage = Stage::failed;
      return;
    }
    const std::int64_t now = dynamodb_now();
    const DynamoDbJson json(call.answer);
    if (!json) throw strange_dynamodb_answer();
    const auto item = [&](std::string_view name) -> std::optional<DynamoDbItem> {
      const auto attributes = member_of(json.root(), name);
      if (!attributes) return std::nullopt;
      return dynamodb_item(*attributes, lane_name_, format_of(step.command), now);
    };
    if (!is_write) {
      step.seen = item("Item");
      if (!step.seen) step.seen.emplace();
      return decide(step, now);
    }
    if (call.status == DynamoDbCall::Status::condition) {
      step.seen = item("Item");
      return step.seen ? decide(step, now) : look(step);
    }
    step.seen = item("Attributes");
    if (!step.seen || !step.seen->trace || step.seen->trace->sequence.number != lane_.sequence) {
      step.is_doubtful = true;
      throw strange_dynamodb_answer();
    }
    take(step);
  }
  static int format_of(const Command& command) {
    return command.type ? command.type->version : command.value ? command.value->format : 0;
  }
  /// What came of it is what lies in the state.
  static void take(Step& step) {
    const DynamoDbTrace& trace = *step.seen->trace;
    step.outcome = {.error = trace.error, .version = trace.version, .value = trace.before};
    if (trace.error == StateErrorCode::conflict) step.outcome.value = step.seen->value;
    step.is_stored = true;
    step.stage = Stage::done;
  }

  /// Of what was seen, what is to be done.
  void decide(Step& step, std::int64_t now) {
    if (is_carried_out(step)) return take(step);
    if (is_ended(step)) return;
    const std::optional<StoredValue> made = judge(step, now);
    DynamoDbRequest request(client_.table(), step.partition, step.command.name.key);
    if (!change(request, step, made, now)) {
      step.stage = Stage::done;
      return;
    }
    send(step, Stage::decides, request.body("ALL_NEW"));
  }
  /// Whether it was, by an earlier request. If it must not be, it fails.
  bool is_carried_out(Step& step) {
    const std::uint64_t number = step.seen->trace ? step.seen->trace->sequence.number : 0;
    if (number == lane_.sequence) return true;
    if (number > lane_.sequence) {
      step.error = older();
      is_older_ = true;
      step.stage = Stage::failed;
    } else if (number < known_number(step)) {
      gap_ = std::max(number, gap_.value_or(0));
      step.stage = Stage::failed;
    }
    return false;
  }
  /// The number that the lane has left in the state, as far as that is known; else 0.
  std::uint64_t known_number(const Step& step) const {
    if (lane_.after_loss || known_.last == 0) return 0;
    if (std::chrono::system_clock::now() - known_.time > std::chrono::seconds(dynamodb_lane_life / 2)) return 0;
    const std::string id = state_id(step.command.name.scope, step.command.name.key);
    const bool is_known = std::find(known_.written.begin(), known_.written.end(), id) != known_.written.end();
    return is_known ? known_.last : 0;
  }
  /// What the command does to what was seen: the outcome, and the value that is to be written.
  std::optional<StoredValue> judge(Step& step, std::int64_t now) const {
    const Command& command = step.command;
    const DynamoDbItem& seen = *step.seen;
    const bool is_alive = seen.is_alive(now);
    Outcome& outcome = step.outcome;
    outcome = {.version = is_alive ? seen.version : 0};
    if (command.expected && *command.expected != outcome.version) {
      outcome.error = StateErrorCode::conflict;
      if (is_alive) outcome.value = seen.value;
      return std::nullopt;
    }
    if (command.kind == Command::Kind::write) return *command.value;
    if (command.kind != Command::Kind::apply || command.equations.empty()) return std::nullopt;
    if (is_alive) outcome.value = seen.value;
    auto [error, made] = calculate_(command, is_alive ? *seen.value : *command.value);
    outcome.error = error;
    return error ? std::nullopt : std::move(made);
  }
  /// Makes the request that does it, if nobody has written meanwhile. Whether there is one to be made.
  bool change(DynamoDbRequest& request, Step& step, const std::optional<StoredValue>& made, std::int64_t now) const {
    const DynamoDbItem& seen = *step.seen;
    Outcome outcome = step.outcome;
    const bool is_alive = seen.is_alive(now);
    const bool ends = step.command.kind == Command::Kind::erase && is_alive && !outcome.error;
    if (!made && !ends && !step.is_doubtful) return false;
    if (seen.version != 0) {
      request.require("n = :seen").number(":seen", seen.version);
    } else {
      request.require("attribute_not_exists(n)");
    }
    const std::string before = step.command.kind == Command::Kind::apply && outcome.value && !outcome.error ? ":o" : "";
    if (!before.empty()) {
      const bool is_number =
          is_dynamodb_number(outcome.value->text) && outcome.value->format == format_of(step.command);
      if (is_number) {
        request.number(":o", outcome.value->text);
      } else {
        request.text(":o", dynamodb_before(*outcome.value));
      }
    }
    if (made) {
      outcome.version = seen.version != 0 ? seen.version + 1 : now;
      request.set("n = :n").number(":n", outcome.version);
      put(request, step.command, *made, now, !is_alive);
      step.is_new = !is_alive;
    } else if (ends) {
      end_dynamodb_state(request, now);
    } else if (seen.version == 0) {  // so that what may still arrive finds that it is too late
      request.set("n = :n").number(":n", now);
      request.set("e = :e").number(":e", now / 1'000'000 + 2 * dynamodb_lane_life);
    }
    leave(request, step, ":m", before, now);
    request.number(":m", outcome.version);
    if (outcome.error) request.set("#c = :c").number(":c", static_cast<std::int64_t>(*outcome.error));
    step.expected = std::move(outcome);
    return true;
  }

  // ---- Parts of requests

  static void set_end(DynamoDbRequest& request, const Command& command, std::int64_t now) {
    if (command.ttl > 0) return set_dynamodb_end(request, command.ttl, now);
    request.remove("x").remove("e");
  }
  static void put(DynamoDbRequest& request, const Command& command, const StoredValue& value, std::int64_t now,
                  bool is_new) {
    request.set("v = :v").value(":v", value).set("f = :f").number(":f", value.format);
    set_end(request, command, now);
    if (!is_new) return;
    if (command.labels.empty()) {
      request.remove("b");
      return;
    }
    std::vector<std::string> labels;
    for (const std::string& label : command.labels) labels.push_back(dynamodb_label(label));
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    request.set("b = :b").texts(":b", std::move(labels));
  }
  /// The lane leaves its number and what came of it, unless it has left this number or a greater one already.
  void leave(DynamoDbRequest& request, const Step& step, std::string_view version, std::string_view before,
             std::int64_t now) const {
    request.name("#s", "s:" + lane_name_).name("#m", "m:" + lane_name_).name("#o", "o:" + lane_name_);
    request.name("#c", "c:" + lane_name_);
    request.set("#s = :s").number(":s", DynamoDbSequence{lane_.sequence, now / 1'000'000}.text());
    request.number(":q", std::to_string(lane_.sequence));
    if (const std::uint64_t known = known_number(step); known > 0) {
      request.require("#s >= :known AND #s < :q").number(":known", std::to_string(known));
    } else {
      request.require("(attribute_not_exists(#s) OR #s < :q)");
    }
    request.set("#m = " + std::string(version));
    if (before.empty()) {
      request.remove("#o");
    } else {
      request.set("#o = " + std::string(before));
    }
    if (!step.outcome.error) request.remove("#c");
  }
  /// What leads to states that are new.
  void note(Deadline deadline) {
    std::vector<std::pair<std::string, std::string>> names;
    for (Step& step : steps_) {
      if (!std::exchange(step.is_new, false) || is_ended(step)) continue;
      const StateName& name = step.command.name;
      names.emplace_back("scopes", name.scope.text());
      for (const std::string& label : step.command.labels) {
        names.emplace_back(dynamodb_label(label), name.scope.text() + ' ' + std::string(name.key));
      }
    }
    client_.note(std::move(names), deadline);
  }
  /// In passing, what lanes have left that nobody uses any more. It does not matter whether that goes well.
  void forget_lanes(Deadline deadline) {
    constexpr std::size_t worth_it = 4, most = 16;
    std::vector<DynamoDbCall> calls;
    for (const Step& step : steps_) {
      if (!step.seen || step.seen->old_lanes.size() < worth_it || !step.is_stored) continue;
      DynamoDbRequest request(client_.table(), step.partition, step.command.name.key);
      static constexpr std::string_view aliases = "abcdefghijklmnop";
      for (std::size_t i = 0; i < std::min(step.seen->old_lanes.size(), most); ++i) {
        const auto& [lane, sequence] = step.seen->old_lanes[i];
        for (const std::string_view kind : {"s", "m", "o", "c"}) {
          const std::string& alias = aliases_.emplace_back("#" + std::string(kind) + aliases[i]);
          request.name(alias, std::string(kind) + ':' + lane).remove(alias);
        }
        const std::string& value = aliases_.emplace_back(std::string(":") + aliases[i]);
        request.number(value, sequence).require(aliases_[aliases_.size() - 5] + " = " + value);
      }
      calls.push_back({.operation = "UpdateItem", .body = request.body("")});
    }
    if (!calls.empty()) client_.send(calls, deadline);
  }

  // ---- All or none

  void run_whole(Deadline deadline) {
    for (int attempt = 1;; ++attempt) {
      look_at_all(deadline);
      const std::int64_t now = dynamodb_now();
      bool was_carried_out = false;
      for (Step& step : steps_) {
        was_carried_out = is_carried_out(step) || was_carried_out;
        if (step.stage == Stage::failed) return;
      }
      if (was_carried_out) return take_all(now);
      std::string body = compose(now);
      if (body.empty()) return end_all(false);
      note(deadline);
      DynamoDbCall& call = whole_;
      call = {.operation = "TransactWriteItems", .body = std::move(body)};
      std::vector<DynamoDbCall*> one{&call};
      client_.send(one, deadline);
      if (call.is_doubtful) {
        for (Step& step : steps_) step.is_doubtful = true;
      }
      if (call.status == DynamoDbCall::Status::good) return end_all(true);
      std::optional<StateError> error = call.error;
      if (call.status == DynamoDbCall::Status::condition) error = canceled(call);
      const bool is_again = call.status == DynamoDbCall::Status::condition && error->retryable();
      const Deadline next = Clock::now() + DynamoDbClient::pause_after(attempt);
      if (!is_again || next >= deadline) {
        for (Step& step : steps_) {
          step.error = error;
          step.stage = Stage::failed;
        }
        return;
      }
      std::this_thread::sleep_until(next);
    }
  }
  void look_at_all(Deadline deadline) {
    std::vector<std::pair<std::string, std::string>> keys;
    std::map<std::pair<std::string, std::string>, Step*> places;
    for (Step& step : steps_) {
      step.seen.emplace();
      step.expected.reset();
      keys.emplace_back(step.partition, step.command.name.key);
      places[keys.back()] = &step;
    }
    client_.get(keys, "", deadline, [&](simdjson::dom::element attributes) {
      const auto found = places.find({std::string(dynamodb_text(attributes, "p")),  //
                                      std::string(dynamodb_text(attributes, "k"))});
      if (found == places.end()) throw strange_dynamodb_answer();
      Step& step = *found->second;
      step.seen = dynamodb_item(attributes, lane_name_, format_of(step.command), dynamodb_now());
    });
  }
  /// It was carried out as a whole before, so what has left nothing has changed nothing.
  void take_all(std::int64_t now) {
    for (Step& step : steps_) {
      if (step.seen->trace && step.seen->trace->sequence.number == lane_.sequence) {
        take(step);
      } else {
        step.outcome = {.version = step.seen->is_alive(now) ? step.seen->version : 0};
        step.stage = Stage::done;
      }
    }
  }
  void end_all(bool was_sent) {
    for (Step& step : steps_) {
      if (was_sent && step.expected) {
        step.outcome = *std::move(step.expected);
        step.is_stored = true;
      }
      step.stage = Stage::done;
    }
  }
  /// The transaction; nothing, if there is nothing to be done.
  std::string compose(std::int64_t now) {
    std::vector<std::optional<StoredValue>> made;
    bool all = true;
    for (Step& step : steps_) {
      made.push_back(judge(step, now));
      all = all && !step.outcome.error;
    }
    JsonWriter body;
    body.begin_object();
    body.key("ClientRequestToken");
    body.text(random_token());
    body.key("TransactItems");
    body.begin_array();
    bool has_some = false;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Step& step = steps_[i];
      DynamoDbRequest request(client_.table(), step.partition, step.command.name.key);
      const bool is_change =
          all ? change(request, step, made[i], now) : step.is_doubtful && leave_refusal(request, step, now);
      const bool is_check = all && !is_change && step.command.expected;
      if (!is_change && !is_check) continue;
      if (is_check && step.seen->version == 0) request.require("attribute_not_exists(n)");
      if (is_check && step.seen->version != 0) request.require("n = :seen").number(":seen", step.seen->version);
      has_some = true;
      body.begin_object();
      body.key(is_check ? "ConditionCheck" : "Update");
      body.begin_object();
      request.write(body);
      body.end_object();
      body.end_object();
    }
    body.end_array();
    body.end_object();
    return has_some ? std::string(body.text()) : std::string();
  }
  /// That nothing comes of it, though an earlier request may still arrive.
  bool leave_refusal(DynamoDbRequest& request, Step& step, std::int64_t now) const {
    const Outcome outcome = step.outcome;
    const DynamoDbItem& seen = *step.seen;
    if (seen.version != 0) {
      request.require("n = :seen").number(":seen", seen.version);
    } else {
      request.require("attribute_not_exists(n)");
      request.set("n = :n").number(":n", now);
      request.set("e = :e").number(":e", now / 1'000'000 + 2 * dynamodb_lane_life);
    }
    leave(request, step, ":m", "", now);
    request.number(":m", outcome.version);
    if (outcome.error) request.set("#c = :c").number(":c", static_cast<std::int64_t>(*outcome.error));
    step.expected = outcome;
    return true;
  }
  /// Why a transaction was not carried out: if somebody has written one of the states, or is just doing so, it may be
  /// tried again.
  static StateError canceled(const DynamoDbCall& call) {
    const DynamoDbJson json(call.answer);
    const auto reasons = json ? member_of(json.root(), "CancellationReasons") : std::nullopt;
    simdjson::dom::array all;
    if (!reasons || reasons->get(all) != simdjson::SUCCESS) throw strange_dynamodb_answer();
    for (const simdjson::dom::element one : all) {
      const std::string_view code = text_of(one, "Code");
      if (code == "ItemCollectionSizeLimitExceeded" || code == "ValidationError") {
        return {StateErrorCode::too_large, "DynamoDB: more than it takes: 400 KB in an item, 4 MB in all"};
      }
    }
    return {StateErrorCode::unavailable, "DynamoDB: others write the same states", Effect::none, true};
  }
  static std::string random_token() {
    std::random_device random;
    std::string token;
    for (int i = 0; i < 32; ++i) token += hex_digits[random() % 16];
    return token;
  }

  DynamoDbClient& client_;
  DynamoDbLanes& lanes_;
  const Lane& lane_;
  const std::string lane_name_;
  const DynamoDbLanes::Known known_;
  const bool is_whole_;
  std::span<Outcome> outcomes_;
  const Calculate calculate_;
  std::vector<Step> steps_;
  DynamoDbCall whole_;
  std::deque<std::string> aliases_;
  bool is_doubtful_ = false;
  bool is_older_ = false;
  std::optional<std::uint64_t> gap_;
};

}  // namespace atom::inline v0_1::detail

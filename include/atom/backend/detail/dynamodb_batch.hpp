// How a batch is carried out in DynamoDB: each state by an UpdateItem with a condition, which stores what came of it in
// the state, so that it is not done twice; or by a transaction.
#pragma once

#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_lanes.hpp>
#include <atom/backend/detail/dynamodb_step.hpp>
#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/backend/detail/dynamodb_transaction.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/clamped_sum.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// One attempt at a batch.
class DynamoDbBatch {
 public:
  DynamoDbBatch(DynamoDbClient& client, DynamoDbLanes& lanes, const Lane& lane, BatchMode mode,
                std::span<const Command> commands, std::span<Outcome> outcomes, DynamoDbAttempt::Calculate calculate)
      : attempt_{client, lane, dynamodb_lane(lane), lanes.find(lane), std::move(calculate)},
        is_whole_(mode == BatchMode::all_or_nothing && commands.size() > 1),
        outcomes_(outcomes),
        steps_(steps_of(attempt_, commands, outcomes)) {}
  DynamoDbBatch(const DynamoDbBatch&) = delete;
  DynamoDbBatch& operator=(const DynamoDbBatch&) = delete;

  BatchResult run(Deadline deadline) {
    const Lane& lane = attempt_.lane;
    Known& known = *attempt_.known;
    if (known.last > 0) {
      if (lane.sequence == known.last) {
        if (known.outcomes.size() != outcomes_.size()) throw dynamodb_refusal("another batch had this number");
        std::copy(known.outcomes.begin(), known.outcomes.end(), outcomes_.begin());
        return {};
      }
      if (lane.sequence < known.last) throw Step::older();
      if (lane.sequence > known.last + 1 && !lane.after_loss) return gap(known.last);
    }
    is_doubtful_ = known.doubtful == lane.sequence;
    if (is_doubtful_ && !Known::lasts(known.doubtful_since)) {
      // What it has left may have been removed by others, so it cannot be asked for any more. When nobody waits for it
      // any more, the lane goes on: no request is so late that it takes effect now.
      const auto is_check = [](const Step& step) {
        return step.command.kind == Command::Kind::check && !step.command.expected;
      };
      if (!std::all_of(steps_.begin(), steps_.end(), is_check)) {
        return {BatchStatus::in_doubt,
                StateError(StateErrorCode::timed_out, "DynamoDB: what became of a batch is not known any more",
                           Effect::unknown, false)};
      }
      is_doubtful_ = false;
    }
    for (Step& step : steps_) step.is_doubtful = is_doubtful_ && !known.certain.contains(step.name());
    try {
      table_ = attempt_.client.table_id(deadline);
      if (known.last > 0 && known.table != table_ && !lane.after_loss) return gap(last_stored(deadline));
      is_whole_ ? transaction_.run(deadline) : run_each(deadline);
      return result(deadline);
    } catch (const StateError& error) {
      if (error.effect() == Effect::none && !is_in_doubt()) throw;
      return in_doubt(error);
    } catch (...) {
      known.in_doubt(lane.sequence);
      throw;
    }
  }

 private:
  using Known = DynamoDbLanes::Known;
  using Step = DynamoDbStep;
  using Stage = Step::Stage;

  static std::vector<Step> steps_of(const DynamoDbAttempt& attempt, std::span<const Command> commands,
                                    std::span<Outcome> outcomes) {
    std::vector<Step> steps;
    steps.reserve(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) steps.emplace_back(attempt, commands[i], outcomes[i]);
    return steps;
  }
  static BatchResult gap(std::uint64_t last) {
    return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "DynamoDB: batches are missing"), last};
  }
  bool is_in_doubt() const {
    return is_doubtful_ || transaction_.is_doubtful() ||
           std::any_of(steps_.begin(), steps_.end(),
                       [](const Step& step) { return step.is_doubtful || step.is_stored || step.has_written(); });
  }

  BatchResult result(Deadline deadline) {
    forget_lanes(deadline);
    const StateError* error = nullptr;
    bool is_older = false, is_lost = false;
    for (const Step& step : steps_) {
      if (step.error && (!error || !step.error->retryable())) error = &*step.error;
      is_older = is_older || step.is_older;
      is_lost = is_lost || step.is_lost;
    }
    Known& known = *attempt_.known;
    const Lane& lane = attempt_.lane;
    if (is_lost) return gap(last_stored(deadline));
    if (error && !is_older && is_of_some()) {
      for (Step& step : steps_) {
        if (!step.error) continue;
        step.outcome = {.error = step.error->retryable() ? StateErrorCode::unavailable : step.error->code()};
      }
      error = nullptr;
    }
    if (!error) {
      if (attempt_.client.table_id(deadline) != table_) {
        throw StateError(StateErrorCode::unavailable, "DynamoDB: the table was made anew meanwhile", Effect::unknown,
                         true);
      }
      if (lane.after_loss) known.marks.clear();
      for (const Step& step : steps_) {
        if (step.is_stored) known.mark(step.name(), lane.sequence);
      }
      known.done(lane.sequence, outcomes_, table_);
      return {};
    }
    if (!is_in_doubt()) {
      return {BatchStatus::not_applied, StateError(error->code(), reason(*error), Effect::none, error->retryable())};
    }
    if (is_older) return {BatchStatus::not_applied, *error};
    return in_doubt(*error);
  }
  /// Whether what has failed has had no effect, and will have none, and others of the batch have fared otherwise.
  bool is_of_some() const {
    const auto is_like_first = [&](const Step& step) {
      return step.error && steps_.front().error && step.error->retryable() == steps_.front().error->retryable();
    };
    return !std::all_of(steps_.begin(), steps_.end(), is_like_first) &&
           std::none_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.error && step.is_doubtful; });
  }
  /// So that a batch that is sent again asks no more of the states that have nothing to do with it.
  BatchResult in_doubt(const StateError& why) {
    Known& known = *attempt_.known;
    known.in_doubt(attempt_.lane.sequence);
    for (const Step& step : steps_) {
      if (!step.is_doubtful && !step.is_stored && !step.has_written()) known.certain.insert(step.name());
    }
    return {BatchStatus::in_doubt, StateError(why.code(), reason(why), Effect::unknown, true)};
  }
  /// Of the batches that are done, the number of the last one that has left something which is still there.
  std::uint64_t last_stored(Deadline deadline) const {
    const Known& known = *attempt_.known;
    if (known.marks.empty()) return known.last;  // nothing was left
    std::vector<Known::Key> names;
    for (const auto& [name, _] : known.marks) names.push_back(name);
    std::uint64_t last = 0;
    attempt_.client.get(names, "", deadline, [&](simdjson::dom::element attributes) {
      const DynamoDbItem item = dynamodb_item(attributes, attempt_.lane_name, 0, dynamodb_now());
      const std::uint64_t number = item.trace ? item.trace->sequence.number : 0;
      if (number <= known.last) last = std::max(last, number);
    });
    return last;
  }

  // ---- Each state by itself

  void run_each(Deadline deadline) {
    for (Step& step : steps_) begin(step);
    // A state that is refused for long must not keep those of others waiting: whoever has sent this sends it again.
    const Deadline patience = DynamoDbClient::Clock::now() + std::chrono::milliseconds(500);
    for (;;) {
      try {
        note_dynamodb_states(attempt_.client, steps_, deadline, patience);
      } catch (const StateError& error) {
        for (Step& step : steps_) {
          if (step.is_new && !step.is_ended()) step.fail(error);
        }
      }
      std::vector<DynamoDbCall*> calls;
      std::vector<Step*> sent;
      for (Step& step : steps_) {
        if (step.is_ended()) continue;
        calls.push_back(&step.call);
        sent.push_back(&step);
      }
      if (calls.empty()) return;
      std::optional<StateError> failed;
      try {
        attempt_.client.send(calls, deadline, patience);
      } catch (const StateError& error) {
        failed = error;
      }
      for (Step* const step : sent) {
        try {
          failed ? step->fail(*failed) : go_on(*step);
        } catch (const StateError& error) {
          step->fail(error);
        }
      }
    }
  }
  /// As it would be if nothing is unusual: without looking at what there is.
  void begin(Step& step) {
    const Command& command = step.command;
    const std::int64_t now = dynamodb_now();
    const bool is_creation = command.expected == 0;
    DynamoDbRequest request = step.request();
    const auto require_version = [&] {
      require_alive_in_dynamodb(request, now);
      if (command.expected) request.require("n = :seen").number(":seen", *command.expected);
    };
    if (command.kind == Command::Kind::write && is_creation) {
      step.is_new = true;
      request.require("(attribute_not_exists(v) OR x <= :now)").number(":now", now / 1000);
      request.set("n = if_not_exists(n, :t) + :one").number(":t", now).number(":one", 1);
      step.put(request, *command.value, now, true);
      step.leave(request, "if_not_exists(n, :t) + :one", "", now);
      return send(step, Stage::decides, request.body("ALL_NEW"));
    }
    if (command.kind == Command::Kind::write) {
      require_version();
      request.set("n = n + :one").number(":one", 1);
      step.put(request, *command.value, now, false);
      step.leave(request, "n + :one", "", now);
      return send(step, Stage::decides, request.body("ALL_NEW"));
    }
    if (command.kind == Command::Kind::erase && !is_creation) {
      require_version();
      end_dynamodb_state(request, now);
      step.leave(request, "n", "", now);
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
        step.set_end(request, now);
        step.leave(request, "n + :one", "v", now);
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
    body.text(attempt_.client.table());
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
    const bool is_write = step.stage == Stage::decides;
    if (step.has_written()) step.is_doubtful = true;
    if (call.status == DynamoDbCall::Status::failed) {
      if (call.error->code() != StateErrorCode::too_large) return step.fail(*call.error);
      return step.seen ? make_room(step) : look(step);
    }
    if (step.stage == Stage::makes_room) return begin(step);
    const std::int64_t now = dynamodb_now();
    const DynamoDbJson json(call.answer);
    if (!json) throw strange_dynamodb_answer();
    const auto item = [&](std::string_view name) -> std::optional<DynamoDbItem> {
      const auto attributes = member_of(json.root(), name);
      if (!attributes) return std::nullopt;
      return dynamodb_item(*attributes, attempt_.lane_name, step.format(), now);
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
    if (!step.seen || !step.seen->trace || step.seen->trace->sequence.number != attempt_.lane.sequence) {
      throw strange_dynamodb_answer();
    }
    step.take();
  }
  /// In an item that is full, and then it is tried again. If nothing can be taken out, it stays as it is.
  static void make_room(Step& step) {
    if (!step.seen->old_lanes.empty()) {
      step.stage = Stage::makes_room;
      step.call = step.forget_lanes();
      return;
    }
    if (step.is_doubtful) return step.fail({StateErrorCode::too_large, "DynamoDB: more than it takes in an item"});
    step.outcome = {.error = StateErrorCode::too_large};
    step.stage = Stage::done;
  }
  /// Of what was seen, what is to be done.
  void decide(Step& step, std::int64_t now) {
    if (step.is_carried_out()) return step.take();
    if (step.is_ended()) return;
    const std::optional<StoredValue> made = step.judge(now);
    DynamoDbRequest request = step.request();
    if (!step.change(request, made, now)) {
      step.stage = Stage::done;
      return;
    }
    send(step, Stage::decides, request.body("ALL_NEW"));
  }
  /// In passing, what lanes have left that nobody uses any more. It does not matter whether that goes well.
  void forget_lanes(Deadline deadline) {
    constexpr std::size_t worth_it = 4;
    std::vector<DynamoDbCall> calls;
    for (Step& step : steps_) {
      if (step.seen && step.seen->old_lanes.size() >= worth_it && step.is_stored) calls.push_back(step.forget_lanes());
    }
    attempt_.client.send_in_passing(calls, deadline);
  }

  const DynamoDbAttempt attempt_;
  const bool is_whole_;
  std::span<Outcome> outcomes_;
  std::vector<Step> steps_;
  DynamoDbTransaction transaction_{attempt_, steps_};
  std::string table_;
  bool is_doubtful_ = false;
};

}  // namespace atom::inline v0_1::detail

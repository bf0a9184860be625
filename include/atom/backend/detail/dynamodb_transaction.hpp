// Several commands of which all are to take effect, or none: one TransactWriteItems, after a look at their states.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_step.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class DynamoDbTransaction {
 public:
  DynamoDbTransaction(const DynamoDbAttempt& attempt, std::span<DynamoDbStep> steps)
      : attempt_(attempt), steps_(steps) {}

  /// Whether it may have taken effect, or may still.
  bool is_doubtful() const noexcept { return call_.is_doubtful; }

  void run(Deadline deadline) {
    for (int attempt = 1;; ++attempt) {
      look(deadline);
      const std::int64_t now = dynamodb_now();
      bool was_carried_out = false;
      for (Step& step : steps_) {
        was_carried_out = step.is_carried_out() || was_carried_out;
        if (step.stage == Step::Stage::failed) return;
      }
      if (was_carried_out) return take(now);
      std::string body = compose(now);
      if (body.empty()) return end(false);
      note_dynamodb_states(attempt_.client, steps_, deadline);
      call_ = {.operation = "TransactWriteItems", .body = std::move(body)};
      std::vector<DynamoDbCall*> one{&call_};
      attempt_.client.send(one, deadline);
      if (call_.is_doubtful) {
        for (Step& step : steps_) step.is_doubtful = true;
      }
      if (call_.status == DynamoDbCall::Status::good) return end(true);
      std::optional<StateError> error = call_.error;
      if (call_.status == DynamoDbCall::Status::condition) error = canceled(call_);
      if (error->code() == StateErrorCode::too_large && make_room(deadline)) continue;
      const bool is_again = call_.status == DynamoDbCall::Status::condition && error->retryable();
      const Deadline next = DynamoDbClient::Clock::now() + DynamoDbClient::pause_after(attempt);
      if (!is_again || next >= deadline) {
        for (Step& step : steps_) {
          step.error = error;
          step.stage = Step::Stage::failed;
        }
        return;
      }
      std::this_thread::sleep_until(next);
    }
  }

 private:
  using Step = DynamoDbStep;

  void look(Deadline deadline) {
    std::vector<std::pair<std::string, std::string>> keys;
    std::map<std::pair<std::string, std::string>, Step*> places;
    for (Step& step : steps_) {
      step.seen.emplace();
      step.expected.reset();
      keys.emplace_back(step.partition, step.command.name.key);
      places[keys.back()] = &step;
    }
    attempt_.client.get(keys, "", deadline, [&](simdjson::dom::element attributes) {
      const auto found = places.find({std::string(dynamodb_text(attributes, "p")),  //
                                      std::string(dynamodb_text(attributes, "k"))});
      if (found == places.end()) throw strange_dynamodb_answer();
      Step& step = *found->second;
      step.seen = dynamodb_item(attributes, attempt_.lane_name, step.format(), dynamodb_now());
    });
  }
  /// Takes out of the items what lanes have left that nobody uses any more, some of them at a time. Whether it has.
  bool make_room(Deadline deadline) {
    std::vector<DynamoDbCall> calls;
    for (Step& step : steps_) {
      if (!step.seen->old_lanes.empty()) calls.push_back(step.forget_lanes());
    }
    if (!calls.empty()) attempt_.client.send(calls, deadline);
    return std::any_of(calls.begin(), calls.end(),
                       [](const DynamoDbCall& call) { return call.status != DynamoDbCall::Status::failed; });
  }
  /// It was carried out as a whole before, so what has left nothing has changed nothing.
  void take(std::int64_t now) {
    for (Step& step : steps_) {
      if (step.seen->trace && step.seen->trace->sequence.number == attempt_.lane.sequence) {
        step.take();
      } else {
        step.outcome = {.version = step.seen->is_alive(now) ? step.seen->version : 0};
        step.stage = Step::Stage::done;
      }
    }
  }
  void end(bool was_sent) {
    for (Step& step : steps_) {
      if (was_sent && step.expected) {
        step.outcome = *std::move(step.expected);
        step.is_stored = true;
      }
      step.stage = Step::Stage::done;
    }
  }
  /// The request; nothing, if there is nothing to be done.
  std::string compose(std::int64_t now) {
    std::vector<std::optional<StoredValue>> made;
    bool all = true;
    for (Step& step : steps_) {
      made.push_back(step.judge(now));
      all = all && !step.outcome.error;
    }
    JsonWriter body;
    body.begin_object();
    body.key("ClientRequestToken");
    body.text(random_text(32));
    body.key("TransactItems");
    body.begin_array();
    bool has_some = false;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Step& step = steps_[i];
      DynamoDbRequest request = step.request();
      const bool is_refusal = !all && step.is_doubtful;
      if (is_refusal) step.refuse(request, now);
      const bool is_change = is_refusal || (all && step.change(request, made[i], now));
      const bool is_check = all && !is_change && step.command.expected;
      if (!is_change && !is_check) continue;
      if (is_check) step.require_unchanged(request);
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
  /// Why it was not carried out: if somebody has written one of the states, or is just doing so, it may be tried again.
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

  const DynamoDbAttempt& attempt_;
  std::span<DynamoDbStep> steps_;
  DynamoDbCall call_;
};

}  // namespace atom::inline v0_1::detail

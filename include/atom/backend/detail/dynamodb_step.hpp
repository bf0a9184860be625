// One command of a batch in DynamoDB: what it does to the state as it is, and the request that does it, with what the
// batch leaves in the state.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_lanes.hpp>
#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/type.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// What an attempt at a batch knows, whatever its commands are.
struct DynamoDbAttempt {
  /// What the equations of a command make of a value.
  using Calculate = std::function<std::pair<std::optional<StateErrorCode>, std::optional<StoredValue>>(
      const Command&, const StoredValue&)>;

  DynamoDbClient& client;
  const Lane& lane;
  const std::string lane_name;
  const std::shared_ptr<DynamoDbLanes::Known> known;
  const Calculate calculate;
};

struct DynamoDbStep {
  enum class Stage : std::uint8_t { begins, looks, makes_room, decides, done, failed };

  DynamoDbStep(const DynamoDbAttempt& its_attempt, const Command& its_command, Outcome& its_outcome)
      : attempt(its_attempt),
        command(its_command),
        outcome(its_outcome),
        partition(dynamodb_partition(command.name.scope)) {
    outcome = {};
  }

  const DynamoDbAttempt& attempt;
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
  bool is_older = false;  ///< than what the lane has left in the state
  bool is_lost = false;   ///< what the lane has left in the state

  /// Whether its last request has changed the state, or may have, or may still; whether or not that was looked at.
  bool has_written() const noexcept {
    return stage == Stage::decides && (call.is_doubtful || call.status == DynamoDbCall::Status::good);
  }
  void fail(StateError why) {
    if (has_written()) is_doubtful = true;
    error = std::move(why);
    stage = Stage::failed;
  }
  bool is_ended() const noexcept { return stage == Stage::done || stage == Stage::failed; }
  int format() const noexcept {
    return command.type ? command.type->version : command.value ? command.value->format : 0;
  }
  DynamoDbLanes::Known::Key name() const { return {partition, std::string(command.name.key)}; }
  DynamoDbRequest request() const { return {attempt.client.table(), partition, command.name.key}; }

  // ---- What was seen

  /// Whether it was carried out by an earlier request. If it must not be, it fails.
  bool is_carried_out() {
    const std::uint64_t number = seen->trace ? seen->trace->sequence.number : 0;
    if (number == attempt.lane.sequence) return true;
    if (number > attempt.lane.sequence) {
      error = older();
      is_older = true;
      stage = Stage::failed;
    } else if (number < known_number()) {
      is_lost = true;
      stage = Stage::failed;
    }
    return false;
  }
  /// What came of it is what lies in the state.
  void take() {
    const DynamoDbTrace& trace = *seen->trace;
    outcome = {.error = trace.error, .version = trace.version, .value = trace.before};
    if (trace.error == StateErrorCode::conflict) outcome.value = seen->value;
    is_stored = true;
    stage = Stage::done;
  }
  /// What the command does to what was seen: the outcome, and the value that is to be written.
  std::optional<StoredValue> judge(std::int64_t now) {
    const bool is_alive = seen->is_alive(now);
    outcome = {.version = is_alive ? seen->version : 0};
    if (is_alive && seen->version == 0) {
      outcome.error = StateErrorCode::undecodable;
      return std::nullopt;
    }
    if (command.expected && *command.expected != outcome.version) {
      outcome.error = StateErrorCode::conflict;
      if (is_alive) outcome.value = seen->value;
      return std::nullopt;
    }
    if (command.kind == Command::Kind::write) return *command.value;
    if (command.kind != Command::Kind::apply || command.equations.empty()) return std::nullopt;
    if (is_alive) outcome.value = seen->value;
    auto [failed, made] = attempt.calculate(command, is_alive ? *seen->value : *command.value);
    outcome.error = failed;
    return failed ? std::nullopt : std::move(made);
  }
  static StateError older() { return dynamodb_refusal("the batch is older than its lane"); }

  // ---- What is sent

  /// Takes out what lanes have left that nobody uses any more, some of them at a time. That may be done twice.
  DynamoDbCall forget_lanes() {
    constexpr std::size_t most = 16;
    auto& old = seen->old_lanes;
    DynamoDbRequest forgetting = request();
    std::deque<std::string> aliases;
    for (std::size_t i = 0; i < std::min(old.size(), most); ++i) {
      const auto& [lane, sequence] = old[old.size() - 1 - i];
      const auto alias = [&](std::string_view kind) -> const std::string& {
        return aliases.emplace_back(std::string(kind) + static_cast<char>('a' + i));
      };
      for (const std::string_view kind : {"#m", "#o", "#c", "#s"}) {
        forgetting.name(alias(kind), std::string(kind.substr(1)) + ':' + lane).remove(aliases.back());
      }
      const std::string& number = aliases.back();
      forgetting.require(number + " = " + alias(":")).number(aliases.back(), sequence);
    }
    old.resize(old.size() - std::min(old.size(), most));
    return {.operation = "UpdateItem", .body = forgetting.body("")};
  }

  /// Makes the request that does it, if nobody has written meanwhile. Whether there is one to be made.
  bool change(DynamoDbRequest& request, const std::optional<StoredValue>& made, std::int64_t now) {
    Outcome after = outcome;
    const bool is_alive = seen->is_alive(now);
    const bool ends = command.kind == Command::Kind::erase && is_alive && !after.error;
    if (!made && !ends && !is_doubtful) return false;
    require_unchanged(request);
    const std::string before = command.kind == Command::Kind::apply && after.value && !after.error ? ":o" : "";
    if (!before.empty()) {
      const bool is_number = is_dynamodb_number(after.value->text) && after.value->format == format();
      if (is_number) {
        request.number(":o", after.value->text);
      } else {
        request.text(":o", dynamodb_before(*after.value));
      }
    }
    if (made) {
      after.version = seen->version != 0 ? version_after(seen->version, "DynamoDB") : now;
      request.set("n = :n").number(":n", after.version);
      put(request, *made, now, !is_alive);
      is_new = !is_alive;
    } else if (ends) {
      end_dynamodb_state(request, now);
    } else {
      be_there(request, now);
    }
    leave_outcome(request, std::move(after), before, now);
    return true;
  }
  /// The same where nothing comes of it, though an earlier request may still arrive, and is to find that it is too
  /// late.
  void refuse(DynamoDbRequest& request, std::int64_t now) {
    require_unchanged(request);
    be_there(request, now);
    leave_outcome(request, outcome, "", now);
  }

  /// Nobody has written meanwhile.
  void require_unchanged(DynamoDbRequest& request) const {
    if (seen->version != 0) {
      request.require("n = :seen").number(":seen", seen->version);
    } else {
      request.require("attribute_not_exists(n)");
    }
  }
  void set_end(DynamoDbRequest& request, std::int64_t now) const {
    if (command.ttl > 0) return set_dynamodb_end(request, command.ttl, now);
    request.remove("x").remove("e");
  }
  void put(DynamoDbRequest& request, const StoredValue& value, std::int64_t now, bool with_labels) const {
    request.set("v = :v").value(":v", value).set("f = :f").number(":f", value.format);
    set_end(request, now);
    if (!with_labels) return;
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
  /// The lane leaves its number and what came of it, unless it has left this number or a greater one already. `version`
  /// and `before` say where those are.
  void leave(DynamoDbRequest& request, std::string_view version, std::string_view before, std::int64_t now) const {
    const std::string& lane = attempt.lane_name;
    request.name("#s", "s:" + lane).name("#m", "m:" + lane).name("#o", "o:" + lane).name("#c", "c:" + lane);
    request.set("#s = :s").number(":s", DynamoDbSequence{attempt.lane.sequence, now / 1'000'000}.text());
    request.number(":q", std::to_string(attempt.lane.sequence));
    if (const std::uint64_t known = known_number(); known > 0) {
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
    if (!outcome.error) request.remove("#c");
  }

 private:
  /// The number that the lane has left in the state, as far as that is known; else 0.
  std::uint64_t known_number() const {
    const auto& marks = attempt.known->marks;
    const auto mark = marks.find(name());
    if (attempt.lane.after_loss || mark == marks.end()) return 0;
    return DynamoDbLanes::Known::lasts(mark->second.time) ? mark->second.number : 0;
  }
  /// So that what may still arrive finds that it is too late.
  void be_there(DynamoDbRequest& request, std::int64_t now) const {
    if (seen->version != 0) return;
    request.set("n = :n").number(":n", now);
    request.set("e = :e").number(":e", now / 1'000'000 + 2 * dynamodb_lane_life);
  }
  void leave_outcome(DynamoDbRequest& request, Outcome after, std::string_view before, std::int64_t now) {
    leave(request, ":m", before, now);
    request.number(":m", after.version);
    if (after.error) request.set("#c = :c").number(":c", static_cast<std::int64_t>(*after.error));
    expected = std::move(after);
  }
};

/// What leads to states that are new is written before them.
inline void note_dynamodb_states(DynamoDbClient& client, std::span<DynamoDbStep> steps, Deadline deadline,
                                 std::optional<Deadline> patience = {}) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const DynamoDbStep& step : steps) {
    if (!step.is_new || step.is_ended()) continue;
    const StateName& name = step.command.name;
    names.emplace_back("scopes", name.scope.text());
    for (const std::string& label : step.command.labels) {
      names.emplace_back(dynamodb_label(label), name.scope.text() + ' ' + std::string(name.key));
    }
  }
  client.note(std::move(names), deadline, patience);
  for (DynamoDbStep& step : steps) step.is_new = false;
}

}  // namespace atom::inline v0_1::detail

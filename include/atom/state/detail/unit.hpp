// Several states that change together, or not at all: in memory, or in a database as one batch.
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/ask.hpp>
#include <atom/state/detail/batch.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/type.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// What is to become of one state. It refers to nothing that the caller owns, so any thread may carry it out.
struct UnitStep {
  using Kind = Command::Kind;
  Kind kind;
  atom::Scope scope;
  std::string key;
  /// Null: whatever it is (of an erase, a check, or a write of what is stored).
  const TypeOps* type = nullptr;
  /// As that of a Command.
  std::optional<std::int64_t> expected = {};
  /// Of a write. Of an apply, what came of it.
  SharedValue value = {};
  /// What the state is without a value, where equations start.
  SharedValue initial = {};
  /// Of a write, instead of a value: what a database has stored for another state.
  std::optional<StoredValue> stored = {};
  std::vector<std::shared_ptr<const AnyEquation>> equations = {};
  std::chrono::milliseconds ttl = {};
  /// Afterwards; 0: there is no value.
  std::int64_t version = 0;
};

/// Why nothing was changed.
struct UnitFailure {
  StateError error;
  /// The one that somebody else has written meanwhile, if that is why.
  std::optional<std::size_t> conflict = {};
};

/// What a state was when it was looked at.
struct SeenState {
  SharedValue value;         // null: there is none
  std::int64_t version = 0;  // 0: there is none
};
inline StateError type_mismatch(const atom::Scope& scope, std::string_view key, const TypeOps& is,
                                const TypeOps& wanted) {
  return {StateErrorCode::type_mismatch, "state \"" + id_in_message(scope, key) + "\" is " + std::string(is.name) +
                                             ", and is asked for as " + std::string(wanted.name)};
}
/// In memory alone.
inline StateResult<SeenState> look_at(StateCore& core, const atom::Scope& scope, std::string_view key,
                                      const TypeOps& type) {
  const NodeReference node = core.table.find(scope, key);
  if (!node) return SeenState();
  if (!node->type().same_type(type)) return type_mismatch(scope, key, node->type(), type);
  SeenValue seen = core.look(*node);
  return seen.version > 0 ? SeenState{std::move(seen.value), seen.version} : SeenState();
}
/// Of what a database has answered.
inline StateResult<SeenState> read_outcome(const StateCore& core, const atom::Scope& scope, std::string_view key,
                                           const TypeOps& type, const Outcome& outcome) {
  if (!outcome.value) return SeenState{nullptr, outcome.version};
  StateResult<SharedValue> value = core.engine->backend().read_value(type, *outcome.value);
  if (value) return SeenState{*std::move(value), outcome.version};
  const StateError& error = value.error();
  return StateError(error.code(), "state \"" + id_in_message(scope, key) + "\": " + reason(error), error.effect(),
                    error.retryable());
}

/// Carries steps out, no two of them of one state, all or nothing. Where somebody writes what equations run on, they
/// run again, until the deadline. Code of the user's (copies, codecs, equations) runs here, without a lock; what it
/// throws comes out, and nothing was changed.
class Unit {
 public:
  Unit(StateCore& core, std::span<UnitStep> steps, Deadline deadline)
      : core_(core), steps_(steps), deadline_(deadline) {}

  std::optional<UnitFailure> commit() {
    for (unsigned failures = 1;; ++failures) {
      auto failure = core_.engine ? commit_to_database() : commit_to_memory();
      if (!failure || !failure->conflict || is_exact(steps_[*failure->conflict])) return failure;
      if (!pause_before(core_, failures, deadline_)) return failure;
    }
  }

 private:
  using Kind = UnitStep::Kind;

  /// Whether it takes a version of the caller's; else a conflict is no concern of his.
  static bool is_exact(const UnitStep& step) noexcept { return step.expected.has_value(); }
  UnitFailure conflict_at(std::size_t i) const {
    return {StateError(StateErrorCode::conflict,
                       "state \"" + id_in_message(steps_[i].scope, steps_[i].key) +
                           "\": somebody else has written it since it was read",
                       Effect::none, true),
            i};
  }
  /// What the equations make of a value.
  static StateResult<SharedValue> evaluate(const UnitStep& step, SharedValue value) {
    if (step.equations.empty()) return value;
    const std::shared_ptr<void> next = copy_value(*step.type, value.get());
    for (const auto& equation : step.equations) {
      if (const auto problem = equation->apply_to(next.get())) return problem_of(step, *problem);
    }
    return SharedValue(next);
  }
  static StateError problem_of(const UnitStep& step, StateErrorCode problem) {
    return {problem, "state \"" + id_in_message(step.scope, step.key) + "\": " + std::string(to_string(problem))};
  }

  // ---- In memory

  std::optional<UnitFailure> commit_to_memory() {
    std::vector<StateCore::Step> nodes;
    nodes.reserve(steps_.size());
    std::vector<SharedValue> values(steps_.size());
    try {
      for (std::size_t i = 0; i < steps_.size(); ++i) {
        const UnitStep& step = steps_[i];
        NodeReference node = node_of(step);
        if (!node) {  // there is nothing to erase, or to compare with
          if (step.expected.value_or(0) != 0) return conflict_at(i);
          continue;
        }
        const std::int64_t known = core_.version(*node);
        if (step.expected && *step.expected != known) return conflict_at(i);
        std::int64_t expected = known > 0 ? known : std::min<std::int64_t>(node->raw_version(), 0);
        if (step.kind == Kind::apply) {
          SeenValue seen = core_.look(*node);
          expected = seen.version;
          values[i] = expected > 0 ? seen.value : step.initial;  // not what it is for who else holds it
        } else if (step.kind == Kind::write) {
          values[i] = step.value;
        }
        if (values[i]) values[i] = evaluate(step, std::move(values[i])).value();
        nodes.push_back({std::move(node), values[i], expected, step.kind == Kind::check, i});
      }
    } catch (const StateError& error) {
      return UnitFailure{error};
    }
    if (const StateCore::Step* const conflict = core_.write_all(nodes)) return conflict_at(conflict->index);
    for (const StateCore::Step& node : nodes) {
      UnitStep& step = steps_[node.index];
      step.version = node.version;
      step.value = std::move(values[node.index]);
    }
    return std::nullopt;
  }
  NodeReference node_of(const UnitStep& step) {
    if (step.kind == Kind::erase || step.kind == Kind::check) return core_.table.find(step.scope, step.key);
    NodeReference node = core_.table.obtain(step.scope, step.key, [&] {
      const SharedValue& initial = step.initial ? step.initial : step.value;
      return make_state_node(core_, {.key = step.key, .ttl = step.ttl}, *step.type, initial.get());
    });
    core_.watch(node);
    if (!node->type().same_type(*step.type)) throw type_mismatch(step.scope, step.key, node->type(), *step.type);
    return node;
  }

  // ---- In a database

  /// What a command refers to.
  struct Sent {
    StoredValue stored;
    SharedValue value;
    std::vector<const AnyEquation*> equations;
    NodeReference node;
  };
  std::optional<UnitFailure> commit_to_database() {
    const BackendTraits& traits = core_.engine->traits();
    if (steps_.size() > 1 && !traits.all_or_nothing) {
      return UnitFailure{StateError(StateErrorCode::refused,
                                    std::string(traits.name) + " cannot change several states all or nothing")};
    }
    if (steps_.size() > traits.most_commands) {
      return UnitFailure{too_large(std::to_string(steps_.size()) + " states change together, and " +
                                   std::string(traits.name) + " takes " + std::to_string(traits.most_commands))};
    }
    std::vector<Sent> sent(steps_.size());
    std::vector<Command> commands;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      StateResult<Command> command = command_of(steps_[i], sent[i]);
      if (!command) return UnitFailure{command.error()};
      commands.push_back(*command);
      bytes += sent[i].stored.text.size();
    }
    if (bytes > traits.most_bytes) {
      return UnitFailure{too_large("values of " + std::to_string(bytes) + " bytes as text change together, and " +
                                   std::string(traits.name) + " takes " + std::to_string(traits.most_bytes))};
    }
    const StateResult<std::vector<Outcome>> outcomes = core_.engine->commit(commands, deadline_);
    if (!outcomes) return UnitFailure{outcomes.error()};
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!(*outcomes)[i].error) continue;
      if (*(*outcomes)[i].error == StateErrorCode::conflict) return conflict_at(i);
      return UnitFailure{problem_of(steps_[i], *(*outcomes)[i].error)};
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) finish(steps_[i], sent[i], (*outcomes)[i]);
    return std::nullopt;
  }
  static StateError too_large(const std::string& message) { return {StateErrorCode::too_large, message}; }

  StateResult<Command> command_of(const UnitStep& step, Sent& sent) {
    Command command{.kind = step.kind, .name = {step.scope, step.key}};
    command.type = step.type;
    command.expected = step.expected;
    if (step.kind == Kind::erase || step.kind == Kind::check) return command;
    command.value = &sent.stored;
    command.ttl = std::min<std::chrono::milliseconds>(step.ttl, longest_time_to_live).count();
    sent.node = core_.table.find(step.scope, step.key);
    if (sent.node && sent.node->has(StateNode::timed | StateNode::labelled)) {  // somebody has said what it is to have
      const StateExtras& extras = extras_of(*sent.node);
      if (command.ttl == 0) command.ttl = extras.time_to_live;
      command.labels = extras.labels;
    }
    if (step.stored) {
      sent.stored = *step.stored;
      return command;
    }
    if (step.kind == Kind::write) {
      StateResult<SharedValue> next = evaluate(step, step.value);
      if (!next) return next.error();
      sent.value = *std::move(next);
    } else if (can_run(step)) {
      for (const auto& equation : step.equations) sent.equations.push_back(equation.get());
      command.equations = sent.equations;
      sent.value = step.initial;
    } else {  // here, on what is there now
      Outcome outcome;
      if (auto error = read_states(core_, {&command.name, 1}, {&outcome, 1}, deadline_)) return *std::move(error);
      StateResult<SeenState> seen = read_outcome(core_, step.scope, step.key, *step.type, outcome);
      if (!seen) return seen.error();
      StateResult<SharedValue> next = evaluate(step, seen->value ? seen->value : step.initial);
      if (!next) return next.error();
      sent.value = *std::move(next);
      command.kind = Kind::write;
      command.expected = seen->version;
    }
    const auto id = [&] { return id_in_message(step.scope, step.key); };
    if (auto error = write_value(core_.engine->traits(), id, *step.type, sent.value.get(), sent.stored)) {
      return *std::move(error);
    }
    return command;
  }
  bool can_run(const UnitStep& step) const {
    if (step.equations.size() > 1 && !core_.engine->traits().many_equations) return false;
    return std::all_of(step.equations.begin(), step.equations.end(),
                       [&](const auto& equation) { return core_.engine->backend().runs(*equation, *step.type); });
  }
  /// It has taken effect: nothing that fails here is an error any more.
  void finish(UnitStep& step, Sent& sent, const Outcome& outcome) noexcept {
    step.version = step.kind == Kind::erase ? 0 : outcome.version;
    try {
      if (!sent.equations.empty()) sent.value = result_of(step, outcome);
      step.value = sent.value;
      if (step.kind == Kind::check) return;
      const NodeReference node = core_.table.find(step.scope, step.key);
      if (!node) return;
      SharedValue value = step.value;
      if (step.stored) value = core_.engine->backend().read_value(node->type(), *step.stored).value_or(nullptr);
      const bool is_known = step.kind == Kind::erase || (value && (step.stored || node->type().same_type(*step.type)));
      if (!is_known) return StateCache::is_old(*node);
      if (core_.accept(*node, std::move(value), outcome.version)) core_.tell_news(*node);
    } catch (...) {
      step.value = nullptr;
    }
  }
  /// What the database has made of the value before, or null if that cannot be told.
  SharedValue result_of(const UnitStep& step, const Outcome& outcome) const {
    const StateResult<SeenState> before = read_outcome(core_, step.scope, step.key, *step.type, outcome);
    if (!before) return nullptr;
    const StateResult<SharedValue> now = evaluate(step, before->value ? before->value : step.initial);
    return now ? *now : nullptr;
  }

  StateCore& core_;
  const std::span<UnitStep> steps_;
  const Deadline deadline_;
};

}  // namespace atom::inline v0_1::detail

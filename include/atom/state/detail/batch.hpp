// How what many callers want becomes one batch, with one command for each state, and how of its outcomes each caller
// gets a result of its own. No lock, no thread, no database: that is the engine's. Code of the user's runs in here
// (copies, codecs, equations); what it throws ends the one operation that it was for.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/operation.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// One who wants a part of a share.
struct Taker {
  OperationPointer operation;
  std::optional<StateError> failed = {};  // on the value that it was run on, which it has left as it was
};

/// What a batch does with one state, for all who want something of it, in their order.
struct Share {
  NodeReference node;
  Command::Kind kind;
  std::int64_t known;  // the version of what was known
  std::optional<std::int64_t> expected = {};
  std::vector<Taker> takers = {};
  SharedValue next = {};    // of a write, the value
  bool is_guessed = false;  // on what was known: if that is old, it is all done again
  bool is_closed = false;   // what comes later waits for the next batch
  StoredValue stored = {};  // what it starts from or becomes, as text
  std::vector<const AnyEquation*> equations = {};
  bool is_left = false;  // nobody waits for it any more: see Lane
  bool is_news = false;  // to be told when it is done
};

struct Batch {
  std::vector<Share> shares;
  std::vector<Command> commands;  // as many, and outcomes too
  std::vector<Outcome> outcomes;
  std::int64_t made = 0;  // of StateTable::milliseconds_now
  bool is_in_doubt = false;
  bool is_noted = false;  // that it is, when nobody waited for it any more

  template <class Use>
  void each(Use use) const {
    for (const Share& share : shares) {
      for (const Taker& taker : share.takers) use(taker.operation);
    }
  }
};

/// A value as text, as it is to be stored; `id()` is for the error.
template <class Id>
std::optional<StateError> write_value(const BackendTraits& traits, Id id, const TypeOps& type, const void* value,
                                      StoredValue& to) {
  const auto failed = [&](StateErrorCode code, const std::string& why) {
    return StateError(code, "state \"" + id() + "\": " + why);
  };
  JsonWriter writer;
  type.write(value, writer);
  if (!writer.left_out().empty()) return failed(StateErrorCode::not_finite, "a number in its value is not finite");
  to = {std::string(writer.text()), type.version};
  if (to.text.size() <= traits.most_value_bytes) return std::nullopt;
  return failed(StateErrorCode::too_large, "its value has " + std::to_string(to.text.size()) + " bytes as text, and " +
                                               std::string(traits.name) + " takes " +
                                               std::to_string(traits.most_value_bytes));
}

class StateBatcher {
 public:
  StateBatcher(StateCore& core, StateCache& cache, const Backend& backend)
      : core_(core), cache_(cache), backend_(backend), traits_(backend.traits()) {}

  /// A batch of those that wait, as far as they go into one; each is marked with its place. Of one state they keep
  /// their order. Empty, if all have failed.
  std::unique_ptr<Batch> make(const OperationQueue& operations) {
    auto batch = std::make_unique<Batch>();
    batch->made = StateTable::milliseconds_now();
    std::unordered_map<const StateNode*, std::size_t> where;
    operations.each([&](const OperationPointer& operation) {
      operation->place_ = StateOperation::Place::left;
      operation->is_again_ = false;
      operation->draft_ = {};
      attempt(*operation, [&] {
        if (has_lost(*operation)) {
          operation->draft_.error = failure(StateErrorCode::conflict, *operation->node);
          operation->place_ = StateOperation::Place::failed;
          return;
        }
        const auto found = where.find(&*operation->node);
        if (found != where.end()) {
          if (!join(batch->shares[found->second], operation)) return;
        } else {
          if (batch->shares.size() == traits_.most_commands) return;
          Share share = begin(operation);
          batch->shares.reserve(grown(batch->shares));
          where.emplace(&*operation->node, batch->shares.size());
          batch->shares.push_back(std::move(share));
        }
        operation->place_ = StateOperation::Place::taken;
      });
    });
    write_down(*batch);
    for (Share& share : batch->shares) batch->commands.push_back(command_of(share));
    batch->outcomes.resize(batch->commands.size());
    return batch;
  }

  /// Notes what became of each operation of a batch that was carried out, and takes over what the states are now. What
  /// is to be told is put into `events`.
  void take_outcomes(Batch& batch, std::vector<StateEvent>& events) noexcept {
    for (std::size_t i = 0; i < batch.shares.size(); ++i) {
      Share& share = batch.shares[i];
      try {
        take_outcome(share, batch.outcomes[i], batch.made, events);
      } catch (...) {
        StateCache::is_old(*share.node);
        has_no_result(share);
      }
    }
  }

  /// Of an equation, a comparison.
  static StateError failure(StateErrorCode code, const StateNode& node) {
    return {code, "state \"" + message_id(node) + "\": " + std::string(to_string(code)), Effect::none,
            code == StateErrorCode::conflict || code == StateErrorCode::unavailable};
  }

 private:
  /// What it throws is what has become of the operation.
  template <class Work>
  static void attempt(StateOperation& operation, Work work) noexcept {
    try {
      work();
    } catch (...) {
      operation.draft_.thrown = std::current_exception();
      operation.place_ = StateOperation::Place::failed;
    }
  }

  // ---- Making a batch

  /// Whether it compares with a version that is known to be over. Then it fails now: if it took a batch of its own to
  /// find out, whoever has just written would be first again each time.
  static bool has_lost(const StateOperation& operation) noexcept {
    if (operation.kind != StateOperation::Kind::set_if) return false;
    const std::int64_t known = operation.node->raw_version();
    return operation.expected > 0 && (known > 0 ? operation.expected < known : operation.expected <= -known);
  }
  /// The share of the first operation on a state.
  Share begin(const OperationPointer& operation) {
    StateNode& node = *operation->node;
    Share share{.node = operation->node, .kind = Command::Kind::write, .known = node.raw_version()};
    switch (operation->kind) {
      case StateOperation::Kind::erase:
        share.kind = Command::Kind::erase;
        share.is_closed = true;
        share.takers.push_back({operation});
        break;
      case StateOperation::Kind::set_if:
        share.expected = operation->expected;
        share.is_closed = true;
        add(share, operation);
        break;
      case StateOperation::Kind::apply:
        if (is_run_there(*operation)) {
          share.kind = Command::Kind::apply;
          share.equations.push_back(operation->equation());
          share.takers.push_back({operation});
        } else {
          guess(share);
          add(share, operation);
        }
        break;
      default:
        add(share, operation);
    }
    return share;
  }
  /// Adds a later operation on the same state. Whether it could: if not, none after it can, as their order is kept.
  bool join(Share& share, const OperationPointer& operation) {
    const bool applies = operation->kind == StateOperation::Kind::apply;
    if (!share.is_closed && share.kind == Command::Kind::apply && applies) {
      if (traits_.many_equations && is_run_there(*operation)) {
        share.takers.reserve(grown(share.takers));
        share.equations.push_back(operation->equation());
        share.takers.push_back({operation});
        return true;
      }
      // Several at once, that the database cannot run at once: evaluated here. If others write the state as well, so
      // that this fails, the first of them goes alone; it does not fail.
      if (share.takers.front().operation->conflicts_ == 0) guess_instead(share);
    }
    if (!share.is_closed && share.kind == Command::Kind::write &&
        (applies || operation->kind == StateOperation::Kind::set)) {
      add(share, operation);
      return true;
    }
    share.is_closed = true;
    return false;
  }
  bool is_run_there(const StateOperation& operation) const {
    const AnyEquation* const equation = operation.equation();
    return equation && backend_.runs(*equation, operation.node->type());
  }
  /// The capacity that has room for one more.
  template <class T>
  static std::size_t grown(const std::vector<T>& all) {
    return all.size() < all.capacity() ? all.capacity() : 2 * all.size() + 1;
  }
  /// Runs it on what the ones before it make of the value. If that throws, the share is as before.
  void add(Share& share, const OperationPointer& operation) {
    share.takers.reserve(grown(share.takers));
    SharedValue next = share.next;
    StoredValue stored;
    std::optional<StateError> failed;
    if (const auto problem = operation->run(next)) {
      failed = failure(*problem, *share.node);
    } else if (!operation->equation()) {
      // It must be possible to store it, even if the next one replaces it at once.
      failed = write(*share.node, next.get(), stored);
    }
    share.takers.push_back({operation, std::move(failed)});
    if (share.takers.back().failed) return;
    share.next = std::move(next);
    share.stored = std::move(stored);
  }
  /// It is to be evaluated here, on what is known, and written if that has not changed.
  void guess(Share& share) {
    const SeenValue seen = core_.look(*share.node);
    share.next = seen.value;
    share.known = seen.version;
    share.expected = std::max<std::int64_t>(seen.version, 0);
    share.is_guessed = true;
  }
  void guess_instead(Share& share) noexcept {
    try {
      Share instead{.node = share.node, .kind = Command::Kind::write, .known = 0};
      guess(instead);
      for (const Taker& taker : share.takers) add(instead, taker.operation);
      share = std::move(instead);
    } catch (...) {  // one that throws here does so none the less when it is the first
    }
  }

  /// Writes down the value of each share, as far as a batch has room for them.
  void write_down(Batch& batch) {
    std::size_t bytes = 0;
    bool is_full = false;
    std::erase_if(batch.shares, [&](Share& share) {
      if (!is_full && !write_down(share)) return true;
      is_full = is_full || (bytes > 0 && bytes + share.stored.text.size() > traits_.most_bytes);
      if (is_full) leave(share);
      bytes += share.stored.text.size();
      return is_full;
    });
  }
  static void leave(const Share& share) noexcept {
    for (const Taker& taker : share.takers) taker.operation->place_ = StateOperation::Place::left;
  }
  /// Whether there is something to send.
  bool write_down(Share& share) {
    if (share.kind == Command::Kind::erase || !share.stored.text.empty()) return true;
    const bool all_failed = std::all_of(share.takers.begin(), share.takers.end(),
                                        [](const Taker& taker) { return taker.failed.has_value(); });
    if (share.kind == Command::Kind::write && all_failed) return has_failed(share);
    StateOperation& first = *share.takers.front().operation;
    std::optional<StateError> error;
    attempt(first, [&] {
      const SharedValue value = share.kind == Command::Kind::write ? share.next : share.node->initial();
      error = write(*share.node, value.get(), share.stored);
    });
    const bool has_thrown = first.place_ == StateOperation::Place::failed;
    if (!error && !has_thrown) return true;
    if (share.takers.size() > 1) return leave_all_but_first(share) && write_down(share);  // whose fault is it?
    if (has_thrown) return false;
    share.takers.front().failed = std::move(error);
    return has_failed(share);
  }
  /// If that was on a guess, it is to be seen whether the guess was right.
  static bool has_failed(Share& share) {
    if (share.is_guessed) {
      share.kind = Command::Kind::check;
      return true;
    }
    for (Taker& taker : share.takers) {
      taker.operation->draft_.error = std::move(taker.failed);
      taker.operation->place_ = StateOperation::Place::failed;
    }
    return false;
  }
  /// Makes it a share of its first operation, and the others wait. Whether it could.
  bool leave_all_but_first(Share& share) {
    const OperationPointer first = share.takers.front().operation;
    leave(share);
    first->draft_ = {};
    attempt(*first, [&] {
      share = begin(first);
      share.is_closed = true;
      first->place_ = StateOperation::Place::taken;
    });
    return first->place_ == StateOperation::Place::taken;
  }
  std::optional<StateError> write(const StateNode& node, const void* value, StoredValue& to) const {
    return write_value(traits_, [&] { return message_id(node); }, node.type(), value, to);
  }
  static Command command_of(const Share& share) {
    const StateNode& node = *share.node;
    Command command{.kind = share.kind, .name = {node.scope->scope, node.key()}};
    command.expected = share.expected;
    command.value = &share.stored;
    command.equations = share.equations;
    command.type = &node.type();
    if (node.has(StateNode::timed | StateNode::labelled)) {
      const StateExtras& extras = *node.extras.load(std::memory_order_acquire);
      command.ttl = extras.time_to_live;
      command.labels = extras.labels;
    }
    return command;
  }

  // ---- What came of it

  void take_outcome(Share& share, const Outcome& outcome, std::int64_t made, std::vector<StateEvent>& events) {
    StateNode& node = *share.node;
    if (share.is_left) return StateCache::is_old(node);
    const StateResult<SharedValue> stored = cache_.value_of(node, outcome, events);
    const bool has_effect = !outcome.error && share.kind != Command::Kind::check;
    if (!stored) return all_fail(share, with_effect(stored.error(), has_effect ? Effect::unknown : Effect::none));
    if (outcome.error == StateErrorCode::conflict) {
      know(share, *stored, outcome.version, false);
      StateCache::is_as_of(node, made);
      if (!share.is_guessed) return all_fail(share, failure(StateErrorCode::conflict, node));
      for (const Taker& taker : share.takers) {
        taker.operation->is_again_ = true;
        ++taker.operation->conflicts_;
      }
      return;
    }
    if (outcome.error) return all_fail(share, failure(*outcome.error, node));

    if (share.kind == Command::Kind::apply) share.next = run_all(share, *stored);
    const Taker* const last = last_to_write(share);
    const bool has_none = share.kind == Command::Kind::erase || outcome.version == 0;  // each equation has failed
    if (has_effect) know(share, has_none ? nullptr : share.next, outcome.version, last);
    StateCache::is_as_of(node, made);
    if (has_effect && last) StateCache::is_touched(node, made);
    // All that one command writes has one version, that of the last. A value that was replaced within it has none, and
    // its writer gets the one before, with which nothing can be written any more.
    for (const Taker& taker : share.takers) {
      StateOperation::Verdict& draft = taker.operation->draft_;
      const bool is_replaced = last && &taker != last && share.kind == Command::Kind::write;
      draft.version = outcome.version - (is_replaced ? 1 : 0);
      draft.error = taker.failed;
    }
  }
  void know(Share& share, SharedValue value, std::int64_t version, bool wrote) {
    share.is_news = core_.accept(*share.node, std::move(value), version, StateCore::Asked{share.known, wrote});
  }
  /// What the equations have made of the value that was there.
  static SharedValue run_all(Share& share, const SharedValue& before) {
    SharedValue value = before ? before : share.node->initial();
    for (Taker& taker : share.takers) {
      if (const auto problem = taker.operation->run(value)) taker.failed = failure(*problem, *share.node);
    }
    return value;
  }
  static const Taker* last_to_write(const Share& share) noexcept {
    const auto last = std::find_if(share.takers.rbegin(), share.takers.rend(),
                                   [](const Taker& taker) { return !taker.failed.has_value(); });
    return last == share.takers.rend() ? nullptr : &*last;
  }
  static void all_fail(Share& share, const StateError& error) {
    for (const Taker& taker : share.takers) taker.operation->draft_.error = error;
  }
  /// It was carried out, and what came of it cannot be told.
  static void has_no_result(Share& share) noexcept {
    const char* why = "an exception";
    try {
      throw;
    } catch (const std::exception& exception) {
      why = exception.what();
    } catch (...) {  // nobody can tell
    }
    for (const Taker& taker : share.takers) {
      taker.operation->is_again_ = false;
      taker.operation->draft_ = {};
      try {
        const bool wrote = share.kind != Command::Kind::check;
        taker.operation->draft_.error =
            StateError(StateErrorCode::undecodable,
                       with_id(*share.node, "the database has answered, and the result cannot be made of it: ") + why,
                       wrote ? Effect::unknown : Effect::none);
      } catch (...) {
        taker.operation->draft_.thrown = std::current_exception();  // no memory for a text
      }
    }
  }
  static StateError with_effect(const StateError& error, Effect effect) {
    return {error.code(), reason(error), effect, error.retryable()};
  }
  static std::string with_id(const StateNode& node, const char* text) {
    return "state \"" + message_id(node) + "\": " + text;
  }

  StateCore& core_;
  StateCache& cache_;
  const Backend& backend_;
  const BackendTraits traits_;
};

}  // namespace atom::inline v0_1::detail

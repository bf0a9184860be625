// Between the states of a program and its database: everything that is hard. It gathers what waits into batches, sends
// each until it knows what became of it, gives each caller its own result, and keeps what is cached in step.
//
// A lane is a row of batches, one at a time, numbered. The database keeps the number of the last one with the data, so
// a batch that is sent again, because its answer was lost, is not carried out twice. Of the threads that wait for a
// lane one leads: it sends for all of them, so no thread of the library's own is needed. (Flat combining: Hendler,
// Incze, Shavit, Tzafrir, 2010. Numbered batches: as the sessions of MongoDB, or the producers of Kafka.)
#pragma once

#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class StateEngine;

/// What one caller wants done with one state, and what comes of it.
class StateOperation {
 public:
  enum class Kind : std::uint8_t {
    set,     // `run` makes the value another one, whatever it was
    set_if,  // the same, if the version is `expected`
    apply,   // `run` makes it another one by an equation
    erase,
  };
  StateOperation(NodeReference n, Kind k, Deadline d) noexcept : node(std::move(n)), kind(k), deadline(d) {}
  StateOperation(const StateOperation&) = delete;
  StateOperation& operator=(const StateOperation&) = delete;

  /// Changes the value, and keeps what came of it as the result; may be called more than once, the last time counts. If
  /// it fails, the value is as before.
  virtual std::optional<StateErrorCode> run(void* value) = 0;
  /// Of an apply.
  virtual const EquationRef* equation() const noexcept { return nullptr; }

  const NodeReference node;
  const Kind kind;
  const Deadline deadline;
  std::int64_t expected = 0;

  // The result, once it is done.
  std::optional<StateError> error;
  std::int64_t version = 0;  // of an erase, of what there was

 protected:
  virtual ~StateOperation() = default;

 private:
  friend class StateEngine;
  /// Called without a lock when it is done, if nobody waits for it; then it may go.
  virtual void completed() noexcept {}

  bool done_ = false;
  std::condition_variable* waiter_ = nullptr;
};

class StateEngine {
 public:
  StateEngine(StateCore& core, Backend& backend) : core_(core), backend_(backend), traits_(backend.traits()) {
    std::random_device random;
    for (std::byte& byte : row_.lane.session) byte = static_cast<std::byte>(random());
    backoff_.seed(random());
  }
  StateEngine(const StateEngine&) = delete;
  StateEngine& operator=(const StateEngine&) = delete;

  /// Carries it out, or fails at its deadline. This thread may have to do it for others meanwhile.
  void run(StateOperation& operation) {
    std::condition_variable wake;
    operation.waiter_ = &wake;
    Aftermath after;
    {
      std::unique_lock lock(row_.mutex);
      row_.waiting.push_back(&operation);
      while (!operation.done_) {
        if (!row_.led) {
          lead(lock, after);
        } else if (wake.wait_until(lock, operation.deadline) == std::cv_status::timeout && !operation.done_) {
          give_up(lock, operation);
        }
      }
      pass_on();
    }
    finish(after);
  }

  /// Sees to it that what is cached of the node is no older than `staleness`; zero: reads it anew.
  std::optional<StateError> refresh(StateNode& node, std::chrono::milliseconds staleness, Deadline deadline);

 private:
  using Clock = std::chrono::steady_clock;

  /// Who wants a part of a batch.
  struct Taker {
    StateOperation* operation;                  // null: it gave up
    std::optional<StateErrorCode> failed = {};  // on the value that the share has guessed
  };
  /// What a batch does with one state, for all who want something of it.
  struct Share {
    NodeReference node;
    Command::Kind kind;
    std::optional<std::int64_t> expected = {};
    StoredValue value = {};
    std::vector<EquationRef> equations = {};
    std::vector<Taker> takers = {};
    std::shared_ptr<void> next = {};  // of a write, the value
    bool guessed = false;             // on what is cached: if that is old, it is all done again
    bool closed = false;              // what comes later waits for the next batch
  };
  struct Batch {
    std::vector<Share> shares;
    std::vector<Command> commands;
    std::vector<Outcome> outcomes;
    bool in_doubt = false;
  };
  /// What waits for a lane. All of it is looked at under the mutex, but the batch by the leader.
  struct Row {
    std::mutex mutex;
    Lane lane;
    std::deque<StateOperation*> waiting;
    std::unique_ptr<Batch> batch;  // the one that is under way
    bool led = false;              // a thread sends
    bool touched = false;          // it looks at operations without the mutex, so none may go
    std::condition_variable untouched;
    unsigned failures = 0;  // in a row
    std::optional<StateError> last_error;
  };
  /// What is left to do when nothing is locked and somebody else may lead.
  struct Aftermath {
    std::vector<NodeReference> news;
    std::vector<StateOperation*> completed;
  };
  using Lock = std::unique_lock<std::mutex>;

  // ---- Leading

  /// One attempt at one batch. Lets go of the lock meanwhile.
  void lead(Lock& lock, Aftermath& after) {
    row_.led = true;
    if (row_.failures > 0) wait_a_while(lock);
    if (!row_.batch) gather(lock, after);
    if (row_.batch) {
      Batch& batch = *row_.batch;
      const Deadline deadline = earliest_deadline();
      lock.unlock();
      BatchResult result =
          backend_.execute(row_.lane, BatchMode::independent, batch.commands, batch.outcomes, deadline);
      lock.lock();
      settle(lock, std::move(result), after);
    }
    give_up_late_ones(after);
    row_.led = false;
  }

  /// Runs `look` without the lock; meanwhile no operation goes.
  template <class Look>
  void touch(Lock& lock, Look look) {
    row_.touched = true;
    lock.unlock();
    look();
    lock.lock();
    row_.touched = false;
    row_.untouched.notify_all();
  }
  /// It is done, and may go as soon as the lock is let go.
  static void end(StateOperation& operation, Aftermath& after) {
    operation.done_ = true;
    if (operation.waiter_) {
      operation.waiter_->notify_one();
    } else {
      after.completed.push_back(&operation);
    }
  }

  /// Makes a batch of what waits, as far as it goes into one.
  void gather(Lock& lock, Aftermath& after) {
    std::deque<StateOperation*> operations = std::exchange(row_.waiting, {});
    std::deque<StateOperation*> later;
    std::vector<StateOperation*> failed;
    auto batch = std::make_unique<Batch>();
    touch(lock, [&] {
      std::unordered_map<const StateNode*, std::size_t> where;
      for (StateOperation* operation : operations) {
        const auto [at, is_new] = where.try_emplace(&*operation->node, batch->shares.size());
        if (is_new && batch->shares.size() < traits_.most_commands) {
          batch->shares.push_back(begin(*operation));
        } else if (is_new || !join(batch->shares[at->second], *operation)) {
          later.push_back(operation);
          if (is_new) where.erase(at);
        }
      }
      std::erase_if(batch->shares, [&](Share& share) { return !complete(share, failed); });
      for (const Share& share : batch->shares) batch->commands.push_back(command_of(share));
      batch->outcomes.resize(batch->commands.size());
    });
    row_.waiting.insert(row_.waiting.begin(), later.begin(), later.end());
    for (StateOperation* operation : failed) end(*operation, after);
    if (batch->shares.empty()) return;
    ++row_.lane.sequence;
    row_.batch = std::move(batch);
  }
  /// The share of the first operation on a state.
  Share begin(StateOperation& operation) {
    StateNode& node = *operation.node;
    switch (operation.kind) {
      case StateOperation::Kind::erase:
        return {.node = operation.node, .kind = Command::Kind::erase, .takers = {{&operation}}, .closed = true};
      case StateOperation::Kind::set_if: {
        Share share = begin_write(operation, node.initial(), operation.expected);
        share.closed = true;
        return share;
      }
      case StateOperation::Kind::set:
        return begin_write(operation, node.initial(), std::nullopt);
      case StateOperation::Kind::apply:
        break;
    }
    if (backend_.runs(*operation.equation(), node.type())) {
      return {.node = operation.node,
              .kind = Command::Kind::apply,
              .equations = {*operation.equation()},
              .takers = {{&operation}}};
    }
    const SeenValue seen = core_.look(node);
    Share share = begin_write(operation, seen.value, std::max<std::int64_t>(seen.version, 0));
    share.guessed = true;
    return share;
  }
  Share begin_write(StateOperation& operation, const SharedValue& from, std::optional<std::int64_t> expected) {
    Share share{.node = operation.node, .kind = Command::Kind::write, .expected = expected};
    share.next = operation.node->type().copy(from.get());
    share.takers.push_back({&operation, operation.run(share.next.get())});
    return share;
  }
  /// Adds a later operation on the same state. Whether it could.
  bool join(Share& share, StateOperation& operation) {
    const bool applies = operation.kind == StateOperation::Kind::apply;
    if (!share.closed && (applies || operation.kind == StateOperation::Kind::set)) {
      if (share.kind == Command::Kind::write) {
        share.takers.push_back({&operation, operation.run(share.next.get())});
        return true;
      }
      if (applies && traits_.many_equations && backend_.runs(*operation.equation(), operation.node->type())) {
        share.equations.push_back(*operation.equation());
        share.takers.push_back({&operation});
        return true;
      }
    }
    share.closed = true;  // the order of operations on a state is kept
    return false;
  }
  /// Writes down its value. Whether there is something to send.
  bool complete(Share& share, std::vector<StateOperation*>& failed) {
    if (share.kind == Command::Kind::erase) return true;
    const bool all_failed = std::all_of(share.takers.begin(), share.takers.end(),
                                        [](const Taker& taker) { return taker.failed.has_value(); });
    if (share.kind == Command::Kind::write && all_failed) {  // if the guess was right
      share.kind = Command::Kind::check;
      return true;
    }
    StateNode& node = *share.node;
    const SharedValue value = share.kind == Command::Kind::write ? SharedValue(share.next) : node.initial();
    std::optional<StateError> error = write_down(node.type(), value.get(), share.value);
    if (!error) return true;
    for (const Taker& taker : share.takers) {
      taker.operation->error = *error;
      failed.push_back(taker.operation);
    }
    return false;
  }
  std::optional<StateError> write_down(const StateType& type, const void* value, StoredValue& to) const {
    JsonWriter writer;
    type.ops.write(value, writer);
    if (!writer.left_out().empty()) {
      return StateError(StateErrorCode::not_finite, "a value to be stored has a number that is not finite");
    }
    to = {std::string(writer.text()), type.version};
    if (to.text.size() <= traits_.most_value_bytes) return std::nullopt;
    return StateError(StateErrorCode::too_large, "a value has " + std::to_string(to.text.size()) +
                                                     " bytes as text, and " + std::string(traits_.name) + " takes " +
                                                     std::to_string(traits_.most_value_bytes));
  }
  static Command command_of(const Share& share) {
    const StateNode& node = *share.node;
    Command command{.kind = share.kind, .name = {node.scope->scope, node.key()}};
    command.expected = share.expected;
    command.value = &share.value;
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

  void settle(Lock& lock, BatchResult result, Aftermath& after) {
    std::unique_ptr<Batch>& batch = row_.batch;
    const bool again = result.error && result.error->retryable();
    if (result.status == BatchStatus::not_applied && batch->in_doubt && again) result.status = BatchStatus::in_doubt;
    switch (result.status) {
      case BatchStatus::done: {
        std::vector<StateOperation*> done;
        std::deque<StateOperation*> once_more;
        touch(lock, [&] {
          for (std::size_t i = 0; i < batch->shares.size(); ++i) {
            take_outcome(batch->shares[i], batch->outcomes[i], done, once_more, after);
          }
        });
        for (StateOperation* operation : done) end(*operation, after);
        row_.waiting.insert(row_.waiting.begin(), once_more.begin(), once_more.end());
        row_.lane.after_loss = false;
        succeed();
        break;
      }
      case BatchStatus::not_applied:
        --row_.lane.sequence;
        for (auto share = batch->shares.rbegin(); share != batch->shares.rend(); ++share) {
          for (auto taker = share->takers.rbegin(); taker != share->takers.rend(); ++taker) {
            if (!taker->operation) continue;
            if (again) {
              row_.waiting.push_front(taker->operation);
            } else {
              taker->operation->error = *result.error;
              end(*taker->operation, after);
            }
          }
        }
        batch = nullptr;
        if (again) fail(std::move(*result.error));
        break;
      case BatchStatus::in_doubt:
        batch->in_doubt = true;
        fail(std::move(*result.error));
        break;
      case BatchStatus::gap:
        row_.lane.after_loss = true;
        core_.report(StateEvent::Kind::history_lost, nullptr, result.error ? result.error->what() : "");
        break;
    }
  }
  void succeed() {
    row_.batch = nullptr;
    row_.failures = 0;
    row_.last_error = std::nullopt;
  }
  void fail(StateError error) {
    ++row_.failures;
    core_.report(StateEvent::Kind::retry, nullptr, error.what());
    row_.last_error = std::move(error);
  }

  /// Gives each taker of a share its result.
  void take_outcome(Share& share, Outcome& outcome, std::vector<StateOperation*>& done,
                    std::deque<StateOperation*>& once_more, Aftermath& after) {
    StateNode& node = *share.node;
    const auto all = [&](auto give) {
      for (Taker& taker : share.takers) {
        if (!taker.operation) continue;
        give(taker);
        done.push_back(taker.operation);
      }
    };
    SharedValue stored;
    if (outcome.value) {
      StateResult<SharedValue> read = backend_.read_value(node.type(), *outcome.value);
      if (!read) return all([&](Taker& taker) { taker.operation->error = with_name(read.error(), node); });
      stored = *std::move(read);
    }
    if (outcome.error == StateErrorCode::conflict) {
      if (core_.accept(node, stored, outcome.version)) after.news.push_back(share.node);
      if (share.guessed) {
        for (const Taker& taker : share.takers) {
          if (taker.operation) once_more.push_back(taker.operation);
        }
        return;
      }
    }
    if (outcome.error) return all([&](Taker& taker) { taker.operation->error = failure(*outcome.error, node); });

    SharedValue now = share.next;
    if (share.kind == Command::Kind::apply) {
      std::shared_ptr<void> value = node.type().copy(stored ? stored.get() : node.initial().get());
      for (Taker& taker : share.takers) {
        if (taker.operation) {
          taker.failed = taker.operation->run(value.get());
        } else {
          (void)share.equations[static_cast<std::size_t>(&taker - share.takers.data())].run(value.get());
        }
      }
      now = std::move(value);
    }
    if (share.kind != Command::Kind::check) {
      if (core_.accept(node, share.kind == Command::Kind::erase ? nullptr : std::move(now), outcome.version)) {
        after.news.push_back(share.node);
      }
    }
    all([&](Taker& taker) {
      taker.operation->version = outcome.version;
      if (taker.failed) taker.operation->error = failure(*taker.failed, node);
    });
  }

  static StateError failure(StateErrorCode code, const StateNode& node) {
    return {code, "state \"" + state_id(node.scope->scope, node.key()) + "\": " + std::string(to_string(code)),
            Effect::none, code == StateErrorCode::conflict};
  }
  static StateError with_name(const StateError& error, const StateNode& node) {
    return {error.code(), "state \"" + state_id(node.scope->scope, node.key()) + "\": " + error.what(), error.effect(),
            error.retryable()};
  }

  // ---- Giving up

  /// Ends an operation whose time is over.
  void give_up(Lock& lock, StateOperation& operation) {
    while (row_.touched) row_.untouched.wait(lock);
    if (operation.done_) return;
    Aftermath none;
    give_up(operation, none);
  }
  void give_up(StateOperation& operation, Aftermath& after) {
    const auto waiting = std::find(row_.waiting.begin(), row_.waiting.end(), &operation);
    const bool sent = waiting == row_.waiting.end();
    if (!sent) {
      row_.waiting.erase(waiting);
    } else {
      for (Share& share : row_.batch->shares) {
        for (Taker& taker : share.takers) {
          if (taker.operation == &operation) taker.operation = nullptr;
        }
      }
    }
    std::string message = "state \"" + state_id(operation.node->scope->scope, operation.node->key()) +
                          "\": no answer from " + std::string(traits_.name) + " before the deadline";
    if (row_.last_error) message += std::string("; the last error was: ") + row_.last_error->what();
    operation.error = StateError(row_.last_error ? row_.last_error->code() : StateErrorCode::timed_out, message,
                                 sent ? Effect::unknown : Effect::none, true);
    end(operation, after);
  }
  void give_up_late_ones(Aftermath& after) {
    const Deadline now = Clock::now();
    std::vector<StateOperation*> late;
    each_operation([&](StateOperation& operation) {
      if (operation.deadline <= now) late.push_back(&operation);
    });
    for (StateOperation* operation : late) give_up(*operation, after);
  }

  template <class Use>
  void each_operation(Use use) {
    if (row_.batch) {
      for (const Share& share : row_.batch->shares) {
        for (const Taker& taker : share.takers) {
          if (taker.operation) use(*taker.operation);
        }
      }
    }
    for (StateOperation* operation : row_.waiting) use(*operation);
  }
  Deadline earliest_deadline() {
    Deadline earliest = Deadline::max();
    each_operation([&](const StateOperation& operation) { earliest = std::min(earliest, operation.deadline); });
    return earliest;
  }
  /// Longer after each failure, by chance up to twice as long, and not beyond a deadline.
  void wait_a_while(Lock& lock) {
    const unsigned most = std::min(200u, 1u << std::min(row_.failures, 8u));
    const auto delay = std::chrono::microseconds(std::uniform_int_distribution<unsigned>(0, 1000 * most)(backoff_));
    const Deadline until = std::min(Clock::now() + delay, earliest_deadline());
    lock.unlock();
    std::this_thread::sleep_until(until);
    lock.lock();
  }
  /// Lets another thread lead, if there is something to do.
  void pass_on() {
    if (row_.led) return;
    bool passed = false;
    each_operation([&](StateOperation& operation) {
      if (passed || !operation.waiter_) return;
      operation.waiter_->notify_one();
      passed = true;
    });
  }
  void finish(Aftermath& after) {
    for (const NodeReference& node : after.news) core_.tell_news(*node);
    for (StateOperation* operation : after.completed) operation->completed();
  }

  StateCore& core_;
  Backend& backend_;
  const BackendTraits traits_;
  Row row_;
  std::minstd_rand backoff_;
};

inline std::optional<StateError> StateEngine::refresh(StateNode& node, std::chrono::milliseconds, Deadline deadline) {
  const std::int64_t before = core_.look(node).version;
  const StateName name{node.scope->scope, node.key()};
  Outcome outcome;
  if (auto error = backend_.read({&name, 1}, {&outcome, 1}, deadline)) return error;
  if (outcome.error) return failure(*outcome.error, node);
  SharedValue value;
  if (outcome.value) {
    StateResult<SharedValue> read = backend_.read_value(node.type(), *outcome.value);
    if (!read) return with_name(read.error(), node);
    value = *std::move(read);
  }
  const bool news = value ? core_.accept(node, std::move(value), outcome.version) : core_.accept_none(node, before);
  if (news) core_.tell_news(node);
  return std::nullopt;
}

}  // namespace atom::inline v0_1::detail

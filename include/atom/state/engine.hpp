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

#include <unistd.h>

#include <algorithm>
#include <atomic>
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

  /// Changes the value, or puts another in its place, and keeps what came of it as the result; may be called more than
  /// once, the last time counts. If it fails, the value is as before.
  virtual std::optional<StateErrorCode> run(std::shared_ptr<void>& value) = 0;
  /// Of an apply.
  virtual std::shared_ptr<const AnyEquation> equation() const noexcept { return nullptr; }

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
    unit_lane_ = row_.lane;
    unit_lane_.number = 1;
  }
  StateEngine(const StateEngine&) = delete;
  StateEngine& operator=(const StateEngine&) = delete;

  ~StateEngine() {
    stop_feed();
    {
      const std::lock_guard lock(row_.mutex);
      row_.ends = true;
      row_.work.notify_all();
    }
    if (sender_.joinable()) sender_.join();
  }

  /// Carries it out, or fails at its deadline. This thread may have to do it for others meanwhile.
  void run(StateOperation& operation) {
    std::condition_variable wake;
    operation.waiter_ = &wake;
    Aftermath after;
    {
      std::unique_lock lock(row_.mutex);
      if (!admit(operation)) return;
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
  /// The same without waiting: calls `completed` when it is done, in a thread of the engine's or of whoever leads.
  /// False: it failed at once.
  bool start(StateOperation& operation) {
    const std::lock_guard lock(row_.mutex);
    if (!admit(operation)) return false;
    if (!sender_.joinable()) sender_ = std::thread([this] { send(); });
    if (!row_.led) row_.work.notify_one();
    return true;
  }

  /// A value as text, to be stored.
  std::optional<StateError> write_down(const TypeOps& type, const void* value, StoredValue& to) const {
    JsonWriter writer;
    type.write(value, writer);
    if (!writer.left_out().empty()) {
      return StateError(StateErrorCode::not_finite, "a value to be stored has a number that is not finite");
    }
    to = {std::string(writer.text()), type.version};
    if (to.text.size() <= traits_.most_value_bytes) return std::nullopt;
    return StateError(StateErrorCode::too_large, "a value has " + std::to_string(to.text.size()) +
                                                     " bytes as text, and " + std::string(traits_.name) + " takes " +
                                                     std::to_string(traits_.most_value_bytes));
  }
  /// Carries out a batch of its own, all or nothing, and returns what came of each command; one that failed is why the
  /// others were not carried out. What is cached is the caller's business.
  StateResult<std::vector<Outcome>> commit(std::span<const Command> commands, Deadline deadline);

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes, Deadline deadline) {
    return backend_.read(names, outcomes, deadline);
  }
  StateResult<SharedValue> read_value(const TypeOps& type, const StoredValue& stored) const {
    return backend_.read_value(type, stored);
  }
  bool runs(const AnyEquation& equation, const TypeOps& type) const { return backend_.runs(equation, type); }
  bool takes_many_equations() const noexcept { return traits_.many_equations; }

  /// Sees to it that what is cached of the node is no older than `staleness`; zero: reads it anew.
  std::optional<StateError> refresh(StateNode& node, std::chrono::milliseconds staleness, Deadline deadline);
  /// Whether it is, without waiting.
  bool is_fresh(const StateNode& node, std::chrono::milliseconds staleness) const noexcept {
    const std::int64_t checked = node.extras.load(std::memory_order_acquire)->checked.load(std::memory_order_relaxed);
    return checked != 0 && StateTable::milliseconds_now() - checked < staleness.count() && !StateTable::has_ended(node);
  }

  /// From now on changes by others reach the nodes that have listeners, by a thread of the engine's.
  void start_feed() {
    const std::lock_guard lock(feed_mutex_);
    if (feed_ || !(feed_ = backend_.open_feed())) return;
    feed_thread_ = std::thread([this] { follow(); });
  }

  /// No new operations from now on; waits for those that are there until the deadline. Whether all were done.
  bool close(Deadline deadline) {
    stop_feed();
    std::unique_lock lock(row_.mutex);
    closed_ = true;
    while (!is_idle()) {
      if (row_.idle.wait_until(lock, deadline) == std::cv_status::timeout) return is_idle();
    }
    return true;
  }

  StateStats stats() const noexcept {
    return {.batches = batches_.load(std::memory_order_relaxed),
            .operations = operations_.load(std::memory_order_relaxed),
            .retries = retries_.load(std::memory_order_relaxed)};
  }

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
    std::vector<std::shared_ptr<const AnyEquation>> equations = {};
    std::vector<const AnyEquation*> equations_to_send = {};
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
    bool ends = false;             // so does the sender
    std::condition_variable untouched;
    std::condition_variable work;  // for the sender
    std::condition_variable idle;  // for who closes
    unsigned failures = 0;         // in a row
    std::optional<StateError> last_error;
  };
  /// What is left to do when nothing is locked and somebody else may lead.
  struct Aftermath {
    std::vector<NodeReference> news;
    std::vector<StateOperation*> completed;
  };
  using Lock = std::unique_lock<std::mutex>;

  /// Whether it waits now; else it has failed.
  bool admit(StateOperation& operation) {
    if (closed_ || ::getpid() != process_) {
      operation.error =
          StateError(StateErrorCode::closed,
                     closed_ ? "the store is closed"
                             : "the store belongs to the process that this one was forked from: open one after fork()");
      return false;
    }
    row_.waiting.push_back(&operation);
    operations_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  bool is_idle() const noexcept { return row_.waiting.empty() && !row_.batch && !row_.led; }
  /// The thread that leads where nobody waits.
  void send() {
    std::unique_lock lock(row_.mutex);
    for (;;) {
      row_.work.wait(lock, [&] { return row_.ends || (!row_.led && has_operations()); });
      if (row_.ends) return;
      Aftermath after;
      lead(lock, after);
      pass_on();
      lock.unlock();
      finish(after);
      lock.lock();
    }
  }
  bool has_operations() {
    bool has = false;
    each_operation([&](StateOperation&) { has = true; });
    return has;
  }

  // ---- Leading

  /// One attempt at one batch. Lets go of the lock meanwhile.
  void lead(Lock& lock, Aftermath& after) {
    row_.led = true;
    if (row_.failures > 0) {
      const Deadline deadline = earliest_deadline();
      lock.unlock();
      wait_a_while(row_.failures, deadline);
      lock.lock();
    }
    if (!row_.batch) gather(lock, after);
    if (row_.batch) {
      Batch& batch = *row_.batch;
      const Deadline deadline = earliest_deadline();
      lock.unlock();
      batches_.fetch_add(1, std::memory_order_relaxed);
      BatchResult result =
          backend_.execute(row_.lane, BatchMode::independent, batch.commands, batch.outcomes, deadline);
      lock.lock();
      settle(lock, std::move(result), after);
    }
    give_up_late_ones(after);
    row_.led = false;
    if (is_idle()) row_.idle.notify_all();
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
      for (Share& share : batch->shares) batch->commands.push_back(command_of(share));
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
              .equations = {operation.equation()},
              .takers = {{&operation}}};
    }
    const SeenValue seen = core_.look(node);
    Share share = begin_write(operation, seen.value, std::max<std::int64_t>(seen.version, 0));
    share.guessed = true;
    return share;
  }
  Share begin_write(StateOperation& operation, const SharedValue& from, std::optional<std::int64_t> expected) {
    Share share{.node = operation.node, .kind = Command::Kind::write, .expected = expected};
    share.next = copy_value(operation.node->type(), from.get());
    share.takers.push_back({&operation, operation.run(share.next)});
    return share;
  }
  /// Adds a later operation on the same state. Whether it could.
  bool join(Share& share, StateOperation& operation) {
    const bool applies = operation.kind == StateOperation::Kind::apply;
    if (!share.closed && (applies || operation.kind == StateOperation::Kind::set)) {
      if (share.kind == Command::Kind::write) {
        share.takers.push_back({&operation, operation.run(share.next)});
        return true;
      }
      if (applies && traits_.many_equations && backend_.runs(*operation.equation(), operation.node->type())) {
        share.equations.push_back(operation.equation());
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
  static Command command_of(Share& share) {
    const StateNode& node = *share.node;
    Command command{.kind = share.kind, .name = {node.scope->scope, node.key()}};
    command.expected = share.expected;
    command.value = &share.value;
    for (const auto& equation : share.equations) share.equations_to_send.push_back(equation.get());
    command.equations = share.equations_to_send;
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
    retries_.fetch_add(1, std::memory_order_relaxed);
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
      std::shared_ptr<void> value = copy_value(node.type(), stored ? stored.get() : node.initial().get());
      for (Taker& taker : share.takers) {
        if (taker.operation) {
          taker.failed = taker.operation->run(value);
        } else {
          value = copy_value(node.type(), value.get());
          (void)share.equations[static_cast<std::size_t>(&taker - share.takers.data())]->apply_to(value.get());
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
  /// By chance, up to twice as long after each failure, and not beyond a deadline.
  static void wait_a_while(unsigned failures, Deadline deadline) {
    thread_local std::minstd_rand chance(std::random_device{}());
    const unsigned most = std::min(200u, 1u << std::min(failures, 8u));
    const auto delay = std::chrono::microseconds(std::uniform_int_distribution<unsigned>(0, 1000 * most)(chance));
    std::this_thread::sleep_until(std::min(Clock::now() + delay, deadline));
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
    if (!passed && has_operations()) row_.work.notify_one();
  }
  void finish(Aftermath& after) {
    for (const NodeReference& node : after.news) core_.tell_news(*node);
    for (StateOperation* operation : after.completed) operation->completed();
  }

  // ---- What others change

  class Follower final : public FeedSink {
   public:
    explicit Follower(StateEngine& engine) noexcept : engine_(engine) {}
    void changed(const atom::Scope& scope, std::string_view key, std::int64_t version,
                 std::optional<StoredValue> value) override {
      const NodeReference node = engine_.core_.table.find(scope, key);
      if (node) engine_.follow_one(node, version, value);
    }
    void lost_track() override { engine_.catch_up(); }

   private:
    StateEngine& engine_;
  };

  void follow() {
    Follower follower(*this);
    while (!feed_ends_.load()) {
      if (auto error = feed_->poll(follower, Clock::now() + std::chrono::milliseconds(500))) {
        core_.report(StateEvent::Kind::feed_down, nullptr, error->what());
        catch_up();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }
  void follow_one(const NodeReference& node, std::int64_t version, const std::optional<StoredValue>& value) {
    SharedValue next;
    if (value) {
      StateResult<SharedValue> read = backend_.read_value(node->type(), *value);
      if (!read) return core_.report(StateEvent::Kind::undecodable, &*node, read.error().what());
      next = *std::move(read);
    }
    if (core_.accept(*node, std::move(next), version)) core_.tell_news(*node);
  }
  /// Anything may have changed: reads what has listeners, and lets the rest be read when it is asked for.
  void catch_up() {
    for (const atom::Scope& scope : core_.table.scopes([](const atom::Scope&) { return true; })) {
      for (const NodeReference& node : core_.table.nodes(scope)) {
        if (!node->has(StateNode::heard)) {
          node->extras.load(std::memory_order_acquire)->checked.store(0, std::memory_order_relaxed);
        } else if (auto error = refresh(*node, {}, Clock::now() + core_.options.deadline)) {
          core_.report(StateEvent::Kind::feed_down, &*node, error->what());
        }
      }
    }
  }
  void stop_feed() {
    const std::lock_guard lock(feed_mutex_);
    if (!feed_thread_.joinable()) return;
    feed_ends_.store(true);
    feed_->wake();
    feed_thread_.join();
  }

  StateCore& core_;
  Backend& backend_;
  const BackendTraits traits_;
  const ::pid_t process_ = ::getpid();
  Row row_;
  std::timed_mutex unit_mutex_;
  Lane unit_lane_;  // of batches that are carried out as a whole
  bool closed_ = false;
  std::thread sender_;
  std::atomic<std::uint64_t> batches_{0}, operations_{0}, retries_{0};

  std::mutex feed_mutex_;
  std::unique_ptr<Feed> feed_;
  std::thread feed_thread_;
  std::atomic<bool> feed_ends_{false};
};

inline StateResult<std::vector<Outcome>> StateEngine::commit(std::span<const Command> commands, Deadline deadline) {
  const auto failed = [&](const std::optional<StateError>& why, Effect effect) {
    std::string message = "no answer from " + std::string(traits_.name) + " before the deadline";
    if (why) message += std::string("; the last error was: ") + why->what();
    return StateError(why ? why->code() : StateErrorCode::timed_out, message, effect, true);
  };
  if (::getpid() != process_) {
    return StateError(StateErrorCode::closed, "the store belongs to the process that this one was forked from");
  }
  std::unique_lock lock(unit_mutex_, deadline);
  if (!lock) return failed(std::nullopt, Effect::none);
  std::vector<Outcome> outcomes(commands.size());
  std::optional<StateError> last_error;
  bool in_doubt = false;
  ++unit_lane_.sequence;
  for (unsigned failures = 0;; wait_a_while(++failures, deadline)) {
    batches_.fetch_add(1, std::memory_order_relaxed);
    BatchResult result = backend_.execute(unit_lane_, BatchMode::all_or_nothing, commands, outcomes, deadline);
    if (result.status == BatchStatus::done) {
      unit_lane_.after_loss = false;
      return outcomes;
    }
    if (result.status == BatchStatus::gap) {
      unit_lane_.after_loss = true;
      core_.report(StateEvent::Kind::history_lost, nullptr, result.error ? result.error->what() : "");
      continue;
    }
    in_doubt = in_doubt || result.status == BatchStatus::in_doubt;
    last_error = std::move(result.error);
    const bool again = !last_error || last_error->retryable();
    if (!in_doubt && !again) {
      --unit_lane_.sequence;
      return *std::move(last_error);
    }
    retries_.fetch_add(1, std::memory_order_relaxed);
    core_.report(StateEvent::Kind::retry, nullptr, last_error ? last_error->what() : "");
    if (Clock::now() < deadline) continue;
    // A batch of which nobody knows keeps its number: the next one, with the number after it, shuts it out for good.
    if (!in_doubt) --unit_lane_.sequence;
    unit_lane_.after_loss = in_doubt;
    return failed(last_error, in_doubt ? Effect::unknown : Effect::none);
  }
}

class EraseOperation final : public StateOperation {
 public:
  EraseOperation(NodeReference of, Deadline until) : StateOperation(std::move(of), Kind::erase, until) {}
  std::optional<StateErrorCode> run(std::shared_ptr<void>&) override { return std::nullopt; }
};

inline StateResult<bool> StateCore::erase(const NodeReference& node) {
  if (!engine) return write(*node, nullptr, std::nullopt).has_value();
  EraseOperation operation(node, deadline());
  engine->run(operation);
  if (operation.error) return *operation.error;
  return operation.version != 0;
}

inline std::optional<StateError> StateEngine::refresh(StateNode& node, std::chrono::milliseconds staleness,
                                                      Deadline deadline) {
  if (staleness.count() > 0 && is_fresh(node, staleness)) return std::nullopt;
  const std::int64_t began = StateTable::milliseconds_now();
  const std::int64_t before = node.raw_version();
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
  node.extras.load(std::memory_order_acquire)->checked.store(began, std::memory_order_relaxed);
  if (news) core_.tell_news(node);
  return std::nullopt;
}

}  // namespace atom::inline v0_1::detail

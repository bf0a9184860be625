// Between the states of a program and its database: everything that is hard. It gathers what waits into batches, sends
// each until it knows what became of it, gives each caller its own result, and keeps what is cached in step.
//
// A lane is a row of batches, one at a time, numbered. The database keeps the number of the last one with the data, so
// a batch that is sent again, because its answer was lost, is not carried out twice. Of the threads that wait for a
// lane one leads: it sends for all of them, so no thread of the library's own is needed. (Flat combining: Hendler,
// Incze, Shavit, Tzafrir, 2010. Numbered batches: as the sessions of MongoDB, or the producers of Kafka.) What `_async`
// reads is gathered beside the lane, and one thread reads for all: a database may refuse to read for a while and yet do
// what is written.
//
// The one rule: no code of the user's runs while the mutex is held, or while somebody could lead and nobody does. That
// is, listeners and `on_event` run when the next one leads already; copies, codecs and equations run while this one
// leads, and what they throw ends one operation.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/batch.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/follower.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/detail/lane.hpp>
#include <atom/state/detail/operation.hpp>
#include <atom/state/detail/sleepers.hpp>
#include <atom/state/detail/typed_operation.hpp>
#include <atom/state/detail/unit_lane.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/error.hpp>
#include <atom/state/must_not_block.hpp>
#include <atom/state/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class StateEngine {
 public:
  StateEngine(StateCore& core, std::shared_ptr<Backend> backend)
      : core_(core),
        backend_(std::move(backend)),
        calls_(*backend_),
        units_(std::make_unique<UnitLane>(calls_, core.options.deadline)),
        cache_(core, *backend_),
        batcher_(core, cache_, *backend_),
        row_(std::make_unique<Row>()),
        follower_(std::make_unique<StateFollower>(core, cache_, *backend_)) {}
  StateEngine(const StateEngine&) = delete;
  StateEngine& operator=(const StateEngine&) = delete;
  ~StateEngine();

  /// Carries it out, or fails at its deadline. This thread may have to do it for others meanwhile.
  void run(const OperationPointer& operation) {
    about_to_block();
    if (admit(operation, false)) wait(operation);
  }
  /// The same without waiting: a thread of the engine's sees to it. A coroutine that waits for it goes on when it is
  /// done, where `StoreOptions::executor` says, or in that thread.
  void start(const OperationPointer& operation) { admit(operation, true); }
  /// Returns when it is done; until then, this thread may lead.
  void wait(const OperationPointer& operation);
  /// Whether the coroutine waits for it now; else it is done.
  bool suspend(const OperationPointer& operation, std::coroutine_handle<> coroutine) {
    return !refuse_if_foreign(*operation) && operation->suspend(coroutine);
  }

  /// Carries out a batch of its own, all or nothing, and returns what came of each command; one that failed is why the
  /// others were not carried out. What is cached is the caller's business.
  StateResult<std::vector<Outcome>> commit(std::span<const Command> commands, Deadline deadline) {
    if (auto refused = refusal()) return *std::move(refused);
    about_to_block();
    Aftermath after;
    auto result = units_->commit(commands, deadline, after.events);
    finish(after);
    return result;
  }

  /// Sees to it that what is cached of the node is no older than `staleness`; zero: reads it anew.
  std::optional<StateError> refresh(const NodeReference& node, std::chrono::milliseconds staleness, Asks asks,
                                    Deadline deadline) {
    if (staleness.count() > 0 && is_fresh(*node, staleness, asks)) return std::nullopt;
    if (auto refused = refusal()) return refused;
    about_to_block();
    return cache_.refresh(node, asks, deadline);
  }
  /// Whether that need not ask the database.
  bool is_fresh(const StateNode& node, std::chrono::milliseconds staleness, Asks asks = Asks::to_read) const noexcept {
    return !is_foreign() && StateCache::is_fresh(node, staleness) &&
           (asks == Asks::to_know || !StateCache::is_to_be_touched(node));
  }
  /// Sees to it that who watches has what the database has, no older than `staleness`.
  std::optional<StateError> refresh(WatchedScope& watched, std::chrono::milliseconds staleness, Deadline deadline) {
    about_to_block();
    for (unsigned failures = 1;; ++failures) {
      if (auto refused = refusal()) return refused;
      std::optional<StateError> error = cache_.list(watched, staleness, deadline);
      if (!error || !error->retryable() || !pause_before(core_, failures, deadline)) return error;
    }
  }
  /// From now on changes by others reach the nodes, by a thread of the engine's.
  void follow() {
    if (!refusal()) follower_->start();
  }

  /// No new operations from now on; waits for those that are there until the deadline. Whether all were done.
  bool close(Deadline deadline);
  /// The same at the end, when nobody waits in `run` any more: waits for asynchronous operations that are under way,
  /// until their deadlines; if `close` has given them up, not even that. Then no thread of the engine's is left.
  void end() noexcept;

  /// Why nothing new may be asked of the database, if so.
  std::optional<StateError> refusal() const {
    if (is_foreign()) return store_is_anothers();
    if (is_closed_.load(std::memory_order_acquire)) return store_is_closed();
    return std::nullopt;
  }

  /// For what has no order: reading, and values as text.
  Backend& backend() noexcept { return *backend_; }
  const BackendTraits& traits() const noexcept { return calls_.traits(); }

  StateStats stats() const noexcept {
    return {.batches = calls_.batches(),
            .operations = operations_.load(std::memory_order_relaxed),
            .retries = calls_.retries()};
  }
  /// Whether this process was forked from the one that the engine belongs to, whose threads are not here and whose
  /// mutexes may be locked for ever.
  bool is_foreign() const noexcept { return !home_.is_here(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;
  using Stage = StateOperation::Stage;

  /// What has failed: how often in a row, when it is tried again, and why.
  struct Failing {
    unsigned failures = 0;
    Deadline next_attempt = Deadline::min();
    std::optional<StateError> last_error;
  };
  /// What waits for the lane. All of it under the mutex, but the batch, which is the leader's.
  struct Row {
    std::mutex mutex;
    NumberedLane lane{0};
    OperationQueue waiting;
    OperationQueue gathered;       // of which a batch is being made: as it is but for the leader
    std::unique_ptr<Batch> batch;  // the one that is under way
    bool is_led = false;           // a thread sends
    std::condition_variable free;  // nobody leads, or reads: for who closes

    // Threads whose operations go into one batch, as a rule, sleep together and are woken at once: those of the batch
    // that is under way in one bed, and those that come meanwhile in the other. Those that wait for reads have a third.
    std::array<Sleepers, 3> beds;
    static constexpr unsigned bed_of_reads = 2;
    unsigned next_bed = 0;
    std::array<bool, 3> has_ended{};  // in which of them somebody is to be woken

    Failing sending;

    OperationQueue reads;       // asynchronous ones
    OperationQueue being_read;  // as it is but for the thread that reads
    bool is_being_read = false;
    Failing reading;

    // Of what nobody waits for in a thread.
    std::thread sender, reader;
    std::condition_variable work, unread;
    std::size_t asynchronous = 0;  // operations that are not done
    OperationQueue done{OperationQueue::Link::done};
    bool ends = false;  // so do the threads
  };
  /// What is left to do when nothing is locked and somebody else may lead.
  struct Aftermath {
    std::unique_ptr<Batch> batch;
    std::vector<NodeReference> news;
    OperationQueue dropped;  // they end without the lock, as values of the user's end with them
    LaneEvents events;
  };

  // ---- Waiting

  /// Whether it waits now; else it has failed.
  bool admit(const OperationPointer& operation, bool is_asynchronous) {
    std::optional<StateError> refused = refusal();
    if (!refused) {
      const Lock lock(row_->mutex);
      if (!is_closed_.load(std::memory_order_relaxed)) {
        const bool is_read = is_to_be_read(*operation);
        if (is_asynchronous) {
          if (!row_->sender.joinable()) row_->sender = std::thread([this] { send_for_others(); });
          if (is_read && !row_->reader.joinable()) row_->reader = std::thread([this] { read_for_others(); });
          operation->is_asynchronous_ = true;
          ++row_->asynchronous;
          if (!(is_read ? row_->is_being_read : row_->is_led)) (is_read ? row_->unread : row_->work).notify_one();
        }
        operation->bed_ = is_read ? Row::bed_of_reads : row_->next_bed;
        (is_read ? row_->reads : row_->waiting).push_back(operation);
        operations_.fetch_add(1, std::memory_order_relaxed);
        return true;
      }
      refused = store_is_closed();
    }
    refuse(*operation, *std::move(refused));
    return false;
  }
  static void refuse(StateOperation& operation, StateError why) noexcept {
    operation.verdict_.error = std::move(why);
    operation.stage_ = Stage::done;
    operation.is_done_.store(true, std::memory_order_release);
  }
  /// It is done. Its caller may be gone as soon as the lock is let go.
  void end(const OperationPointer& operation, StateOperation::Verdict verdict) noexcept {
    if (operation->stage_ == Stage::done) return;
    operation->verdict_ = std::move(verdict);
    operation->stage_ = Stage::done;
    operation->is_done_.store(true, std::memory_order_release);
    if (operation->asleep_ > 0) row_->has_ended[operation->bed_] = true;
    if (!operation->is_asynchronous_) return;
    --row_->asynchronous;
    row_->done.push_back(operation);
    row_->work.notify_one();
  }
  /// Of one that was begun before this process was forked nobody goes on with it here: who waits is told that. Whether
  /// it is so.
  bool refuse_if_foreign(StateOperation& operation) const {
    if (!is_foreign()) return false;
    if (!operation.is_done()) {
      refuse(operation, store_is_anothers(is_to_be_read(operation) ? Effect::none : Effect::unknown));
    }
    return true;
  }
  static bool is_to_be_read(const StateOperation& operation) noexcept {
    return operation.kind == StateOperation::Kind::read;
  }
  template <class Use>
  void each_to_send(Use use) const {
    if (row_->batch) row_->batch->each(use);
    row_->gathered.each(use);
    row_->waiting.each(use);
  }
  template <class Use>
  void each_to_read(Use use) const {
    row_->being_read.each(use);
    row_->reads.each(use);
  }
  /// Of those to be sent: reads have no part in how long a batch may take.
  Deadline earliest_deadline() const {
    Deadline earliest = Deadline::max();
    each_to_send([&](const OperationPointer& operation) { take_earlier(earliest, *operation); });
    return earliest;
  }
  Deadline earliest_to_read() const {
    Deadline earliest = Deadline::max();
    each_to_read([&](const OperationPointer& operation) { take_earlier(earliest, *operation); });
    return earliest;
  }
  static void take_earlier(Deadline& earliest, const StateOperation& operation) noexcept {
    if (operation.stage_ != Stage::done) earliest = std::min(earliest, operation.deadline);
  }
  bool is_to_send() const noexcept { return row_->batch || !row_->waiting.empty(); }
  bool is_idle() const noexcept {
    return !is_to_send() && !row_->is_led && row_->reads.empty() && !row_->is_being_read;
  }
  /// Lets go of the lock; then wakes one who is to lead, one who is to read, and those whose operations are done. (Not
  /// under the lock, or each would be woken to wait for that.)
  void unlock(Lock& lock) noexcept {
    Row& row = *row_;
    const std::optional<unsigned> leader = next_to_lead();
    const bool is_reader_asleep = is_next_to_read_asleep();
    const std::array<bool, 3> has_ended = std::exchange(row.has_ended, {});
    lock.unlock();
    // Where all are woken, so is that one; else all that sleep there have something that is not done.
    if (leader && !has_ended[*leader]) row.beds[*leader].wake_one();
    if (is_reader_asleep && !has_ended[Row::bed_of_reads]) row.beds[Row::bed_of_reads].wake_one();
    for (unsigned bed = 0; bed < row.beds.size(); ++bed) {
      if (has_ended[bed]) row.beds[bed].wake_all();
    }
  }
  /// Where a thread sleeps, if nobody leads and there is something to do. Where none does, it is the sender's turn.
  std::optional<unsigned> next_to_lead() const noexcept {
    std::optional<unsigned> next;
    if (row_->is_led) return next;
    each_to_send([&](const OperationPointer& operation) {
      if (!next && operation->asleep_ > 0 && operation->stage_ != Stage::done) next = operation->bed_;
    });
    if (!next && row_->asynchronous > 0) row_->work.notify_one();
    return next;
  }
  /// The same of who is to read. Where nobody sleeps, it is the reader's turn.
  bool is_next_to_read_asleep() const noexcept {
    if (row_->is_being_read || row_->reads.empty()) return false;
    bool is_asleep = false;
    each_to_read([&](const OperationPointer& operation) {
      is_asleep = is_asleep || (operation->asleep_ > 0 && operation->stage_ != Stage::done);
    });
    if (!is_asleep) row_->unread.notify_one();
    return is_asleep;
  }
  void send_for_others() noexcept;
  void read_for_others() noexcept;
  void resume(const OperationPointer& operation) noexcept;

  // ---- Giving up

  /// Ends an operation whose time is over, or that is not waited for any longer.
  void give_up(OperationPointer operation, std::optional<StateError> why = std::nullopt) noexcept;
  void give_up_late_ones(bool all_asynchronous = false) noexcept;
  /// If the batch that was sent is nobody's any more: what is left is to find out what the database has done with it.
  void note_quarantine(Aftermath& after) noexcept;

  // ---- Leading

  using Attempt = void (StateEngine::*)(Lock& lock, Aftermath& after, Deadline limit);
  void attempt(Lock& lock, Attempt what, Deadline limit) noexcept;
  void lead(Lock& lock, Aftermath& after, Deadline limit) noexcept;
  void pause(Lock& lock, const Failing& failing, Deadline limit) noexcept;
  void gather(Lock& lock, Aftermath& after) noexcept;
  void send(Lock& lock, Aftermath& after, Deadline limit) noexcept;
  void settle(BatchResult result, Aftermath& after) noexcept;
  void refuse_in_doubt(const StateError& why, Aftermath& after) noexcept;
  void read(Lock& lock, Aftermath& after, Deadline limit) noexcept;
  void read_all(Lock& lock, Aftermath& after, Deadline deadline) noexcept;
  void fail(Failing& failing, std::optional<StateError> error, Aftermath& after) noexcept;
  void finish(Aftermath& after) noexcept;

  StateCore& core_;
  std::shared_ptr<Backend> backend_;
  const HomeProcess home_;
  BackendCalls calls_;
  std::unique_ptr<UnitLane> units_;  // of batches that are carried out as a whole
  StateCache cache_;
  StateBatcher batcher_;
  std::atomic<bool> is_closed_{false};
  std::atomic<std::uint64_t> operations_{0};
  std::unique_ptr<Row> row_;
  std::unique_ptr<StateFollower> follower_;
};

// ------------------------------------------------------------------------------------------------------------- waiting

inline void StateEngine::wait(const OperationPointer& operation) {
  if (refuse_if_foreign(*operation)) return;
  const bool is_read = is_to_be_read(*operation);
  Lock lock(row_->mutex);
  while (operation->stage_ != Stage::done) {
    if (is_read ? row_->is_being_read : row_->is_led) {
      Sleepers& bed = row_->beds[operation->bed_];
      ++operation->asleep_;
      const unsigned wakes = bed.wakes();
      lock.unlock();
      const bool is_in_time = bed.sleep(wakes, operation->deadline);
      if (operation->is_done()) return;
      lock.lock();
      --operation->asleep_;
      if (!is_in_time) give_up(operation);
    } else {
      attempt(lock, is_read ? &StateEngine::read : &StateEngine::lead, operation->deadline);
    }
  }
  unlock(lock);  // it may have been this one's turn to lead
}

/// The thread that leads where nobody waits, minds the deadlines meanwhile, and lets coroutines go on: also those that
/// another thread has read for, so that they go on one after the other.
inline void StateEngine::send_for_others() noexcept {
  Row& row = *row_;
  Lock lock(row.mutex);
  for (;;) {
    if (!row.done.empty()) {
      OperationPointer operation = row.done.pop_front();
      lock.unlock();
      resume(operation);
      operation = nullptr;
      lock.lock();
    } else if (row.asynchronous == 0 && row.ends) {
      return;
    } else if (row.asynchronous == 0 || earliest_deadline() == Deadline::max()) {
      row.work.wait(lock);
    } else if (row.is_led) {
      row.work.wait_until(lock, earliest_deadline());
      give_up_late_ones();
      unlock(lock);
      lock.lock();
    } else {
      attempt(lock, &StateEngine::lead, Deadline::max());
    }
  }
}
/// The thread that reads where nobody waits, and minds the deadlines of reads meanwhile.
inline void StateEngine::read_for_others() noexcept {
  Row& row = *row_;
  Lock lock(row.mutex);
  for (;;) {
    if (row.is_being_read) {
      row.unread.wait_until(lock, earliest_to_read());
      give_up_late_ones();
      unlock(lock);
      lock.lock();
    } else if (!row.reads.empty()) {
      attempt(lock, &StateEngine::read, Deadline::max());
    } else if (row.ends) {
      return;
    } else {
      row.unread.wait(lock);
    }
  }
}
inline void StateEngine::resume(const OperationPointer& operation) noexcept {
  if (operation->is_left_alone()) return;
  const auto go_on = [operation] {
    if (const auto coroutine = operation->resumed()) coroutine.resume();
  };
  if (core_.options.executor) {
    try {
      return core_.options.executor(go_on);
    } catch (...) {  // nobody has taken it
    }
  }
  go_on();
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): it stays while it leaves its queue
inline void StateEngine::give_up(OperationPointer operation, std::optional<StateError> why) noexcept {
  if (operation->stage_ == Stage::done) return;
  const bool is_sent = operation->stage_ == Stage::sent;
  if (operation->stage_ == Stage::waits && !row_->waiting.remove(*operation)) row_->reads.remove(*operation);
  StateOperation::Verdict verdict;
  try {
    const Effect effect = is_sent ? Effect::unknown : Effect::none;
    std::string message = "state \"" + message_id(*operation->node) + "\": ";
    if (why) {
      verdict.error = StateError(why->code(), message + reason(*why), effect, why->retryable());
    } else if (const auto& last_error = (is_to_be_read(*operation) ? row_->reading : row_->sending).last_error) {
      message += "no answer from " + std::string(traits().name) + " before the deadline; the last error was: ";
      verdict.error = StateError(last_error->code(), message + reason(*last_error), effect, true);
    } else if (operation->conflicts_ > 0) {
      message += "others wrote it each time before the deadline";
      verdict.error = StateError(StateErrorCode::conflict, message, effect, true);
    } else {
      message += "no answer from " + std::string(traits().name) + " before the deadline";
      verdict.error = StateError(StateErrorCode::timed_out, message, effect, true);
    }
  } catch (...) {
    verdict.thrown = std::current_exception();  // no memory for a message
  }
  end(operation, std::move(verdict));
}
inline void StateEngine::give_up_late_ones(bool all_asynchronous) noexcept {
  const Deadline now = Clock::now();
  for (;;) {
    OperationPointer late;
    const auto look = [&](const OperationPointer& operation) {
      if (late || operation->stage_ == Stage::done) return;
      if (operation->deadline <= now || (all_asynchronous && operation->is_asynchronous_)) late = operation;
    };
    each_to_send(look);
    each_to_read(look);
    if (!late) return;
    if (all_asynchronous) {
      give_up(late, StateError(StateErrorCode::closed, "the store was closed before it was done"));
    } else {
      give_up(late);
    }
  }
}
inline void StateEngine::note_quarantine(Aftermath& after) noexcept {
  Batch* const batch = row_->batch.get();
  if (!batch || batch->is_noted) return;
  bool is_waited_for = false;
  batch->each(
      [&](const OperationPointer& operation) { is_waited_for = is_waited_for || operation->stage_ != Stage::done; });
  if (is_waited_for) return;
  batch->is_noted = true;
  after.events.add(StateEvent::Kind::in_doubt,
                   row_->sending.last_error ? row_->sending.last_error->what() : "nobody waits for an answer any more");
}

// ------------------------------------------------------------------------------------------------------------- leading

/// To `lead` or to `read`; and what is left to do then, also to end, when nothing is locked.
inline void StateEngine::attempt(Lock& lock, Attempt what, Deadline limit) noexcept {
  {
    Aftermath after;
    (this->*what)(lock, after, limit);
    unlock(lock);
    finish(after);
  }
  lock.lock();
}

/// One attempt at one batch. Lets go of the lock meanwhile. Not beyond `limit`.
inline void StateEngine::lead(Lock& lock, Aftermath& after, Deadline limit) noexcept {
  Row& row = *row_;
  row.is_led = true;
  give_up_late_ones();
  pause(lock, row.sending, std::min(earliest_deadline(), limit));
  // What nobody waits for any more must not keep this thread, for which there is no limit then.
  const Deadline last = std::min(limit, earliest_deadline());
  const bool has_time = last != Deadline::max() && Clock::now() < limit;
  if (has_time && !row.batch && !row.waiting.empty()) gather(lock, after);
  if (has_time && row.batch) send(lock, after, limit);
  give_up_late_ones();
  note_quarantine(after);
  row.is_led = false;
  row.free.notify_all();
}

/// Until the next attempt, if the last one has failed.
inline void StateEngine::pause(Lock& lock, const Failing& failing, Deadline limit) noexcept {
  if (failing.failures == 0) return;
  const Deadline next = std::min(failing.next_attempt, limit);
  unlock(lock);
  std::this_thread::sleep_until(next);
  lock.lock();
  give_up_late_ones();
}

/// Makes a batch of what waits, as far as it goes into one.
inline void StateEngine::gather(Lock& lock, Aftermath& after) noexcept {
  Row& row = *row_;
  row.next_bed ^= 1;
  row.gathered = std::move(row.waiting);
  row.gathered.each([](const OperationPointer& operation) { operation->stage_ = Stage::gathered; });
  unlock(lock);
  std::unique_ptr<Batch> batch;
  std::exception_ptr thrown;
  try {
    batch = batcher_.make(row.gathered);
  } catch (...) {
    thrown = std::current_exception();
  }
  lock.lock();
  // If one that is in the batch was given up meanwhile, it is made again without it.
  bool is_good = batch && !batch->shares.empty();
  row.gathered.each([&](const OperationPointer& operation) {
    if (operation->place_ == StateOperation::Place::taken && operation->stage_ == Stage::done) is_good = false;
  });
  OperationQueue left;
  while (!row.gathered.empty()) {
    OperationPointer operation = row.gathered.pop_front();
    const bool is_taken = operation->place_ == StateOperation::Place::taken && is_good;
    const bool has_failed = thrown || operation->place_ == StateOperation::Place::failed;
    if (thrown) operation->draft_ = {.thrown = thrown};
    if (operation->stage_ != Stage::done && !is_taken && !has_failed) {
      operation->stage_ = Stage::waits;
      left.push_back(std::move(operation));
      continue;
    }
    if (is_taken) continue;  // now it is the batch's
    if (has_failed) end(operation, std::move(operation->draft_));
    after.dropped.push_back(std::move(operation));
  }
  left.append(std::move(row.waiting));
  row.waiting = std::move(left);
  (is_good ? row.batch : after.batch) = std::move(batch);
  if (is_good) row.lane.next();
}

/// Sends the batch, or sends it again.
inline void StateEngine::send(Lock& lock, Aftermath& after, Deadline limit) noexcept {
  Batch& batch = *row_->batch;
  for (std::size_t i = 0; i < batch.shares.size(); ++i) {
    Share& share = batch.shares[i];
    bool is_waited_for = false;
    for (const Taker& taker : share.takers) {
      if (taker.operation->stage_ == Stage::done) continue;
      taker.operation->stage_ = Stage::sent;
      is_waited_for = true;
    }
    if (is_waited_for) continue;
    share.is_left = true;
    Command& command = batch.commands[i];
    command.kind = Command::Kind::check;
    command.expected.reset();
    command.equations = {};
  }
  const Deadline deadline = std::min(limit, earliest_deadline());
  unlock(lock);
  BatchResult result =
      calls_.execute(row_->lane.lane(), BatchMode::independent, batch.commands, batch.outcomes, deadline);
  if (result.status == BatchStatus::done) batcher_.take_outcomes(batch, after.events.all);
  lock.lock();
  note_quarantine(after);  // also where all is known in a moment: they who gave up do not know
  settle(std::move(result), after);
}

/// One attempt at all that is to be read. Lets go of the lock meanwhile. Not beyond `limit`.
inline void StateEngine::read(Lock& lock, Aftermath& after, Deadline limit) noexcept {
  Row& row = *row_;
  row.is_being_read = true;
  give_up_late_ones();
  pause(lock, row.reading, std::min(earliest_to_read(), limit));
  if (!row.reads.empty() && Clock::now() < limit) read_all(lock, after, std::min(limit, earliest_to_read()));
  give_up_late_ones();
  row.is_being_read = false;
  row.free.notify_all();
}
inline void StateEngine::read_all(Lock& lock, Aftermath& after, Deadline deadline) noexcept {
  Row& row = *row_;
  row.being_read = std::move(row.reads);
  row.being_read.each([](const OperationPointer& operation) { operation->stage_ = Stage::gathered; });
  unlock(lock);
  std::optional<StateError> error;
  std::exception_ptr thrown;
  try {
    std::vector<NodeReference> nodes;
    std::vector<StateOperation*> operations;
    row.being_read.each([&](const OperationPointer& operation) {
      operation->draft_ = {};
      nodes.push_back(operation->node);
      operations.push_back(operation.get());
    });
    after.news.reserve(nodes.size());
    error = cache_.read(nodes, Asks::to_read, deadline, after.events.all,
                        [&](std::size_t i, std::optional<StateError> its_error, bool is_news) {
                          StateOperation& operation = *operations[i];
                          if (is_news) after.news.push_back(nodes[i]);
                          operation.draft_.error = std::move(its_error);
                          if (operation.draft_.error) return;
                          SeenValue seen = core_.look(*nodes[i]);
                          operation.draft_.version = std::max<std::int64_t>(seen.version, 0);
                          operation.run(seen.value);
                        });
  } catch (...) {
    thrown = std::current_exception();
  }
  lock.lock();
  const bool is_again = error && error->retryable();
  OperationQueue again;
  while (!row.being_read.empty()) {
    OperationPointer operation = row.being_read.pop_front();
    if (is_again && operation->stage_ != Stage::done) {
      operation->stage_ = Stage::waits;
      again.push_back(std::move(operation));
      continue;
    }
    if (thrown) operation->draft_ = {.thrown = thrown};
    if (error) operation->draft_ = {.error = error};
    end(operation, std::move(operation->draft_));
    after.dropped.push_back(std::move(operation));
  }
  again.append(std::move(row.reads));
  row.reads = std::move(again);
  if (is_again) {
    fail(row.reading, std::move(error), after);
  } else if (!error && !thrown) {
    row.reading = {};
  }
}

// -------------------------------------------------------------------------------------------------- what came of it

inline void StateEngine::settle(BatchResult result, Aftermath& after) noexcept {
  Row& row = *row_;
  Batch& batch = *row.batch;
  const bool is_retryable = !result.error || result.error->retryable();
  // What was perhaps carried out before is not known to have had no effect because this time it had none.
  if (result.status == BatchStatus::not_applied && batch.is_in_doubt) {
    if (!is_retryable) return refuse_in_doubt(*result.error, after);
    result.status = BatchStatus::in_doubt;
  }
  OperationQueue again;
  switch (result.status) {
    case BatchStatus::done: {
      std::size_t acknowledged = 0;
      for (const Share& share : batch.shares) {
        for (const Taker& taker : share.takers) {
          StateOperation& operation = *taker.operation;
          if (operation.stage_ == Stage::done) continue;
          if (operation.is_again_) {
            operation.stage_ = Stage::waits;
            again.push_back(taker.operation);
          } else {
            acknowledged += !operation.draft_.error && !operation.draft_.thrown;
            end(taker.operation, std::move(operation.draft_));
          }
        }
        after.events.was_lost = after.events.was_lost || share.is_left;
      }
      row.lane.acknowledge(acknowledged);
      row.sending = {};
      after.batch = std::move(row.batch);
      break;
    }
    case BatchStatus::not_applied:
      row.lane.give_back();
      batch.each([&](const OperationPointer& operation) {
        if (operation->stage_ == Stage::done) return;
        if (is_retryable) {
          operation->stage_ = Stage::waits;
          again.push_back(operation);
        } else {
          operation->stage_ = Stage::gathered;  // that is, without effect
          give_up(operation, result.error);
        }
      });
      after.batch = std::move(row.batch);
      if (is_retryable) fail(row.sending, std::move(result.error), after);
      break;
    case BatchStatus::in_doubt:
      batch.is_in_doubt = true;
      fail(row.sending, std::move(result.error), after);
      break;
    case BatchStatus::gap:
      if (row.lane.lane().after_loss) {  // it was told to go on all the same
        fail(row.sending, std::move(result.error), after);
      } else {
        after.events.add_loss(row.lane.lose(result.last_known));
      }
      break;
  }
  again.append(std::move(row.waiting));
  row.waiting = std::move(again);
}
/// Of a batch in doubt, nobody knows any more than before; of what waits behind it, that it will not be carried out.
inline void StateEngine::refuse_in_doubt(const StateError& why, Aftermath& after) noexcept {
  bool is_waited_for = false;
  row_->batch->each([&](const OperationPointer& operation) {
    is_waited_for = is_waited_for || operation->stage_ != Stage::done;
    give_up(operation, why);
  });
  if (is_waited_for) return;
  while (!row_->waiting.empty()) {
    OperationPointer operation = row_->waiting.pop_front();
    operation->stage_ = Stage::gathered;
    give_up(operation, why);
    after.dropped.push_back(std::move(operation));
  }
}
inline void StateEngine::fail(Failing& failing, std::optional<StateError> error, Aftermath& after) noexcept {
  ++failing.failures;
  failing.next_attempt = Clock::now() + delay_after(failing.failures, core_.options.deadline);
  calls_.count_retry();
  after.events.add_retry(failing.failures, error);
  failing.last_error = std::move(error);
}

inline void StateEngine::finish(Aftermath& after) noexcept {
  core_.report(after.events.all);
  if (after.batch) {
    for (const Share& share : after.batch->shares) {
      if (share.is_news) core_.tell_news(*share.node);
    }
  }
  for (const NodeReference& node : after.news) core_.tell_news(*node);
  if (!after.events.was_lost) return;
  try {
    cache_.all_is_old();
    follower_->look_again();
  } catch (...) {  // no memory: what is cached is old soon anyway
  }
}

// --------------------------------------------------------------------------------------------------------- the end

inline bool StateEngine::close(Deadline deadline) {
  if (is_foreign()) return false;
  follower_->stop();
  is_closed_.store(true, std::memory_order_release);
  bool is_done = false;
  {
    Lock lock(row_->mutex);
    while (!(is_done = is_idle()) && Clock::now() < deadline) {
      if (!row_->is_led && is_to_send()) {
        attempt(lock, &StateEngine::lead, deadline);
      } else if (!row_->is_being_read && !row_->reads.empty()) {
        attempt(lock, &StateEngine::read, deadline);
      } else {
        row_->free.wait_until(lock, deadline);
      }
    }
    if (!is_done) give_up_late_ones(true);
    unlock(lock);
  }
  return units_->close(deadline) && is_done;
}

inline StateResult<bool> StateCore::erase(const NodeReference& node) {
  if (!engine) return write(*node, nullptr, std::nullopt).has_value();
  const auto operation = std::make_shared<EraseOperation>(node, deadline());
  engine->run(operation);
  return operation->result();
}

inline void StateEngine::end() noexcept {
  if (is_foreign()) return;
  is_closed_.store(true, std::memory_order_release);
  follower_->stop();  // it is there as long as the sender, which may have something for it
  {
    const Lock lock(row_->mutex);
    row_->ends = true;
    row_->work.notify_all();
    row_->unread.notify_all();
  }
  if (row_->reader.joinable()) row_->reader.join();
  if (row_->sender.joinable()) row_->sender.join();
  follower_->end();
}
inline StateEngine::~StateEngine() {
  end();
  if (is_foreign()) {  // what threads may hold that are not here is left as it is
    follower_->forget_thread();
    static_cast<void>(follower_.release());
    static_cast<void>(new (std::nothrow) std::shared_ptr<Backend>(std::move(backend_)));
    static_cast<void>(row_.release());
    static_cast<void>(units_.release());
  }
}

}  // namespace atom::inline v0_1::detail

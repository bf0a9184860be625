// Between the states of a program and its database: everything that is hard. It gathers what waits into batches, sends
// each until it knows what became of it, gives each caller its own result, and keeps what is cached in step.
//
// A lane is a row of batches, one at a time, numbered. The database keeps the number of the last one with the data, so a
// batch that is sent again, because its answer was lost, is not carried out twice. Of the threads that wait for a lane
// one leads: it sends for all of them, so no thread of the library's own is needed. (Flat combining: Hendler, Incze,
// Shavit, Tzafrir, 2010. Numbered batches: as the sessions of MongoDB, or the producers of Kafka.)
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

 private:
  using Clock = std::chrono::steady_clock;

  /// What a batch does with one state, for all who want something of it.
  struct Share {
    NodeReference node;
    Command::Kind kind;
    std::optional<std::int64_t> expected;
    StoredValue value;
    std::vector<EquationRef> equations;
    std::vector<StateOperation*> operations;  // null: gave up
    SharedValue next;                         // of a write, what is written
    bool guessed = false;                     // on what is cached: if that is old, it is done again
  };
  struct Batch {
    std::vector<Share> shares;
    std::vector<Command> commands;
    std::vector<Outcome> outcomes;
    bool in_doubt = false;
  };
  /// What waits for a lane.
  struct Row {
    std::mutex mutex;
    Lane lane;
    std::deque<StateOperation*> waiting;
    std::unique_ptr<Batch> batch;        // the one that is under way
    bool led = false;                    // a thread sends
    bool touched = false;                // it looks at operations, so none may go
    std::condition_variable untouched;
    unsigned failures = 0;               // in a row
    std::optional<StateError> last_error = {};
  };
  /// What is left to do when nothing is locked and somebody else may lead.
  struct Aftermath {
    std::vector<NodeReference> news;
    std::vector<StateOperation*> completed;
  };

  // ---- Leading. `lock` is of the row's mutex; it is let go where that is said.

  /// One attempt at one batch.
  void lead(std::unique_lock<std::mutex>& lock, Aftermath& after) {
    row_.led = true;
    if (row_.failures > 0) wait_a_while(lock);
    if (!row_.batch) gather(lock, after);
    if (row_.batch) {
      Batch& batch = *row_.batch;
      const Deadline deadline = earliest(batch);
      lock.unlock();
      const BatchResult result =
          backend_.execute(row_.lane, BatchMode::independent, batch.commands, batch.outcomes, deadline);
      lock.lock();
      settle(lock, result, after);
    }
    give_up_late_ones(lock, after);
    row_.led = false;
  }

  /// Takes what waits, as far as it goes into one batch.
  void gather(std::unique_lock<std::mutex>& lock, Aftermath& after) {
    std::deque<StateOperation*> operations = std::exchange(row_.waiting, {});
    row_.touched = true;
    lock.unlock();
    auto batch = std::make_unique<Batch>();
    std::deque<StateOperation*> later;
    for (StateOperation* operation : operations) {
      if (!take(*batch, *operation)) later.push_back(operation);
    }
    std::erase_if(batch->shares, [](const Share& share) { return share.operations.empty(); });
    for (Share& share : batch->shares) batch->commands.push_back(command_of(share));
    batch->outcomes.resize(batch->commands.size());
    lock.lock();
    row_.waiting.insert(row_.waiting.begin(), later.begin(), later.end());
    untouch(after);
    if (batch->shares.empty()) return;
    ++row_.lane.sequence;
    row_.batch = std::move(batch);
  }

  /// Whether the operation is part of the batch now.
  bool take(Batch& batch, StateOperation& operation);
  Command command_of(const Share& share) const {
    const StateNode& node = *share.node;
    Command command{.kind = share.kind, .name = {node.scope->scope, node.key()}};
    command.expected = share.expected;
    command.value = &share.value;
    command.equations = share.equations;
    command.type = &node.type();
    if (node.has(StateNode::timed)) command.ttl = node.extras.load(std::memory_order_acquire)->time_to_live;
    if (node.has(StateNode::labelled)) command.labels = node.extras.load(std::memory_order_acquire)->labels;
    return command;
  }

  void settle(std::unique_lock<std::mutex>& lock, const BatchResult& result, Aftermath& after);

  void untouch(Aftermath& after);
  void give_up(std::unique_lock<std::mutex>& lock, StateOperation& operation);
  void give_up_late_ones(std::unique_lock<std::mutex>& lock, Aftermath& after);
  void wait_a_while(std::unique_lock<std::mutex>& lock);
  static Deadline earliest(const Batch& batch);
  void pass_on();
  void finish(Aftermath& after);

  StateCore& core_;
  Backend& backend_;
  const BackendTraits traits_;
  Row row_;
  std::minstd_rand backoff_;
};

}  // namespace atom::inline v0_1::detail

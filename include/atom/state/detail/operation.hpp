// What callers want done with states in a database, one by one, and how they wait their turn.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/table.hpp>
#include <atom/state/error.hpp>
#include <atom/state/type.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace atom::inline v0_1::detail {

/// What one caller wants done with one state, and what comes of it. The caller and the engine share it, as either may
/// be through with it first: a caller gives up at its deadline, and one that does not wait may have gone long before.
class StateOperation {
 public:
  enum class Kind : std::uint8_t {
    read,
    set,     // `run` makes the value another one, whatever it was
    set_if,  // the same, if the version is `expected`
    apply,   // `run` makes of the value another one
    erase,
  };
  struct Verdict {
    std::optional<StateError> error = {};
    std::exception_ptr thrown = {};  // by code of the user's; then there was no effect
    std::int64_t version = 0;        // of the value now; of an erase, of what there was
  };

  StateOperation(NodeReference n, Kind k, Deadline d) noexcept : node(std::move(n)), kind(k), deadline(d) {}
  StateOperation(const StateOperation&) = delete;
  StateOperation& operator=(const StateOperation&) = delete;

  /// Puts another value in the place of this one, and keeps what came of it as the result. May be called more than
  /// once; then the last time counts. If it fails or throws, the value is as before.
  virtual std::optional<StateErrorCode> run(SharedValue&) { return std::nullopt; }
  /// Of an apply: what `run` does, where a database can do that as well.
  virtual const AnyEquation* equation() const noexcept { return nullptr; }

  bool is_done() const noexcept { return is_done_.load(std::memory_order_acquire); }
  /// Once it is done. Throws what code of the user's has thrown.
  const Verdict& verdict() const {
    if (verdict_.thrown) std::rethrow_exception(verdict_.thrown);
    return verdict_;
  }

  // ---- For a coroutine that waits for it

  /// Whether it waits now; else there is nothing to wait for.
  bool suspend(std::coroutine_handle<> coroutine) noexcept {
    void* nobody = nullptr;
    return coroutine_.compare_exchange_strong(nobody, coroutine.address(), std::memory_order_acq_rel);
  }
  /// It is to be resumed, if there is one and it still waits.
  std::coroutine_handle<> resumed() noexcept {
    void* const coroutine = coroutine_.exchange(nobody_more(), std::memory_order_acq_rel);
    return coroutine && coroutine != nobody_more() ? std::coroutine_handle<>::from_address(coroutine) : nullptr;
  }
  /// Nobody waits any more, so none begins to; false: there is one that does, and is to be resumed.
  bool is_left_alone() noexcept {
    void* nobody = nullptr;
    return coroutine_.compare_exchange_strong(nobody, nobody_more(), std::memory_order_acq_rel) ||
           nobody == nobody_more();
  }

  const NodeReference node;
  const Kind kind;
  const Deadline deadline;
  const std::int64_t expected = 0;

 protected:
  StateOperation(NodeReference n, Deadline d, std::int64_t version) noexcept
      : node(std::move(n)), kind(Kind::set_if), deadline(d), expected(version) {}
  virtual ~StateOperation() = default;

 private:
  friend class StateEngine;
  friend class StateBatcher;
  friend class OperationQueue;

  void* nobody_more() noexcept { return this; }  // no coroutine lies here

  std::atomic<void*> coroutine_{nullptr};  // the one that waits, or `nobody_more`
  std::atomic<bool> is_done_{false};
  Verdict verdict_;  // written before it is done, and not after

  // Under the mutex of the engine:
  enum class Stage : std::uint8_t { waits, gathered, sent, done };
  Stage stage_ = Stage::waits;
  unsigned asleep_ = 0;           // threads that wait for it, and sleep
  unsigned bed_ = 0;              // where they sleep
  bool is_asynchronous_ = false;  // if none does, the sender minds it
  std::shared_ptr<StateOperation> next_;
  std::shared_ptr<StateOperation> next_done_;

  // Of the thread that leads:
  Verdict draft_;  // what it will be unless the caller gives up meanwhile
  enum class Place : std::uint8_t { left, taken, failed };
  Place place_ = Place::left;  // when a batch was made
  bool is_again_ = false;      // it was guessed wrong: all once more

  std::atomic<unsigned> conflicts_{0};  // counted by the thread that leads, read by the one that gives up
};

using OperationPointer = std::shared_ptr<StateOperation>;

/// Operations one after the other. It needs no memory, so none is lost for the lack of it.
class OperationQueue {
 public:
  /// `link`: which queue an operation is in; it is in one of each kind at most.
  enum class Link : std::uint8_t { waiting, done };
  explicit OperationQueue(Link link = Link::waiting) noexcept : link_(link) {}
  OperationQueue(OperationQueue&& other) noexcept
      : first_(std::move(other.first_)), last_(std::exchange(other.last_, nullptr)), link_(other.link_) {}
  OperationQueue& operator=(OperationQueue&& other) noexcept {
    clear();
    first_ = std::move(other.first_);
    last_ = std::exchange(other.last_, nullptr);
    return *this;
  }
  ~OperationQueue() { clear(); }

  bool empty() const noexcept { return !first_; }
  void push_back(OperationPointer operation) noexcept {
    OperationPointer& place = last_ ? next(*last_) : first_;
    last_ = operation.get();
    place = std::move(operation);
  }
  OperationPointer pop_front() noexcept {
    OperationPointer operation = std::move(first_);
    first_ = std::move(next(*operation));
    if (!first_) last_ = nullptr;
    return operation;
  }
  void append(OperationQueue&& others) noexcept {
    while (!others.empty()) push_back(others.pop_front());
  }
  /// Takes out the one; false: it is not there.
  bool remove(const StateOperation& operation) noexcept {
    StateOperation* before = nullptr;
    for (OperationPointer* place = &first_; *place; before = place->get(), place = &next(**place)) {
      if (place->get() != &operation) continue;
      const OperationPointer removed = std::move(*place);
      *place = std::move(next(*removed));
      if (last_ == removed.get()) last_ = before;
      return true;
    }
    return false;
  }
  /// `use(pointer)` must leave the queue as it is.
  template <class Use>
  void each(Use use) const {
    for (const OperationPointer* place = &first_; *place; place = &next(**place)) use(*place);
  }

 private:
  OperationPointer& next(StateOperation& operation) const noexcept {
    return link_ == Link::waiting ? operation.next_ : operation.next_done_;
  }
  void clear() noexcept {
    while (!empty()) pop_front();
  }

  OperationPointer first_;
  StateOperation* last_ = nullptr;
  const Link link_;
};

}  // namespace atom::inline v0_1::detail

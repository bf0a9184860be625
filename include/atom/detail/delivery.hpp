// When listeners run. A write takes effect at once; who listens is told by the outermost update or batch on the stack,
// atom by atom in the order of their first change. A Hold on the stack means "somebody further out delivers"; the
// outermost one does it when it finishes. Everything that an atom needs to know of its store is here.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/arena.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>

#include <cstdint>
#include <exception>
#include <utility>

namespace atom::inline v0_1::detail {

class Delivery;
class Hold;
class Transaction;

/// Something that goes only when no callback is on the stack any more.
class Disposable {
 public:
  /// Destroys what it holds, which runs code of the user's. That code may destroy the store (`!hold.alive()`), so
  /// everything is taken out before it is destroyed, and what is left is found by the store on its way out.
  virtual void clear(Hold& hold) noexcept = 0;
  /// Ends its life and gives its memory back.
  virtual void free() noexcept = 0;

 protected:
  ~Disposable() = default;

 private:
  friend class DisposableQueue;
  Disposable* next_ = nullptr;
};

/// First in, first out; an element is in one queue at most.
class DisposableQueue {
 public:
  bool empty() const noexcept { return !first_; }
  void push(Disposable& element) noexcept {
    element.next_ = nullptr;
    (first_ ? last_->next_ : first_) = &element;
    last_ = &element;
  }
  Disposable& front() const noexcept { return *first_; }
  Disposable& back() const noexcept { return *last_; }
  Disposable& pop() noexcept {
    Disposable& element = *first_;
    first_ = element.next_;
    return element;
  }
  /// One that is in it; takes as long as there are others before.
  void remove(Disposable& element) noexcept {
    Disposable* before = nullptr;
    for (Disposable* other = first_; other != &element; other = other->next_) before = other;
    (before ? before->next_ : first_) = element.next_;
    if (last_ == &element) last_ = before;
  }

 private:
  Disposable* first_ = nullptr;
  Disposable* last_;
};

struct Shown;

/// Something with listeners to tell.
class Deliverable : public Disposable {
 public:
  /// Tells them. What they throw goes to the hold; on return the store may be gone (`!hold.alive()`).
  virtual void deliver(Hold& hold) = 0;
  /// Forgets what was to be told.
  virtual void abandon() noexcept = 0;
  /// Nobody looks at these values any more.
  virtual void release(const Shown& values) noexcept = 0;

 protected:
  ~Deliverable() = default;
};

/// The two values that listeners are looking at right now. Whoever showed them decides their fate afterwards.
struct Shown {
  // A constructor, because g++ 12 clears the padding of an aggregate.
  Shown(Deliverable& s, const void* n, const void* o, bool owns_n, bool owns_o) noexcept
      : source(s), now(n), old(o), owns_now(owns_n), owns_old(owns_o) {}
  Deliverable& source;
  const void* now;
  const void* old;
  bool owns_now;
  bool owns_old;
};

/// The arena and the queue of one store. It goes together with the store, also in the middle of a delivery: then every
/// Hold on the stack learns that it is alone.
class Delivery {
 public:
  /// A delivery may bring others, and these again: more rounds of it than this are taken for an endless ping-pong.
  static constexpr std::uint32_t most_rounds = 100'000;

  explicit Delivery(std::pmr::memory_resource* upstream, AtomStore* s = nullptr) noexcept : arena(upstream), store(s) {}
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  bool held() const noexcept { return innermost_; }
  void enqueue(Deliverable& source) noexcept { queue_.push(source); }
  /// It waits in the queue, and goes. Not while a delivery is under way further in.
  ATOM_COLD void forget(Deliverable& source) noexcept { queue_.remove(source); }
  /// Disposes of `element` when the outermost hold ends.
  void bury(Disposable& element) noexcept { graveyard_.push(element); }
  /// The store is going, now: holds on the stack but the `last` are told, and what waited is disposed of.
  void cut_off(Hold& last) noexcept;
  /// Disposes of what waits, without telling anybody.
  void dispose(Hold& last) noexcept;

  Arena arena;
  AtomStore* store;
  Transaction* transaction = nullptr;   // the innermost
  const void* thread_inside = nullptr;  // for ThreadCheck
  std::uint32_t computing = 0;          // derived atoms, each one for the next

 private:
  friend class Hold;
  bool something_waits() const noexcept { return !(queue_.empty() && graveyard_.empty()); }
  void deliver_all(Hold& hold);
  void give_up(Hold& hold) noexcept;

  Hold* innermost_ = nullptr;
  DisposableQueue queue_;  // of Deliverables
  DisposableQueue graveyard_;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdangling-pointer"  // g++ does not see that what lies on the stack is let go in time
#endif
/// While one is on the stack, deliveries wait. The outermost delivers them in `finish`.
class Hold {
 public:
  explicit Hold(Delivery& delivery) noexcept : delivery_(&delivery), outer_(delivery.innermost_) {
    delivery.innermost_ = this;
  }
  /// Where there is none yet. (Nothing is read, or each delivery would wait for what the one before has written.)
  struct Outermost {};
  Hold(Delivery& delivery, Outermost) noexcept : delivery_(&delivery), outer_(nullptr) { delivery.innermost_ = this; }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    if (delivery_) delivery_->innermost_ = outer_;
  }

  /// False once a callback has destroyed the store: nothing of it may be touched any more.
  bool alive() const noexcept { return delivery_; }
  /// Keeps the exception that is being handled, if it is the first.
  ATOM_COLD void caught() noexcept {
    if (!error_) error_ = std::current_exception();
  }
  /// Delivers what waits, if this is the outermost hold; then throws the first exception that was caught.
  void finish() {
    settle();
    if (error_) [[unlikely]]
      rethrow();
  }
  /// The same, but what listeners throw is lost: a more important exception is on its way.
  void finish_quietly() noexcept {
    settle();
    error_ = nullptr;
  }

  /// What listeners look at while this hold delivers; null: nothing.
  void show(const Shown* values) noexcept { shown_ = values; }

 private:
  friend class Delivery;
  void settle() {
    if (delivery_ && delivery_->something_waits() && !outer_) [[unlikely]]
      deliver();
  }
  ATOM_NOINLINE void deliver() { delivery_->deliver_all(*this); }
  [[noreturn]] ATOM_COLD void rethrow() { std::rethrow_exception(std::exchange(error_, nullptr)); }

  Delivery* delivery_;
  Hold* const outer_;
  const Shown* shown_ = nullptr;
  std::exception_ptr error_;
};
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

inline void Delivery::deliver_all(Hold& hold) {
  std::uint32_t rounds = 0;
  for (;;) {
    const Disposable* last_of_round = queue_.empty() ? nullptr : &queue_.back();
    while (!queue_.empty()) {
      auto& source = static_cast<Deliverable&>(queue_.pop());
      const bool round_ends = &source == last_of_round;
      source.deliver(hold);
      if (!hold.alive()) return;
      if (!round_ends || queue_.empty()) continue;
      last_of_round = &queue_.back();
      if (++rounds > most_rounds) [[unlikely]]
        give_up(hold);
    }
    if (graveyard_.empty()) return;
    graveyard_.front().clear(hold);
    if (!hold.alive()) return;
    graveyard_.pop().free();
  }
}

inline void Delivery::give_up(Hold& hold) noexcept {
  while (!queue_.empty()) static_cast<Deliverable&>(queue_.pop()).abandon();
  try {
    throw CycleError("listeners keep updating each other: stopped after 100000 rounds");
  } catch (...) {
    hold.caught();
  }
}

inline void Delivery::cut_off(Hold& last) noexcept {
  for (Hold* hold = last.outer_; hold; hold = hold->outer_) {
    if (hold->shown_) hold->shown_->source.release(*hold->shown_);
    hold->delivery_ = nullptr;
  }
  dispose(last);
}

inline void Delivery::dispose(Hold& last) noexcept {
  while (!queue_.empty()) static_cast<Deliverable&>(queue_.pop()).abandon();
  while (!graveyard_.empty()) {
    graveyard_.front().clear(last);
    graveyard_.pop().free();
  }
}

}  // namespace atom::inline v0_1::detail

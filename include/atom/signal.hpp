// Who is told when an atom changes, and the handles that end a subscription.
// The store owns its listeners: a Subscription may be dropped (the listener stays), kept, moved, or outlive everything.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

class Signal;

/// What a listener listens to, as a mask.
using Events = std::uint8_t;
inline constexpr Events on_change = 1, on_watch = 2, on_reset = 4, on_destroy = 8;
/// It also wants the value before the change.
inline constexpr Events wants_old = 16;
/// Its callable has a destructor to run, or is too large for a piece of the arena.
inline constexpr Events needs_an_end = 32;
/// It is a derived atom's, which must know of every write, silent ones too, as soon as it takes effect.
inline constexpr Events on_input = 64;

/// A callable in a store's arena, in the list of the signal that calls it.
struct Listener {
  struct Ops {
    void (*call)(Listener& listener, const void* now, const void* old, AtomBase& atom);
    void (*destroy)(Listener& listener) noexcept;  // null: nothing to destroy
    std::size_t size;
    std::size_t align;
  };
  Listener* next;
  Listener* previous;
  const Ops* ops;
  Signal* signal;
  Subscription* handle;  // the one that stands for it, if it still exists
  Events events;         // none: disconnected
};

template <class Call>
struct ListenerOf : Listener {
  explicit ListenerOf(Call&& c) : call(std::move(c)) {}
  static void invoke(Listener& listener, const void* now, const void* old, AtomBase& atom) {
    static_cast<ListenerOf&>(listener).call(now, old, atom);
  }
  static void destroy(Listener& listener) noexcept { static_cast<ListenerOf&>(listener).call.~Call(); }
  static constexpr Ops table{&invoke, std::is_trivially_destructible_v<Call> ? nullptr : &destroy,
                             sizeof(ListenerOf<Call>), alignof(ListenerOf<Call>)};
  Call call;
};

}  // namespace detail

/// A handle to one listener. It owns nothing: dropping it leaves the listener in place, and it may outlive the atom and
/// the store. Used by one thread at a time, the one that uses the store.
class Subscription {
 public:
  Subscription() noexcept = default;
  Subscription(Subscription&& other) noexcept : listener_(std::exchange(other.listener_, nullptr)) { adopt(); }
  Subscription& operator=(Subscription&& other) noexcept {
    if (this != &other) {
      forget();
      listener_ = std::exchange(other.listener_, nullptr);
      adopt();
    }
    return *this;
  }
  ~Subscription() { forget(); }

  /// Ends the subscription: the listener is not called any more, also not by a delivery that is under way. Its callable
  /// is destroyed at once, or after the delivery that is under way. May be called again.
  void unsubscribe() noexcept;

  /// Whether the listener will still be called.
  bool active() const noexcept { return listener_; }
  explicit operator bool() const noexcept { return active(); }

 private:
  friend class detail::Signal;
  explicit Subscription(detail::Listener& listener) noexcept : listener_(&listener) { adopt(); }
  void adopt() noexcept {
    if (listener_) listener_->handle = this;
  }
  void forget() noexcept {
    if (listener_) listener_->handle = nullptr;
  }
  detail::Listener* listener_ = nullptr;
};

/// A subscription that ends with its block.
class [[nodiscard]] ScopedSubscription {
 public:
  ScopedSubscription() noexcept = default;
  [[nodiscard]] ScopedSubscription(Subscription subscription) noexcept : subscription_(std::move(subscription)) {}
  ScopedSubscription(ScopedSubscription&&) noexcept = default;
  ScopedSubscription& operator=(ScopedSubscription&& other) noexcept {
    if (this != &other) {
      subscription_.unsubscribe();
      subscription_ = std::move(other.subscription_);
    }
    return *this;
  }
  ~ScopedSubscription() { subscription_.unsubscribe(); }

  void unsubscribe() noexcept { subscription_.unsubscribe(); }
  bool active() const noexcept { return subscription_.active(); }
  explicit operator bool() const noexcept { return active(); }
  /// Lets the listener live on; the handle is yours.
  [[nodiscard]] Subscription release() noexcept { return std::move(subscription_); }

 private:
  Subscription subscription_;
};

namespace detail {

/// The listeners of one atom, in the order they subscribed.
class Signal {
 public:
  explicit Signal(Delivery* delivery) noexcept : delivery_(delivery) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  Delivery* delivery() const noexcept { return delivery_; }
  /// Whether somebody listens to one of `events`.
  bool heard(Events events) const noexcept { return events_ & events; }

  template <class Call>
  Subscription subscribe(Events events, Call call) {
    using Node = ListenerOf<Call>;
    Piece<Node> piece(delivery_->arena);
    Node* const node = ::new (piece.place()) Node(std::move(call));
    piece.release();
    node->ops = &Node::table;
    constexpr bool ends_with_the_arena =
        std::is_trivially_destructible_v<Call> && Arena::pooled(sizeof(Node), alignof(Node));
    append(*node, ends_with_the_arena ? events : events | needs_an_end);
    return Subscription(*node);
  }

  /// Not called any more; destroyed as soon as nobody may be running it.
  void disconnect(Listener& listener) noexcept {
    listener.events = 0;
    if (listener.handle) std::exchange(listener.handle, nullptr)->listener_ = nullptr;
    forget_events_of(listener);
    if (telling_) {
      has_disconnected_ = true;
      return;
    }
    Hold hold(*delivery_);
    dropped_.push(listeners_.remove(listener));
    discard(dropped_, hold);
    hold.finish_quietly();
  }
  void disconnect_all() noexcept {
    Listener* listener = listeners_.last;
    if (!listener) return;
    do {
      listener = listener->next;
      listener->events = 0;
      if (listener->handle) std::exchange(listener->handle, nullptr)->listener_ = nullptr;
    } while (listener != listeners_.last);
    events_ = 0;
    has_disconnected_ = true;
  }
  bool empty() const noexcept { return !listeners_.last && !dropped_.last; }
  /// How many listeners are still to be called.
  std::size_t count() const noexcept {
    const Listener* listener = listeners_.last;
    if (!listener) return 0;
    std::size_t count = 0;
    do {
      listener = listener->next;
      if (listener->events & ~on_input) ++count;
    } while (listener != listeners_.last);
    return count;
  }
  /// Where all memory goes at once: ends all subscriptions, if no code of the user's needs to run for it. Whether there
  /// is nothing left to destroy.
  bool let_go() noexcept {
    if (dropped_.last || heard(needs_an_end) || has_disconnected_) return false;
    Listener* const last = std::exchange(listeners_.last, nullptr);
    if (!last) return true;
    events_ = 0;
    for (Listener* listener = last->next;; listener = listener->next) {
      if (listener->handle) listener->handle->listener_ = nullptr;
      if (listener == last) return true;
    }
  }
  /// Destroys all listeners; see Disposable::clear.
  void clear(Hold& hold) noexcept {
    disconnect_all();
    discard(listeners_, hold);
    if (hold.alive()) discard(dropped_, hold);
  }

  /// Whether a delivery is under way.
  bool telling() const noexcept { return telling_; }
  /// Begins a delivery, and returns the last listener that is told by it: those who are there now, and are still when
  /// it is their turn.
  const Listener* begin() noexcept {
    telling_ = true;
    return listeners_.last;
  }
  /// Ends the delivery, or the outer one if they were nested. Whether the store is still there.
  bool end(Hold& hold) noexcept {
    telling_ = false;
    if (!has_disconnected_) [[likely]]
      return true;
    sweep(hold);
    return hold.alive();
  }
  /// Calls those up to `last` who listen to one of `events`; what they throw goes to the hold. Whether the store is
  /// still there: if not, there is nothing to end.
  ATOM_INLINE bool tell(const Listener* last, Events events, const void* now, const void* old, AtomBase& atom,
                        Hold& hold) noexcept {
    if (!heard(events)) return true;
    for (Listener* listener = listeners_.last->next;; listener = listener->next) {
      if (listener->events & events) {
        try {
          listener->ops->call(*listener, now, old, atom);
        } catch (...) {
          hold.caught();
        }
        if (!hold.alive()) [[unlikely]]
          return false;
      }
      if (listener == last) return true;
    }
  }

  /// Marks what was computed from `atom`; `loud` if its listeners are to be told. Runs no code of the user's.
  void invalidate(AtomBase& atom, bool loud) noexcept {
    if (!heard(on_input)) [[likely]]
      return;
    Listener* const last = listeners_.last;
    for (Listener* listener = last->next;; listener = listener->next) {
      if (listener->events & on_input) listener->ops->call(*listener, loud ? &atom : nullptr, nullptr, atom);
      if (listener == last) return;
    }
  }

 private:
  void append(Listener& listener, Events events) noexcept {
    listener.signal = this;
    listener.handle = nullptr;
    listener.events = events;
    listeners_.push(listener);
    events_ |= events;
  }

  /// A list of listeners, circular: `last->next` is the first.
  struct List {
    Listener* last = nullptr;
    void push(Listener& listener) noexcept {
      if (last) {
        listener.next = std::exchange(last->next, &listener);
        listener.previous = std::exchange(listener.next->previous, &listener);
      } else {
        listener.next = listener.previous = &listener;
      }
      last = &listener;
    }
    Listener& pop() noexcept { return remove(*last->next); }
    Listener& remove(Listener& listener) noexcept {
      listener.next->previous = listener.previous;
      listener.previous->next = listener.next;
      if (last == &listener) last = listener.next == &listener ? nullptr : listener.previous;
      return listener;
    }
  };

  /// What only it listened to is not heard any more, also where it stays in the list until the delivery ends: or who
  /// subscribes after it would be told a change that nobody heard. Mostly the first or the next one listens to the
  /// same.
  void forget_events_of(const Listener& gone) noexcept {
    Events still = listeners_.last->next->events;
    for (const Listener* other = gone.next; other != &gone && still != events_; other = other->next) {
      still |= other->events;
    }
    events_ = still;
  }
  /// Takes the disconnected ones out of the list, then destroys them: that runs code of the user's.
  ATOM_NOINLINE void sweep(Hold& hold) noexcept {
    has_disconnected_ = false;
    events_ = 0;
    List all = std::exchange(listeners_, List{});
    while (all.last) {
      Listener& listener = all.pop();
      (listener.events ? listeners_ : dropped_).push(listener);
      events_ |= listener.events;
    }
    discard(dropped_, hold);
  }
  void discard(List& list, Hold& hold) noexcept {
    while (list.last) {
      Listener& listener = list.pop();
      const Listener::Ops& ops = *listener.ops;
      if (ops.destroy) ops.destroy(listener);
      if (!hold.alive()) return;
      delivery_->arena.recycle(&listener, ops.size, ops.align);
    }
  }

  Delivery* const delivery_;
  List listeners_;
  List dropped_;       // disconnected, being destroyed
  Events events_ = 0;  // what the listeners listen to
  bool telling_ = false;
  bool has_disconnected_ = false;
};

}  // namespace detail

inline void Subscription::unsubscribe() noexcept {
  if (listener_) listener_->signal->disconnect(*listener_);
}

}  // namespace atom::inline v0_1

// What other threads send to a store: functions, which wait in its mailbox until the thread that owns the store drains
// it. The one rule: a Mailbox is kept and posted to by anybody, anywhere, for as long as they like; the store, and its
// `drain`, stay with the owner.
//
//   pool.run([mailbox = store.mailbox()] {
//     mailbox.post([user = load_user()](atom::AtomStore& store) { store.use(user_atom).update(user); });
//   });
//   store.drain();  // in the owner's thread, now and then, or when it is woken
#pragma once

#include <atom/config.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/error.hpp>
#include <atom/store.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

template <class F>
concept takes_store = requires(F fn, AtomStore& store) { std::move(fn)(store); };
template <class F>
concept posted_function =
    std::constructible_from<std::decay_t<F>, F> && (takes_store<std::decay_t<F>> || std::invocable<std::decay_t<F>>);

/// A function that waits for its store.
class Posted {
 public:
  virtual void run(AtomStore& store) = 0;
  virtual ~Posted() = default;

 private:
  friend class PostedList;
  std::unique_ptr<Posted> next_;
};

template <class F>
class PostedFunction final : public Posted {
 public:
  template <class From>
    requires(!std::same_as<std::remove_cvref_t<From>, PostedFunction>)
  explicit PostedFunction(From&& fn) : fn_(std::forward<From>(fn)) {}
  void run(AtomStore& store) override {
    if constexpr (takes_store<F>) {
      static_cast<void>(std::move(fn_)(store));
    } else {
      static_cast<void>(std::move(fn_)());
    }
  }

 private:
  F fn_;
};

/// First in, first out.
class PostedList {
 public:
  PostedList() noexcept = default;
  PostedList(PostedList&& other) noexcept : first_(std::move(other.first_)), last_(other.last_) {}
  PostedList& operator=(PostedList&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    return *this;
  }
  ~PostedList() {
    while (pop()) {  // one after the other, not each inside the one before
    }
  }
  void push(std::unique_ptr<Posted> function) noexcept {
    Posted* const last = function.get();
    (first_ ? last_->next_ : first_) = std::move(function);
    last_ = last;
  }
  std::unique_ptr<Posted> pop() noexcept {
    std::unique_ptr<Posted> function = std::move(first_);
    if (function) first_ = std::move(function->next_);
    return function;
  }

 private:
  std::unique_ptr<Posted> first_;
  Posted* last_ = nullptr;
};

/// Tells the owner that something waits.
class Waker {
 public:
  virtual void wake() = 0;
  virtual ~Waker() = default;
};

template <class F>
class WakerFunction final : public Waker {
 public:
  explicit WakerFunction(F&& fn) : fn_(std::move(fn)) {}
  void wake() override { static_cast<void>(fn_()); }

 private:
  F fn_;
};

/// What the handles share with the store. No function runs or goes, and nobody is woken, while `mutex_` is locked.
class MailboxQueue {
 public:
  /// What is left when it is closed. To destroy it runs code of the user's.
  struct Rest {
    PostedList functions;
    std::shared_ptr<Waker> waker;
  };

  bool post(std::unique_ptr<Posted> function) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      waiting_.push(std::move(function));
      ++posted_;
      if (std::exchange(told_, true)) return true;
    }
    wake();
    return true;
  }
  /// Runs what waits now, in the owner's thread. Any of it may end the store: then nothing waits any more.
  std::size_t run(AtomStore& store) {
    const std::uint64_t end = begin_to_run();
    std::size_t ran = 0;
    std::exception_ptr first;
    while (const std::unique_ptr<Posted> function = take_before(end)) {
      ++ran;
      try {
        function->run(store);
      } catch (...) {
        if (!first) first = std::current_exception();
      }
    }
    if (first) std::rethrow_exception(first);
    return ran;
  }
  void wake_by(std::shared_ptr<Waker> waker) {
    {
      const std::lock_guard lock(waking_);
      waker_.swap(waker);
    }
    if (pending() != 0) wake();
  }
  /// Afterwards nothing is taken and nobody is woken any more, nor is anybody just being woken.
  Rest close() noexcept {
    Rest rest;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      taken_ = posted_;
      rest.functions = std::move(waiting_);
    }
    const std::lock_guard lock(waking_);
    rest.waker.swap(waker_);
    return rest;
  }

  bool closed() const noexcept {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  std::size_t pending() const noexcept {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(posted_ - taken_);
  }

 private:
  std::uint64_t begin_to_run() noexcept {
    const std::lock_guard lock(mutex_);
    told_ = false;
    return posted_;
  }
  std::unique_ptr<Posted> take_before(std::uint64_t end) noexcept {
    const std::lock_guard lock(mutex_);
    if (taken_ >= end) return nullptr;
    std::unique_ptr<Posted> function = waiting_.pop();
    if (function) ++taken_;
    return function;
  }
  void wake() {
    std::shared_ptr<Waker> waker;  // outlives the lock, and its own end: it may end the store, or be replaced
    const std::lock_guard lock(waking_);
    waker = waker_;
    if (!waker) return;
    try {
      waker->wake();
    } catch (...) {
      const std::lock_guard again(mutex_);
      told_ = false;
      throw;
    }
  }

  mutable std::mutex mutex_;
  PostedList waiting_;
  std::uint64_t posted_ = 0;  // ever
  std::uint64_t taken_ = 0;   // out of `waiting_`, ever
  bool told_ = false;         // the owner, since it last began to run what waits
  bool closed_ = false;

  std::recursive_mutex waking_;  // locked while somebody is woken, who may post
  std::shared_ptr<Waker> waker_;
};

/// The store's end of it.
class MailboxHook final : public Attachment, public Disposable {
 public:
  /// The store's mailbox, or null.
  static MailboxHook* find(const AtomStore& store) noexcept {
    return static_cast<MailboxHook*>(store.attachments_.find(Kind::mailbox));
  }
  static MailboxHook& find_or_make(AtomStore& store) {
    if (MailboxHook* const hook = find(store)) return *hook;
    std::shared_ptr<MailboxQueue> queue = std::make_shared<MailboxQueue>();
    void* const place = store.delivery_.arena.acquire(sizeof(MailboxHook), alignof(MailboxHook));
    MailboxHook& hook = *::new (place) MailboxHook(store, std::move(queue));
    store.attachments_.push(hook);
    return hook;
  }
  static bool in_transaction(const AtomStore& store) noexcept { return store.delivery_.transaction; }

  const std::shared_ptr<MailboxQueue>& queue() const noexcept { return queue_; }

  /// What is dropped goes when no callback is on the stack: its end may use the store, or destroy it.
  void atoms_gone() noexcept override {
    rest_ = queue_->close();
    store_.attachments_.remove(*this);
    store_.delivery_.bury(*this);
  }
  /// It stays, closed, so that there is no other one; unless it was asked for only now.
  void store_ends() noexcept override { const MailboxQueue::Rest rest = queue_->close(); }
  void store_gone() noexcept override {
    store_ends();
    free();
  }
  void clear(Hold&) noexcept override { const MailboxQueue::Rest rest = std::move(rest_); }
  void free() noexcept override { store_.delivery_.arena.end(*this); }

 private:
  MailboxHook(AtomStore& store, std::shared_ptr<MailboxQueue> queue) noexcept
      : Attachment(Kind::mailbox), store_(store), queue_(std::move(queue)) {}

  AtomStore& store_;
  const std::shared_ptr<MailboxQueue> queue_;
  MailboxQueue::Rest rest_;  // of the queue that is closed
};

}  // namespace detail

/// A handle to a store's mailbox: cheap to copy, outlives the store. Any thread may use it, also several at once. One
/// that is default-constructed is closed.
class Mailbox {
 public:
  Mailbox() noexcept = default;

  /// Leaves `fn` for the store: it is called once, with the store or with nothing, in the thread that drains it, after
  /// all that was posted before. False, and `fn` is destroyed at once, if the mailbox is closed. If it is closed later,
  /// the thread that closes it destroys `fn` without a call. Never waits for the owner. Throws bad_alloc, and what
  /// moving `fn` throws: then nothing is posted; and what the callback that wakes the owner throws: then `fn` is posted
  /// all the same, and the next `post` calls it again.
  template <detail::posted_function F>
  bool post(F&& fn) const {
    auto function = std::make_unique<detail::PostedFunction<std::decay_t<F>>>(std::forward<F>(fn));
    const std::shared_ptr<detail::MailboxQueue> queue = queue_;  // waking the owner may be the end of this handle
    return queue && queue->post(std::move(function));
  }
  template <class F>
  bool post(F&& fn) const = delete;  // a posted function takes (atom::AtomStore&) or nothing, and can be moved

  /// Whether the store is gone, or was destroyed since: what is posted is dropped.
  bool closed() const noexcept { return !queue_ || queue_->closed(); }

  /// How many functions wait. There is no limit: who may post faster than the owner drains looks here first.
  std::size_t pending() const noexcept { return queue_ ? queue_->pending() : 0; }

  /// Whether they are of one mailbox.
  friend bool operator==(const Mailbox&, const Mailbox&) noexcept = default;

 private:
  friend Mailbox open_mailbox(AtomStore& store);
  template <class Wake>
    requires std::move_constructible<Wake> && std::invocable<Wake&>
  friend Mailbox open_mailbox(AtomStore& store, Wake wake);
  explicit Mailbox(std::shared_ptr<detail::MailboxQueue> queue) noexcept : queue_(std::move(queue)) {}
  std::shared_ptr<detail::MailboxQueue> queue_;
};

/// What `store.mailbox()` does: returns the store's mailbox, made if there is none. It is closed by the end of the
/// store, and by `destroy`, after which there is a new one.
inline Mailbox open_mailbox(AtomStore& store) {
  return Mailbox(detail::MailboxHook::find_or_make(store).queue());
}

/// What `store.mailbox(wake)` does: from now on `wake()` is called when something waits, once until the next `drain`,
/// by the thread that posts: it writes to an eventfd, posts to an event loop, releases a semaphore. It does not touch
/// the store, and does not wait for the owner; it may post. It takes the place of the one before, and is called at once
/// if something waits already. It is neither running nor called any more when another one has taken its place, or
/// when the mailbox is closed.
template <class Wake>
  requires std::move_constructible<Wake> && std::invocable<Wake&>
Mailbox open_mailbox(AtomStore& store, Wake wake) {
  auto waker = std::make_shared<detail::WakerFunction<Wake>>(std::move(wake));
  Mailbox mailbox = open_mailbox(store);
  mailbox.queue_->wake_by(std::move(waker));
  return mailbox;
}
template <class Wake>
Mailbox open_mailbox(AtomStore& store, Wake wake) = delete;  // what wakes the owner can be moved, and takes nothing

/// What `store.drain()` does: runs what was posted up to now, in order, each on its own; returns how many ran. What
/// is posted meanwhile waits for the next `drain`. One that throws stops nobody; the first exception is thrown when all
/// have run. One that destroys the store is the last: the others are dropped.
///
/// Inside a batch, or in a listener, the functions run at once, and listeners are told when the batch is through. A
/// function may drain in its turn: that runs the rest first. Inside a transaction this throws Error, and nothing runs.
inline std::size_t drain_mailbox(AtomStore& store) {
  if (detail::MailboxHook::in_transaction(store)) {
    throw Error("the store is drained inside a transaction, which could not put back what was posted");
  }
  const detail::MailboxHook* const hook = detail::MailboxHook::find(store);
  if (!hook) return 0;
  const std::shared_ptr<detail::MailboxQueue> queue = hook->queue();  // outlives the store
  return queue->run(store);
}

}  // namespace atom::inline v0_1

// The current store of a thread or coroutine, for functions that cannot be handed one. A StoreScope makes a store the
// current one until its block ends. What runs later or elsewhere is given to `bind`. A coroutine that may go on in
// another thread has a promise with StorePromise, or says `co_await carry(awaitable)`: then its store goes with it, and
// does not stay behind. The one rule: a store must outlive all for which it is current.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/store_frame.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

[[noreturn]] ATOM_COLD inline void ends_out_of_order() {
  throw Error(
      "a StoreScope does not end where it began: another one in this thread must end first, or a coroutine went on in "
      "another thread (there, co_await atom::carry(awaitable))");
}

// What looks at the list is not inlined: a coroutine may be in another thread when it looks again, and a compiler that
// does not know would look where the list of the first one is.

ATOM_NOINLINE inline void enter(StoreFrame& scope) noexcept {
  scope.outer = std::exchange(innermost_frame(), &scope);
}
/// Ends the program if `scope` is not the innermost: the list would lead to scopes that are gone.
// NOLINTNEXTLINE(bugprone-exception-escape): that is how it ends, with a message
ATOM_NOINLINE inline void leave(StoreFrame& scope) noexcept {
  if (innermost_frame() != &scope) [[unlikely]]
    ends_out_of_order();
  innermost_frame() = scope.outer;
}

}  // namespace detail

/// The store that is current in this thread or coroutine, or null.
[[nodiscard]] ATOM_NOINLINE inline AtomStore* current_store() noexcept {
  const detail::StoreFrame* const scope = detail::innermost_frame();
  return scope ? scope->store : nullptr;
}

/// The same, where there must be one. Throws Error if there is none.
[[nodiscard]] inline AtomStore& require_store() {
  if (AtomStore* const store = current_store()) return *store;
  throw Error("no store is current: open a StoreScope here, or bind what runs later or in another thread");
}

/// Makes a store the current one until the block ends; then the one before is current again. Scopes of one thread end
/// in the reverse order, and before their store does: anything else ends the program.
class [[nodiscard]] StoreScope {
 public:
  [[nodiscard]] explicit StoreScope(AtomStore& store) noexcept : StoreScope(&store) {}
  explicit StoreScope(AtomStore&& store) = delete;  // declare the store before its scope; this one is a temporary
  StoreScope(const StoreScope&) = delete;           // a scope belongs to its block
  StoreScope& operator=(const StoreScope&) = delete;
  ~StoreScope() { detail::leave(scope_); }

 private:
  template <class F>
  friend class Bound;
  explicit StoreScope(AtomStore* store) noexcept : scope_{store} { detail::enter(scope_); }
  detail::StoreFrame scope_;
};

/// What `bind` returns: a callable that is called as F is.
template <class F>
class [[nodiscard]] Bound {
 public:
  explicit Bound(F fn) : store_(current_store()), fn_(std::move(fn)) {}

  template <class... Args>
  auto operator()(Args&&... args) & -> decltype(std::declval<F&>()(std::forward<Args>(args)...)) {
    const StoreScope scope(store_);
    return fn_(std::forward<Args>(args)...);
  }
  template <class... Args>
  auto operator()(Args&&... args) const& -> decltype(std::declval<const F&>()(std::forward<Args>(args)...)) {
    const StoreScope scope(store_);
    return fn_(std::forward<Args>(args)...);
  }
  template <class... Args>
  auto operator()(Args&&... args) && -> decltype(std::declval<F>()(std::forward<Args>(args)...)) {
    const StoreScope scope(store_);
    return std::move(fn_)(std::forward<Args>(args)...);
  }

 private:
  AtomStore* store_;
  F fn_;
};

/// A callable that runs `fn` with the store that is current now, wherever it is called: in an executor, a callback. If
/// none is current now, none is when it runs. The store must still be there then; it is not kept alive, so a `fn` that
/// may run after the handler owns the store: capture the `shared_ptr`.
template <class F>
[[nodiscard]] Bound<std::decay_t<F>> bind(F&& fn) {
  return Bound<std::decay_t<F>>(std::forward<F>(fn));
}

// ---- Coroutines

class StorePromise;
namespace detail {

/// What `co_await` makes of an awaitable.
template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}
template <class A>
concept awaitable_type = requires(A&& a) { awaiter_of(std::forward<A>(a)).await_ready(); };

/// The scopes of a coroutine while it is suspended: out of the list of the thread where that happened.
class Aside {
 public:
  Aside() noexcept = default;
  /// Of a scope that is in no list yet.
  explicit Aside(StoreFrame& scope) noexcept : innermost_(&scope), outermost_(&scope) {}
  /// Takes all scopes from the innermost to `outermost`, which is in this thread's list, or null: then nothing.
  ATOM_NOINLINE void take(StoreFrame* outermost) noexcept {
    if (!outermost) return;
    outermost_ = outermost;
    innermost_ = std::exchange(innermost_frame(), outermost->outer);
  }
  /// Puts them into the list of the thread that runs this.
  ATOM_NOINLINE void put_back() noexcept {
    if (!innermost_) return;
    outermost_->outer = std::exchange(innermost_frame(), std::exchange(innermost_, nullptr));
  }
  explicit operator bool() const noexcept { return innermost_; }

 private:
  StoreFrame* innermost_ = nullptr;  // null: nothing is aside
  StoreFrame* outermost_ = nullptr;
};

/// The scope that a coroutine of others opened, which can only be known as the innermost.
class InnermostScope {
 public:
  ATOM_NOINLINE void take() noexcept { aside_.take(innermost_frame()); }
  void put_back() noexcept { aside_.put_back(); }

 private:
  Aside aside_;
};

/// The scope that a coroutine is born with; what it opens is inside of it. Aside until the coroutine first runs.
class OwnScope {
 public:
  OwnScope() noexcept : scope_{current_store()}, aside_(scope_) {}
  OwnScope(const OwnScope&) = delete;
  OwnScope& operator=(const OwnScope&) = delete;
  ~OwnScope() {
    if (!aside_) leave(scope_);
  }
  void take() noexcept {
    if (!aside_) aside_.take(&scope_);
  }
  void put_back() noexcept { aside_.put_back(); }

 private:
  StoreFrame scope_;
  Aside aside_;
};

template <class Held, class Of>
class Carry;
template <class A>
inline constexpr bool carries_own = false;
template <class Held>
inline constexpr bool carries_own<Carry<Held, OwnScope&>> = true;

/// Awaits what it holds, with the coroutine's scopes aside in the meantime. Of or Of&: whose scopes.
template <class Held, class Of>
class [[nodiscard]] Carry {
 public:
  template <class... Place>
  explicit Carry(Held&& held, Place&... place)
      : of_(place...), held_(static_cast<Held&&>(held)), awaiter_(awaiter_of(static_cast<Held&&>(held_))) {}
  Carry(const Carry&) = delete;
  Carry& operator=(const Carry&) = delete;
  /// Also of a coroutine that is destroyed while it is suspended: what it destroys has its store, its scopes end.
  ~Carry() { of_.put_back(); }

  bool await_ready() noexcept(noexcept(static_cast<bool>(awaiter_.await_ready()))) {
    return static_cast<bool>(awaiter_.await_ready());
  }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> coroutine) noexcept(
      noexcept(awaiter_.await_suspend(coroutine))) {
    if constexpr (std::is_reference_v<Of>) check<Promise>();
    of_.take();
    // From here on the coroutine may be running in another thread, or be gone: nothing of it is touched any more. If
    // this returns false or throws, it goes on right here, and await_resume or the destructor puts its scopes back.
    return awaiter_.await_suspend(coroutine);
  }
  decltype(auto) await_resume() noexcept(noexcept(awaiter_.await_resume())) {
    of_.put_back();
    return awaiter_.await_resume();
  }

 private:
  template <class Promise>
  static void check() {
    static_assert(carries_own<decltype(std::declval<Promise&>().initial_suspend())> &&
                      carries_own<decltype(std::declval<Promise&>().final_suspend())>,
                  "in a promise with StorePromise, initial_suspend and final_suspend return carry(awaiter)");
  }

  Of of_;
  Held held_;
  decltype(awaiter_of(std::declval<Held>())) awaiter_;
};

/// A coroutine type whose promise lets its coroutines await their own kind, but nothing that wraps it.
template <class A>
concept closed_type = requires(typename std::coroutine_traits<A>::promise_type& promise, A awaitable) {
  promise.await_transform(std::move(awaitable));
} && !requires(typename std::coroutine_traits<A>::promise_type& promise, Carry<A, InnermostScope> carry) {
  promise.await_transform(std::move(carry));
} && !std::is_base_of_v<StorePromise, typename std::coroutine_traits<A>::promise_type>;

}  // namespace detail

/// `co_await carry(awaitable)`: as `co_await awaitable`, for a coroutine type that cannot have StorePromise. While the
/// coroutine is suspended, its store is not current in the thread that it left; where it goes on, it is.
///
/// The coroutine has opened one StoreScope, and it is that one, the innermost, that is carried: a scope for another
/// store belongs in a coroutine of its own, which is awaited by `carry`. What is awaited without `carry` must not
/// suspend the thread; it may be a coroutine that opens no scope and uses `carry` in its turn: it sees the same store.
/// What waits for several is carried as a whole, `carry(a && b)`. If no store is current, this does nothing.
template <detail::awaitable_type A>
  requires(!detail::closed_type<std::remove_cvref_t<A>>)
[[nodiscard]] detail::Carry<A, detail::InnermostScope> carry(A&& awaitable) {
  return detail::Carry<A, detail::InnermostScope>(std::forward<A>(awaitable));
}
/// The same for a type whose coroutines await nothing but their own kind, such as boost::asio::awaitable: it becomes a
/// coroutine of that kind around the awaited one.
template <detail::closed_type A>
[[nodiscard]] A carry(A awaitable) {
  struct Away {
    Away() noexcept { of.take(); }
    Away(const Away&) = delete;
    Away& operator=(const Away&) = delete;
    ~Away() { of.put_back(); }
    detail::InnermostScope of;
  };
  const Away away;
  co_return co_await std::move(awaitable);
}

/// For promise types to derive from. The coroutine is born with the store that is current where it is called, and has
/// it wherever it runs, as it has every StoreScope that it opens itself. Where it is suspended, the thread gets back
/// what it had before the coroutine ran there. The store must outlive it.
///
/// Every `co_await` is carried by itself. The other places where a promise suspends return `carry(awaiter)` in place of
/// the awaiter: initial_suspend, final_suspend, and yield_value if there is one.
class StorePromise {
 public:
  template <detail::awaitable_type A>
  detail::Carry<A&&, detail::OwnScope&> await_transform(A&& awaitable) {
    return detail::Carry<A&&, detail::OwnScope&>(std::forward<A>(awaitable), scope_);
  }
  template <class A>
  void await_transform(detail::Carry<A, detail::InnermostScope>&& carry) = delete;  // co_await without atom::carry

 protected:
  StorePromise() noexcept = default;
  ~StorePromise() = default;

  template <detail::awaitable_type A>
  detail::Carry<A, detail::OwnScope&> carry(A awaiter) noexcept(std::is_nothrow_move_constructible_v<A>) {
    return detail::Carry<A, detail::OwnScope&>(std::move(awaiter), scope_);
  }

 private:
  detail::OwnScope scope_;
};

}  // namespace atom::inline v0_1

// One state: a value under a scope and a key, shared by all who name them. `State<T>` is a handle to it, cheap to copy
// and to keep; any number of threads may use one state, also through one handle.
//
// What reads or writes the value has a twin that begins with `try_`: the one throws StateError, the other returns it.
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/detail/typed_operation.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/subscription.hpp>
#include <atom/state/task.hpp>
#include <atom/state/type.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

/// Something that takes a T and returns the next one.
template <class F, class T>
concept state_updater = std::invocable<F&, const T&> && std::convertible_to<std::invoke_result_t<F&, const T&>, T>;

template <class F, class T>
concept state_listener = std::invocable<F&, const T&> || std::invocable<F&>;

class ListeningToState final : public Listening {
 public:
  ListeningToState(NodeReference node, std::shared_ptr<StateListener> listener) noexcept
      : node_(std::move(node)), listener_(std::move(listener)) {}
  void end() noexcept override {
    StateCore::forget(*node_, *listener_);
    listener_->end();
  }

 private:
  NodeReference node_;
  std::shared_ptr<StateListener> listener_;
};

}  // namespace detail

template <state_value T>
class State {
 public:
  using value_type = T;

  // ---- Reading

  /// The value, or the default where there is none. With a database, it may be behind what others have written, by
  /// `StoreOptions::staleness` at most.
  T get() const {
    if constexpr (detail::inside_node<T>) {
      if (is_simple_to_read()) [[likely]]
        return node_->template read<T>();
    }
    return *share();
  }
  StateResult<T> try_get() const {
    if constexpr (detail::inside_node<T>) {
      if (is_simple_to_read()) return node_->template read<T>();
    }
    return seen(core_staleness(), [](const auto& now) { return T(*now.value); });
  }
  /// The same, without copying it.
  std::shared_ptr<const T> share() const {
    return seen(core_staleness(), [](const auto& now) { return now.value; }).value();
  }
  /// The latest value that anybody was told to have written.
  T load() const { return try_load().value(); }
  StateResult<T> try_load() const {
    return seen({}, [](const auto& now) { return T(*now.value); });
  }
  /// The same with its version, for `set_if`.
  Versioned<T> load_versioned() const { return try_load_versioned().value(); }
  StateResult<Versioned<T>> try_load_versioned() const {
    return seen({}, [](const auto& now) { return Versioned<T>{*now.value, now.version}; });
  }
  /// Of the value that `get` gives: greater after each write; 0: there is none, and `get` gives the default.
  std::int64_t version() const {
    if (auto error = refresh(core_staleness(), detail::Asks::to_know)) throw *std::move(error);
    return core().version(*node_);
  }
  /// Whether there is a value, be it 0, false, or empty.
  bool has_value() const { return version() > 0; }

  // ---- Writing. All of it takes effect at once for everybody, or not at all. What fails says whether it took effect.

  /// Makes `next` the value. Returns its version: where others write at the same time and have replaced it already, one
  /// with which `set_if` does nothing.
  std::int64_t set(T next) { return try_set(std::move(next)).value(); }
  StateResult<std::int64_t> try_set(T next) {
    if (auto closed = closed_error()) return *std::move(closed);
    if constexpr (detail::inside_node<T>) {
      if (is_in_memory()) [[likely]] {
        const detail::NodeLock lock(*node_);
        if (is_simple_to_write()) [[likely]]
          return put(next);
      }
    }
    auto shared = std::make_shared<const T>(std::move(next));
    if (!core().engine) return *core().write(*node_, std::move(shared), std::nullopt);
    return run(std::make_shared<detail::SetOperation<T>>(node_, core().deadline(), std::move(shared)));
  }
  /// The same, if nobody has written since `version` was read (0: if there is no value). Whether it was.
  bool set_if(T next, std::int64_t version) { return try_set_if(std::move(next), version).value(); }
  StateResult<bool> try_set_if(T next, std::int64_t version) {
    if (auto closed = closed_error()) return *std::move(closed);
    return try_write_if(std::make_shared<const T>(std::move(next)), version);
  }

  /// Runs an equation, such as `atom::current + 1`, in one step, on what the value is then. Returns what came of it: no
  /// two callers that add 1 get the same. Errors, which leave the value as it was: overflow, division_by_zero,
  /// not_finite.
  template <equation_for<T> E>
  T apply(const E& equation) {
    if (const std::optional<T> now = apply_simply(equation)) [[likely]]
      return *now;
    return try_apply(equation).value();
  }
  template <equation_for<T> E>
  StateResult<T> try_apply(const E& equation) {
    if (std::optional<T> now = apply_simply(equation)) return *std::move(now);
    if (auto closed = closed_error()) return *std::move(closed);
    if (!core().engine) {
      return change([&](const T& old) -> StateResult<T> {
        StateResult<T> next = evaluate(equation, old);
        if (!next) return detail::with_name(next.error(), *node_);
        return next;
      });
    }
    return run(std::make_shared<detail::ApplyOperation<T>>(node_, core().deadline(), equation));
  }

  /// Makes what `updater(current)` returns the value, if nobody has written meanwhile; else begins anew, so it may run
  /// more than once. What it throws comes out, and nothing is written.
  template <detail::state_updater<T> F>
  T update(F&& updater) {
    return try_update(std::forward<F>(updater)).value();
  }
  template <detail::state_updater<T> F>
  StateResult<T> try_update(F&& updater) {
    return change([&](const T& old) -> StateResult<T> { return static_cast<T>(updater(old)); });
  }
  template <class F>
    requires(!detail::state_updater<F, T>)
  T update(F&&) = delete;  // an updater takes the current value and returns the next: [](const T& current) { ... }

  /// Ends the value: then `get` gives the default. Whether there was one.
  bool erase() { return try_erase().value(); }
  StateResult<bool> try_erase() {
    if (auto closed = closed_error()) return *std::move(closed);
    return core().erase(node_);
  }

  // ---- The same without blocking this thread: `co_await votes.apply_async(atom::current + 1)`, see task.hpp. What is
  // begun later on the same state is carried out later.

  StateTask<T> get_async() const { return get_async<T>(); }
  StateTask<StateResult<T>> try_get_async() const { return get_async<StateResult<T>>(); }
  StateTask<T> load_async() const { return load_async<T, T>(); }
  StateTask<StateResult<T>> try_load_async() const { return load_async<StateResult<T>, T>(); }
  StateTask<Versioned<T>> load_versioned_async() const { return load_async<Versioned<T>, Versioned<T>>(); }
  StateTask<StateResult<Versioned<T>>> try_load_versioned_async() const {
    return load_async<StateResult<Versioned<T>>, Versioned<T>>();
  }

  StateTask<std::int64_t> set_async(T next) { return set_async<std::int64_t>(std::move(next)); }
  StateTask<StateResult<std::int64_t>> try_set_async(T next) {
    return set_async<StateResult<std::int64_t>>(std::move(next));
  }
  StateTask<bool> set_if_async(T next, std::int64_t version) { return set_if_async<bool>(std::move(next), version); }
  StateTask<StateResult<bool>> try_set_if_async(T next, std::int64_t version) {
    return set_if_async<StateResult<bool>>(std::move(next), version);
  }
  template <equation_for<T> E>
  StateTask<T> apply_async(E equation) {
    return apply_async<T>(std::move(equation));
  }
  template <equation_for<T> E>
  StateTask<StateResult<T>> try_apply_async(E equation) {
    return apply_async<StateResult<T>>(std::move(equation));
  }
  /// With a database, the updater is kept, and called in a thread of the store, or of another caller.
  template <detail::state_updater<T> F>
  StateTask<T> update_async(F updater) {
    return update_async<T>(std::move(updater));
  }
  template <detail::state_updater<T> F>
  StateTask<StateResult<T>> try_update_async(F updater) {
    return update_async<StateResult<T>>(std::move(updater));
  }
  StateTask<bool> erase_async() { return erase_async<bool>(); }
  StateTask<StateResult<bool>> try_erase_async() { return erase_async<StateResult<bool>>(); }

  // ---- Being told

  /// Calls `listener(now)` or `listener()` after each change, whoever makes it: changes of one state one after the
  /// other, in their order, by the threads that write or that follow the database. No lock is held meanwhile. What it
  /// throws is told to `on_event`. Where others write fast, some values in between may be skipped, and never the last.
  template <detail::state_listener<T> F>
  StateSubscription on_change(F listener) {
    if (auto closed = closed_error()) throw *std::move(closed);
    auto shared = std::make_shared<detail::StateListenerOf<T, F>>(std::move(listener));
    auto listening = std::make_unique<detail::ListeningToState>(node_, shared);
    if (core().engine) core().engine->follow();  // before it listens, so that it misses nothing
    core().listen(*node_, std::move(shared));
    return StateSubscription(std::move(listening));
  }
  template <class F>
    requires(!detail::state_listener<F, T>)
  StateSubscription on_change(F) = delete;  // a listener of a state takes (now) or ()

  // ---- What it is

  std::string_view key() const noexcept { return node_->key(); }
  /// Throws StateError once the store is gone.
  const Scope& scope() const {
    if (auto closed = closed_error()) throw *std::move(closed);
    return node_->scope->scope;
  }
  /// Both in one text, another one for any other state.
  std::string id() const { return detail::state_id(scope(), key()); }
  /// Whether both are handles to the same state.
  friend bool operator==(const State& a, const State& b) noexcept { return &*a.node_ == &*b.node_; }

 private:
  friend class StateStore;
  friend class AnyState;
  using Node = detail::StateNode;
  static constexpr int not_simple_to_read = Node::timed | Node::closed | Node::remote;

  explicit State(detail::NodeReference node) noexcept : node_(std::move(node)) {}

  /// Else it is not locked here: in a process that was forked, who had locked it may not be there.
  bool is_in_memory() const noexcept { return !node_->has(Node::remote); }
  /// While the node is locked: whether there is nothing but the value to be minded.
  bool is_simple_to_write() const noexcept { return !node_->has(not_simple_to_read | Node::heard); }
  /// While it is locked, a small value. Returns its version.
  std::int64_t put(const T& value) noexcept {
    const std::int64_t version = core().version_after(node_->raw_version());
    node_->put(value, version);
    return version;
  }
  /// What came of it, if it could be done where it lies.
  template <class E>
  std::optional<T> apply_simply([[maybe_unused]] const E& equation) {
    if constexpr (detail::inside_node<T>) {
      if (!is_in_memory()) [[unlikely]]
        return std::nullopt;
      const detail::NodeLock lock(*node_);
      if (is_simple_to_write()) [[likely]] {
        T value = node_->template value<T>();
        if (!apply_to(equation, value)) [[likely]] {
          put(value);
          return value;
        }
      }
    }
    return std::nullopt;
  }
  struct Seen {
    std::shared_ptr<const T> value;
    std::int64_t version;  // 0: there is none
  };

  /// Whether what lies in the node may be taken as it is.
  bool is_simple_to_read() const noexcept {
    if (!node_->has(not_simple_to_read)) [[likely]]
      return true;
    return !node_->has(Node::timed | Node::closed) && core().engine->is_fresh(*node_, core().options.staleness);
  }
  detail::StateCore& core() const noexcept { return node_->scope->core; }
  std::chrono::milliseconds core_staleness() const noexcept {
    return node_->has(Node::closed) ? std::chrono::milliseconds() : core().options.staleness;
  }
  std::optional<StateError> closed_error() const {
    if (!node_->has(Node::closed)) [[likely]]
      return std::nullopt;
    return StateError(StateErrorCode::closed,
                      "the store of the state \"" + std::string(node_->key()) + "\" is closed or gone");
  }

  /// Makes sure that what is known is no older than `staleness`.
  std::optional<StateError> refresh(std::chrono::milliseconds staleness, detail::Asks asks) const {
    if (auto closed = closed_error()) return closed;
    return core().engine ? core().engine->refresh(node_, staleness, asks, core().deadline()) : std::nullopt;
  }
  /// What `use` makes of what there is, which is no older than `staleness`.
  template <class Use>
  StateResult<std::invoke_result_t<Use, const Seen&>> seen(std::chrono::milliseconds staleness, Use use) const {
    if (auto error = refresh(staleness, detail::Asks::to_read)) return *std::move(error);
    detail::SeenValue now = core().look(*node_);
    return use(Seen{std::static_pointer_cast<const T>(std::move(now.value)), std::max<std::int64_t>(now.version, 0)});
  }
  template <class Operation>
  auto run(const std::shared_ptr<Operation>& operation) const {
    core().engine->run(operation);
    return operation->result();
  }
  StateResult<bool> try_write_if(std::shared_ptr<const T> next, std::int64_t version) {
    if (!core().engine) {
      const std::int64_t raw = core().look(*node_).version;
      return std::max<std::int64_t>(raw, 0) == version && core().write(*node_, std::move(next), raw);
    }
    return run(std::make_shared<detail::SetIfOperation<T>>(node_, core().deadline(), std::move(next), version));
  }

  // R is what waiting for it gives.

  bool has_database() const noexcept { return !node_->has(Node::closed) && core().engine; }
  template <class R, class Operation, class... Args>
  StateTask<R> start(Args&&... args) const {
    return StateTask<R>::start(*core().engine,
                               std::make_shared<Operation>(node_, core().deadline(), std::forward<Args>(args)...));
  }
  template <class R>
  StateTask<R> get_async() const {
    if (has_database() && !core().engine->is_fresh(*node_, core_staleness())) return load_async<R, T>();
    return StateTask<R>::of([&] { return try_get(); });
  }
  template <class R, class Result>
  StateTask<R> load_async() const {
    if (has_database()) return start<R, detail::ReadOperation<T, Result>>();
    return StateTask<R>::of([&] {
      if constexpr (std::is_same_v<Result, T>) {
        return try_load();
      } else {
        return try_load_versioned();
      }
    });
  }
  template <class R>
  StateTask<R> set_async(T next) {
    if (!has_database()) return StateTask<R>::of([&] { return try_set(std::move(next)); });
    return start<R, detail::SetOperation<T>>(std::make_shared<const T>(std::move(next)));
  }
  template <class R>
  StateTask<R> set_if_async(T next, std::int64_t version) {
    if (!has_database()) return StateTask<R>::of([&] { return try_set_if(std::move(next), version); });
    return start<R, detail::SetIfOperation<T>>(std::make_shared<const T>(std::move(next)), version);
  }
  template <class R, class E>
  StateTask<R> apply_async(E equation) {
    if (!has_database()) return StateTask<R>::of([&] { return try_apply(equation); });
    return start<R, detail::ApplyOperation<T>>(std::move(equation));
  }
  template <class R, class F>
  StateTask<R> update_async(F updater) {
    if (!has_database()) return StateTask<R>::of([&] { return try_update(updater); });
    return start<R, detail::UpdateOperation<T, F>>(std::move(updater));
  }
  template <class R>
  StateTask<R> erase_async() {
    if (!has_database()) return StateTask<R>::of([&] { return try_erase(); });
    return start<R, detail::EraseOperation>();
  }

  /// Writes what `next(old)` returns, again and again until nobody has written meanwhile.
  template <class Next>
  StateResult<T> change(Next next) {
    const Deadline deadline = core_deadline();
    std::chrono::milliseconds staleness = core_staleness();
    for (;;) {
      const StateResult<Seen> now = seen(staleness, [](const Seen& it) { return it; });
      if (!now) return now.error();
      StateResult<T> result = next(*now->value);
      if (!result) return result;
      auto shared = std::make_shared<const T>(*std::move(result));
      const StateResult<bool> written = try_write_if(shared, now->version);
      if (!written) return written.error();
      if (*written) return T(*shared);
      // What has been written instead is known now, as a rule.
      if (node_->version() == now->version) staleness = {};
      if (core().engine && std::chrono::steady_clock::now() >= deadline) {
        return StateError(
            StateErrorCode::conflict,
            "state \"" + detail::id_in_message(scope(), key()) + "\": others wrote it each time before the deadline",
            Effect::none, true);
      }
    }
  }
  Deadline core_deadline() const { return node_->has(Node::closed) ? Deadline() : core().deadline(); }

  detail::NodeReference node_;
};

}  // namespace atom::inline v0_1

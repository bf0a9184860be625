// One state: a value under a scope and a key, shared by all who name them. `State<T>` is a handle to it, cheap to copy
// and to keep; any number of threads may use one state, also through one handle.
//
// Each operation that can fail has a twin that begins with `try_`: the one throws StateError, the other returns it.
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/subscription.hpp>
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

/// A value, and the version that it had when it was read; 0: there is none, and this is the default.
template <class T>
struct Versioned {
  T value;
  std::int64_t version;
};

namespace detail {

/// Something that takes a T and returns the next one.
template <class F, class T>
concept state_updater = std::invocable<F&, const T&> && std::convertible_to<std::invoke_result_t<F&, const T&>, T>;

template <class F, class T>
concept state_listener = std::invocable<F&, const T&> || std::invocable<F&>;

// What goes through a database.

template <class T>
class SetOperation final : public StateOperation {
 public:
  SetOperation(NodeReference of, Kind what, Deadline until, std::shared_ptr<const T> next)
      : StateOperation(std::move(of), what, until), next_(std::move(next)) {}
  std::optional<StateErrorCode> run(std::shared_ptr<void>& value) override {
    value = std::const_pointer_cast<T>(next_);  // nobody changes it: what follows an operation copies it first
    return std::nullopt;
  }

 private:
  const std::shared_ptr<const T> next_;
};

template <class T>
class ApplyOperation final : public StateOperation {
 public:
  template <equation_for<T> E>
  ApplyOperation(NodeReference of, Deadline until, const E& e)
      : StateOperation(std::move(of), Kind::apply, until),
        equation_(std::make_shared<const AnyEquation>(AnyEquation::of<T>(e))) {}
  std::optional<StateErrorCode> run(std::shared_ptr<void>& value) override {
    auto next = std::make_shared<T>(*static_cast<const T*>(value.get()));
    const std::optional<StateErrorCode> problem = equation_->apply_to(next.get());
    if (!problem) value = result = std::move(next);
    return problem;
  }
  std::shared_ptr<const AnyEquation> equation() const noexcept override { return equation_; }

  std::shared_ptr<T> result;

 private:
  const std::shared_ptr<const AnyEquation> equation_;
};

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
      if (!node_->has(not_simple_to_read)) [[likely]]
        return node_->template read<T>();
    }
    return *share();
  }
  StateResult<T> try_get() const {
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
  /// Of the value that `get` gives: one more with each write; 0: there is none, and `get` gives the default.
  std::int64_t version() const {
    if (auto error = refresh(core_staleness())) throw *std::move(error);
    return core().version(*node_);
  }
  /// Whether there is a value, be it 0, false, or empty.
  bool has_value() const { return version() > 0; }

  // ---- Writing. All of it takes effect at once for everybody, or not at all. What fails says whether it took effect.

  /// Makes `next` the value. Returns its version.
  std::int64_t set(T next) { return try_set(std::move(next)).value(); }
  StateResult<std::int64_t> try_set(T next) {
    if (auto closed = closed_error()) return *std::move(closed);
    if constexpr (detail::inside_node<T>) {
      const Locked locked(*node_);
      if (locked.is_simple()) [[likely]]
        return locked.put(core(), next);
    }
    return write(detail::StateOperation::Kind::set, std::make_shared<const T>(std::move(next)), 0);
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
    if constexpr (detail::inside_node<T>) {
      const Locked locked(*node_);
      if (locked.is_simple()) [[likely]] {
        T value = node_->template value<T>();
        if (!apply_to(equation, value)) [[likely]] {
          locked.put(core(), value);
          return value;
        }
      }
    }
    return try_apply(equation).value();
  }
  template <equation_for<T> E>
  StateResult<T> try_apply(const E& equation) {
    if (auto closed = closed_error()) return *std::move(closed);
    if (!core().engine) return change([&](const T& old) { return evaluate(equation, old); });
    detail::ApplyOperation<T> operation(node_, core().deadline(), equation);
    core().engine->run(operation);
    if (operation.error) return *operation.error;
    return T(*operation.result);
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

  // ---- Being told

  /// Calls `listener(now)` or `listener()` after each change, whoever makes it: changes of one state one after the
  /// other, in their order, by the threads that write or that follow the database. No lock is held meanwhile. What it
  /// throws is told to `on_event`. Where others write fast, some values in between may be skipped, and never the last.
  template <detail::state_listener<T> F>
  StateSubscription on_change(F listener) {
    if (auto closed = closed_error()) throw *std::move(closed);
    auto shared = std::make_shared<detail::StateListenerOf<T, F>>(std::move(listener));
    auto listening = std::make_unique<detail::ListeningToState>(node_, shared);
    core().listen(*node_, std::move(shared));
    if (core().engine) core().engine->start_feed();
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
  static constexpr std::uint32_t not_simple_to_read = Node::timed | Node::closed | Node::remote;

  explicit State(detail::NodeReference node) noexcept : node_(std::move(node)) {}

  /// For as long as a small value is looked at and written.
  class Locked {
   public:
    explicit Locked(Node& node) noexcept : node_(node) { node_.lock(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { node_.unlock(); }
    /// Whether there is nothing but the value to be minded.
    bool is_simple() const noexcept { return !node_.has(not_simple_to_read | Node::heard); }
    std::int64_t put(detail::StateCore& core, const T& value) const noexcept {
      const std::int64_t version = core.version_after(node_.raw_version());
      node_.put(value, version);
      return version;
    }

   private:
    Node& node_;
  };
  struct Seen {
    std::shared_ptr<const T> value;
    std::int64_t version;  // 0: there is none
  };

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
  std::optional<StateError> refresh(std::chrono::milliseconds staleness) const {
    if (auto closed = closed_error()) return closed;
    return core().engine ? core().engine->refresh(*node_, staleness, core().deadline()) : std::nullopt;
  }
  /// What `use` makes of what there is, which is no older than `staleness`.
  template <class Use>
  StateResult<std::invoke_result_t<Use, const Seen&>> seen(std::chrono::milliseconds staleness, Use use) const {
    if (auto error = refresh(staleness)) return *std::move(error);
    detail::SeenValue now = core().look(*node_);
    return use(Seen{std::static_pointer_cast<const T>(std::move(now.value)), std::max<std::int64_t>(now.version, 0)});
  }
  StateResult<std::int64_t> write(detail::StateOperation::Kind kind, std::shared_ptr<const T> next,
                                  std::int64_t expected) {
    if (!core().engine) return *core().write(*node_, std::move(next), std::nullopt);
    detail::SetOperation<T> operation(node_, kind, core().deadline(), std::move(next));
    operation.expected = expected;
    core().engine->run(operation);
    if (operation.error) return *operation.error;
    return operation.version;
  }
  StateResult<bool> try_write_if(std::shared_ptr<const T> next, std::int64_t version) {
    if (!core().engine) {
      const std::int64_t raw = core().look(*node_).version;
      return std::max<std::int64_t>(raw, 0) == version && core().write(*node_, std::move(next), raw);
    }
    const auto written = write(detail::StateOperation::Kind::set_if, std::move(next), version);
    if (!written && written.error().code() != StateErrorCode::conflict) return written.error();
    return written.has_value();
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
      staleness = {};
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

// One state: a value under a scope and a key, shared by all who name them. `State<T>` is a handle to it, cheap to copy
// and to keep; any number of threads may use one state, also through one handle.
//
// Each operation that can fail has a twin that begins with `try_`: the one throws StateError, the other returns it.
#pragma once

#include <atom/config.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/node.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/subscription.hpp>
#include <atom/state/type.hpp>

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

  /// The value, or the default where there is none. Never throws but what copying a T throws.
  T get() const {
    if constexpr (detail::inside_node<T>) {
      if (!node_->has(detail::StateNode::timed | detail::StateNode::closed)) [[likely]]
        return node_->template read<T>();
    }
    return *share();
  }
  /// The same, without copying it.
  std::shared_ptr<const T> share() const {
    require_open();
    return std::static_pointer_cast<const T>(core().look(*node_).value);
  }
  /// The latest value that anybody was told to have written.
  T load() const { return try_load().value(); }
  StateResult<T> try_load() const {
    if (auto closed = closed_error()) return *std::move(closed);
    return *share();
  }
  /// The same with its version, for `set_if`.
  Versioned<T> load_versioned() const { return try_load_versioned().value(); }
  StateResult<Versioned<T>> try_load_versioned() const {
    if (auto closed = closed_error()) return *std::move(closed);
    const detail::SeenValue seen = core().look(*node_);
    return Versioned<T>{value_of(seen), seen.version > 0 ? seen.version : 0};
  }
  /// Of the value: one more with each write; 0: there is none, and `get` gives the default.
  std::int64_t version() const noexcept { return has_value() ? node_->version() : 0; }
  /// Whether there is a value, be it 0, false, or empty.
  bool has_value() const noexcept { return node_->version() > 0 && !detail::StateTable::has_ended(*node_); }

  // ---- Writing. All of it takes effect at once for everybody, or not at all.

  /// Makes `next` the value. Returns its version.
  std::int64_t set(T next) { return try_set(std::move(next)).value(); }
  StateResult<std::int64_t> try_set(T next) {
    if (auto closed = closed_error()) return *std::move(closed);
    if constexpr (detail::inside_node<T>) {
      const Locked locked(*node_);
      if (locked.is_simple()) [[likely]] {
        return locked.put(core(), next);
      }
    }
    return *core().write(*node_, std::make_shared<const T>(std::move(next)), std::nullopt);
  }
  /// The same, if nobody has written since `version` was read (0: if there is no value). Whether it was.
  bool set_if(T next, std::int64_t version) { return try_set_if(std::move(next), version).value(); }
  StateResult<bool> try_set_if(T next, std::int64_t version) {
    if (auto closed = closed_error()) return *std::move(closed);
    const std::int64_t raw = core().look(*node_).version;
    if ((raw > 0 ? raw : 0) != version) return false;
    return core().write(*node_, std::make_shared<const T>(std::move(next)), raw).has_value();
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
        if (!detail::evaluate_in_place(equation, value)) [[likely]] {
          locked.put(core(), value);
          return value;
        }
      }
    }
    return try_apply(equation).value();
  }
  template <equation_for<T> E>
  StateResult<T> try_apply(const E& equation) {
    return change([&](const T& before) -> StateResult<T> { return evaluate(equation, before); });
  }

  /// Makes what `updater(current)` returns the value, if nobody has written meanwhile; else begins anew, so it may run
  /// more than once. What it throws comes out, and nothing is written.
  template <detail::state_updater<T> F>
  T update(F&& updater) {
    return try_update(std::forward<F>(updater)).value();
  }
  template <detail::state_updater<T> F>
  StateResult<T> try_update(F&& updater) {
    return change([&](const T& before) -> StateResult<T> { return static_cast<T>(updater(before)); });
  }
  template <class F>
    requires(!detail::state_updater<F, T>)
  T update(F&&) = delete;  // an updater takes the current value and returns the next: [](const T& current) { ... }

  /// Ends the value: then `get` gives the default. Whether there was one.
  bool erase() { return try_erase().value(); }
  StateResult<bool> try_erase() {
    if (auto closed = closed_error()) return *std::move(closed);
    return core().write(*node_, nullptr, std::nullopt).has_value();
  }

  // ---- Being told

  /// Calls `listener(now)` or `listener()` after each change, whoever makes it: changes of one state one after the
  /// other, in their order, by the threads that write. No lock is held meanwhile. What it throws is told to `on_event`.
  template <detail::state_listener<T> F>
  StateSubscription on_change(F listener) {
    require_open();
    auto shared = std::make_shared<detail::StateListenerOf<T, F>>(std::move(listener));
    auto listening = std::make_unique<detail::ListeningToState>(node_, shared);
    core().listen(*node_, std::move(shared));
    return StateSubscription(std::move(listening));
  }
  template <class F>
    requires(!detail::state_listener<F, T>)
  StateSubscription on_change(F) = delete;  // a listener of a state takes (now) or ()

  // ---- What it is

  std::string_view key() const noexcept { return node_->key(); }
  const Scope& scope() const { return require_open(), node_->scope->scope; }
  /// Both in one text, another one for any other state.
  std::string id() const { return detail::state_id(scope(), key()); }
  /// Whether both are handles to the same state.
  friend bool operator==(const State& a, const State& b) noexcept { return &*a.node_ == &*b.node_; }

 private:
  friend class StateStore;
  friend class AnyState;
  explicit State(detail::NodeReference node) noexcept : node_(std::move(node)) {}

  /// For as long as a small value is looked at and written.
  class Locked {
   public:
    explicit Locked(detail::StateNode& node) noexcept : node_(node) { node_.lock(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { node_.unlock(); }
    /// Whether there is nothing but the value to be minded.
    bool is_simple() const noexcept {
      using Node = detail::StateNode;
      return !node_.has(Node::timed | Node::heard | Node::closed | Node::remote);
    }
    std::int64_t put(detail::StateCore& core, const T& value) const noexcept {
      const std::int64_t version = core.version_after(node_.raw_version());
      node_.put(value, version);
      return version;
    }

   private:
    detail::StateNode& node_;
  };

  detail::StateCore& core() const noexcept { return node_->scope->core; }
  static const T& value_of(const detail::SeenValue& seen) noexcept { return *static_cast<const T*>(seen.value.get()); }

  std::optional<StateError> closed_error() const {
    if (!node_->has(detail::StateNode::closed)) [[likely]]
      return std::nullopt;
    return StateError(StateErrorCode::closed,
                      "the store of the state \"" + std::string(node_->key()) + "\" is closed or gone");
  }
  void require_open() const {
    if (auto closed = closed_error()) throw *std::move(closed);
  }

  /// Writes what `next(current)` returns, again and again until nobody has written meanwhile.
  template <class Next>
  StateResult<T> change(Next next) {
    for (;;) {
      if (auto closed = closed_error()) return *std::move(closed);
      const detail::SeenValue seen = core().look(*node_);
      StateResult<T> result = next(value_of(seen));
      if (!result) return result;
      auto shared = std::make_shared<const T>(*std::move(result));
      if (core().write(*node_, shared, seen.version)) return T(*shared);
    }
  }

  detail::NodeReference node_;
};

}  // namespace atom::inline v0_1

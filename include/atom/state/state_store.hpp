// Where states live: `atom::StateStore states;`, one for the whole program. Any thread may use it at any time.
//
//   auto votes = states.get_state<std::int64_t>(0, {.key = "votes", .scope = atom::Scope::global()});
//   const std::int64_t mine = votes.apply(atom::current + 1);  // exactly one caller gets each number
//
// A state is there from its first write on, until it is deleted or its time is over; until then it has the default that
// it was asked for with.
#pragma once

#include <atom/atom.hpp>
#include <atom/config.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state.hpp>
#include <atom/state/type.hpp>
#include <atom/value.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// A state whose type is not known: what a list is made of.
class AnyState {
 public:
  const Scope& scope() const noexcept { return scope_; }
  std::string_view key() const noexcept { return node_->key(); }
  /// Both in one text, another one for any other state.
  std::string id() const { return detail::state_id(scope_, key()); }
  std::int64_t version() const noexcept { return node_->version(); }
  /// The name of the type of its value, as the compiler spells it.
  std::string_view type_name() const noexcept { return node_->type().ops.name; }
  /// The handle to it as a T, or nothing if its value is none.
  template <state_value T>
  std::optional<State<T>> as() const {
    if (!node_->type().same_type(detail::state_type<T>)) return std::nullopt;
    return State<T>(node_);
  }

 private:
  friend class StateStore;
  AnyState(Scope scope, detail::NodeReference node) noexcept : scope_(std::move(scope)), node_(std::move(node)) {}
  Scope scope_;
  detail::NodeReference node_;
};

/// Which part of a list is wanted.
struct ListOptions {
  /// Also what lies below the scope.
  bool below = {};
  /// Begin after this one: `StateList::next` of the part before.
  std::string after = {};
  std::size_t limit = 1000;
};

/// A part of a list: `for (const atom::AnyState& state : states.list(scope))`.
template <class Item>
struct Listed {
  std::vector<Item> items;
  /// What the next part begins after; empty: there is none.
  std::string next;

  auto begin() const noexcept { return items.begin(); }
  auto end() const noexcept { return items.end(); }
  std::size_t size() const noexcept { return items.size(); }
  bool empty() const noexcept { return items.empty(); }
  const Item& operator[](std::size_t index) const noexcept { return items[index]; }
};

class StateStore;

/// A store as one request sees it: scopes that are placeholders are its own.
class StatesOfRequest {
 public:
  template <state_value T>
  State<T> get_state(T default_value, const StateOptions& options) const;
  template <state_value T>
  State<T> create_state(T default_value, const StateOptions& options) const;
  template <state_value T>
  State<T> use(const Atom<T>& atom, const AnyScope& scope = {}) const;
  bool has_state(const StateOptions& options) const;
  bool delete_state(const StateOptions& options) const;

 private:
  friend class StateStore;
  StatesOfRequest(StateStore& store, RequestContext context) noexcept : store_(store), context_(std::move(context)) {}
  StateStore& store_;
  RequestContext context_;
};

/// Not copyable, not movable: handles refer to it. They may outlive it; then what they are asked for is an error.
class StateStore {
 public:
  explicit StateStore(StoreOptions options = {}) : core_(std::move(options)) {}
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // ---- One state

  /// A handle to the state, whether it has a value or not; it stays as long as the handle, at least. Where somebody has
  /// asked for it before, `default_value` is ignored. Throws StateError: invalid_name, too_large, no_context for its
  /// name; type_mismatch if it is there with another type.
  template <state_value T>
  State<T> get_state(T default_value, const StateOptions& options) {
    return try_get_state(std::move(default_value), options).value();
  }
  template <state_value T>
  StateResult<State<T>> try_get_state(T default_value, const StateOptions& options,
                                      const RequestContext& context = {}) {
    StateResult<Scope> scope = resolve(options, context);
    if (!scope) return scope.error();
    return attach<T>(default_value, *scope, options);
  }
  /// The same, and where it has no value, the default becomes one.
  template <state_value T>
  State<T> create_state(T default_value, const StateOptions& options) {
    return try_create_state(std::move(default_value), options).value();
  }
  template <state_value T>
  StateResult<State<T>> try_create_state(T default_value, const StateOptions& options,
                                         const RequestContext& context = {}) {
    StateResult<State<T>> state = try_get_state(default_value, options, context);
    if (!state) return state;
    const StateResult<bool> written = state->try_set_if(std::move(default_value), 0);
    if (!written) return written.error();
    return state;
  }
  /// The state that an atom defines in a scope: its key and its default.
  template <state_value T>
  State<T> use(const Atom<T>& atom, const AnyScope& scope = {}) {
    return get_state<T>(atom.default_value(), {.key = std::string(atom.key()), .scope = scope});
  }

  /// Whether the state has a value; key and scope are looked at, nothing else.
  bool has_state(const StateOptions& options, const RequestContext& context = {}) {
    const detail::NodeReference node = find(options, context);
    return node && is_there(*node);
  }
  /// Ends its value, and tells its listeners the default. Whether it had one.
  bool delete_state(const StateOptions& options, const RequestContext& context = {}) {
    const detail::NodeReference node = find(options, context);
    return node && end(*node);
  }

  // ---- Many

  /// The states of a scope that have a value, by scope and key.
  Listed<AnyState> list(const Scope& scope, const ListOptions& options = {}) {
    return list_where(options,
                      [&](const Scope& other) { return options.below ? scope.contains(other) : other == scope; });
  }
  /// All of them.
  Listed<AnyState> list(const ListOptions& options = {}) {
    return list_where(options, [](const Scope&) { return true; });
  }
  /// The scopes in which a state has a value, by text.
  std::vector<Scope> scopes() {
    std::vector<Scope> all = core_.table.scopes([](const Scope&) { return true; });
    std::erase_if(all, [&](const Scope& scope) {
      const auto nodes = core_.table.nodes(scope);
      return std::none_of(nodes.begin(), nodes.end(), [](const auto& node) { return is_there(*node); });
    });
    return all;
  }
  /// Deletes the states that have one of these labels. How many had a value.
  std::size_t purge(const std::vector<std::string>& labels) {
    std::size_t count = 0;
    for (const auto& [scope, key] : core_.table.labelled(labels)) {
      const detail::NodeReference node = core_.table.find(scope, key);
      if (node && end(*node)) ++count;
    }
    return count;
  }
  /// Deletes the states of a scope, and all that lie below it. How many had a value.
  std::size_t delete_scope(const Scope& scope) {
    std::size_t count = 0;
    for (const Scope& below : core_.table.scopes([&](const Scope& other) { return scope.contains(other); })) {
      for (const detail::NodeReference& node : core_.table.nodes(below)) {
        if (end(*node)) ++count;
      }
    }
    return count;
  }

  /// The store as a request sees it, with what the server knows of who makes it.
  StatesOfRequest in(RequestContext context) { return {*this, std::move(context)}; }

 private:
  friend class StatesOfRequest;

  static StateResult<Scope> resolve(const StateOptions& options, const RequestContext& context) {
    if (auto bad = detail::check_key(options.key)) return *std::move(bad);
    return options.scope.resolve(context);
  }
  detail::NodeReference find(const StateOptions& options, const RequestContext& context) {
    return core_.table.find(resolve(options, context).value(), options.key);
  }
  template <class T>
  StateResult<State<T>> attach(const T& default_value, const Scope& scope, const StateOptions& options) {
    const detail::StateType& type = detail::state_type<T>;
    try {
      detail::NodeReference node =
          core_.table.obtain(scope, options.key, [&] { return make_node(options, type, &default_value); });
      if (node->type().same_type(type)) return State<T>(std::move(node));
      return StateError(StateErrorCode::type_mismatch, "state \"" + detail::id_in_message(scope, options.key) +
                                                           "\" is " + std::string(node->type().ops.name) +
                                                           ", and is asked for as " + std::string(type.ops.name));
    } catch (const StateError& error) {
      return error;
    }
  }
  static detail::OwnedNode make_node(const StateOptions& options, const detail::StateType& type, const void* initial);
  static bool is_there(const detail::StateNode& node) noexcept {
    return node.version() > 0 && !detail::StateTable::has_ended(node);
  }
  bool end(detail::StateNode& node) { return core_.write(node, nullptr, std::nullopt).has_value(); }

  template <class Wanted>
  Listed<AnyState> list_where(const ListOptions& options, Wanted wanted) {
    Listed<AnyState> all;
    const std::size_t colon = options.after.find(':');
    const std::string_view after = options.after;
    const std::string after_key = colon == after.npos ? std::string() : detail::unescape(after.substr(colon + 1));
    core_.table.walk(after.substr(0, colon), after_key, wanted, [&](const Scope& scope, const auto& node) {
      if (!is_there(*node)) return true;
      if (all.items.size() == options.limit) {
        if (!all.items.empty()) all.next = all.items.back().id();
        return false;
      }
      all.items.push_back(AnyState(scope, node));
      return true;
    });
    return all;
  }

  detail::StateCore core_;
};

inline detail::OwnedNode StateStore::make_node(const StateOptions& options, const detail::StateType& type,
                                               const void* initial) {
  detail::OwnedNode node(detail::StateNode::make(options.key, type, initial));
  if (options.ttl.count() > 0) {
    detail::StateExtras& extras = extras_of(*node);
    extras.time_to_live = std::min<std::chrono::milliseconds>(options.ttl, detail::longest_time_to_live).count();
    extras.sliding = options.sliding;
    node->add(detail::StateNode::timed);
  }
  if (!options.labels.empty()) {
    std::vector<std::string>& labels = extras_of(*node).labels;
    labels = options.labels;
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    node->add(detail::StateNode::labelled);
  }
  return node;
}

// ------------------------------------------------------------------------------------------------------ of one request

template <state_value T>
State<T> StatesOfRequest::get_state(T default_value, const StateOptions& options) const {
  return store_.try_get_state(std::move(default_value), options, context_).value();
}
template <state_value T>
State<T> StatesOfRequest::create_state(T default_value, const StateOptions& options) const {
  return store_.try_create_state(std::move(default_value), options, context_).value();
}
template <state_value T>
State<T> StatesOfRequest::use(const Atom<T>& atom, const AnyScope& scope) const {
  return get_state<T>(atom.default_value(), {.key = std::string(atom.key()), .scope = scope});
}
inline bool StatesOfRequest::has_state(const StateOptions& options) const {
  return store_.has_state(options, context_);
}
inline bool StatesOfRequest::delete_state(const StateOptions& options) const {
  return store_.delete_state(options, context_);
}

}  // namespace atom::inline v0_1

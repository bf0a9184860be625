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
#include <atom/state/backend.hpp>
#include <atom/state/detail/ask.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/job.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/must_not_block.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state.hpp>
#include <atom/state/task.hpp>
#include <atom/state/type.hpp>
#include <atom/value.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

class StateStore;
class DynamoDb;             // is in <atom/backend/dynamodb.hpp>
class Memory;               // is in <atom/backend/memory.hpp>
class Merge;                // is in <atom/state/promote.hpp>
class Postgres;             // is in <atom/backend/postgres.hpp>
class Redis;                // is in <atom/backend/redis.hpp>
class Session;              // is in <atom/state/session.hpp>
class Sqlite;               // is in <atom/backend/sqlite.hpp>
class Visitor;              // is in <atom/state/visitor.hpp>
struct EventStreamOptions;  // is in <atom/state/event_stream.hpp>
struct PromoteOptions;      // is in <atom/state/promote.hpp>

/// A state whose type is not known: what a list is made of.
class AnyState {
 public:
  const Scope& scope() const noexcept { return scope_; }
  const std::string& key() const noexcept { return key_; }
  /// Both in one text, another one for any other state.
  std::string id() const { return detail::state_id(scope_, key_); }
  /// Of the value, when it was listed.
  std::int64_t version() const noexcept { return version_; }
  /// The handle to it, with this default. Throws StateError, type_mismatch, if it is there with another type. The store
  /// must still be there.
  template <state_value T>
  State<T> as(T default_value = T()) const;

 private:
  friend class StateStore;
  AnyState(StateStore& store, Scope scope, std::string key, std::int64_t version) noexcept
      : store_(&store), scope_(std::move(scope)), key_(std::move(key)), version_(version) {}
  StateStore* store_;
  Scope scope_;
  std::string key_;
  std::int64_t version_;
};

/// Which part of a list is wanted.
struct ListOptions {
  /// Also what lies below the scope.
  bool below = {};
  /// Begin after this one: `Listed::next` of the part before.
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
  template <class Options = EventStreamOptions>
  auto events(const AnyScope& scope, const Options& options = {}) const;

  // Without blocking this thread, as those of the store.
  template <state_value T>
  StateTask<State<T>> create_state_async(T default_value, StateOptions options) const;
  StateTask<bool> has_state_async(StateOptions options) const;
  StateTask<bool> delete_state_async(StateOptions options) const;
  template <class Options = EventStreamOptions>
  auto events_async(AnyScope scope, Options options) const;

 private:
  friend class StateStore;
  StatesOfRequest(StateStore& store, RequestContext context) noexcept : store_(store), context_(std::move(context)) {}
  StateStore& store_;
  RequestContext context_;
};

/// Not copyable, not movable: handles refer to it. They may outlive it; then what they are asked for is an error.
class StateStore {
 public:
  /// In memory: what is written is gone with the store.
  explicit StateStore(StoreOptions options = {}) : core_(std::move(options)) {}
  /// In a database: `StateStore states{atom::Sqlite{"app.db"}}`. Makes there what is missing. Throws StateError if it
  /// cannot be used.
  template <std::derived_from<Backend> B>
  explicit StateStore(B&& backend, StoreOptions options = {})
    requires(!std::is_lvalue_reference_v<B>)
      : StateStore(std::make_shared<B>(std::forward<B>(backend)), std::move(options)) {}
  explicit StateStore(std::shared_ptr<Backend> backend, StoreOptions options = {}) : core_(std::move(options)) {
    if (auto error = backend->prepare(true, core_.deadline())) throw *std::move(error);
    engine_ = std::make_unique<detail::StateEngine>(core_, std::move(backend));
    core_.engine = engine_.get();
  }
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;
  /// Coroutines that wait for something go on here, and threads that call listeners come to their end.
  ~StateStore() {
    jobs_.end();                  // they ask the engine
    if (engine_) engine_->end();  // who goes on may still ask it, and add a job
  }

  // ---- One state

  /// A handle to the state, whether it has a value or not; it stays as long as the handle, at least. Where somebody has
  /// asked for it before, `default_value` is ignored. Throws StateError: invalid_name, too_large, no_context for its
  /// name and labels; type_mismatch if it is there with another type: somebody holds a handle, or listens to it, or did
  /// until a moment ago.
  template <state_value T>
  State<T> get_state(T default_value, const StateOptions& options) {
    if (detail::NodeReference node = find<T>(options.scope, options.key)) [[likely]]
      return State<T>(std::move(node));
    return try_get_state(std::move(default_value), options).value();
  }
  template <state_value T>
  StateResult<State<T>> try_get_state(T default_value, const StateOptions& options,
                                      const RequestContext& context = detail::no_request()) {
    if (detail::NodeReference node = find<T>(options.scope, options.key)) return State<T>(std::move(node));
    StateResult<Scope> resolved = resolve(options, context);
    if (!resolved) return resolved.error();
    StateResult<detail::NodeReference> node = attach(detail::type_ops<T>, &default_value, *resolved, options);
    if (!node) return node.error();
    return State<T>(*std::move(node));
  }
  /// The same, and where it has no value, the default becomes one.
  template <state_value T>
  State<T> create_state(T default_value, const StateOptions& options) {
    return try_create_state(std::move(default_value), options).value();
  }
  template <state_value T>
  StateResult<State<T>> try_create_state(T default_value, const StateOptions& options,
                                         const RequestContext& context = detail::no_request()) {
    StateResult<State<T>> state = try_get_state(default_value, options, context);
    if (!state) return state;
    const StateResult<bool> written = state->try_set_if(std::move(default_value), 0);
    if (!written) return written.error();
    return state;
  }
  /// The state that an atom defines in a scope: its key and its default.
  template <state_value T>
  State<T> use(const Atom<T>& atom, const AnyScope& scope = {}) {
    if (detail::NodeReference node = find<T>(scope, atom.key())) [[likely]]
      return State<T>(std::move(node));
    return get_state<T>(atom.default_value(), {.key = std::string(atom.key()), .scope = scope});
  }

  /// Whether the state has a value; key and scope are looked at, nothing else.
  bool has_state(const StateOptions& options, const RequestContext& context = detail::no_request()) {
    const Scope scope = resolve(options, context).value();
    if (engine_) return version_in_database(scope, options.key) != 0;
    const detail::NodeReference node = core_.table.find(scope, options.key);
    return node && is_there(*node);
  }
  /// Ends its value, and tells its listeners the default. Whether it had one.
  bool delete_state(const StateOptions& options, const RequestContext& context = detail::no_request()) {
    const Scope scope = resolve(options, context).value();
    if (const detail::NodeReference node = core_.table.find(scope, options.key)) return core_.erase(node).value();
    return engine_ && delete_in_database(scope, options.key);
  }

  // ---- Many

  /// The states of a scope that have a value, by scope and key: `ListOptions::limit` at most.
  Listed<AnyState> list(const Scope& scope, const ListOptions& options = {}) { return list_in(&scope, options); }
  /// Those of all scopes.
  Listed<AnyState> list(const ListOptions& options = {}) { return list_in(nullptr, options); }
  /// The scopes in which a state has a value, by text.
  Listed<Scope> scopes(const ListOptions& options = {});
  /// Deletes the states that have one of these labels, however many. How many had a value. Throws StateError:
  /// invalid_name, too_large for what cannot be a label.
  std::size_t purge(const std::vector<std::string>& labels);
  /// Deletes the states of a scope, and all that lie below it. How many had a value.
  std::size_t delete_scope(const Scope& scope);

  // ---- Several together: see session.hpp, which must be included

  /// Calls `fn(session)` with a Session of this scope and commits it; where somebody else has written meanwhile, does
  /// so again with fresh values, after a pause that grows, until the deadline. So `fn` may run more than once; what it
  /// throws comes out, and nothing is written. Returns what it returned. Throws StateError: conflict if others wrote
  /// each time; whatever else a commit, or a first use in `fn`, throws. Nothing blocks others meanwhile.
  template <class F>
  auto transact(const Scope& scope, F&& fn, const SessionOptions& options = {}) {
    return transact_session(*this, scope, fn, options);  // needs #include <atom/state/session.hpp>
  }
  /// The same for whoever makes the request: the user's scope, where there is one, else the client's.
  template <class F>
  auto transact(const RequestContext& context, F&& fn, const SessionOptions& options = {}) {
    return transact_session(*this, context, fn, options);  // needs #include <atom/state/session.hpp>
  }

  /// Makes the states of a client, and of what lies below its scope, a user's, in one step: see promote.hpp, which must
  /// be included.
  template <class M = Merge, class Options = PromoteOptions>
  std::size_t promote(const Scope& client, const Scope& user, const M& merge = {}, const Options& options = {}) {
    return promote_states(core_, client, user, merge, options);  // needs #include <atom/state/promote.hpp>
  }

  /// What changes in a scope, by whomever, as server-sent events for a page: see event_stream.hpp, which must be
  /// included. Throws StateError: what listing the scope throws; too_large if it has more than 10,000 states.
  template <class Options = EventStreamOptions>
  auto events(const Scope& scope, const Options& options = {}) {
    return open_event_stream(core_, scope, options);  // needs #include <atom/state/event_stream.hpp>
  }

  // ---- What blocks, without blocking this thread: `co_await states.list_async(scope)`. Each gives, or throws, what
  // its namesake does. (g++ 12 moves what is made by braces, or captured by value, inside a `co_await` expression as if
  // it were bytes, which ends in a crash where there is a string in it: give such options and lambdas a name in a line
  // before. Hence no defaults.)

  /// Calls `work()` in a thread of the store's, where it may block: `co_await states.async([&] { ... })`. What it
  /// returns or throws is the task's. In memory it is called at once.
  ///
  /// Its operations have the deadline that one has which begins now. If it has not begun until then, as others before
  /// it wait for the database, the task throws StateError, timed_out. What it refers to must be there until it is done,
  /// also if nobody waits for it.
  template <std::invocable F>
  StateTask<std::invoke_result_t<F&>> async(F work) {
    using Task = StateTask<std::invoke_result_t<F&>>;
    if (!engine_) return Task::of(std::move(work));
    return Task::start(jobs_, std::make_shared<detail::FunctionJob<F>>(std::move(work), core_.deadline()));
  }
  template <state_value T>
  StateTask<State<T>> create_state_async(T default_value, StateOptions options) {
    return in({}).create_state_async(std::move(default_value), std::move(options));
  }
  StateTask<bool> has_state_async(StateOptions options) { return in({}).has_state_async(std::move(options)); }
  StateTask<bool> delete_state_async(StateOptions options) { return in({}).delete_state_async(std::move(options)); }
  StateTask<Listed<AnyState>> list_async(Scope scope, ListOptions options) {
    return async([this, scope = std::move(scope), options = std::move(options)] { return list(scope, options); });
  }
  StateTask<Listed<AnyState>> list_async(Scope scope) { return list_async(std::move(scope), ListOptions()); }
  StateTask<Listed<AnyState>> list_async(ListOptions options) {
    return async([this, options = std::move(options)] { return list(options); });
  }
  StateTask<Listed<AnyState>> list_async() { return list_async(ListOptions()); }
  StateTask<Listed<Scope>> scopes_async(ListOptions options) {
    return async([this, options = std::move(options)] { return scopes(options); });
  }
  StateTask<Listed<Scope>> scopes_async() { return scopes_async(ListOptions()); }
  template <class Options>
  auto events_async(Scope scope, Options options) {
    return async([this, scope = std::move(scope), options = std::move(options)] { return events(scope, options); });
  }
  template <class Options = EventStreamOptions>
  auto events_async(Scope scope) {
    return events_async(std::move(scope), Options());
  }
  StateTask<std::size_t> purge_async(std::vector<std::string> labels) {
    return async([this, labels = std::move(labels)] { return purge(labels); });
  }
  StateTask<std::size_t> delete_scope_async(Scope scope) {
    return async([this, scope = std::move(scope)] { return delete_scope(scope); });
  }
  /// `who` is a scope or a RequestContext. `fn(session)` is called in a thread of the store's, one call after the
  /// other.
  template <class Who, class F>
  auto transact_async(Who who, F fn, SessionOptions options) {
    const detail::DeadlineBound bound(detail::deadline_after(options.deadline));  // which begins now
    return async([this, who = std::move(who), fn = std::move(fn), options = std::move(options)]() mutable {
      return transact(who, fn, options);
    });
  }
  template <class Who, class F>
  auto transact_async(Who who, F fn) {
    return transact_async(std::move(who), std::move(fn), SessionOptions());
  }
  template <class M, class Options>
  StateTask<std::size_t> promote_async(Scope client, Scope user, M merge, Options options) {
    return async([this, client = std::move(client), user = std::move(user), merge = std::move(merge),
                  options = std::move(options)] { return promote(client, user, merge, options); });
  }
  template <class M = Merge, class Options = PromoteOptions>
  StateTask<std::size_t> promote_async(Scope client, Scope user, M merge = M()) {
    return promote_async(std::move(client), std::move(user), std::move(merge), Options());
  }

  // ---- The end, and what goes on

  /// Ends all event streams. With a database: ends what waits for it, so long at most, and refuses whatever would ask
  /// it from now on. Whether nothing was left: what is inside a call of the database's client library ends at its own
  /// deadline, and with it who waits for that. In memory nothing is refused.
  bool close(std::chrono::milliseconds within) {
    core_.end_watching();
    return !engine_ || engine_->close(detail::deadline_in(within));
  }
  StateStats stats() const noexcept {
    StateStats stats = engine_ ? engine_->stats() : StateStats();
    stats.states = core_.table.size();
    return stats;
  }

  /// The store as a request sees it, with what the server knows of who makes it.
  StatesOfRequest in(RequestContext context) { return {*this, std::move(context)}; }

 private:
  friend class StatesOfRequest;
  friend class Session;
  friend class Visitor;

  static StateResult<Scope> resolve(const StateOptions& options, const RequestContext& context) {
    if (auto bad = detail::check_key(options.key)) return *std::move(bad);
    return options.scope.resolve(context);
  }
  StateResult<detail::NodeReference> attach(const detail::TypeOps& type, const void* initial, const Scope& scope,
                                            const StateOptions& options);
  /// What is there with that type, where the scope is no placeholder.
  template <state_value T>
  detail::NodeReference find(const AnyScope& any_scope, std::string_view key) noexcept {
    const Scope* const scope = any_scope.fixed();
    if (!scope) return {};
    detail::NodeReference node = core_.table.find(*scope, key);
    return node && node->type().same_type(detail::type_ops<T>) ? std::move(node) : detail::NodeReference();
  }
  template <class MakeSession, class F>
  auto run_transaction(MakeSession make_session, F& fn);
  template <class Who, class F>
  friend auto transact_session(StateStore& states, const Who& who, F& fn, const SessionOptions& options);
  bool is_there(detail::StateNode& node) noexcept { return core_.version(node) > 0; }

  Listed<AnyState> list_in(const Scope* scope, const ListOptions& options);
  /// So that it is seen whether that is all.
  static std::size_t one_more(std::size_t limit) noexcept { return limit + (limit != static_cast<std::size_t>(-1)); }
  std::int64_t version_in_database(const Scope& scope, std::string_view key);
  bool delete_in_database(const Scope& scope, std::string_view key);
  /// What a database has ended ends here, too. How many there were.
  template <class Function, class Argument>
  std::size_t end_in_database(Function function, const Argument& argument);

  detail::StateCore core_;
  detail::JobThreads jobs_{core_.options.executor, core_.options.threads};  // for what is done without waiting
  std::unique_ptr<detail::StateEngine> engine_;
};

inline StateResult<detail::NodeReference> StateStore::attach(const detail::TypeOps& type, const void* initial,
                                                             const Scope& scope, const StateOptions& options) {
  const auto mismatch = [](const std::string& message) { return StateError(StateErrorCode::type_mismatch, message); };
  if (engine_ && (!type.write || !type.read)) {
    return mismatch(std::string(type.name) +
                    " has no codec, so it cannot be kept in a database: describe it with atom_fields(), or specialise "
                    "atom::codec");
  }
  try {
    detail::NodeReference node =
        core_.table.obtain(scope, options.key, [&] { return detail::make_state_node(core_, options, type, initial); });
    core_.watch(node);
    if (node->type().same_type(type)) return node;
    return mismatch("state \"" + detail::id_in_message(scope, options.key) + "\" is " + std::string(node->type().name) +
                    ", and is asked for as " + std::string(type.name));
  } catch (const StateError& error) {
    return error;
  }
}

// --------------------------------------------------------------------------------------------------------------- many

inline Listed<AnyState> StateStore::list_in(const Scope* scope, const ListOptions& options) {
  Listed<AnyState> all;
  const std::string_view after = options.after;
  const std::size_t colon = after.find(':');  // no scope has one
  const std::string_view after_scope = after.substr(0, colon);
  const std::string after_key = colon == after.npos ? std::string() : detail::unescape(after.substr(colon + 1));
  const auto add = [&](const Scope& its_scope, std::string_view key, std::int64_t version) {
    if (all.items.size() < options.limit) {
      all.items.push_back(AnyState(*this, its_scope, std::string(key), version));
      return true;
    }
    if (!all.items.empty()) all.next = all.items.back().id();
    return false;
  };
  if (engine_) {
    const Backend::Range range{scope, options.below, after_scope, after_key, one_more(options.limit)};
    for (const FoundState& found : detail::ask(core_, core_.deadline(), &Backend::list, range).value()) {
      if (!add(found.scope, found.key, found.version)) break;
    }
    return all;
  }
  const auto wanted = [&](const Scope& other) {
    return !scope || (options.below ? scope->contains(other) : other == *scope);
  };
  core_.table.walk(after_scope, after_key, wanted, [&](const Scope& its_scope, const detail::NodeReference& node) {
    return !is_there(*node) || add(its_scope, node->key(), node->version());
  });
  return all;
}

inline Listed<Scope> StateStore::scopes(const ListOptions& options) {
  Listed<Scope> all;
  if (engine_) {
    all.items = detail::ask(core_, core_.deadline(), &Backend::scopes, options.after, one_more(options.limit)).value();
  } else {
    for (const Scope& scope : core_.table.scopes([&](const Scope& other) { return other.text() > options.after; })) {
      if (all.items.size() > options.limit) break;
      const auto nodes = core_.table.nodes(scope);
      const bool has_value = std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) { return is_there(*node); });
      if (has_value) all.items.push_back(scope);
    }
  }
  if (all.items.size() > options.limit) {
    all.items.pop_back();
    if (!all.items.empty()) all.next = all.items.back().text();
  }
  return all;
}

inline std::size_t StateStore::purge(const std::vector<std::string>& labels) {
  if (auto bad = detail::check_labels(labels)) throw *std::move(bad);
  if (engine_) return end_in_database(&Backend::purge, labels);
  std::size_t count = 0;
  for (const auto& [scope, key] : core_.table.labelled(labels)) {
    const detail::NodeReference node = core_.table.find(scope, key);
    if (node && core_.erase(node).value()) ++count;
  }
  return count;
}

inline std::size_t StateStore::delete_scope(const Scope& scope) {
  if (engine_) return end_in_database(&Backend::erase_scope, scope);
  std::size_t count = 0;
  for (const Scope& below : core_.table.scopes([&](const Scope& other) { return scope.contains(other); })) {
    for (const detail::NodeReference& node : core_.table.nodes(below)) {
      if (core_.erase(node).value()) ++count;
    }
  }
  return count;
}

template <class Function, class Argument>
std::size_t StateStore::end_in_database(Function function, const Argument& argument) {
  const auto ended = detail::ask<detail::Again::if_without_effect>(core_, core_.deadline(), function, argument).value();
  for (const FoundState& found : ended) {
    const detail::NodeReference node = core_.table.find(found.scope, found.key);
    if (node && core_.accept(*node, nullptr, found.version)) core_.tell_news(*node);
  }
  return ended.size();
}

inline std::int64_t StateStore::version_in_database(const Scope& scope, std::string_view key) {
  const StateName name{scope, key};
  Outcome outcome;
  if (auto error = detail::read_states(core_, {&name, 1}, {&outcome, 1}, core_.deadline())) throw *std::move(error);
  return outcome.version;
}

inline bool StateStore::delete_in_database(const Scope& scope, std::string_view key) {
  const Command command{.kind = Command::Kind::erase, .name = {scope, key}};
  return engine_->commit({&command, 1}, core_.deadline()).value()[0].version != 0;
}

template <state_value T>
State<T> AnyState::as(T default_value) const {
  return store_->get_state(std::move(default_value), {.key = key_, .scope = scope_});
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
template <class Options>
auto StatesOfRequest::events(const AnyScope& scope, const Options& options) const {
  return store_.events(scope.resolve(context_).value(), options);
}
template <state_value T>
StateTask<State<T>> StatesOfRequest::create_state_async(T default_value, StateOptions options) const {
  return store_.async([of = *this, value = std::move(default_value), options = std::move(options)] {
    return of.create_state(value, options);
  });
}
inline StateTask<bool> StatesOfRequest::has_state_async(StateOptions options) const {
  return store_.async([of = *this, options = std::move(options)] { return of.has_state(options); });
}
inline StateTask<bool> StatesOfRequest::delete_state_async(StateOptions options) const {
  return store_.async([of = *this, options = std::move(options)] { return of.delete_state(options); });
}
template <class Options>
auto StatesOfRequest::events_async(AnyScope scope, Options options) const {
  return store_.async(
      [of = *this, scope = std::move(scope), options = std::move(options)] { return of.events(scope, options); });
}

}  // namespace atom::inline v0_1

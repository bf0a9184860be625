// The atoms of a request that outlive it: a store whose atoms are states of one scope, such as the client's.
//
//   atom::Session session{states, atom::Scope::client(id), {.route = "/cart"}};
//   session.use(cart_atom).add(item);                            // loaded at the first use
//   session.apply(visits_atom, atom::Scope::global(), atom::current + 1);
//   session.commit();                                            // all that changed, or nothing
//
// What is not committed is not written. Where somebody else has written one of the states meanwhile, nothing is, and
// `commit` says so; `states.transact(scope, [&](atom::Session& s) { ... })` then begins anew on the fresh values.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state_store.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct SessionOptions {
  /// What sessions of this route used last time is read at once at the first use: a name of the program's, such as
  /// "/cart", not a path with an id in it. Without one, each atom is read when it is first used.
  std::string route = {};
  /// Time to live of the states that it writes, from the last commit; 0: for ever.
  std::chrono::milliseconds ttl = {};
  /// Where its memory beyond its own comes from; null: the default resource.
  std::pmr::memory_resource* memory = nullptr;
};

namespace detail {

/// What a session knows of each of its atoms, and how it reads and writes them. It lives in the store, and as long:
/// atoms refer to the values that were loaded.
class SessionHook final : public Attachment {
 public:
  SessionHook(AtomStore& store, StateCore& core, Scope scope, SessionOptions options)
      : Attachment(Kind::session), store_(store), core_(core), scope_(std::move(scope)), options_(std::move(options)) {
    store_.attachments_.push(*this);
  }

  /// Says in which scope an atom lives, before its first use. Throws Error if it is used in another one.
  void place(const AtomBase& atom, const Scope& scope) {
    const Definition& definition = *atom.definition_;
    if (const Record* const record = find(definition.key)) {
      if (record->scope == scope) return;
      throw Error("atom \"" + definition.key + "\" is used in two scopes, \"" + scope_in_message(record->scope) +
                  "\" and \"" + scope_in_message(scope) + "\", in one session");
    }
    if (store_.has(definition.key)) {
      throw Error("atom \"" + definition.key + "\" is in the session already, without a scope");
    }
    for (const auto& [key, other] : placed_) {
      if (key == definition.key && !(other == scope)) {
        throw Error("atom \"" + definition.key + "\" is placed in two scopes in one session");
      }
    }
    placed_.emplace_back(definition.key, scope);
  }

  void before_use(const Definition& definition) override {
    if (!is_state(definition) || find(definition.key)) return;
    Record& record = add(definition, scope_of(definition));
    try {
      load(record);
    } catch (...) {
      records_.pop_back();
      throw;
    }
    if (!record.loaded || store_.waiting(definition)) return;  // the store was given a newer value
    hydrate(definition, record.loaded);
  }
  void atoms_gone() noexcept override { records_.clear(); }
  void store_gone() noexcept override {
    std::pmr::memory_resource& memory = *store_.resource();
    this->~SessionHook();
    memory.deallocate(this, sizeof(SessionHook), alignof(SessionHook));
  }

  /// An equation that runs at the commit.
  void apply(const AtomBase& atom, std::shared_ptr<const AnyEquation> equation) {
    const Definition& definition = *atom.definition_;
    if (!definition.default_value) {
      throw Error("atom \"" + definition.key + "\" has a Factory, and an equation needs a default to start from");
    }
    Record* record = find(definition.key);
    if (!record) record = &add(definition, scope_of(definition));
    record->equations.push_back(std::move(equation));
  }

  bool has_changes() const {
    return std::any_of(records_.begin(), records_.end(),
                       [&](const Record& record) { return !record.equations.empty() || changed(record) != nullptr; });
  }

  /// Writes all that changed, or nothing. An error says why.
  std::optional<StateError> commit() {
    remember_route();
    std::vector<Record*> changes;
    for (Record& record : records_) {
      const bool is_written = changed(record) != nullptr;
      if (is_written && !record.equations.empty()) {
        return StateError(StateErrorCode::conflict,
                          "atom \"" + record.definition->key + "\" is both written and changed by an equation");
      }
      if (is_written || !record.equations.empty()) changes.push_back(&record);
    }
    if (changes.empty()) return std::nullopt;
    return core_.engine ? commit_to_database(changes) : commit_to_memory(changes);
  }

  void discard() noexcept { is_discarded_ = true; }
  void report_dropped() {
    if (is_discarded_ || !has_changes()) return;
    core_.report(
        StateEvent::Kind::dropped, nullptr,
        "a session of scope \"" + scope_in_message(scope_) + "\" has ended with changes that were not committed");
  }
  const Scope& scope() const noexcept { return scope_; }

 private:
  struct Record {
    const Definition* definition;
    Scope scope;
    SharedValue loaded;        // null: there was none
    std::int64_t version = 0;  // of it
    bool is_known = false;     // it was looked at
    std::vector<std::shared_ptr<const AnyEquation>> equations;
  };
  /// Whether the atom is a state: what cannot be stored lives and dies with the request.
  bool is_state(const Definition& definition) const noexcept {
    if (definition.derived || !definition.type.shareable) return false;
    return !core_.engine || (definition.type.write && definition.type.read);  // else it has no codec
  }
  Record* find(std::string_view key) noexcept {
    const auto found = std::find_if(records_.begin(), records_.end(),
                                    [&](const Record& record) { return record.definition->key == key; });
    return found == records_.end() ? nullptr : &*found;
  }
  Scope scope_of(const Definition& definition) const {
    for (const auto& [key, scope] : placed_) {
      if (key == definition.key) return scope;
    }
    return scope_;
  }
  Record& add(const Definition& definition, Scope scope) {
    if (auto bad = check_key(definition.key)) throw *std::move(bad);
    return records_.emplace_back(Record{&definition, std::move(scope), nullptr, 0, false, {}});
  }

  // ---- Reading

  void load(Record& record) {
    record.is_known = true;
    if (!core_.engine) {
      const NodeReference node = core_.table.find(record.scope, record.definition->key);
      if (!node) return;
      require_type(*node, record);
      const SeenValue seen = core_.look(*node);
      record.version = seen.version;
      if (seen.version > 0) record.loaded = seen.value;
      return;
    }
    const Outcome outcome = read(record.scope, record.definition->key);
    record.version = outcome.version;
    if (outcome.value)
      record.loaded = core_.engine->backend().read_value(record.definition->type, *outcome.value).value();
  }
  static void require_type(const StateNode& node, const Record& record) {
    if (node.type().same_type(record.definition->type)) return;
    throw StateError(StateErrorCode::type_mismatch, "state \"" + id_in_message(record.scope, record.definition->key) +
                                                        "\" is " + std::string(node.type().name) +
                                                        ", and the atom is " +
                                                        std::string(record.definition->type.name));
  }
  /// With what the route used last time, in one go.
  Outcome read(const Scope& scope, const std::string& key) {
    const auto [wanted, is_new] = read_.try_emplace({scope, key});
    if (!is_new) return wanted->second;
    if (read_.size() == 1 && !options_.route.empty()) {
      for (Routes::Used& used : core_.routes.used_by(options_.route)) {
        read_.try_emplace({used.scope ? *std::move(used.scope) : scope_, std::move(used.key)});
      }
    }
    std::vector<StateName> names;
    std::vector<Outcome*> places;
    const auto add = [&](auto& entry) {
      names.push_back({entry.first.first, entry.first.second});
      places.push_back(&entry.second);
    };
    if (std::exchange(has_read_, true)) {
      add(*wanted);
    } else {
      for (auto& entry : read_) add(entry);
    }
    std::vector<Outcome> outcomes(names.size());
    if (auto error = core_.engine->backend().read(names, outcomes, core_.deadline())) {
      read_.clear();
      has_read_ = false;
      throw *std::move(error);
    }
    for (std::size_t i = 0; i < places.size(); ++i) *places[i] = std::move(outcomes[i]);
    return wanted->second;
  }
  void remember_route() {
    if (options_.route.empty()) return;
    std::vector<Routes::Used> used;
    for (const Record& record : records_) {
      if (!record.is_known) continue;
      used.push_back({record.scope == scope_ ? std::nullopt : std::optional(record.scope), record.definition->key});
    }
    if (!used.empty()) core_.routes.remember(options_.route, std::move(used));
  }
  void hydrate(const Definition& definition, const SharedValue& value) {
    Value shown;
    shown.refer_to(definition.type, value.get());
    kept_.push_back(value);
    Snapshot snapshot;
    snapshot.append(definition, std::move(shown));
    store_.hydrate(std::move(snapshot), {.trust = Trust::server});
  }

  // ---- Writing

  /// The atom's value, if it is another one than was loaded, else null.
  const void* changed(const Record& record) const {
    const AtomBase* const clone = store_.get(record.definition->key);
    if (!clone || !record.is_known) return nullptr;
    const void* const now = clone->value_;
    const void* const before = record.loaded ? record.loaded.get() : record.definition->default_value;
    if (now == before) return nullptr;
    const TypeOps& type = record.definition->type;
    const bool same = before && type.equal ? type.equal(now, before) : !clone->is_modified();
    return same ? nullptr : now;
  }

  /// What the equations make of a value. Throws StateError.
  static SharedValue evaluate(const Record& record, const void* value) {
    std::shared_ptr<void> next = copy_value(record.definition->type, value);
    for (const auto& equation : record.equations) {
      if (const auto problem = equation->apply_to(next.get())) {
        throw StateError(*problem, "state \"" + id_in_message(record.scope, record.definition->key) +
                                       "\": " + std::string(to_string(*problem)));
      }
    }
    return next;
  }
  std::optional<StateError> commit_to_memory(const std::vector<Record*>& changes) {
    try {
      for (;;) {
        std::vector<StateCore::Step> steps;
        for (Record* record : changes) {
          const Definition& definition = *record->definition;
          NodeReference node = core_.table.obtain(record->scope, definition.key, [&] {
            return make_state_node(core_, {.key = definition.key, .ttl = options_.ttl}, definition.type,
                                   initial_of(*record));
          });
          require_type(*node, *record);
          if (record->equations.empty()) {
            const std::int64_t raw = node->raw_version();
            const std::int64_t expected = record->version > 0 ? record->version : std::min<std::int64_t>(raw, 0);
            steps.push_back({std::move(node), copy_value(definition.type, changed(*record)), expected});
          } else {
            const SeenValue seen = core_.look(*node);
            steps.push_back({std::move(node), evaluate(*record, seen.value.get()), seen.version});
          }
        }
        const StateCore::Step* const conflict = core_.write_all(steps);
        if (!conflict) return written(changes, steps), std::nullopt;
        const auto its = std::find_if(changes.begin(), changes.end(), [&](const Record* record) {
          return record->definition->key == conflict->node->key() && record->scope == conflict->node->scope->scope;
        });
        if ((*its)->equations.empty()) return conflict_at(**its);
      }
    } catch (const StateError& error) {
      return error;
    }
  }
  static const void* initial_of(const Record& record) {
    if (record.definition->default_value) return record.definition->default_value;
    throw StateError(StateErrorCode::type_mismatch, "atom \"" + record.definition->key +
                                                        "\" has a Factory: it has no default that a state could have");
  }
  void written(const std::vector<Record*>& changes, const std::vector<StateCore::Step>& steps) {
    for (Record* record : changes) {
      const auto step = std::find_if(steps.begin(), steps.end(), [&](const StateCore::Step& other) {
        return other.node->key() == record->definition->key && other.node->scope->scope == record->scope;
      });
      took_effect(*record, step->next, step->version);
    }
  }
  /// The atom, and what a later commit compares with.
  void took_effect(Record& record, SharedValue value, std::int64_t version) {
    if (!record.equations.empty() && store_.has(record.definition->key)) hydrate(*record.definition, value);
    record.equations.clear();
    record.loaded = std::move(value);
    record.version = version;
    record.is_known = true;
  }
  static StateError conflict_at(const Record& record) {
    return {StateErrorCode::conflict,
            "state \"" + id_in_message(record.scope, record.definition->key) +
                "\": somebody else has written it since this session read it",
            Effect::none, true};
  }

  std::optional<StateError> commit_to_database(const std::vector<Record*>& changes) {
    std::vector<StoredValue> texts(changes.size());
    std::vector<std::vector<const AnyEquation*>> equations(changes.size());
    std::vector<SharedValue> values(changes.size());
    for (;;) {
      std::vector<Command> commands;
      try {
        for (std::size_t i = 0; i < changes.size(); ++i)
          commands.push_back(command_of(*changes[i], texts[i], equations[i], values[i]));
      } catch (const StateError& error) {
        return error;
      }
      StateResult<std::vector<Outcome>> outcomes = core_.engine->commit(commands, core_.deadline());
      if (!outcomes) return outcomes.error();
      bool again = false;
      for (std::size_t i = 0; i < changes.size(); ++i) {
        const Outcome& outcome = (*outcomes)[i];
        if (!outcome.error) continue;
        const Record& record = *changes[i];
        if (*outcome.error == StateErrorCode::conflict && record.equations.empty()) return conflict_at(record);
        if (*outcome.error != StateErrorCode::conflict) {
          return StateError(*outcome.error, "state \"" + id_in_message(record.scope, record.definition->key) +
                                                "\": " + std::string(to_string(*outcome.error)));
        }
        again = true;
      }
      if (again) continue;
      for (std::size_t i = 0; i < changes.size(); ++i) finish(*changes[i], (*outcomes)[i], values[i]);
      return std::nullopt;
    }
  }
  Command command_of(const Record& record, StoredValue& text, std::vector<const AnyEquation*>& equations,
                     SharedValue& value) {
    const Definition& definition = *record.definition;
    Command command{.kind = Command::Kind::write, .name = {record.scope, definition.key}};
    command.type = &definition.type;
    command.ttl = options_.ttl.count();
    command.value = &text;
    const bool runs = std::all_of(record.equations.begin(), record.equations.end(), [&](const auto& equation) {
      return core_.engine->backend().runs(*equation, definition.type);
    });
    if (record.equations.empty()) {
      value = copy_value(definition.type, changed(record));
      command.expected = record.version;
    } else if (runs && (record.equations.size() == 1 || core_.engine->traits().many_equations)) {
      command.kind = Command::Kind::apply;
      equations.clear();
      for (const auto& equation : record.equations) equations.push_back(equation.get());
      command.equations = equations;
      value = copy_value(definition.type, initial_of(record));
    } else {
      const StateName name = command.name;
      Outcome outcome;
      if (auto error = core_.engine->backend().read({&name, 1}, {&outcome, 1}, core_.deadline()))
        throw *std::move(error);
      SharedValue before;
      if (outcome.value) before = core_.engine->backend().read_value(definition.type, *outcome.value).value();
      value = evaluate(record, before ? before.get() : initial_of(record));
      command.expected = outcome.version;
    }
    if (auto error = write_value(core_.engine->traits(), id_in_message(record.scope, definition.key), definition.type,
                                 value.get(), text))
      throw *std::move(error);
    return command;
  }
  void finish(Record& record, const Outcome& outcome, SharedValue value) {
    if (!record.equations.empty() && outcome.value) {
      const StateResult<SharedValue> before =
          core_.engine->backend().read_value(record.definition->type, *outcome.value);
      if (before) value = evaluate(record, before->get());
    } else if (!record.equations.empty()) {
      value = evaluate(record, record.definition->default_value);
    }
    if (const NodeReference node = core_.table.find(record.scope, record.definition->key)) {
      if (core_.accept(*node, value, outcome.version)) core_.tell_news(*node);
    }
    took_effect(record, std::move(value), outcome.version);
  }

  AtomStore& store_;
  StateCore& core_;
  const Scope scope_;
  const SessionOptions options_;
  std::vector<std::pair<std::string, Scope>> placed_;
  std::vector<Record> records_;
  std::vector<SharedValue> kept_;                          // what atoms may refer to
  std::map<std::pair<Scope, std::string>, Outcome> read_;  // some of it before it was asked for
  bool has_read_ = false;
  bool is_discarded_ = false;
};

}  // namespace detail

/// A store of atoms that are states of a scope. For one request, and one thread at a time, as any AtomStore.
class Session : public AtomStore {
 public:
  explicit Session(StateStore& states, Scope scope, SessionOptions options = {})
      : AtomStore(options.memory), hook_(attach(states, std::move(scope), std::move(options))) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Does not commit: `StoreOptions::on_event` hears of changes that are lost.
  ~Session() { hook_.report_dropped(); }

  using AtomStore::use;
  /// The atom as a state of another scope. Throws Error if it is in this session in a different one.
  template <std::derived_from<AtomBase> A>
  A& use(const A& atom, const Scope& scope) {
    hook_.place(atom, scope);
    return use(atom);
  }

  /// Has an equation run at the commit, on what the state is then. The atom, if it is used here, has the result
  /// afterwards. An atom is either written or changed by equations in one commit.
  template <class T, equation_for<T> E>
  void apply(const Atom<T>& atom, const E& equation) {
    hook_.apply(atom, std::make_shared<const AnyEquation>(AnyEquation::of<T>(equation)));
  }
  template <class T, equation_for<T> E>
  void apply(const Atom<T>& atom, const Scope& scope, const E& equation) {
    hook_.place(atom, scope);
    apply(atom, equation);
  }

  /// Whether there is something to commit.
  bool has_changes() const { return hook_.has_changes(); }
  /// Writes all that changed, in one batch: all of it takes effect, or nothing. Atoms whose value is what was loaded
  /// are not written. Throws StateError: conflict if somebody else has written one of the states since it was read.
  void commit() {
    if (auto error = try_commit()) throw *std::move(error);
  }
  /// The same; returns what failed.
  [[nodiscard]] std::optional<StateError> try_commit() { return hook_.commit(); }

  /// Says that what is not committed is not to be: nobody is told that it is lost.
  void discard() noexcept { hook_.discard(); }

  /// Of its atoms, but for those that were placed in another one.
  const Scope& scope() const noexcept { return hook_.scope(); }

 private:
  detail::SessionHook& attach(StateStore& states, Scope scope, SessionOptions options) {
    void* const place = resource()->allocate(sizeof(detail::SessionHook), alignof(detail::SessionHook));
    return *::new (place) detail::SessionHook(*this, states.core_, std::move(scope), std::move(options));
  }
  detail::SessionHook& hook_;
};

template <class F>
auto StateStore::transact(const Scope& scope, F&& fn, const SessionOptions& options) {
  const Deadline deadline = core_.deadline();
  for (;;) {
    Session session(*this, scope, options);
    const auto again = [&] {
      auto error = session.try_commit();
      if (!error) return false;
      session.discard();
      if (error->code() != StateErrorCode::conflict || std::chrono::steady_clock::now() >= deadline) {
        throw *std::move(error);
      }
      return true;
    };
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Session&>>) {
      fn(session);
      if (!again()) return;
    } else {
      auto result = fn(session);
      if (!again()) return result;
    }
  }
}

template <class F>
auto StateStore::transact(const Scope& scope, F&& fn) {
  return transact(scope, std::forward<F>(fn), SessionOptions{});
}

}  // namespace atom::inline v0_1

// What a session knows of each of its atoms, and how it reads and writes them.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/detail/definition.hpp>
#include <atom/detail/thread_check.hpp>
#include <atom/misuse.hpp>
#include <atom/snapshot.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/session_job.hpp>
#include <atom/state/detail/unit.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// It lives in the store, and as long: atoms refer to the values that were loaded. Of threads it is checked what the
/// store does not see: reading, committing, and what came of them, also while it waits for the database.
class SessionHook final : public Attachment, public JobOwner {
 public:
  using Name = std::pair<atom::Scope, std::string>;

  SessionHook(AtomStore& store, StateCore& core, atom::Scope scope, RequestContext context, SessionOptions options,
              std::shared_ptr<SessionGuard> guard, Deadline until)
      : Attachment(Kind::session),
        store_(store),
        core_(core),
        scope_(std::move(scope)),
        context_(std::move(context)),
        options_(std::move(options)),
        guard_(std::move(guard)),
        until_(std::min(until, deadline_after(options_.deadline))) {
    store_.attachments_.push(*this);
  }

  /// Says in which scope an atom lives, before its first use. Throws Error if that is another one than before.
  void place(std::string_view key, const AnyScope& any) {
    const ThreadCheck check(store_.delivery_, nullptr);
    const atom::Scope scope = any.resolve(context_).value();
    const Record* const record = find(key);
    const auto placed = placed_.find(key);
    const atom::Scope* const before = record                    ? &record->scope
                                      : placed != placed_.end() ? &placed->second
                                      : store_.has(key)         ? &scope_
                                                                : nullptr;
    if (before && !(*before == scope)) {
      throw Error("atom \"" + std::string(key) + "\" is used in two scopes, \"" + scope_in_message(*before) +
                  "\" and \"" + scope_in_message(scope) + "\", in one session");
    }
    if (!before) placed_.emplace(key, scope);
  }

  void before_use(const Definition& definition) override {
    if (!is_state(definition)) {
      if (placed_.contains(definition.key)) throw no_state(definition);
      if (seems_kept(definition)) not_kept(definition);
      return;
    }
    const Record& record = known(definition);
    if (!record.loaded || store_.waiting(definition)) return;  // the store was given a newer value
    hydrate(record, record.loaded, &definition);
    store_.layers_.keep_newest();
  }
  /// Of the atom's state, as it was looked at.
  std::int64_t version(const AtomBase& atom) {
    const Definition& definition = *atom.definition_;
    const ThreadCheck check(store_.delivery_, &definition);
    if (!is_state(definition)) throw no_state(definition);
    return known(definition).version;
  }
  /// The job that reads these at once, or null where there is nothing to read.
  std::shared_ptr<LoadJob> prepare_load(std::initializer_list<const AtomBase*> atoms) {
    const ThreadCheck check(store_.delivery_, nullptr);
    if (!core_.engine) return nullptr;
    LoadJob::Names names;
    for (const AtomBase* const atom : atoms) {
      const Definition& definition = *atom->definition_;
      if (!is_state(definition)) continue;
      if (auto bad = check_key(definition.key)) throw *std::move(bad);
      const Record* const record = find(definition.key);
      Name name(record ? record->scope : scope_of(definition), definition.key);
      if (!(record && record->is_known) && !read_.contains(name)) names.push_back(std::move(name));
    }
    names = all_to_read(std::move(names));
    return names.empty() ? nullptr : std::make_shared<LoadJob>(core_, std::move(names), deadline());
  }
  void load(std::initializer_list<const AtomBase*> atoms) {
    const ThreadCheck check(store_.delivery_, nullptr);
    const std::shared_ptr<LoadJob> job = prepare_load(atoms);
    if (!job) return;
    job->wait(core_.options.executor);
    if (auto error = take(*job)) throw *std::move(error);
  }
  std::optional<StateError> take(LoadJob& job) override {
    const ThreadCheck check(store_.delivery_, nullptr);
    job.check();
    if (job.error()) return job.error();
    LoadJob::Names& names = job.names();
    for (std::size_t i = 0; i < names.size(); ++i) {
      read_.insert_or_assign(std::move(names[i]), std::move(job.outcomes()[i]));
    }
    has_read_ = true;
    expected_.clear();
    return std::nullopt;
  }
  void atoms_gone() noexcept override {
    records_.clear();
    placed_.clear();
    not_kept_.clear();
    read_.clear();
    has_read_ = false;
  }
  void store_gone() noexcept override {
    std::pmr::memory_resource& memory = *store_.resource();
    this->~SessionHook();
    memory.deallocate(this, sizeof(SessionHook), alignof(SessionHook));
  }

  /// An equation that runs at the commit.
  void apply(const AtomBase& atom, std::shared_ptr<const AnyEquation> equation) {
    const Definition& definition = *atom.definition_;
    const ThreadCheck check(store_.delivery_, &definition);
    if (!is_state(definition)) throw no_state(definition);
    Record* record = find(definition.key);
    if (!record) record = &add(definition);
    record->equations.push_back(std::move(equation));
  }

  bool has_changes() const {
    const ThreadCheck check(store_.delivery_, nullptr);
    return std::any_of(records_.begin(), records_.end(),
                       [&](const Record& record) { return !record.equations.empty() || changed(record) != nullptr; });
  }

  // ---- Committing: a job is prepared, done by any thread, and taken over by the session's.

  /// The job, or null where there is nothing to do. What went wrong with the one before, of which nobody has heard, is
  /// thrown.
  std::shared_ptr<CommitJob> prepare() {
    const ThreadCheck check(store_.delivery_, nullptr);
    if (store_.delivery_.transaction) {
      throw Error("the session is committed inside a transaction, which could not put back what is written");
    }
    if (const std::shared_ptr<CommitJob> before = pending_) {
      before->wait(core_.options.executor);
      if (auto error = take(*before)) throw *std::move(error);
    }
    report_not_kept();
    std::vector<UnitStep> steps;
    std::vector<AtomBase*> sent;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Record& record = records_[i];
      const Definition& definition = *record.definition;
      const void* const value = changed(record);
      if (!value && record.equations.empty()) continue;
      UnitStep step{.kind = value ? UnitStep::Kind::write : UnitStep::Kind::apply,
                    .scope = record.scope,
                    .key = record.key,
                    .type = &record.type()};
      step.equations = record.equations;
      if (ends_in_time(record.scope)) step.ttl = options_.ttl;
      if (value) {
        step.expected = record.version;
        step.value = copy_value(record.type(), value);
      }
      if (AtomBase* const clone = store_.get(record.key)) sent.push_back(clone);
      step.initial = initial_of(definition);  // last, as the record may lie elsewhere then
      steps.push_back(std::move(step));
    }
    if (steps.empty()) return nullptr;
    auto job = std::make_shared<CommitJob>(core_, std::move(steps), guard_, deadline());
    if (refreshes_) {
      std::vector<CommitJob::Known> known;
      for (const Record& record : records_) {
        if (record.is_known) known.push_back({record.scope, record.key, &record.type()});
      }
      job->look_again_at(std::move(known));
    }
    pending_ = job;
    for (AtomBase* const clone : sent) clone->flags_ &= ~AtomBase::modified;  // what comes after this counts again
    return job;
  }
  /// What came of it. Throws what code of the user's has thrown; then nothing was written.
  std::optional<StateError> take(CommitJob& job) override {
    const ThreadCheck check(store_.delivery_, nullptr);
    if (pending_.get() != &job) return job.error();  // it was taken over before
    const std::shared_ptr<CommitJob> keep = std::exchange(pending_, nullptr);
    try {
      job.check();
    } catch (...) {
      not_written(job);
      throw;
    }
    if (!job.error()) {
      for (const UnitStep& step : job.steps()) took_effect(step);
    } else if (job.fresh().empty()) {
      not_written(job);
    } else {
      begin_again(job);
    }
    return job.error();
  }
  std::optional<StateError> commit() {
    const ThreadCheck check(store_.delivery_, nullptr);
    std::shared_ptr<CommitJob> job;
    try {
      job = prepare();
    } catch (const StateError& error) {
      return error;
    }
    if (!job) return std::nullopt;
    job->wait(core_.options.executor);
    return take(*job);
  }

  // ---- For transactions

  /// It may be made again: a conflict is all that there is to be known, and time is short.
  void is_attempt(Deadline until, std::vector<Name> expected) {
    refreshes_ = false;
    until_ = std::min(until_, until);
    expected_ = std::move(expected);
  }
  std::vector<Name> names() const {
    std::vector<Name> all;
    for (const Record& record : records_) {
      if (record.is_known) all.emplace_back(record.scope, record.key);
    }
    return all;
  }

  // ---- The end

  /// Of what it begins now.
  Deadline deadline() const noexcept { return std::min(core_.deadline(), until_); }
  void discard() noexcept { is_discarded_ = true; }
  void ended() noexcept {
    try {
      remember_route();
      if (is_discarded_ || (pending_ && !pending_->is_done())) return;
      const bool has_failed = pending_ && pending_->error();
      if (pending_ ? !has_failed : !has_changes()) return;
      core_.report(StateEvent::Kind::dropped, nullptr,
                   "a session of scope \"" + scope_in_message(scope_) + "\" has ended with changes that were not " +
                       (has_failed ? "committed: " + reason(*pending_->error()) : std::string("committed")));
    } catch (...) {  // no memory, or an operator == of the user's
    }
  }
  const atom::Scope& scope() const noexcept { return scope_; }
  StateCore& core() const noexcept { return core_; }

 private:
  struct Record {
    std::string key;
    const Definition* definition;  // of a family's atom, the family's, which stays
    atom::Scope scope;
    SharedValue loaded = {};   // null: there was none
    std::int64_t version = 0;  // of it
    bool is_known = false;     // it was looked at
    std::vector<std::shared_ptr<const AnyEquation>> equations = {};

    const TypeOps& type() const noexcept { return definition->type; }
  };
  /// Whether the atom is a state: what cannot be stored lives and dies with the request.
  bool is_state(const Definition& definition) const noexcept {
    if (definition.derived || !definition.type.shareable) return false;
    return !core_.engine || (definition.type.write && definition.type.read);  // else it has no codec
  }
  /// A value with copies is kept in memory, so that without a codec it would go unnoticed that a database does not.
  bool seems_kept(const Definition& definition) const noexcept {
    return core_.engine && definition.type.shareable && !definition.derived && definition.default_value;
  }
  void not_kept(const Definition& definition) {
#if ATOM_CHECKS
    report_misuse(why_not_kept(definition.key, definition.type));
#endif
    not_kept_.emplace_back(definition.key, &definition.declared().type);
  }
  static std::string why_not_kept(const std::string& key, const TypeOps& type) {
    return "atom \"" + key + "\" is used in a session, which does not keep it: " + std::string(type.name) +
           " has no codec; describe it with atom_fields(), or specialise atom::codec. (One that is of the request "
           "alone is declared with a Factory.)";
  }
  /// Who commits believes that it is written.
  void report_not_kept() {
    std::erase_if(not_kept_, [&](const auto& atom) {
      const AtomBase* const clone = store_.get(atom.first);
      if (!clone || !clone->is_modified()) return false;
      core_.report(StateEvent::Kind::dropped, nullptr, why_not_kept(atom.first, *atom.second));
      return true;  // and not again with each commit
    });
  }
  static Error no_state(const Definition& definition) {
    return Error("atom \"" + definition.key + "\" cannot be a state: it is derived, or " +
                 std::string(definition.type.name) + " has no codec, or its copies would share something");
  }
  Record* find(std::string_view key) noexcept {
    const auto found =
        std::find_if(records_.begin(), records_.end(), [&](const Record& record) { return record.key == key; });
    return found == records_.end() ? nullptr : &*found;
  }

  const atom::Scope& scope_of(const Definition& definition) const {
    const auto placed = placed_.find(definition.key);
    return placed == placed_.end() ? scope_ : placed->second;
  }
  /// Whether it is of the session's own, or of somebody's, rather than of all.
  bool ends_in_time(const atom::Scope& scope) const noexcept {
    return scope_.contains(scope) || scope.kind() == ScopeKind::client || scope.kind() == ScopeKind::user;
  }
  Record& add(const Definition& definition) {
    if (auto bad = check_key(definition.key)) throw *std::move(bad);
    const atom::Scope& scope = scope_of(definition);
    if (guard_ && guard_->is(scope, definition.key)) {
      throw Error("atom \"" + definition.key + "\" has the key of a state that is not the program's");
    }
    if (core_.engine && !core_.engine->traits().all_or_nothing && (guard_ || !records_.empty())) {
      throw StateError(StateErrorCode::refused,
                       "state \"" + id_in_message(scope, definition.key) +
                           "\": " + std::string(core_.engine->traits().name) +
                           " cannot write it together with others, all or nothing: it needs a session of its own");
    }
    return records_.emplace_back(Record{definition.key, &definition.declared(), scope});
  }

  // ---- Reading

  /// What is known of the atom's state, which is read if need be.
  Record& known(const Definition& definition) {
    Record* record = find(definition.key);
    const bool is_new = !record;
    if (is_new) record = &add(definition);
    if (record->is_known) return *record;
    try {
      load(*record);
    } catch (...) {
      if (is_new) records_.pop_back();
      throw;
    }
    return *record;
  }
  void load(Record& record) {
    StateResult<SeenState> seen =
        core_.engine ? read_outcome(core_, record.scope, record.key, record.type(), read(record.scope, record.key))
                     : look_at(core_, record.scope, record.key, record.type());
    if (!seen) throw seen.error();
    record.loaded = std::move(seen->value);
    record.version = seen->version;
    record.is_known = true;
  }
  /// With what the route used last time, in one go.
  Outcome read(const atom::Scope& scope, const std::string& key) {
    const Name name(scope, key);
    if (!read_.contains(name)) {
      const auto job = std::make_shared<LoadJob>(core_, all_to_read({name}), deadline());
      job->wait({});
      if (auto error = take(*job)) throw *std::move(error);
    }
    const auto found = read_.find(name);
    Outcome outcome = std::move(found->second);
    read_.erase(found);
    return outcome;
  }
  /// These, and with the first ones what will be wanted besides.
  LoadJob::Names all_to_read(LoadJob::Names names) {
    if (!has_read_) {
      if (!options_.route.empty()) {
        for (Routes::Used& used : core_.routes.used_by(options_.route)) {
          names.emplace_back(used.scope ? *std::move(used.scope) : scope_, std::move(used.key));
        }
      }
      for (const Name& name : expected_) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  /// Other clients' scopes are none that the next request of this route would want.
  void remember_route() {
    if (options_.route.empty() || !core_.engine) return;
    std::vector<Routes::Used> used;
    for (const Record& record : records_) {
      if (!record.is_known) continue;
      if (record.scope == scope_) {
        used.push_back({std::nullopt, record.key});
      } else if (record.scope.kind() == ScopeKind::shared) {
        used.push_back({record.scope, record.key});
      }
    }
    if (!used.empty()) core_.routes.remember(options_.route, std::move(used));
  }
  /// Makes it the atom's value, silently; the one of its first use, if there is none yet.
  void hydrate(const Record& record, const SharedValue& value, const Definition* definition = nullptr) {
    Value shown;
    shown.refer_to(record.type(), value.get());
    kept_.push_back(value);
    Snapshot snapshot;
    if (definition && !definition->family) {
      snapshot.append(*definition, std::move(shown));
    } else {
      snapshot.set(record.key, std::move(shown));  // the definition of a family's atom goes with the atom
    }
    store_.hydrate(std::move(snapshot), {.trust = Trust::server});
  }

  // ---- Writing

  /// What the atom is where there is no value. A factory may use other atoms: then there are more records, elsewhere.
  static SharedValue initial_of(const Definition& definition) {
    if (const void* const value = definition.default_value) return {SharedValue(), value};  // it is never freed
    return build_value(definition.type, [&](void* place) { return definition.build(place, nullptr), true; });
  }
  /// The atom's value, if it is another one than was loaded, else null.
  const void* changed(const Record& record) const {
    const AtomBase* const clone = store_.get(record.key);
    if (!clone || !record.is_known) return nullptr;
    const void* const now = clone->value_;
    const void* const before = record.loaded ? record.loaded.get() : record.definition->default_value;
    if (now == before) return nullptr;
    const bool same = before && record.type().equal ? record.type().equal(now, before) : !clone->is_modified();
    return same ? nullptr : now;
  }
  /// The atom has what equations made of it, unless it was written meanwhile, and a later commit compares with this.
  void took_effect(const UnitStep& step) {
    Record* const record = find(step.key);
    if (!record) return;  // the store was destroyed meanwhile
    record->equations.erase(record->equations.begin(),
                            record->equations.begin() + static_cast<std::ptrdiff_t>(step.equations.size()));
    record->is_known = step.value != nullptr;  // else it is read when it is next used
    record->loaded = step.value;
    record->version = step.version;
    const AtomBase* const clone = store_.get(step.key);
    if (clone && !clone->is_modified() && step.value && !step.equations.empty()) hydrate(*record, step.value);
  }
  void not_written(const CommitJob& job) noexcept {
    for (const UnitStep& step : job.steps()) {
      if (step.kind != UnitStep::Kind::write) continue;
      if (AtomBase* const clone = store_.get(step.key)) clone->flags_ |= AtomBase::modified;
    }
  }
  /// As if the session began now: what it has changed is forgotten.
  void begin_again(const CommitJob& job) {
    for (const CommitJob::Known& known : job.fresh()) {
      Record* const record = find(known.key);
      if (!record) continue;
      record->loaded = known.fresh.value;
      record->version = known.fresh.version;
      if (!store_.has(known.key)) continue;
      const SharedValue now = record->loaded ? record->loaded : initial_of(*record->definition);
      hydrate(*find(known.key), now);
    }
    for (Record& record : records_) record.equations.clear();
    read_.clear();
  }

  AtomStore& store_;
  StateCore& core_;
  const atom::Scope scope_;
  const RequestContext context_;
  const SessionOptions options_;
  const std::shared_ptr<SessionGuard> guard_;
  std::map<std::string, atom::Scope, std::less<>> placed_;
  std::vector<Record> records_;
  std::vector<SharedValue> kept_;                                 // what atoms may refer to
  std::vector<std::pair<std::string, const TypeOps*>> not_kept_;  // atoms whose types have no codec
  std::map<Name, Outcome> read_;                                  // before it was asked for
  std::vector<Name> expected_;                                    // to be read with the first one
  bool has_read_ = false;
  bool refreshes_ = true;
  bool is_discarded_ = false;
  Deadline until_;
  std::shared_ptr<CommitJob> pending_;  // under way, or done and not taken over
};

}  // namespace atom::inline v0_1::detail

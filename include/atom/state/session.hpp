// The atoms of a request that outlive it: a store whose atoms are states of one scope, such as the client's.
//
//   atom::Session session{states, atom::Scope::client(id), {.route = "/cart"}};
//   session.use(cart_atom).add(item);                            // loaded at the first use
//   session.apply(visits_atom, atom::Scope::global(), atom::current + 1);
//   session.commit();                                            // all that changed, or nothing
//
// What is not committed is not written. Where somebody else has written one of the states meanwhile, nothing is, and
// `commit` says so; `states.transact(scope, [&](atom::Session& s) { ... })` then begins anew on the fresh values.
// Where the client has signed in, or may, sessions come from a Visitor: see visitor.hpp.
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/job.hpp>
#include <atom/state/detail/session_hook.hpp>
#include <atom/state/detail/session_job.hpp>
#include <atom/state/detail/unit.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state_store.hpp>
#include <atom/store.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// A commit that has begun. R is what waiting for it gives, once: nothing, or what failed. It may be dropped: the
/// commit goes on all the same, and only the session's next one hears what came of it. Else the session must still be
/// there when it is waited for; until then its atoms may be read, and written, which is for the next commit.
template <class R>
class [[nodiscard]] SessionTask {
 public:
  SessionTask(SessionTask&& other) noexcept = default;
  SessionTask& operator=(SessionTask&& other) noexcept {
    if (this != &other) {
      abandon();
      hook_ = other.hook_;
      job_ = std::move(other.job_);
    }
    return *this;
  }
  /// A coroutine that waits for it and is destroyed is not resumed any more.
  ~SessionTask() { abandon(); }

  /// Whether waiting would give the result at once.
  bool is_ready() const noexcept { return !job_ || job_->is_done(); }
  /// Returns the result when there is one. This thread may have to see to it.
  R wait() {
    if (job_) job_->wait(hook_->core().options.executor);
    return await_resume();
  }

  // ---- co_await: goes on where `StoreOptions::executor` says, or in a thread of the store, which it must not block
  // then

  bool await_ready() const noexcept { return is_ready(); }
  bool await_suspend(std::coroutine_handle<> coroutine) noexcept {
    const std::shared_ptr<detail::SessionJob> job = job_;  // this may be gone when it is suspended
    return job->suspend(coroutine);
  }
  R await_resume() {
    auto error = job_ ? job_->hand_over_to(*hook_) : std::nullopt;
    if constexpr (!std::is_void_v<R>) {
      return error;
    } else if (error) {
      throw *std::move(error);
    }
  }

 private:
  friend class Session;
  SessionTask(detail::SessionHook& hook, std::shared_ptr<detail::SessionJob> job) noexcept
      : hook_(&hook), job_(std::move(job)) {}
  void abandon() noexcept {
    if (job_) job_->take_coroutine();
  }

  detail::SessionHook* hook_;
  std::shared_ptr<detail::SessionJob> job_;  // null: there was nothing to do
};

/// A store of atoms that are states of a scope. For one request, and one thread at a time, as any AtomStore; the
/// StateStore must outlive it. What it has loaded stays in memory until its end.
///
/// At its first use an atom has the value of its state, or its default where there is none. That reads the database,
/// and throws StateError if it cannot: unavailable, timed_out; undecodable or type_mismatch if what is there is no such
/// value, which stays as it is.
///
/// An atom whose type cannot be stored is a plain one, of this request alone: one that has no copies, or with a
/// database no codec. Where a value with copies has none by mistake, a debug build says so (misuse.hpp), and a commit
/// after it has changed tells `StoreOptions::on_event`.
class Session : public AtomStore {
 public:
  explicit Session(StateStore& states, Scope scope, SessionOptions options = {})
      : Session(states, std::move(scope), {}, std::move(options), nullptr) {}
  /// The user's, where there is one, else the client's; other scopes may be placeholders: `use(atom, Scope::client())`.
  /// Throws StateError, no_context, if there is neither.
  explicit Session(StateStore& states, const RequestContext& context, SessionOptions options = {})
      : Session(states, AnyScope(Scope::user_or_client()).resolve(context).value(), context, std::move(options),
                nullptr) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Does not commit: `StoreOptions::on_event` hears of changes that are lost.
  ~Session() { hook_.ended(); }

  using AtomStore::use;
  /// The atom as a state of another scope. Throws Error if it is in this session in a different one, or cannot be a
  /// state; StateError, no_context, if the scope is a placeholder for what the session does not know.
  template <std::derived_from<AtomBase> A>
  A& use(const A& atom, const AnyScope& scope) {
    hook_.place(atom.key(), scope);
    return use(atom);
  }
  template <class T>
  Atom<T>& use(const AtomMember<T>& member, const AnyScope& scope) {
    hook_.place(member.key(), scope);
    return use(member);
  }

  /// Has an equation run at the commit, on what the state is then, or, where this session writes the atom, on what it
  /// writes. The atom, if it is used here, has the result afterwards. Throws Error as `use` does.
  template <class T, equation_for<T> E>
  void apply(const Atom<T>& atom, const E& equation) {
    hook_.apply(atom, std::make_shared<const AnyEquation>(AnyEquation::of<T>(equation)));
  }
  template <class T, equation_for<T> E>
  void apply(const Atom<T>& atom, const AnyScope& scope, const E& equation) {
    hook_.place(atom.key(), scope);
    apply(atom, equation);
  }

  /// Reads the states of these atoms, and what the session's route used last time, in one round trip, so that their
  /// first use has none. Throws StateError if the database cannot be read.
  template <std::derived_from<AtomBase>... A>
  void load(const A&... atoms) {
    hook_.load({&atoms...});
  }
  /// The same without blocking this thread: `co_await session.load_async(cart_atom, user_atom)`.
  template <std::derived_from<AtomBase>... A>
  SessionTask<void> load_async(const A&... atoms) {
    return begin<void>(hook_.prepare_load({&atoms...}));
  }
  template <std::derived_from<AtomBase>... A>
  SessionTask<std::optional<StateError>> try_load_async(const A&... atoms) {
    return begin<std::optional<StateError>>(hook_.prepare_load({&atoms...}));
  }

  /// Of the atom's state, as this session has read it or committed it; 0: there was no value. So a form may carry the
  /// version that its page had, and be refused where it is another one by now; whether it still is at the commit, that
  /// looks at. Throws as `use` does; Error if the atom is no state.
  std::int64_t version(const AtomBase& atom) { return hook_.version(atom); }

  /// Whether there is something to commit.
  bool has_changes() const { return hook_.has_changes(); }
  /// Writes all that changed, in one batch: all of it takes effect, or nothing. Atoms whose value is what was loaded
  /// are not written, and those that are only read are not compared with anything.
  ///
  /// Throws StateError. A conflict: somebody else has written one of the states since it was read. Nothing was written;
  /// what this session had changed is forgotten, and its atoms have the values of now, silently: do it again and
  /// commit, or leave it. After any other error the changes are still there; where its effect is unknown they may be in
  /// the database as well, so that the next commit is a conflict. Throws Error inside a `transaction`.
  void commit() {
    if (auto error = try_commit()) throw *std::move(error);
  }
  /// The same; returns what failed.
  [[nodiscard]] std::optional<StateError> try_commit() { return hook_.commit(); }
  /// The same without blocking this thread: `co_await session.commit_async()`. In memory it is done at once. Both throw
  /// at once what a commit before, for which nobody has waited, ran into; they wait for that one.
  SessionTask<void> commit_async() { return begin<void>(hook_.prepare()); }
  SessionTask<std::optional<StateError>> try_commit_async() {
    return begin<std::optional<StateError>>(hook_.prepare());
  }

  /// Says that what is not committed is not to be: nobody is told that it is lost.
  void discard() noexcept { hook_.discard(); }

  /// Of its atoms, but for those that were placed in another one.
  const Scope& scope() const noexcept { return hook_.scope(); }

 private:
  friend class StateStore;
  friend class Visitor;
  Session(StateStore& states, Scope scope, RequestContext context, SessionOptions options,
          std::shared_ptr<detail::SessionGuard> guard, detail::Deadline until = detail::Deadline::max())
      : AtomStore(options.memory),
        jobs_(states.jobs_),
        hook_(*::new(resource()->allocate(sizeof(detail::SessionHook), alignof(detail::SessionHook)))
                  detail::SessionHook(*this, states.core_, std::move(scope), std::move(context), std::move(options),
                                      std::move(guard), until)) {}

  template <class R>
  SessionTask<R> begin(std::shared_ptr<detail::SessionJob> job) {
    if (job && !hook_.core().engine) {
      job->wait(jobs_.executor());
    } else if (job) {
      jobs_.add(job);
    }
    return {hook_, std::move(job)};
  }

  detail::JobThreads& jobs_;
  detail::SessionHook& hook_;
};

template <class MakeSession, class F>
auto StateStore::run_transaction(MakeSession make_session, F& fn) {
  using Result = std::invoke_result_t<F&, Session&>;
  Deadline deadline = core_.deadline();
  std::vector<detail::SessionHook::Name> used;
  for (unsigned failures = 1;; ++failures) {
    Session session = make_session();
    if (failures == 1) deadline = std::min(deadline, session.hook_.deadline());
    session.hook_.is_attempt(deadline, std::move(used));
    struct Quiet {  // if `fn` throws, it knows that nothing is written
      Session& session;
      ~Quiet() { session.discard(); }
    } quiet{session};
    /// Whether it is done.
    const auto commit = [&] {
      auto error = session.try_commit();
      if (!error) return true;
      if (error->code() != StateErrorCode::conflict) throw *std::move(error);
      used = session.hook_.names();
      if (detail::pause_before(core_, failures, deadline)) return false;
      throw StateError(error->code(), detail::reason(*error) + ", each time before the deadline", Effect::none, true);
    };
    if constexpr (std::is_void_v<Result>) {
      fn(session);
      if (commit()) return;
    } else {
      std::decay_t<Result> result = fn(session);
      if (commit()) return result;
    }
  }
}

/// What `StateStore::transact` does.
template <class Who, class F>
auto transact_session(StateStore& states, const Who& who, F& fn, const SessionOptions& options) {
  return states.run_transaction([&] { return Session(states, who, options); }, fn);
}

}  // namespace atom::inline v0_1

// Who makes a request, by the cookie that it brings: a client nobody knows by name, or a user who has signed in.
//
//   atom::Visitor visitor{states, request.header("Cookie")};      // whatever it holds, it reaches nobody else's data
//   atom::Session session = visitor.session({.route = "/cart"});  // the user's atoms, or else the client's
//   session.use(cart_atom).add(item);
//   session.commit();
//   if (const auto cookie = visitor.set_cookie()) response.add_header("Set-Cookie", *cookie);  // after the commit
//
//   visitor.sign_in("alice", merge);  // when the password was right: what the client has becomes hers, see promote.hpp
//   visitor.sign_out();
//
// An id is 128 random bits, and counts only if this program has given it out: it does when something is first
// committed, and at each `sign_in`. Each of those gives the client a new one (against session fixation), and the old
// one leads to the new session for `VisitorOptions::grace`, for requests that are under way; then it reaches nothing.
// What knew the old id reaches the user's data for so long: a grace of zero is the strict choice.
//
// The one rule: what a request writes goes through sessions of its visitor. Each commit is compared with the client's
// record, in the same batch, so that a slow request brings nothing back after a `sign_out`: it throws StateError,
// session_ended, and has written nothing.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/utf8.hpp>
#include <atom/fields.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/ask.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/session_job.hpp>
#include <atom/state/detail/unit.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/session.hpp>
#include <atom/state/session_id.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/task.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct VisitorOptions {
  SessionCookieOptions cookie = {};
  /// How long a client is known that does not come back.
  std::chrono::milliseconds ttl = std::chrono::hours(24 * 30);
  /// How long the old id leads to the new session after `sign_in`.
  std::chrono::milliseconds grace = std::chrono::seconds(30);
  /// So long after it was made, or asked of `find_async`, neither it nor its sessions wait for a database any more; 0:
  /// as long as `StoreOptions::deadline` says, each time anew, which is never exceeded.
  std::chrono::milliseconds deadline = {};
};

namespace detail {

/// What is kept of a client, in its own scope. A client without one is none of ours.
struct VisitorRecord {
  std::string user = {};      // empty: nobody has signed in
  std::string moved_to = {};  // the id that the client has now, and then nothing else counts
  std::int64_t until = 0;     // when `moved_to` ends, or else the hold (see below); milliseconds since 1970, as is
  std::int64_t renewed = 0;   // when its time to live began

  static constexpr std::string_view key = "atom.visitor";
  /// No session commits for a moment, as a sign-in moves the client's states. (A clock that is far ahead holds nobody.)
  bool is_held() const {
    const std::int64_t left = until - now();
    return moved_to.empty() && left > 0 && left <= longest_hold.count();
  }
  static constexpr std::chrono::milliseconds longest_hold{2000};

  static std::int64_t now() {
    const auto time = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }
  bool operator==(const VisitorRecord&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("user", &VisitorRecord::user), atom::field("movedTo", &VisitorRecord::moved_to),
                          atom::field("until", &VisitorRecord::until), atom::field("renewed", &VisitorRecord::renewed));
  }
};

/// The record of one id, as it was last seen. Sessions share it with their visitor.
class VisitorGuard final : public SessionGuard {
 public:
  VisitorGuard(const SessionId& its_id, atom::Scope its_scope, VisitorRecord its_record, std::int64_t version,
               std::chrono::milliseconds ttl)
      : id(its_id), scope(std::move(its_scope)), record(std::move(its_record)), ttl_(ttl), version_(version) {}

  /// What no record has: a commit that expects it waits for the next.
  static constexpr std::int64_t none = -1;
  static std::int64_t version_to_expect(const SeenState& seen) {
    return static_cast<const VisitorRecord*>(seen.value.get())->is_held() ? none : seen.version;
  }

  /// 0: it is not kept yet, nor is anything else of this client.
  std::int64_t version() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  UnitStep write(VisitorRecord next, std::chrono::milliseconds ttl) const {
    UnitStep step{.kind = UnitStep::Kind::write, .scope = scope, .key = std::string(VisitorRecord::key)};
    step.type = &type_ops<VisitorRecord>;
    step.expected = version();
    step.value = std::make_shared<const VisitorRecord>(std::move(next));
    step.initial = std::make_shared<const VisitorRecord>();
    step.ttl = ttl;
    return step;
  }
  UnitStep erase() const {
    UnitStep step{.kind = UnitStep::Kind::erase, .scope = scope, .key = std::string(VisitorRecord::key)};
    step.expected = version();
    return step;
  }
  /// What there is now.
  static StateResult<SeenState> look(StateCore& core, const atom::Scope& scope, Deadline deadline) {
    const TypeOps& type = type_ops<VisitorRecord>;
    if (!core.engine) return look_at(core, scope, VisitorRecord::key, type);
    const StateName name{scope, VisitorRecord::key};
    Outcome outcome;
    if (auto error = read_states(core, {&name, 1}, {&outcome, 1}, deadline)) return *std::move(error);
    return read_outcome(core, scope, VisitorRecord::key, type, outcome);
  }
  static StateError ended() {
    return {StateErrorCode::session_ended,
            "the client has signed in or out since the request began: nothing is written"};
  }

  UnitStep step() const override {
    if (version() == 0) return write(record, ttl_);
    UnitStep step = erase();
    step.kind = UnitStep::Kind::check;
    return step;
  }
  bool is(const atom::Scope& other, std::string_view key) const override {
    return key == VisitorRecord::key && other == scope;
  }
  /// It may have been renewed, or made by another session of this request.
  std::optional<StateError> overtaken(StateCore& core, Deadline deadline) override {
    const StateResult<SeenState> seen = look(core, scope, deadline);
    if (!seen) return seen.error();
    const auto* const now = static_cast<const VisitorRecord*>(seen->value.get());
    if (!now || !now->moved_to.empty() || now->user != record.user) return ended();
    const std::lock_guard lock(mutex_);
    version_ = version_to_expect(*seen);
    return std::nullopt;
  }
  void committed(const UnitStep& step) noexcept override {
    if (step.kind != UnitStep::Kind::write) return;
    const std::lock_guard lock(mutex_);
    version_ = step.version;
  }

  const SessionId id;
  const atom::Scope scope;
  const VisitorRecord record;

 private:
  const std::chrono::milliseconds ttl_;
  mutable std::mutex mutex_;
  std::int64_t version_;
};

}  // namespace detail

/// For one request, and one thread at a time; its sessions may outlive it, and the store must outlive both.
class Visitor {
 public:
  /// `cookies` is the value of the request's Cookie header. Without a cookie of ours, or where that is forged,
  /// malformed or over, it is a new client. Reads the database where there is one; throws StateError if it cannot.
  explicit Visitor(StateStore& states, std::string_view cookies, VisitorOptions options = {})
      : states_(states), options_(std::move(options)), until_(detail::deadline_after(options_.deadline)) {
    begin(cookies);
  }
  /// The same without blocking this thread: `const auto visitor = co_await atom::Visitor::find_async(states, cookies)`.
  static StateTask<std::unique_ptr<Visitor>> find_async(StateStore& states, std::string cookies) {
    return find_async(states, std::move(cookies), VisitorOptions());
  }
  static StateTask<std::unique_ptr<Visitor>> find_async(StateStore& states, std::string cookies,
                                                        VisitorOptions options) {
    const Deadline until = detail::deadline_after(options.deadline);  // from now on, not from when there is a thread
    const detail::DeadlineBound bound(until);
    return states.async([&states, cookies = std::move(cookies), until, options = std::move(options)]() mutable {
      return std::unique_ptr<Visitor>(new Visitor(states, cookies, until, std::move(options)));
    });
  }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  /// Empty: nobody has signed in.
  const std::string& user_id() const noexcept { return guard_->record.user; }
  bool is_signed_in() const noexcept { return !user_id().empty(); }
  /// The user's scope, or else the client's.
  Scope scope() const { return scope_of(*guard_); }

  /// A session of the user's atoms, or else of the client's; `use(atom, Scope::client())` is the client's in any case.
  /// After `sign_in` or `sign_out` an older one cannot be committed any more.
  Session session(SessionOptions options = {}) const { return session_of(states_, guard_, until_, std::move(options)); }
  /// As `StateStore::transact`, with such sessions.
  template <class F>
  auto transact(F&& fn, const SessionOptions& options = {}) const {
    return states_.run_transaction([&] { return session(options); }, fn);
  }
  /// The same without blocking this thread: `fn(session)` is called in a thread of the store's. The visitor may go
  /// meanwhile; what `fn` refers to must be there until it is done.
  template <class F>
  auto transact_async(F fn, SessionOptions options) const {
    const Deadline until = std::min(until_, detail::deadline_after(options.deadline));
    const detail::DeadlineBound bound(until);
    return states_.async(
        [&states = states_, guard = guard_, until, fn = std::move(fn), options = std::move(options)]() mutable {
          return states.run_transaction([&] { return session_of(states, guard, until, options); }, fn);
        });
  }
  template <class F>
  auto transact_async(F fn) const {
    return transact_async(std::move(fn), SessionOptions());
  }
  /// For what is no atom: `states.in(visitor.context())`. Makes the client known, so that what is written for it can be
  /// reached again. Such writes are not compared with anything. Throws StateError.
  RequestContext context() {
    const detail::DeadlineBound bound(until_);
    while (guard_->version() == 0) {
      detail::UnitStep step = guard_->step();
      auto failure = detail::Unit(core(), {&step, 1}, core().deadline()).commit();
      if (!failure) {
        guard_->committed(step);
      } else if (!failure->conflict) {
        throw std::move(failure->error);
      } else if (auto ended = guard_->overtaken(core(), core().deadline())) {
        throw *std::move(ended);
      }
    }
    return known(*guard_);
  }

  /// This client is this user from now on, under a new id. Where it was nobody's, its states become the user's, as
  /// `merge` says, in the same step. Commit sessions before it. Those of other requests, if they write all the while,
  /// wait until it is done (for two seconds, if this process ends).
  ///
  /// Throws StateError, and has changed nothing: session_ended if the client has signed in or out since the request
  /// began; invalid_name or too_large if the id is empty, is not UTF-8, or cannot be in a scope; what
  /// `StateStore::promote` throws. Where the effect is unknown, the user may have what the client had.
  void sign_in(std::string_view user_id, const Merge& merge = {});
  /// The id reaches nothing any more, here or in requests that are under way, and what the client has of its own is
  /// deleted; a user's states stay. The visitor is a new client then. Throws StateError, whose effect is `applied` if
  /// only deleting failed.
  void sign_out();
  /// The same without blocking this thread. The visitor must be there until it is done, and is left alone meanwhile.
  StateTask<void> sign_in_async(std::string user_id) { return sign_in_async(std::move(user_id), Merge()); }
  StateTask<void> sign_in_async(std::string user_id, Merge merge) {
    const detail::DeadlineBound bound(until_);
    return states_.async([this, user_id = std::move(user_id), merge = std::move(merge)] { sign_in(user_id, merge); });
  }
  StateTask<void> sign_out_async() {
    const detail::DeadlineBound bound(until_);
    return states_.async([this] { sign_out(); });
  }

  /// What the client must be told: the value of a Set-Cookie header. Nothing where it knows its id, or has nothing that
  /// would be kept. Ask when all is committed, signed in, and signed out. Check before where a post comes from
  /// (Sec-Fetch-Site, Origin): a form of another site comes without the cookie, and this would replace the client's.
  std::optional<std::string> set_cookie() const {
    if (is_to_be_told_ && guard_->version() != 0) return session_cookie(guard_->id, options_.cookie);
    if (is_to_forget_) return expired_session_cookie(options_.cookie);
    return std::nullopt;
  }

 private:
  using Guard = detail::VisitorGuard;
  using Record = detail::VisitorRecord;
  static constexpr unsigned most_moves = 4;  // that an old id may be behind

  Visitor(StateStore& states, std::string_view cookies, Deadline until, VisitorOptions options)
      : states_(states), options_(std::move(options)), until_(until) {
    begin(cookies);
  }
  void begin(std::string_view cookies) {
    const detail::DeadlineBound bound(until_);
    if (const auto id = session_id_from(cookies, options_.cookie.name)) find(*id);
    if (!guard_) guard_ = newcomer();  // not before: randomness takes longer than all the rest
  }

  static Session session_of(StateStore& states, const std::shared_ptr<Guard>& guard, detail::Deadline until,
                            SessionOptions options) {
    return Session(states, scope_of(*guard), known(*guard), std::move(options), guard, until);
  }
  static Scope scope_of(const Guard& guard) {
    return guard.record.user.empty() ? guard.scope : Scope::user(guard.record.user);
  }
  static RequestContext known(const Guard& guard) {
    return {.client_id = guard.id.text(), .user_id = guard.record.user};
  }

  detail::StateCore& core() const noexcept { return states_.core_; }
  static std::int64_t now() { return Record::now(); }
  std::shared_ptr<Guard> guard(const SessionId& id, Scope scope, Record record, std::int64_t version) const {
    return std::make_shared<Guard>(id, std::move(scope), std::move(record), version, options_.ttl);
  }
  std::shared_ptr<Guard> newcomer(std::string_view user = {}) const {
    const SessionId id = SessionId::random();
    return guard(id, id.scope(), {.user = std::string(user), .renewed = now()}, 0);
  }

  void find(SessionId id) {
    for (unsigned moves = 0; moves <= most_moves; ++moves) {
      Scope scope = id.scope();
      const detail::SeenState seen = Guard::look(core(), scope, core().deadline()).value();
      const auto* const record = static_cast<const Record*>(seen.value.get());
      if (!record) return;
      if (record->moved_to.empty()) {
        guard_ = guard(id, std::move(scope), *record, Guard::version_to_expect(seen));
        is_to_be_told_ = false;
        is_behind_ = moves > 0;
        if (!is_behind_) renew();
        return;
      }
      const auto next = SessionId::parse(record->moved_to);
      if (!next || record->until <= now()) return;
      id = *next;
    }
  }
  /// So that it lives on; now and then, as it is a write. (Also after a clock that was ahead: else not before that time
  /// has come.) If it fails, the next request does it.
  void renew() {
    const std::int64_t renewed = guard_->record.renewed, time = now(), some = options_.ttl.count() / 10;
    if (time - some < renewed && renewed < time + some) return;
    if (!rewrite(&Record::renewed, time, core().deadline())) return;
    is_to_be_told_ = true;  // the browser counts the age of its cookie, too
  }
  /// Lets this client's commits wait, as they overtake the sign-in. If it fails, the next attempt finds out why.
  void hold(Deadline deadline) { rewrite(&Record::until, now() + Record::longest_hold.count(), deadline); }
  /// Changes the client's record, if nobody else has. Whether it has.
  bool rewrite(std::int64_t Record::* time, std::int64_t value, Deadline deadline) {
    Record next = guard_->record;
    next.*time = value;
    detail::UnitStep step = guard_->write(next, options_.ttl);
    if (detail::Unit(core(), {&step, 1}, deadline).commit()) return false;
    guard_ = guard(guard_->id, guard_->scope, std::move(next), step.version);
    return true;
  }
  /// The client's record has been written since the request began. Whether that was the very sign-in that is wanted.
  bool has_become(std::string_view user_id) {
    if (!guard_->overtaken(core(), core().deadline())) return false;
    const std::shared_ptr<Guard> before = guard_;
    find(before->id);
    if (guard_ == before || this->user_id() != user_id) {
      guard_ = before;
      throw Guard::ended();
    }
    return true;
  }

  StateStore& states_;
  const VisitorOptions options_;
  const detail::Deadline until_;
  std::shared_ptr<Guard> guard_;
  bool is_to_be_told_ = true;  // the client does not know its id
  bool is_behind_ = false;     // and is not to, as it brought an old one
  bool is_to_forget_ = false;
};

inline void Visitor::sign_in(std::string_view user_id, const Merge& merge) {
  const Scope user = Scope::user(user_id);
  for (std::string_view rest = user_id; !rest.empty();) {  // the record is text
    const std::size_t length = detail::utf8_length(rest);
    if (length == 0) throw StateError(StateErrorCode::invalid_name, "the id of a user is not UTF-8");
    rest.remove_prefix(length);
  }
  const detail::DeadlineBound bound(until_);
  const Deadline deadline = core().deadline();
  const std::chrono::milliseconds grace = detail::clamped_time(options_.grace);
  const PromoteOptions promote;
  for (unsigned failures = 1;; ++failures) {
    if (is_behind_) {
      if (this->user_id() == user_id) break;  // another request of this client has just done it
      guard_ = newcomer();                    // the session that the old id led to is none of this one's
      is_behind_ = false;
    }
    const std::shared_ptr<Guard> before = guard_;
    const std::shared_ptr<Guard> next = newcomer(user_id);
    const bool is_another = is_signed_in() && this->user_id() != user_id;
    const Scope& heir = is_signed_in() ? next->scope : user;

    detail::Promotion promotion(core(), before->scope, heir, merge, promote, deadline);
    promotion.leave(std::string(Record::key));
    std::vector<detail::UnitStep> steps;
    const bool is_known = before->version() != 0;
    if (is_known && !is_another) steps = promotion.steps();
    const std::size_t old = steps.size();
    if (is_known) {
      const Record moved{.moved_to = next->id.text(), .until = now() + grace.count()};
      const bool ends = is_another || grace.count() == 0;
      steps.push_back(ends ? before->erase() : before->write(moved, grace));
    }
    steps.push_back(next->step());
    const auto failure = detail::Unit(core(), steps, deadline).commit();
    if (!failure) {
      next->committed(steps.back());
      guard_ = next;
      try {  // what was written in the very moment before; from now on no session of the old id can be committed
        if (is_another) states_.delete_scope(before->scope);
        if (is_known && !is_another) promotion.run();
      } catch (...) {  // the client has signed in none the less
      }
      break;
    }
    if (!failure->conflict) throw failure->error;
    if (*failure->conflict < old) {
      if (failures > 1) hold(deadline);
    } else if (is_known && *failure->conflict == old && has_become(user_id)) {
      break;
    }
    if (!detail::pause_before(core(), failures, deadline)) throw failure->error;
  }
  is_to_be_told_ = true;
  is_behind_ = false;
  is_to_forget_ = false;
}

inline void Visitor::sign_out() {
  const detail::DeadlineBound bound(until_);
  const Deadline deadline = core().deadline();
  std::optional<SessionId> id = guard_->id;
  std::vector<Scope> scopes;
  for (unsigned failures = 1, moves = 0; id && moves <= most_moves;) {
    const Scope scope = id->scope();
    const detail::SeenState seen = Guard::look(core(), scope, deadline).value();
    const auto* const record = static_cast<const Record*>(seen.value.get());
    if (!record) break;
    detail::UnitStep step = guard(*id, scope, {}, seen.version)->erase();
    if (const auto failure = detail::Unit(core(), {&step, 1}, deadline).commit()) {
      if (!failure->conflict || !detail::pause_before(core(), failures++, deadline)) throw failure->error;
      continue;
    }
    scopes.push_back(scope);
    id = SessionId::parse(record->moved_to);  // another request has signed it in meanwhile
    ++moves;
  }
  guard_ = newcomer();
  is_to_be_told_ = is_to_forget_ = true;
  is_behind_ = false;
  try {
    for (const Scope& scope : scopes) states_.delete_scope(scope);
  } catch (const StateError& error) {
    throw StateError(
        error.code(),
        "the client is signed out, but not all that it had of its own is deleted: " + detail::reason(error),
        Effect::applied, true);
  }
}

}  // namespace atom::inline v0_1

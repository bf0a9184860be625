// What is read and written for a session, by any thread.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/ask.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/job.hpp>
#include <atom/state/detail/unit.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {
namespace detail {

/// A state with which each commit of a session is compared, so that it may not commit any more. Shared with what makes
/// sessions; any thread may call it.
class SessionGuard {
 public:
  virtual ~SessionGuard() = default;
  /// What each batch has besides: a check, or a write that makes it.
  virtual UnitStep step() const = 0;
  virtual bool is(const atom::Scope& scope, std::string_view key) const = 0;
  /// Somebody has written it. Nothing: the session may commit all the same, and `step` says how.
  virtual std::optional<StateError> overtaken(StateCore& core, Deadline deadline) = 0;
  virtual void committed(const UnitStep& step) noexcept = 0;
};

class CommitJob;
class LoadJob;

/// The session, which takes over what came of its jobs when they are done. Throws what code of the user's has thrown.
class JobOwner {
 public:
  virtual std::optional<StateError> take(CommitJob& job) = 0;
  virtual std::optional<StateError> take(LoadJob& job) = 0;

 protected:
  ~JobOwner() = default;
};

/// Work for a session. All that it needs is its own, so it may outlive the session.
class SessionJob : public Job {
 public:
  using Job::Job;
  virtual std::optional<StateError> hand_over_to(JobOwner& session) = 0;
  /// Once it is done.
  const std::optional<StateError>& error() const noexcept { return error_; }

 protected:
  void is_late(StateError error) override { set_error(std::move(error)); }
  void set_error(std::optional<StateError> error) { error_ = std::move(error); }

 private:
  std::optional<StateError> error_;
};

class CommitJob final : public SessionJob {
 public:
  /// A state that the session has looked at.
  struct Known {
    atom::Scope scope;
    std::string key;
    const TypeOps* type;
    SeenState fresh = {};
  };
  CommitJob(StateCore& core, std::vector<UnitStep> steps, std::shared_ptr<SessionGuard> guard, Deadline deadline)
      : SessionJob(core.engine ? deadline : Deadline::max()),  // in memory nothing waits
        core_(core),
        count_(steps.size()),
        steps_(std::move(steps)),
        guard_(std::move(guard)),
        deadline_(deadline) {}

  /// In case of a conflict: these are to be read again. Before it runs.
  void look_again_at(std::vector<Known> known) { known_ = std::move(known); }

  // Once it is done:

  std::optional<StateError> hand_over_to(JobOwner& session) override { return session.take(*this); }
  /// Of a conflict: what was to be read again. Empty: it was not.
  const std::vector<Known>& fresh() const noexcept { return known_; }
  std::span<const UnitStep> steps() const noexcept { return {steps_.data(), count_}; }

 private:
  void work() override {
    for (unsigned failures = 1;; ++failures) {
      steps_.resize(count_, UnitStep{UnitStep::Kind::check, atom::Scope::global(), {}});
      if (guard_) steps_.push_back(guard_->step());
      const std::optional<UnitFailure> failure = Unit(core_, steps_, deadline_).commit();
      if (!failure) {
        if (guard_) guard_->committed(steps_.back());
        return known_.clear();
      }
      set_error(failure->error);
      if (failure->conflict == count_) {
        if (auto ended = guard_->overtaken(core_, deadline_)) {
          set_error(std::move(ended));
        } else if (pause_before(core_, failures, deadline_)) {
          set_error(std::nullopt);
          continue;
        }
        return known_.clear();
      }
      if (!failure->conflict) return known_.clear();
      if (auto unread = look_again()) {
        set_error(std::move(unread));
        known_.clear();
      }
      return;
    }
  }
  void is_late(StateError error) override {
    SessionJob::is_late(std::move(error));
    known_.clear();
  }
  std::optional<StateError> look_again() {
    std::vector<Outcome> outcomes(known_.size());
    if (core_.engine) {
      std::vector<StateName> names;
      names.reserve(known_.size());
      for (const Known& known : known_) names.push_back({known.scope, known.key});
      if (auto error = read_states(core_, names, outcomes, deadline_)) return error;
    }
    for (std::size_t i = 0; i < known_.size(); ++i) {
      Known& known = known_[i];
      StateResult<SeenState> seen = core_.engine ? read_outcome(core_, known.scope, known.key, *known.type, outcomes[i])
                                                 : look_at(core_, known.scope, known.key, *known.type);
      if (!seen) return seen.error();
      known.fresh = *std::move(seen);
    }
    return std::nullopt;
  }

  StateCore& core_;
  const std::size_t count_;
  std::vector<UnitStep> steps_;  // and last the guard's
  const std::shared_ptr<SessionGuard> guard_;
  const Deadline deadline_;
  std::vector<Known> known_;
};

/// Reads what will be used.
class LoadJob final : public SessionJob {
 public:
  using Names = std::vector<std::pair<atom::Scope, std::string>>;
  LoadJob(StateCore& core, Names names, Deadline deadline)
      : SessionJob(deadline), core_(core), names_(std::move(names)), outcomes_(names_.size()) {}

  // Once it is done:

  std::optional<StateError> hand_over_to(JobOwner& session) override { return session.take(*this); }
  Names& names() noexcept { return names_; }
  /// Of each name.
  std::vector<Outcome>& outcomes() noexcept { return outcomes_; }

 private:
  void work() override {
    std::vector<StateName> names;
    for (const auto& [scope, key] : names_) names.push_back({scope, key});
    set_error(read_states(core_, names, outcomes_, deadline()));
  }

  StateCore& core_;
  Names names_;
  std::vector<Outcome> outcomes_;
};

}  // namespace detail
}  // namespace atom::inline v0_1

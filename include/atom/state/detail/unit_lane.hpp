// Batches that are carried out as a whole or not at all, one after the other, by whoever wants one: there is nothing to
// combine them with.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/lane.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

class UnitLane {
 public:
  UnitLane(BackendCalls& calls, std::chrono::milliseconds deadline) : calls_(calls), usual_deadline_(deadline) {}

  /// What came of each command; one that failed is why the others were not carried out. What is to be told is put into
  /// `events`.
  StateResult<std::vector<Outcome>> commit(std::span<const Command> commands, Deadline deadline, LaneEvents& events) {
    const Turn turn(*this, deadline);
    if (turn.is_refused()) return store_is_closed();
    if (!turn || Clock::now() >= deadline) return failure(std::nullopt, false);
    if (auto error = find_out(deadline, events)) return failure(error, false);
    std::vector<std::pair<atom::Scope, std::string>> names;
    for (const Command& command : commands) names.emplace_back(command.name.scope, command.name.key);
    std::vector<Outcome> outcomes(commands.size());
    bool is_in_doubt = false;
    lane_.next();
    if (auto error = send(commands, outcomes, deadline, is_in_doubt, events)) {
      if (is_in_doubt) {
        in_doubt_ = std::move(names);
        events.add(StateEvent::Kind::in_doubt, error->what());
      } else {
        lane_.give_back();
      }
      return failure(error, is_in_doubt);
    }
    const bool has_effect = std::none_of(outcomes.begin(), outcomes.end(),
                                         [](const Outcome& outcome) { return outcome.error.has_value(); });
    lane_.acknowledge(has_effect ? commands.size() : 0);
    return outcomes;
  }
  /// None begins from now on. Returns when none is under way or waits for its turn; false: at the deadline there still
  /// is one.
  bool close(Deadline deadline) {
    std::unique_lock lock(mutex_);
    is_closed_ = true;
    return is_idle_.wait_until(lock, deadline, [&] { return under_way_ == 0; });
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// One after the other. (Not a timed_mutex: ThreadSanitizer does not know one that waits until a time.)
  class Turn {
   public:
    Turn(UnitLane& units, Deadline deadline) : units_(units) {
      std::unique_lock lock(units.mutex_);
      is_refused_ = units.is_closed_;
      if (is_refused_) return;
      ++units.under_way_;
      is_mine_ = units.is_free_.wait_until(lock, deadline, [&] { return !units.is_taken_; });
      if (is_mine_) units.is_taken_ = true;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (is_refused_) return;
      const std::lock_guard lock(units_.mutex_);
      if (--units_.under_way_ == 0) units_.is_idle_.notify_all();
      if (!is_mine_) return;
      units_.is_taken_ = false;
      units_.is_free_.notify_one();
    }
    bool is_refused() const noexcept { return is_refused_; }
    explicit operator bool() const noexcept { return is_mine_; }

   private:
    UnitLane& units_;
    bool is_refused_ = false;
    bool is_mine_ = false;
  };

  /// What became of the last batch, if that is in doubt: it takes no effect any more, see Lane.
  std::optional<StateError> find_out(Deadline deadline, LaneEvents& events) {
    if (in_doubt_.empty()) return std::nullopt;
    std::vector<Command> checks;
    checks.reserve(in_doubt_.size());
    for (const auto& [scope, key] : in_doubt_) {
      checks.push_back({.kind = Command::Kind::check, .name = {scope, key}});
    }
    std::vector<Outcome> outcomes(checks.size());
    bool is_in_doubt = true;
    if (auto error = send(checks, outcomes, deadline, is_in_doubt, events)) return error;
    lane_.acknowledge(0);
    in_doubt_.clear();
    events.was_lost = true;
    return std::nullopt;
  }
  /// Until it is done, or will not be. `is_in_doubt` is left as it is known then.
  std::optional<StateError> send(std::span<const Command> commands, std::span<Outcome> outcomes, Deadline deadline,
                                 bool& is_in_doubt, LaneEvents& events) {
    for (unsigned failures = 1;; ++failures) {
      BatchResult result = calls_.execute(lane_.lane(), BatchMode::all_or_nothing, commands, outcomes, deadline);
      const bool is_refused = result.status == BatchStatus::not_applied && result.error && !result.error->retryable();
      if (result.status == BatchStatus::done || is_refused) failures_ = 0;
      if (result.status == BatchStatus::done) return std::nullopt;
      if (result.status == BatchStatus::gap && !lane_.lane().after_loss) {
        events.add_loss(lane_.lose(result.last_known));
        continue;
      }
      is_in_doubt = is_in_doubt || result.status == BatchStatus::in_doubt;
      if (!result.error) {
        result.error = StateError(StateErrorCode::unavailable, "it gives no reason", Effect::none, true);
      }
      if (is_refused) return result.error;
      calls_.count_retry();
      events.add_retry(++failures_, result.error);
      const Deadline next = Clock::now() + delay_after(failures, usual_deadline_);
      if (next >= deadline) return result.error;
      std::this_thread::sleep_until(next);
    }
  }
  StateError failure(const std::optional<StateError>& why, bool is_in_doubt) const {
    const Effect effect = is_in_doubt ? Effect::unknown : Effect::none;
    if (why && !why->retryable()) return {why->code(), reason(*why), effect, false};
    std::string message = "no answer from " + std::string(calls_.traits().name) + " before the deadline";
    if (why) message += "; the last error was: " + reason(*why);
    return {why ? why->code() : StateErrorCode::timed_out, message, effect, true};
  }

  BackendCalls& calls_;
  const std::chrono::milliseconds usual_deadline_;
  std::mutex mutex_;
  std::condition_variable is_free_, is_idle_;
  bool is_taken_ = false;
  bool is_closed_ = false;
  unsigned under_way_ = 0;  // those that wait for their turn included
  unsigned failures_ = 0;   // in a row, also of several batches
  NumberedLane lane_{1};
  std::vector<std::pair<atom::Scope, std::string>> in_doubt_;  // the states of the last batch
};

}  // namespace atom::inline v0_1::detail

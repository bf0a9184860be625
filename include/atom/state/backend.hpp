// What a database must be able to do for a StateStore: carry out a batch of commands, exactly once. All that is hard
// besides (who waits for whom, what is tried again, what is cached) is the engine's. A backend of one's own is a class
// with these functions; examples/own_backend is one of some hundred lines.
//
// Values are text (JSON), with the number of their format (`atom_version` of the type, see state/type.hpp).
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/type.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

/// When waiting ends.
using Deadline = std::chrono::steady_clock::time_point;

/// Who sends a batch, and which of its batches it is. A batch that is sent again, as nobody knows what became of it,
/// has the same number; so whoever carries it out can tell, if the last number of each lane lies where the data lies
/// and changes in the same step. It has as many commands, too, of the same states; but those for which nobody waits any
/// more have become a `check` of no version, so that nothing takes effect long after its caller has given up. (One that
/// was carried out before has the outcomes of that, whatever its commands are now.)
struct Lane {
  std::array<std::byte, 16> session{};  ///< random, of one engine
  std::uint32_t number = 0;
  std::uint64_t sequence = 0;  ///< 1, 2, ...
  /// Carry it out even if batches are missing before it: they are known to be lost.
  bool after_loss = false;
};

/// Which state.
struct StateName {
  const Scope& scope;
  std::string_view key;
  /// Of one that is read: begins its time to live anew, so many milliseconds from now on, if it is still there; 0: does
  /// not. (That may be done twice, so it needs no lane.)
  std::int64_t ttl = 0;
};

/// A value as it is stored.
struct StoredValue {
  std::string text;
  int format = 0;
};

/// One step of a batch. A batch has at most one for each state.
struct Command {
  enum class Kind : std::uint8_t {
    write,  ///< Make `value` the value.
    apply,  ///< Run `equations` on the value, or on `value` where there is none.
    erase,  ///< End the value.
    check,  ///< Do nothing but compare the version.
  };
  Kind kind;
  StateName name;
  /// Only if the version is this one; 0: only if there is no value. Else the outcome is a conflict.
  std::optional<std::int64_t> expected = {};
  /// Of a write; of an apply, what it starts from where there is no value.
  const StoredValue* value = nullptr;
  /// One after the other; one that fails leaves the value as it was, and the next goes on. More than one only where
  /// `BackendTraits::many_equations` says so, and each only where `Backend::runs` does.
  std::span<const AnyEquation* const> equations = {};
  /// Of the value, for who runs equations.
  const detail::TypeOps* type = nullptr;
  /// Time to live from now on, in milliseconds; 0: for ever.
  std::int64_t ttl = 0;
  /// Written with a value that is new; `StateOptions::labels` says what they may be.
  std::span<const std::string> labels = {};
};

/// What came of a command.
struct Outcome {
  /// Why it, alone, had no effect: conflict; undecodable (what is stored is no JSON of ours); of an equation also
  /// overflow, division_by_zero, not_finite or too_large.
  std::optional<StateErrorCode> error = {};
  /// Afterwards; 0: there is no value.
  /// Of an erase: what it was.
  std::int64_t version = 0;
  /// Of an apply, the value before it; of a conflict, the one that is there.
  std::optional<StoredValue> value = {};
};

enum class BatchMode : std::uint8_t {
  independent,     ///< Each command takes effect or not, on its own.
  all_or_nothing,  ///< If one fails, none takes effect.
};

enum class BatchStatus : std::uint8_t {
  done,         ///< All outcomes are filled in, those of the first time if it was carried out before.
  not_applied,  ///< It had no effect, and will have none; its number is free for another batch.
  in_doubt,     ///< Nobody knows: it is sent again, with the same number, to find out.
  gap,          ///< Of this lane fewer batches are known than were acknowledged: the database has lost some.
};

struct BatchResult {
  BatchStatus status = BatchStatus::done;
  /// Unless it is done: why. Of one that is not applied, whether it may be tried again is what its `retryable` says.
  std::optional<StateError> error = {};
  /// Of a gap: the last number of the lane that the database knows, or 0; so it can be told how much was lost.
  std::optional<std::uint64_t> last_known = {};
};

/// A state that was found.
struct FoundState {
  Scope scope;
  std::string key;
  std::int64_t version;
  StoredValue value;
};

/// A state that has ended, or whose value is to be read.
struct ChangedState {
  ChangedState(Scope in, std::string_view its_key, std::int64_t its_version)
      : scope(std::move(in)), key(its_key), version(its_version) {}
  Scope scope;
  std::string key;
  std::int64_t version;
};
/// Takes what has changed. Called by the thread that called `Feed::poll`; it may call the backend meanwhile.
class FeedSink {
 public:
  virtual ~FeedSink() = default;
  /// The state was written, by whomever. Without a value: it has ended, or what it is now is to be read.
  virtual void changed(const Scope& scope, std::string_view key, std::int64_t version,
                       std::optional<StoredValue> value) = 0;
  /// The same without values, of several at once, so that they can be read together.
  virtual void to_be_read(std::span<const ChangedState> states) {
    for (const ChangedState& state : states) changed(state.scope, state.key, state.version, std::nullopt);
  }
  /// Anything may have changed.
  virtual void lost_track() = 0;
};

/// Changes, as they come.
class Feed {
 public:
  virtual ~Feed() = default;
  /// Waits for changes, by whomever, and hands them to the sink, until the deadline, or until it is woken. While it has
  /// to connect first, it may take some seconds longer; woken, it does not.
  virtual std::optional<StateError> poll(FeedSink& sink, Deadline deadline) = 0;
  /// Ends a `poll` that is under way in another thread.
  virtual void wake() noexcept = 0;
};

struct BackendTraits {
  /// A word for messages: "sqlite".
  std::string_view name;
  std::size_t most_commands = 1000;       ///< in a batch
  std::size_t most_bytes = 1u << 20;      ///< of values in a batch
  std::size_t most_value_bytes = 262144;  ///< of one value
  bool all_or_nothing = true;             ///< takes batches of that mode, of any scopes
  bool many_equations = false;            ///< takes several equations in one command
  /// It waits for no network: no thread is needed to keep it from blocking for long.
  bool local = false;
};

/// Called by several threads at once, but `execute` by one for each lane. Nothing throws but for lack of memory: errors
/// are values. Each function returns at the deadline, or soon after it.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual BackendTraits traits() const noexcept = 0;
  /// Connects, and sees whether everything is as it must be; `create`: makes what is missing.
  virtual std::optional<StateError> prepare(bool create, Deadline deadline) = 0;

  /// Carries out a batch. `outcomes` has as many elements as `commands`. What it does depends on the last number that
  /// is stored for the lane, or 0:
  /// - the next number, or with `after_loss` any greater one: carries the batch out, and stores the number and the
  ///   outcomes in the step that changes the data;
  /// - the same number: does nothing, and answers with the outcomes that are stored (done), or, where the batch broke
  ///   off half way, refuses it (not_applied, whose effect is unknown) until all that is left of it is checks;
  /// - a lower one, which a network has held back or repeated: does nothing, and refuses the batch (not_applied, with
  ///   an error that is not `retryable`); who sent it knows what came of it, or has given it up;
  /// - a greater one without `after_loss`: does nothing, and says which number is the last (gap).
  virtual BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands,
                              std::span<Outcome> outcomes, Deadline deadline) = 0;
  /// Whether it runs this equation itself, with the very result that `evaluate` has. If not, the engine reads,
  /// evaluates, and writes if nobody has written meanwhile.
  virtual bool runs(const AnyEquation&, const detail::TypeOps&) const { return false; }

  /// The value that this text is, of that type; see `TextBackend`.
  virtual StateResult<detail::SharedValue> read_value(const detail::TypeOps& type, const StoredValue& stored) const = 0;

  /// Fills in the outcome of each name: version and value. Those with a `ttl` have it from now on, and no new version.
  virtual std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes,
                                         Deadline deadline) = 0;
  /// Up to `limit` states of a scope, or of it and all below, or of all scopes, after a name (or from the first on), by
  /// scope and key.
  struct Range {
    const Scope* scope = nullptr;  ///< null: all
    bool below = false;
    std::string_view after_scope = {};
    std::string_view after_key = {};
    std::size_t limit = 1000;
  };
  virtual StateResult<std::vector<FoundState>> list(const Range& range, Deadline deadline) = 0;
  /// Up to `limit` scopes in which a state has a value, by text, after that text.
  virtual StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) = 0;
  /// Ends all values of a scope and what lies below; those that have one of these labels. Which they were. May be
  /// called again if it is in doubt.
  virtual StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline deadline) = 0;
  virtual StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline deadline) = 0;

  /// What changes from now on; null: it does not tell, and what somebody listens to is read again and again, as often
  /// as `StoreOptions::staleness` says. For one store, that asks in one thread.
  virtual std::unique_ptr<Feed> open_feed() { return nullptr; }
};

}  // namespace atom::inline v0_1

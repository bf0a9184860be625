// A database on which no one can rely: one behind a network and a server that fail, at random and as told.
#pragma once

#include <atom/backend/memory.hpp>
#include <atom/state/backend.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// What goes wrong with one batch.
enum class Fault : std::uint8_t {
  none,
  request_lost,     ///< It never arrives, and nobody knows that.
  answer_lost,      ///< It is carried out, and nobody knows that.
  delayed,          ///< It arrives long after its sender has stopped waiting, maybe after newer ones.
  duplicated,       ///< It is carried out, and arrives once more, long after.
  refused,          ///< The database will not do it.
  refused_for_now,  ///< The same, but it may be tried again.
  slow,             ///< It takes long, up to the deadline or beyond.
  down,             ///< The server is away for a while.
  set_back,         ///< The server forgets the last batches that it has acknowledged, this one included.
};
inline constexpr std::size_t fault_kinds = 10;

struct Faults {
  std::uint64_t seed = 1;
  /// How many of a thousand batches have it, by kind.
  std::array<unsigned, fault_kinds> per_mille = {};
  std::chrono::milliseconds slow_for{3};
  std::chrono::milliseconds down_for{10};

  Faults& with(Fault fault, unsigned of_a_thousand) {
    per_mille[static_cast<std::size_t>(fault)] = of_a_thousand;
    return *this;
  }
};

/// Passes everything on. What tests change of a backend they change in a class derived from this.
class PassingBackend : public atom::Backend {
 public:
  explicit PassingBackend(std::shared_ptr<atom::Backend> inner) : inner_(std::move(inner)) {}

  atom::BackendTraits traits() const noexcept override { return inner_->traits(); }
  std::optional<atom::StateError> prepare(bool create, atom::Deadline deadline) override {
    return inner_->prepare(create, deadline);
  }
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    return inner_->execute(lane, mode, commands, outcomes, deadline);
  }
  bool runs(const atom::AnyEquation& equation, const atom::detail::TypeOps& type) const override {
    return inner_->runs(equation, type);
  }
  atom::StateResult<atom::detail::SharedValue> read_value(const atom::detail::TypeOps& type,
                                                          const atom::StoredValue& stored) const override {
    return inner_->read_value(type, stored);
  }
  std::optional<atom::StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                       atom::Deadline deadline) override {
    return inner_->read(names, outcomes, deadline);
  }
  atom::StateResult<std::vector<atom::FoundState>> list(const Range& range, atom::Deadline deadline) override {
    return inner_->list(range, deadline);
  }
  atom::StateResult<std::vector<atom::Scope>> scopes(std::string_view after, std::size_t limit,
                                                     atom::Deadline deadline) override {
    return inner_->scopes(after, limit, deadline);
  }
  atom::StateResult<std::vector<atom::FoundState>> erase_scope(const atom::Scope& scope,
                                                               atom::Deadline deadline) override {
    return inner_->erase_scope(scope, deadline);
  }
  atom::StateResult<std::vector<atom::FoundState>> purge(std::span<const std::string> labels,
                                                         atom::Deadline deadline) override {
    return inner_->purge(labels, deadline);
  }
  std::unique_ptr<atom::Feed> open_feed() override { return inner_->open_feed(); }

 protected:
  atom::Backend& inner() const noexcept { return *inner_; }

 private:
  std::shared_ptr<atom::Backend> inner_;
};

/// A database that is away when a test says so.
class UnreachableBackend : public PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  std::atomic<bool> is_away = false;

  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    if (is_away) return {atom::BatchStatus::not_applied, error()};
    return PassingBackend::execute(lane, mode, commands, outcomes, deadline);
  }
  std::optional<atom::StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                       atom::Deadline deadline) override {
    if (is_away) return error();
    return PassingBackend::read(names, outcomes, deadline);
  }

 private:
  static atom::StateError error() { return {atom::StateErrorCode::unavailable, "nobody is there"}; }
};

/// Over an atom::Memory, or over what stands before one (`inner`); or over any other database, which cannot be set
/// back.
class FaultyBackend : public PassingBackend {
 public:
  explicit FaultyBackend(std::shared_ptr<atom::Memory> memory, Faults faults = {},
                         std::shared_ptr<atom::Backend> inner = nullptr)
      : PassingBackend(inner ? inner : memory), memory_(std::move(memory)), faults_(faults), random_(faults.seed) {}
  explicit FaultyBackend(std::shared_ptr<atom::Backend> inner, Faults faults = {})
      : PassingBackend(std::move(inner)), faults_(faults), random_(faults.seed) {}

  /// The next batches have these faults, one each; after that it is by chance again.
  void script(std::initializer_list<Fault> faults) {
    const std::lock_guard lock(mutex_);
    script_.insert(script_.end(), faults);
  }
  /// Nothing goes wrong any more.
  void calm_down() {
    const std::lock_guard lock(mutex_);
    faults_.per_mille = {};
    script_.clear();
    down_until_ = {};
  }
  /// Away until it is called with false.
  void set_down(bool down) {
    const std::lock_guard lock(mutex_);
    down_until_ = down ? atom::Deadline::max() : atom::Deadline();
  }
  /// Puts back what there was before the last so many batches, as if a server had not kept them.
  void set_back(std::size_t batches) {
    const std::lock_guard lock(mutex_);
    go_back(batches);
  }
  /// Lets all that was delayed or duplicated arrive now. (Where faults come by chance, some arrives before.)
  void deliver_late_ones() {
    const std::lock_guard lock(mutex_);
    while (!late_.empty()) deliver_one();
  }

  std::size_t happened(Fault fault) const {
    const std::lock_guard lock(mutex_);
    return happened_[static_cast<std::size_t>(fault)];
  }
  std::size_t batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  /// How many calls of one lane there were at once, at most.
  std::size_t most_at_once() const {
    const std::lock_guard lock(mutex_);
    return most_at_once_;
  }

  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    using Status = atom::BatchStatus;
    using Code = atom::StateErrorCode;
    std::unique_lock lock(mutex_);
    ++batches_;
    std::size_t& at_once = at_once_[{lane.session, lane.number}];
    most_at_once_ = std::max(most_at_once_, ++at_once);
    struct Leaves {
      std::unique_lock<std::mutex>& lock;
      std::size_t& count;
      ~Leaves() {
        if (!lock) lock.lock();
        --count;
      }
    } leaves{lock, at_once};

    const bool by_chance = faults_.per_mille != decltype(faults_.per_mille){};
    while (by_chance && !late_.empty() && random_() % 4 == 0) deliver_one();
    const Fault fault = next_fault();
    ++happened_[static_cast<std::size_t>(fault)];
    const auto carry_out = [&] {
      keep_for_later();
      return inner().execute(lane, mode, commands, outcomes, deadline);
    };
    switch (fault) {
      case Fault::none:
        return carry_out();
      case Fault::request_lost:
        return {Status::in_doubt, error(Code::unavailable, "request lost", atom::Effect::unknown)};
      case Fault::answer_lost: {
        const atom::BatchResult result = carry_out();
        if (result.status == Status::gap) return result;
        forget(outcomes);
        return {Status::in_doubt, error(Code::unavailable, "answer lost", atom::Effect::unknown)};
      }
      case Fault::delayed:
        if (!has_equations(commands)) late_.emplace_back(lane, mode, commands);
        return {Status::in_doubt, error(Code::unavailable, "request delayed", atom::Effect::unknown)};
      case Fault::duplicated: {
        const atom::BatchResult result = carry_out();
        if (result.status == Status::done) late_.emplace_back(lane, mode, commands);
        return result;
      }
      case Fault::refused:
        return {Status::not_applied, atom::StateError(Code::refused, "refused")};
      case Fault::refused_for_now:
        return {Status::not_applied, error(Code::unavailable, "refused for now", atom::Effect::none)};
      case Fault::slow: {
        const atom::Deadline until = std::min(deadline, Clock::now() + faults_.slow_for);
        const bool arrives = random_() % 2 == 0;
        lock.unlock();
        std::this_thread::sleep_until(until);
        lock.lock();
        if (until < deadline) return carry_out();
        if (arrives) {
          const atom::BatchResult result = carry_out();
          if (result.status == Status::gap) return result;
          forget(outcomes);
        }
        return {Status::in_doubt, error(Code::timed_out, "too slow", atom::Effect::unknown)};
      }
      case Fault::down:
        if (down_until_ < Clock::now()) down_until_ = Clock::now() + faults_.down_for;
        return {Status::not_applied, error(Code::unavailable, "down", atom::Effect::none)};
      case Fault::set_back: {
        const atom::BatchResult result = carry_out();
        if (result.status != Status::done) return result;
        go_back(1 + random_() % 3);
        return result;
      }
    }
    return {};
  }
  std::optional<atom::StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                       atom::Deadline deadline) override {
    {
      const std::lock_guard lock(mutex_);
      if (down_until_ > Clock::now()) return error(atom::StateErrorCode::unavailable, "down", atom::Effect::none);
    }
    return inner().read(names, outcomes, deadline);
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// A batch with all that it refers to.
  struct Late {
    Late(const atom::Lane& its_lane, atom::BatchMode its_mode, std::span<const atom::Command> all)
        : lane(its_lane), mode(its_mode) {
      for (const atom::Command& command : all) {
        commands.push_back({command.kind, command.name.scope, std::string(command.name.key), command.expected,
                            command.value ? *command.value : atom::StoredValue(), command.type});
      }
    }
    struct Owned {
      atom::Command::Kind kind;
      atom::Scope scope;
      std::string key;
      std::optional<std::int64_t> expected;
      atom::StoredValue value;
      const atom::detail::TypeOps* type;
    };
    atom::Lane lane;
    atom::BatchMode mode;
    std::vector<Owned> commands;
  };

  static atom::StateError error(atom::StateErrorCode code, const char* text, atom::Effect effect) {
    return {code, text, effect, true};
  }
  static bool has_equations(std::span<const atom::Command> commands) {
    return std::any_of(commands.begin(), commands.end(),
                       [](const atom::Command& command) { return command.kind == atom::Command::Kind::apply; });
  }
  /// Nobody is to rely on outcomes that were not told.
  static void forget(std::span<atom::Outcome> outcomes) {
    for (atom::Outcome& outcome : outcomes) {
      outcome = {.version = 4711, .value = atom::StoredValue{.text = "\"not told\"", .format = 99}};
    }
  }

  Fault next_fault() {
    if (down_until_ > Clock::now()) return Fault::down;
    if (!script_.empty()) {
      const Fault fault = script_.front();
      script_.pop_front();
      return fault;
    }
    unsigned chance = static_cast<unsigned>(random_() % 1000);
    for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
      if (chance < faults_.per_mille[kind]) return static_cast<Fault>(kind);
      chance -= faults_.per_mille[kind];
    }
    return Fault::none;
  }
  void deliver_one() {
    const std::size_t which = random_() % late_.size();
    const Late late = std::move(late_[which]);
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(which));
    std::vector<atom::Command> commands;
    for (const Late::Owned& owned : late.commands) {
      commands.push_back({.kind = owned.kind,
                          .name = {owned.scope, owned.key},
                          .expected = owned.expected,
                          .value = &owned.value,
                          .type = owned.type});
    }
    std::vector<atom::Outcome> outcomes(commands.size());
    (void)inner().execute(late.lane, late.mode, commands, outcomes, Clock::now() + std::chrono::seconds(1));
  }
  void keep_for_later() {
    if (faults_.per_mille[static_cast<std::size_t>(Fault::set_back)] == 0 && !keeps_) return;
    before_.push_back(std::make_unique<atom::Memory>(*memory_));
    if (before_.size() > 8) before_.pop_front();
  }
  void go_back(std::size_t batches) {
    const std::size_t last = before_.size() - std::min(batches, before_.size());
    if (last == before_.size()) return;
    *memory_ = *before_[last];
    before_.resize(last);
    late_.clear();  // its connections are gone as well
  }

 public:
  /// From now on what is needed for `set_back` is kept.
  void keep() {
    const std::lock_guard lock(mutex_);
    keeps_ = true;
  }

 private:
  std::shared_ptr<atom::Memory> memory_;
  mutable std::mutex mutex_;
  Faults faults_;
  std::mt19937_64 random_;
  std::deque<Fault> script_;
  bool keeps_ = false;
  atom::Deadline down_until_{};
  std::vector<Late> late_;
  std::deque<std::unique_ptr<atom::Memory>> before_;  // each of the last batches
  std::array<std::size_t, fault_kinds> happened_{};
  std::size_t batches_ = 0;
  std::map<std::pair<std::array<std::byte, 16>, std::uint32_t>, std::size_t> at_once_;
  std::size_t most_at_once_ = 0;
};

/// Over an atom::Memory: one that runs equations itself.
class EquationBackend : public PassingBackend {
 public:
  EquationBackend(std::shared_ptr<atom::Memory> memory, bool many) : PassingBackend(memory), many_(many) {}

  atom::BackendTraits traits() const noexcept override {
    atom::BackendTraits traits = inner().traits();
    traits.many_equations = many_;
    return traits;
  }
  bool runs(const atom::AnyEquation&, const atom::detail::TypeOps&) const override { return true; }

  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    const std::lock_guard lock(mutex_);
    Told& told = told_[{lane.session, lane.number}];
    if (lane.sequence == told.sequence && outcomes.size() == told.outcomes.size()) {
      std::copy(told.outcomes.begin(), told.outcomes.end(), outcomes.begin());
      return {};
    }
    std::vector<atom::Command> plain(commands.begin(), commands.end());
    std::vector<atom::StoredValue> values(commands.size());
    std::vector<std::optional<atom::StoredValue>> before(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (commands[i].kind == atom::Command::Kind::apply) calculate(commands[i], plain[i], values[i], before[i]);
    }
    Told next{lane.sequence, std::vector<atom::Outcome>(commands.size())};
    atom::BatchResult result = inner().execute(lane, mode, plain, next.outcomes, deadline);
    if (result.status != atom::BatchStatus::done) return result;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (commands[i].kind == atom::Command::Kind::apply) next.outcomes[i].value = std::move(before[i]);
    }
    told = std::move(next);  // from here on nothing is calculated again, whatever is thrown
    std::copy(told.outcomes.begin(), told.outcomes.end(), outcomes.begin());
    return result;
  }
  std::size_t equations() const noexcept { return equations_; }
  bool had_too_many() const noexcept { return had_too_many_; }

 private:
  struct Told {
    std::uint64_t sequence = 0;
    std::vector<atom::Outcome> outcomes;
  };

  void calculate(const atom::Command& command, atom::Command& plain, atom::StoredValue& value,
                 std::optional<atom::StoredValue>& before) {
    equations_ += command.equations.size();
    had_too_many_ = had_too_many_ || (!many_ && command.equations.size() > 1);
    atom::Outcome now;
    (void)inner().read({&command.name, 1}, {&now, 1}, {});
    before = now.value;
    const atom::StateResult<atom::detail::SharedValue> start =
        inner().read_value(*command.type, now.value ? *now.value : *command.value);
    const std::shared_ptr<void> next = atom::detail::copy_value(*command.type, start.value().get());
    bool has_changed = false;
    for (const atom::AnyEquation* const equation : command.equations) {
      has_changed = !equation->apply_to(next.get()) || has_changed;
    }
    atom::detail::JsonWriter writer;
    command.type->write(next.get(), writer);
    value = {std::string(writer.text()), command.type->version};
    plain.kind = has_changed ? atom::Command::Kind::write : atom::Command::Kind::check;
    plain.value = &value;
  }

  const bool many_;
  std::mutex mutex_;
  std::map<std::pair<std::array<std::byte, 16>, std::uint32_t>, Told> told_;
  std::size_t equations_ = 0;
  bool had_too_many_ = false;
};

}  // namespace support

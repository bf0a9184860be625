// A database of one's own behind atom::StateStore. This one is a std::map; with another, its functions send a query
// each, and `execute` is one transaction.
#pragma once

#include <atom/state/state_store.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

class OwnBackend : public atom::TextBackend {
 public:
  atom::BackendTraits traits() const noexcept override { return {.name = "own backend"}; }
  std::optional<atom::StateError> prepare(bool /*create*/, atom::Deadline) override { return std::nullopt; }

  // A batch takes effect once, however often it arrives: what came of the last one of a lane is kept with the data. An
  // older one, which a network has held back, does nothing.
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline) override {
    const std::lock_guard transaction(mutex_);
    auto& [last, results] = lanes_[{lane.session, lane.number}];
    if (lane.sequence == last) {
      std::copy(results.begin(), results.end(), outcomes.begin());
      return {};
    }
    if (lane.sequence < last) {
      const atom::StateError error(atom::StateErrorCode::refused, "the batch is older than its lane");
      return {atom::BatchStatus::not_applied, error};
    }
    if (lane.sequence > last + 1 && !lane.after_loss) {
      const atom::StateError error(atom::StateErrorCode::history_lost, "batches are missing");
      return {atom::BatchStatus::gap, error, last};
    }
    bool all = true;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      outcomes[i] = look(commands[i].name);
      if (commands[i].expected.value_or(outcomes[i].version) != outcomes[i].version) {
        outcomes[i].error = atom::StateErrorCode::conflict;
        all = false;
      }
    }
    for (std::size_t i = 0; i < commands.size() && (all || mode == atom::BatchMode::independent); ++i) {
      if (!outcomes[i].error) carry_out(commands[i], outcomes[i]);
    }
    last = lane.sequence;
    results.assign(outcomes.begin(), outcomes.end());
    return {};
  }

  std::optional<atom::StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                       atom::Deadline) override {
    const std::lock_guard transaction(mutex_);
    for (std::size_t i = 0; i < names.size(); ++i) {
      outcomes[i] = look(names[i]);
      if (outcomes[i].version != 0 && names[i].ttl > 0) rows_[id(names[i])].ends = end_of(names[i].ttl);
    }
    return std::nullopt;
  }
  atom::StateResult<std::vector<atom::FoundState>> list(const Range& range, atom::Deadline) override {
    const Id after(range.after_scope, range.after_key);
    return where(range.limit, [&](const Id& id, const Row&) {
      const atom::Scope scope = scope_of(id);
      return id > after && (!range.scope || scope == *range.scope || (range.below && range.scope->contains(scope)));
    });
  }
  atom::StateResult<std::vector<atom::Scope>> scopes(std::string_view after, std::size_t limit,
                                                     atom::Deadline) override {
    std::vector<atom::Scope> found;
    for (const atom::FoundState& state :
         where(everything, [&](const Id& id, const Row&) { return id.first > after; })) {
      if (found.size() < limit && (found.empty() || found.back() != state.scope)) found.push_back(state.scope);
    }
    return found;
  }
  atom::StateResult<std::vector<atom::FoundState>> erase_scope(const atom::Scope& scope, atom::Deadline) override {
    return erase_where([&](const Id& id, const Row&) { return scope.contains(scope_of(id)); });
  }
  atom::StateResult<std::vector<atom::FoundState>> purge(std::span<const std::string> labels, atom::Deadline) override {
    return erase_where([&](const Id&, const Row& row) {
      return std::find_first_of(row.labels.begin(), row.labels.end(), labels.begin(), labels.end()) != row.labels.end();
    });
  }

 private:
  using Clock = std::chrono::system_clock;
  using Id = std::pair<std::string, std::string>;
  static constexpr std::size_t everything = static_cast<std::size_t>(-1);
  struct Row {
    atom::StoredValue value;
    std::int64_t version;
    std::vector<std::string> labels;
    Clock::time_point ends;
  };

  static Id id(const atom::StateName& name) { return {name.scope.text(), std::string(name.key)}; }
  static atom::Scope scope_of(const Id& id) { return atom::Scope::from_database(id.first).value(); }
  static Clock::time_point end_of(std::int64_t ttl) {
    return ttl > 0 ? Clock::now() + std::chrono::milliseconds(ttl) : Clock::time_point::max();
  }
  atom::Outcome look(const atom::StateName& name) const {
    const auto row = rows_.find(id(name));
    if (row == rows_.end() || row->second.ends <= Clock::now()) return {};
    return {.version = row->second.version, .value = row->second.value};
  }
  // A version is greater than any that the state ever had, also before it was erased.
  void carry_out(const atom::Command& command, atom::Outcome& outcome) {
    if (command.kind == atom::Command::Kind::write) {
      const bool is_new = std::exchange(outcome.version, ++last_version_) == 0;
      Row& row = rows_[id(command.name)];
      row.value = *command.value;
      row.version = outcome.version;
      row.ends = end_of(command.ttl);
      if (is_new) row.labels.assign(command.labels.begin(), command.labels.end());
    } else if (command.kind == atom::Command::Kind::erase) {
      rows_.erase(id(command.name));
    }
  }
  template <class Wanted>
  std::vector<atom::FoundState> where(std::size_t limit, Wanted wanted) const {
    const std::lock_guard transaction(mutex_);
    std::vector<atom::FoundState> found;
    for (const auto& [id, row] : rows_) {
      const bool is_there = found.size() < limit && row.ends > Clock::now();
      if (is_there && wanted(id, row)) found.push_back({scope_of(id), id.second, row.version, row.value});
    }
    return found;
  }
  template <class Wanted>
  std::vector<atom::FoundState> erase_where(Wanted wanted) {
    std::vector<atom::FoundState> found = where(everything, wanted);
    const std::lock_guard transaction(mutex_);
    for (const atom::FoundState& state : found) rows_.erase({state.scope.text(), state.key});
    return found;
  }

  mutable std::mutex mutex_;
  std::map<Id, Row> rows_;
  std::map<std::pair<std::array<std::byte, 16>, std::uint32_t>, std::pair<std::uint64_t, std::vector<atom::Outcome>>>
      lanes_;
  std::int64_t last_version_ = 0;
};

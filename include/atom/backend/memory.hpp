// A database that is none: values as text in the memory of the program, behind everything that stands before a real
// one. For tests of code that uses a database, with several stores on one (`std::shared_ptr<Memory>`) as several
// processes have it; and to read before one writes a backend of one's own. A StateStore without a backend also keeps
// its states in memory, and is many times faster.
#pragma once

#include <atom/backend/detail/change_queue.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/text_backend.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

class Memory : public TextBackend {
 public:
  Memory() = default;
  /// What the other one holds, to be put back later; nobody is told of what is lost then, as if a server had crashed.
  Memory(const Memory& other) { *this = other; }
  Memory& operator=(const Memory& other) {
    if (this == &other) return *this;
    const std::scoped_lock lock(mutex_, other.mutex_);
    rows_ = other.rows_;
    lanes_ = other.lanes_;
    last_version_ = other.last_version_;
    return *this;
  }

  /// For `open_backend`: `memory:`.
  static constexpr std::array<std::string_view, 1> url_schemes{"memory"};
  static Memory from_url(const std::string& url) {
    if (url != "memory:") throw StateError(StateErrorCode::refused, "the URL of states in memory is memory: alone");
    return {};
  }

  BackendTraits traits() const noexcept override { return {.name = "memory", .local = true}; }
  std::optional<StateError> prepare(bool, Deadline) override { return std::nullopt; }

  BatchResult execute(const Lane& lane, BatchMode mode, std::span<const Command> commands, std::span<Outcome> outcomes,
                      Deadline) override {
    const std::lock_guard lock(mutex_);
    LaneRecord& record = lanes_[{lane.session, lane.number}];
    if (lane.sequence == record.sequence) {
      std::copy(record.outcomes.begin(), record.outcomes.end(), outcomes.begin());
      return {};
    }
    if (lane.sequence < record.sequence) {
      return {BatchStatus::not_applied, StateError(StateErrorCode::refused, "the batch is older than the lane")};
    }
    if (lane.sequence > record.sequence + 1 && !lane.after_loss) {
      return {BatchStatus::gap, StateError(StateErrorCode::history_lost, "batches are missing"), record.sequence};
    }
    bool all = true;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      outcomes[i] = judge(commands[i]);
      all = all && !outcomes[i].error;
    }
    if (all || mode == BatchMode::independent) {
      for (std::size_t i = 0; i < commands.size(); ++i) {
        if (!outcomes[i].error) carry_out(commands[i], outcomes[i]);
      }
    }
    record.sequence = lane.sequence;
    record.outcomes.assign(outcomes.begin(), outcomes.end());
    return {};
  }

  std::optional<StateError> read(std::span<const StateName> names, std::span<Outcome> outcomes, Deadline) override {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < names.size(); ++i) {
      outcomes[i] = {};
      Row* const row = find(names[i]);
      if (!row) continue;
      outcomes[i] = {.version = row->version, .value = row->value};
      if (names[i].ttl > 0 && row->ends != Deadline::max()) row->ends = end_of(names[i].ttl);
    }
    return std::nullopt;
  }
  StateResult<std::vector<FoundState>> list(const Range& range, Deadline) override {
    const std::lock_guard lock(mutex_);
    std::vector<FoundState> found;
    for (auto row = rows_.upper_bound(Name(range.after_scope, range.after_key)); row != rows_.end(); ++row) {
      if (found.size() == range.limit) break;
      const Scope scope = scope_of(row->first);
      const bool is_in = !range.scope || (range.below ? range.scope->contains(scope) : *range.scope == scope);
      if (is_in && is_alive(row->second))
        found.push_back({scope, row->first.second, row->second.version, row->second.value});
    }
    return found;
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline) override {
    const std::lock_guard lock(mutex_);
    std::vector<Scope> found;
    for (const auto& [name, row] : rows_) {
      if (found.size() == limit) break;
      const bool is_new = found.empty() || found.back().text() != name.first;
      if (name.first > after && is_new && is_alive(row)) found.push_back(scope_of(name));
    }
    return found;
  }
  StateResult<std::vector<FoundState>> erase_scope(const Scope& scope, Deadline) override {
    return erase_where([&](const auto& row) { return scope.contains(scope_of(row.first)); });
  }
  StateResult<std::vector<FoundState>> purge(std::span<const std::string> labels, Deadline) override {
    return erase_where([&](const auto& row) {
      return std::any_of(labels.begin(), labels.end(), [&](const std::string& label) {
        return std::find(row.second.labels.begin(), row.second.labels.end(), label) != row.second.labels.end();
      });
    });
  }
  /// It must not outlive this.
  std::unique_ptr<Feed> open_feed() override { return std::make_unique<MemoryFeed>(*this); }

 private:
  using Clock = std::chrono::steady_clock;
  using Name = std::pair<std::string, std::string>;
  struct Row {
    StoredValue value;
    std::int64_t version;
    std::vector<std::string> labels;
    Deadline ends = Deadline::max();
  };
  struct LaneRecord {
    std::uint64_t sequence = 0;
    std::vector<Outcome> outcomes;
  };

  class MemoryFeed final : public Feed {
   public:
    explicit MemoryFeed(Memory& memory) : memory_(memory) {
      const std::lock_guard lock(memory_.mutex_);
      memory_.feeds_.push_back(&changes_);
    }
    ~MemoryFeed() override {
      const std::lock_guard lock(memory_.mutex_);
      std::erase(memory_.feeds_, &changes_);
    }
    std::optional<StateError> poll(FeedSink& sink, Deadline deadline) override {
      while (!changes_.wait(sink, deadline) && Clock::now() < deadline) {
      }
      return std::nullopt;
    }
    void wake() noexcept override { changes_.wake(); }

   private:
    Memory& memory_;
    detail::ChangeQueue changes_;
  };

  static Scope scope_of(const Name& name) { return Scope::from_database(name.first).value(); }
  static Deadline end_of(std::int64_t ttl) {
    return ttl > 0 ? Clock::now() + std::chrono::milliseconds(ttl) : Deadline::max();
  }
  static bool is_alive(const Row& row) { return row.ends > Clock::now(); }
  Row* find(const StateName& name) {
    const auto row = rows_.find(Name(name.scope.text(), name.key));
    return row != rows_.end() && is_alive(row->second) ? &row->second : nullptr;
  }
  Outcome judge(const Command& command) {
    const Row* const row = find(command.name);
    Outcome outcome{.version = row ? row->version : 0};
    if (command.expected && *command.expected != outcome.version) {
      outcome.error = StateErrorCode::conflict;
      if (row) outcome.value = row->value;
    }
    return outcome;
  }
  void carry_out(const Command& command, Outcome& outcome) {
    const Name name(command.name.scope.text(), command.name.key);
    if (command.kind == Command::Kind::write) {
      const bool is_new = outcome.version == 0;
      Row& row = rows_[name];
      row.value = *command.value;
      row.version = outcome.version = is_new ? ++last_version_ : outcome.version + 1;
      last_version_ = std::max(last_version_, row.version);
      if (is_new) row.labels.assign(command.labels.begin(), command.labels.end());
      row.ends = end_of(command.ttl);
      tell(command.name, row.version, &row.value);
    } else if (command.kind == Command::Kind::erase && outcome.version != 0) {
      rows_.erase(name);
      tell(command.name, outcome.version, nullptr);
    }
  }
  template <class Wanted>
  std::vector<FoundState> erase_where(Wanted wanted) {
    const std::lock_guard lock(mutex_);
    std::vector<FoundState> erased;
    for (auto row = rows_.begin(); row != rows_.end();) {
      if (!wanted(*row)) {
        ++row;
        continue;
      }
      if (is_alive(row->second)) {
        erased.push_back({scope_of(row->first), row->first.second, row->second.version, row->second.value});
        tell({erased.back().scope, erased.back().key}, erased.back().version, nullptr);
      }
      row = rows_.erase(row);
    }
    return erased;
  }
  void tell(const StateName& name, std::int64_t version, const StoredValue* value) noexcept {
    for (detail::ChangeQueue* feed : feeds_) feed->add(name, version, value);
  }

  mutable std::mutex mutex_;
  std::map<Name, Row> rows_;
  std::map<std::pair<std::array<std::byte, 16>, std::uint32_t>, LaneRecord> lanes_;
  std::vector<detail::ChangeQueue*> feeds_;
  std::int64_t last_version_ =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
};

}  // namespace atom::inline v0_1

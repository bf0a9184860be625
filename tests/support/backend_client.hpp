// What the tests of backends have in common: a folder of their own, and who sends batches.
#pragma once

#include <atom/detail/type_ops.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/scope.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace support {

/// A new folder, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "atom-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline atom::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline atom::Deadline soon() {
  return in(std::chrono::seconds(30));
}

struct More {
  std::optional<std::int64_t> expected = {};
  std::vector<std::string> labels = {};
  std::int64_t ttl = 0;
  int format = 0;
};

/// Commands, and all that they refer to.
class Batch {
 public:
  Batch& write(const atom::Scope& scope, std::string_view key, std::string_view text, const More& more = {}) {
    add(atom::Command::Kind::write, scope, key, more).value = &keep(text, more);
    return *this;
  }
  /// One equation, or several, for an integer; without a value it is 0.
  template <class... E>
  Batch& apply(const atom::Scope& scope, std::string_view key, const More& more, E... equations) {
    return apply_to<std::int64_t>(scope, key, "0", more, equations...);
  }
  template <class T, class... E>
  Batch& apply_to(const atom::Scope& scope, std::string_view key, std::string_view initial, const More& more,
                  E... equations) {
    atom::Command& command = add(atom::Command::Kind::apply, scope, key, more);
    command.value = &keep(initial, more);
    auto& pointers = pointers_.emplace_back();
    (pointers.push_back(&equations_.emplace_back(atom::AnyEquation::of<T>(std::move(equations)))), ...);
    command.equations = pointers;
    command.type = &atom::detail::type_ops<T>;
    return *this;
  }
  Batch& erase(const atom::Scope& scope, std::string_view key, const More& more = {}) {
    add(atom::Command::Kind::erase, scope, key, more);
    return *this;
  }
  Batch& check(const atom::Scope& scope, std::string_view key, const More& more = {}) {
    add(atom::Command::Kind::check, scope, key, more);
    return *this;
  }
  const std::vector<atom::Command>& commands() const noexcept { return commands_; }

 private:
  atom::Command& add(atom::Command::Kind kind, const atom::Scope& scope, std::string_view key, const More& more) {
    const atom::Scope& own = scopes_.emplace_back(scope);
    atom::Command command{.kind = kind, .name = {own, keys_.emplace_back(key)}, .expected = more.expected};
    command.type = &atom::detail::type_ops<std::int64_t>;
    command.ttl = more.ttl;
    command.labels = labels_.emplace_back(more.labels);
    commands_.push_back(command);
    return commands_.back();
  }
  const atom::StoredValue& keep(std::string_view text, const More& more) {
    return values_.emplace_back(atom::StoredValue{std::string(text), more.format});
  }

  std::deque<atom::Scope> scopes_;
  std::deque<std::string> keys_;
  std::deque<std::vector<std::string>> labels_;
  std::deque<atom::StoredValue> values_;
  std::deque<atom::AnyEquation> equations_;
  std::deque<std::vector<const atom::AnyEquation*>> pointers_;
  std::vector<atom::Command> commands_;
};

/// Who sends batches on a lane of its own.
class Client {
 public:
  explicit Client(atom::Backend& backend) : backend_(backend) {
    std::random_device random;
    for (std::byte& byte : lane.session) byte = static_cast<std::byte>(random());
  }

  /// Sends the next batch; all must go well.
  std::vector<atom::Outcome> run(const Batch& batch, atom::BatchMode mode = atom::BatchMode::independent) {
    ++lane.sequence;
    const atom::BatchResult result = send(batch, mode);
    if (result.error) throw std::runtime_error(result.error->what());
    return outcomes;
  }
  /// Sends one with the number that the lane has.
  atom::BatchResult send(const Batch& batch, atom::BatchMode mode = atom::BatchMode::independent,
                         atom::Deadline deadline = soon()) {
    outcomes.assign(batch.commands().size(), {});
    return backend_.execute(lane, mode, batch.commands(), outcomes, deadline);
  }
  atom::Outcome read(const atom::Scope& scope, std::string_view key) {
    const atom::StateName name{scope, key};
    atom::Outcome outcome;
    if (const auto error = backend_.read({&name, 1}, {&outcome, 1}, soon())) throw std::runtime_error(error->what());
    return outcome;
  }
  /// The text of a value; empty if there is none.
  std::string text(const atom::Scope& scope, std::string_view key) {
    const atom::Outcome outcome = read(scope, key);
    return outcome.value ? outcome.value->text : "";
  }

  atom::Lane lane;
  std::vector<atom::Outcome> outcomes;

 private:
  atom::Backend& backend_;
};

}  // namespace support

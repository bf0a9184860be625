// What a database is asked apart from the row of writes: how often, and what then.
#include <atom/state/detail/ask.hpp>

#include <atom/backend/memory.hpp>
#include <atom/state/state_store.hpp>

#include "support/catch.hpp"
#include "support/faulty_backend.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace state_ask_test {
namespace {

using namespace std::chrono_literals;
using atom::Deadline;
using atom::Effect;
using atom::Scope;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateResult;
using atom::StateStore;

/// Answers with these errors first.
class Failing final : public support::PassingBackend {
 public:
  Failing() : PassingBackend(std::make_shared<atom::Memory>()) {}

  std::optional<StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                 Deadline deadline) override {
    if (auto error = next()) return error;
    return inner().read(names, outcomes, deadline);
  }
  StateResult<std::vector<atom::FoundState>> list(const Range& range, Deadline deadline) override {
    if (auto error = next()) return *std::move(error);
    return inner().list(range, deadline);
  }
  StateResult<std::vector<Scope>> scopes(std::string_view after, std::size_t limit, Deadline deadline) override {
    if (auto error = next()) return *std::move(error);
    return inner().scopes(after, limit, deadline);
  }
  StateResult<std::vector<atom::FoundState>> erase_scope(const Scope& scope, Deadline deadline) override {
    if (auto error = next()) return *std::move(error);
    return inner().erase_scope(scope, deadline);
  }
  StateResult<std::vector<atom::FoundState>> purge(std::span<const std::string> labels, Deadline deadline) override {
    if (auto error = next()) return *std::move(error);
    return inner().purge(labels, deadline);
  }

  std::deque<StateError> errors;

 private:
  std::optional<StateError> next() {
    if (errors.empty()) return std::nullopt;
    StateError error = errors.front();
    errors.pop_front();
    return error;
  }
};

struct Asked {
  std::shared_ptr<Failing> backend = std::make_shared<Failing>();
  StateStore states{backend, {.deadline = 60s}};
};

/// Each way of asking apart from the row of writes: what reads, and what ends states.
using Question = void (*)(StateStore& states);
constexpr Question reads[] = {
    [](StateStore& states) { states.has_state({.key = "n", .scope = Scope{"s"}}); },
    [](StateStore& states) { static_cast<void>(states.list(Scope{"s"})); },
    [](StateStore& states) { static_cast<void>(states.scopes()); },
};
constexpr Question ends[] = {
    [](StateStore& states) { states.delete_scope(Scope{"s"}); },
    [](StateStore& states) { states.purge({"label"}); },
};
constexpr std::span<const Question> questions[] = {reads, ends};

const StateError busy(StateErrorCode::unavailable, "busy", Effect::none, true);
const StateError in_doubt(StateErrorCode::timed_out, "in doubt", Effect::unknown, true);
const StateError refused(StateErrorCode::refused, "refused");

TEST_CASE("what is read is asked for until there is an answer") {
  for (const auto read : reads) {
    Asked asked;
    asked.backend->errors = {busy, in_doubt, busy};
    CHECK_NOTHROW(read(asked.states));
    CHECK(asked.backend->errors.empty());
  }
}

TEST_CASE("what ends states is sent again, unless it may have had an effect: what it has ended is told once") {
  for (const auto end : ends) {
    Asked asked;
    asked.backend->errors = {busy, busy};
    CHECK_NOTHROW(end(asked.states));
    CHECK(asked.backend->errors.empty());
    asked.backend->errors = {busy, in_doubt, busy};
    CHECK_THROWS_WITH(end(asked.states), support::ContainsSubstring("in doubt"));
    CHECK(asked.backend->errors.size() == 1);
  }
}

TEST_CASE("what is refused for good is not asked for again") {
  Asked asked;
  for (const auto some : questions) {
    for (const auto question : some) {
      asked.backend->errors = {busy, refused, busy};
      CHECK_THROWS_WITH(question(asked.states), support::ContainsSubstring("refused"));
      CHECK(asked.backend->errors.size() == 1);
    }
  }
}

TEST_CASE("at the deadline the last error is the answer") {
  const auto backend = std::make_shared<Failing>();
  StateStore states{backend, {.deadline = 20ms}};
  backend->errors = std::deque<StateError>(100'000, busy);
  CHECK_THROWS_WITH(states.list().size(), support::ContainsSubstring("busy"));
}

TEST_CASE("a store that is closed asks nothing") {
  for (const auto some : questions) {
    for (const auto question : some) {
      Asked asked;
      asked.states.close(0ms);
      asked.backend->errors = {refused};
      CHECK_THROWS_WITH(question(asked.states), support::ContainsSubstring("closed"));
      CHECK(asked.backend->errors.size() == 1);
    }
  }
}

}  // namespace
}  // namespace state_ask_test

// Random equations with operands at the edges, run on states in memory, and by each database that runs some itself:
// each has the value that the evaluator gives, or is as it was.
//
//   fuzz_equation_states [--equations N] [--seed S]      defaults: 50000 equations in each, seed 1
//
// What stands in for DynamoDB is slow, so it gets a twentieth of them.
//
// A failure prints the equation.

#include "kinds.hpp"
#include "support/backend_client.hpp"
#include "support/equations.hpp"

#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/batch.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/state_store.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace fuzz {
namespace {

using atom::AnyEquation;
using atom::Command;
using atom::StateErrorCode;
using atom::StoredValue;

struct Tally {
  long equations = 0;
  long errors = 0;
};

bool complain(const AnyEquation& equation, const std::string& where) {
  std::printf("in %s: %s\n", where.c_str(), std::string(equation[0].shape->text()).c_str());
  return false;
}

// ---- In memory

/// On one state, by the typed way.
class InMemory {
 public:
  using Number = std::int64_t;
  bool compare(std::uint64_t seed, long count, Tally& tally) {
    support::RandomEquations<support::Value<Number>> equations(seed);
    bool is_good = true;
    auto visit = [&](const auto& equation, Number before) {
      const AnyEquation erased = AnyEquation::of<Number>(equation);
      Number expected = before;
      const std::optional<StateErrorCode> problem = erased.apply_to(&expected);
      state_.set(before);
      const atom::StateResult<Number> result = state_.try_apply(equation);
      const bool is_same = problem ? !result && result.error().code() == *problem : result && *result == expected;
      ++tally.equations;
      tally.errors += problem.has_value();
      if (!is_same || state_.get() != expected) is_good = complain(erased, "memory");
    };
    for (long i = 0; i < count && is_good; ++i) equations.next(visit);
    return is_good;
  }

 private:
  atom::StateStore store_;
  atom::State<Number> state_ = store_.get_state<Number>(0, {.key = "n", .scope = atom::Scope::global()});
};

// ---- In a database

class InDatabase {
 public:
  InDatabase(std::string name, std::shared_ptr<atom::Backend> database)
      : name_(std::move(name)), database_(std::move(database)) {
    if (const auto error = database_->prepare(true, support::soon())) throw std::runtime_error(error->what());
    client_.emplace(*database_);
  }

  /// Equations of all these subjects, until it has run so many itself.
  template <class... Subject>
  bool compare(std::uint64_t seed, long count, Tally& tally) {
    std::tuple<support::RandomEquations<Subject>...> equations{support::RandomEquations<Subject>(seed)...};
    while (tally.equations < count) {
      const long before = tally.equations;
      const auto compare_each = [&](auto&... each) { return (compare_some(each, tally) && ...); };
      if (!std::apply(compare_each, equations)) return false;
      if (tally.equations > before) continue;
      std::printf("%s runs no equation itself\n", name_.c_str());
      return false;
    }
    return true;
  }

 private:
  static constexpr int at_once = 500;

  /// Of the next ones those that it runs.
  template <class Subject>
  bool compare_some(support::RandomEquations<Subject>& equations, Tally& tally) {
    using Value = typename Subject::State;
    const atom::detail::TypeOps& type = atom::detail::type_ops<Value>;
    std::vector<typename support::RandomEquations<Subject>::Case> cases;
    for (int i = 0; i < at_once; ++i) {
      auto next = equations.next();
      if (database_->runs(next.equation, type)) cases.push_back(std::move(next));
    }
    if (cases.empty()) return true;
    std::vector<std::string> keys;
    std::vector<StoredValue> texts(cases.size());
    std::vector<const AnyEquation*> pointers;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      keys.push_back(std::to_string(i));
      pointers.push_back(&cases[i].equation);
      const auto id = [&] { return keys[i]; };
      if (auto error = atom::detail::write_value(database_->traits(), id, type, &cases[i].old, texts[i])) throw *error;
    }
    const std::vector<atom::Outcome> written = run(Command::Kind::write, type, keys, texts, pointers);
    const std::vector<atom::Outcome> applied = run(Command::Kind::apply, type, keys, texts, pointers);

    std::vector<atom::StateName> names;
    for (const std::string& key : keys) names.push_back({scope_, key});
    std::vector<atom::Outcome> now(keys.size());
    if (auto error = database_->read(names, now, support::soon())) throw *error;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      Value expected = cases[i].old;
      const bool fails = cases[i].equation.apply_to(&expected).has_value();
      ++tally.equations;
      tally.errors += fails;
      const auto holds = [&](const atom::Outcome& outcome, const Value& wanted) {
        const auto value = database_->read_value(type, outcome.value.value()).value();
        return *static_cast<const Value*>(value.get()) == wanted;
      };
      const bool is_newer = applied[i].version > written[i].version;
      const bool is_same = applied[i].version == written[i].version;
      if (!holds(now[i], expected) || !holds(applied[i], cases[i].old) || now[i].version != applied[i].version ||
          !(fails ? is_same : is_newer)) {
        return complain(cases[i].equation, name_);
      }
    }
    return true;
  }
  std::vector<atom::Outcome> run(Command::Kind kind, const atom::detail::TypeOps& type,
                                 const std::vector<std::string>& keys, const std::vector<StoredValue>& texts,
                                 const std::vector<const AnyEquation*>& equations) {
    std::vector<Command> commands;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Command command{.kind = kind, .name = {scope_, keys[i]}};
      command.value = &texts[i];
      command.type = &type;
      if (kind == Command::Kind::apply) command.equations = {&equations[i], 1};
      commands.push_back(command);
    }
    std::vector<atom::Outcome> outcomes(keys.size());
    ++client_->lane.sequence;
    const auto result =
        database_->execute(client_->lane, atom::BatchMode::independent, commands, outcomes, support::soon());
    if (result.error) throw *result.error;
    for (const atom::Outcome& outcome : outcomes) {
      if (outcome.error) throw std::runtime_error(std::string(to_string(*outcome.error)));
    }
    return outcomes;
  }

  const std::string name_;
  const std::shared_ptr<atom::Backend> database_;
  std::optional<support::Client> client_;
  const atom::Scope scope_ = atom::Scope::global();
};

int run(int argc, char** argv) {
  std::uint64_t seed = 1;
  long count = 50'000;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--equations") {
      count = std::strtol(argv[i + 1], nullptr, 10);
    } else if (i + 1 < argc && option == "--seed") {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::printf("usage: fuzz_equation_states [--equations N] [--seed S]\n");
      return option == "--help" ? 0 : 2;
    }
  }
  using support::Count, support::FieldOf, support::FieldsOf, support::Value;
  bool is_good = true;
  for (const NamedKind& each : all_kinds()) {
    Tally tally;
    const std::shared_ptr<atom::Backend> database = each.kind->backend();
    if (database) {
      const long part = each.is_slow ? (count + 19) / 20 : count;
      is_good = InDatabase(each.name, database)
                    .compare<Value<std::int64_t>, Value<std::uint64_t>, Value<std::int32_t>, Value<double>,
                             FieldOf<support::Small>, FieldsOf<support::Single, Count>>(seed, part, tally);
    } else {
      is_good = InMemory().compare(seed, count, tally);
    }
    std::printf("%s, seed %llu: %ld equations, %ld of them errors\n", each.name.c_str(),
                static_cast<unsigned long long>(seed), tally.equations, tally.errors);
    if (!is_good) break;
  }
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace fuzz

int main(int argc, char** argv) {
  try {
    return fuzz::run(argc, argv);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}

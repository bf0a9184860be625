// Random equations with operands at the edges, run on states in memory and in SQLite: each has the value that the
// evaluator gives, or is as it was.
//
//   fuzz_equation_states [--equations N] [--seed S]      defaults: 100000 equations, seed 1
//
// A failure prints the equation.

#include "support/backend_client.hpp"
#include "support/equations.hpp"

#include <atom/backend/sqlite.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/batch.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/state_store.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
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

bool complain(const AnyEquation& equation, const char* where) {
  std::printf("in %s: %s\n", where, std::string(equation[0].shape->text()).c_str());
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

// ---- In SQLite

class InSqlite {
 public:
  InSqlite() : sqlite_(atom::SqliteOptions{.path = folder_ / "app.db", .synchronous = atom::Synchronous::normal}) {
    if (const auto error = sqlite_.prepare(true, soon())) throw std::runtime_error(error->what());
  }
  template <class Subject>
  bool compare(std::uint64_t seed, long count, Tally& tally) {
    support::RandomEquations<Subject> equations(seed);
    for (long i = 0; i < count; i += at_once) {
      if (!compare_some(equations, tally)) return false;
    }
    return true;
  }

 private:
  static constexpr int at_once = 500;
  static atom::Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

  template <class Subject>
  bool compare_some(support::RandomEquations<Subject>& equations, Tally& tally) {
    using Value = typename Subject::State;
    const atom::detail::TypeOps& type = atom::detail::type_ops<Value>;
    std::vector<typename support::RandomEquations<Subject>::Case> cases;
    std::vector<std::string> keys;
    std::vector<StoredValue> texts(at_once);
    for (std::size_t i = 0; i < at_once; ++i) {
      cases.push_back(equations.next());
      keys.push_back(std::to_string(i));
      if (auto error = atom::detail::write_value(sqlite_.traits(), keys[i], type, &cases[i].old, texts[i]))
        throw *error;
    }
    std::vector<const AnyEquation*> pointers;
    for (const auto& each : cases) pointers.push_back(&each.equation);
    run(Command::Kind::write, type, keys, texts, pointers);
    run(Command::Kind::apply, type, keys, texts, pointers);

    std::vector<atom::StateName> names;
    for (const std::string& key : keys) names.push_back({scope_, key});
    std::vector<atom::Outcome> outcomes(at_once);
    if (auto error = sqlite_.read(names, outcomes, soon())) throw *error;
    for (std::size_t i = 0; i < at_once; ++i) {
      Value expected = cases[i].old;
      tally.errors += cases[i].equation.apply_to(&expected).has_value();
      ++tally.equations;
      const auto value = sqlite_.read_value(type, outcomes[i].value.value()).value();
      if (!(*static_cast<const Value*>(value.get()) == expected)) return complain(cases[i].equation, "sqlite");
    }
    return true;
  }
  void run(Command::Kind kind, const atom::detail::TypeOps& type, const std::vector<std::string>& keys,
           const std::vector<StoredValue>& texts, const std::vector<const AnyEquation*>& equations) {
    std::vector<Command> commands;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Command command{.kind = kind, .name = {scope_, keys[i]}};
      command.value = &texts[i];
      command.type = &type;
      if (kind == Command::Kind::apply) command.equations = {&equations[i], 1};
      commands.push_back(command);
    }
    std::vector<atom::Outcome> outcomes(keys.size());
    ++lane_.sequence;
    const auto result = sqlite_.execute(lane_, atom::BatchMode::independent, commands, outcomes, soon());
    if (result.error) throw *result.error;
    for (const atom::Outcome& outcome : outcomes) {
      if (outcome.error) throw std::runtime_error(std::string(to_string(*outcome.error)));
    }
  }

  support::TemporaryFolder folder_;
  atom::Sqlite sqlite_;
  atom::Lane lane_;
  const atom::Scope scope_ = atom::Scope::global();
};

int run(int argc, char** argv) {
  std::uint64_t seed = 1;
  long count = 100'000;
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
  Tally tally;
  InMemory memory;
  InSqlite sqlite;
  const bool is_good = memory.compare(seed, count, tally) &&
                       sqlite.compare<Value<std::int64_t>>(seed, count / 4, tally) &&
                       sqlite.compare<Value<double>>(seed, count / 4, tally) &&
                       sqlite.compare<FieldOf<support::Small>>(seed, count / 4, tally) &&
                       sqlite.compare<FieldsOf<support::Single, Count>>(seed, count / 4, tally);
  std::printf("%ld equations, seed %llu: %ld of them errors\n", tally.equations, static_cast<unsigned long long>(seed),
              tally.errors);
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

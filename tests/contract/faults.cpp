// A network between the store and its database that loses, repeats and cannot calculate: nothing is lost or doubled.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/state/session.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_backend.hpp"
#include "support/threads.hpp"

namespace contract_faults {
namespace {

using namespace std::chrono_literals;
using atom::current;
using atom::Scope;
using atom::Session;
using atom::State;
using atom::StateErrorCode;
using atom::StateStore;
using Number = std::int64_t;

/// Of a hundred batches some never arrive, some are carried out and nobody hears of it, and some are carried out twice.
class Unreliable final : public support::PassingBackend {
 public:
  explicit Unreliable(std::shared_ptr<atom::Backend> inner) : PassingBackend(std::move(inner)) {}

  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    switch (next()) {
      case lost_request:
        return lost();
      case lost_answer: {
        std::vector<atom::Outcome> unheard(outcomes.size());
        inner().execute(lane, mode, commands, unheard, deadline);
        return lost();
      }
      case repeated: {
        std::vector<atom::Outcome> unheard(outcomes.size());
        inner().execute(lane, mode, commands, unheard, deadline);
        return inner().execute(lane, mode, commands, outcomes, deadline);
      }
      default:
        return inner().execute(lane, mode, commands, outcomes, deadline);
    }
  }
  /// Whether each kind of fault has happened.
  bool has_seen_all() const {
    return std::all_of(count_.begin(), count_.end(), [](int n) { return n > 0; });
  }

 private:
  enum Fault : std::size_t { lost_request, lost_answer, repeated, none };
  static atom::BatchResult lost() {
    return {atom::BatchStatus::in_doubt,
            atom::StateError(StateErrorCode::timed_out, "no answer", atom::Effect::unknown, true)};
  }
  Fault next() {
    const std::lock_guard lock(mutex_);
    const unsigned percent = static_cast<unsigned>(random_() % 100);
    const Fault fault = percent < 10 ? lost_request : percent < 20 ? lost_answer : percent < 30 ? repeated : none;
    if (fault != none) ++count_[fault];
    return fault;
  }
  std::mutex mutex_;
  std::mt19937 random_{7};
  std::array<int, none> count_{};
};

/// Carries out no equation.
class WithoutEquations final : public support::PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  bool runs(const atom::AnyEquation&, const atom::detail::TypeOps&) const override { return false; }
};

/// A store on the kind's database behind another one; where the kind has none, the store that it has.
template <class Other>
struct Behind {
  Behind() : states(contract::open({.deadline = 5min})) {
    if (auto database = contract::backend()) {
      other = std::make_shared<Other>(std::move(database));
      states = std::make_unique<StateStore>(other, atom::StoreOptions{.deadline = 5min});
    }
  }
  std::shared_ptr<Other> other;
  std::unique_ptr<StateStore> states;
};

constexpr std::size_t threads = 4;
constexpr int each = 100;
constexpr Number all = threads * each;

/// What they all gave, sorted: 1 to `all`, if each was carried out once.
template <class Add>
std::vector<Number> add_in_threads(Add add) {
  std::vector<std::vector<Number>> given(threads);
  support::in_threads(threads, [&](std::size_t i) {
    for (int n = 0; n < each; ++n) given[i].push_back(add());
  });
  std::vector<Number> together;
  for (const auto& some : given) together.insert(together.end(), some.begin(), some.end());
  std::sort(together.begin(), together.end());
  return together;
}
std::vector<Number> one_to_all() {
  std::vector<Number> numbers(all);
  std::iota(numbers.begin(), numbers.end(), 1);
  return numbers;
}

TEST_CASE("an equation takes effect once, though requests and answers are lost and repeated", "[case82][case83]") {
  const Behind<Unreliable> unreliable;
  State<Number> n = contract::number(*unreliable.states);
  CHECK(add_in_threads([&] { return n.apply(current + 1); }) == one_to_all());
  CHECK(n.load() == all);
  CHECK((!unreliable.other || unreliable.other->has_seen_all()));
}

TEST_CASE("a comparison takes effect once, though requests and answers are lost and repeated", "[case83][case86]") {
  const Behind<Unreliable> unreliable;
  State<Number> n = contract::number(*unreliable.states);
  CHECK(add_in_threads([&] { return n.update([](Number now) { return now + 1; }); }) == one_to_all());
  CHECK(n.load() == all);
}

TEST_CASE("a transaction takes effect once, though requests and answers are lost and repeated", "[case83][case90]") {
  static const atom::Atom<Number> count{"faults.count", 0}, other{"faults.other", 0};
  const Behind<Unreliable> unreliable;
  const auto add = [&] {
    return unreliable.states->transact(Scope::global(), [](Session& session) {
      session.use(count).update(session.use(count).value() + 1);
      session.use(other).update(session.use(other).value() - 1);
      return session.use(count).value();
    });
  };
  CHECK(add_in_threads(add) == one_to_all());
  CHECK(unreliable.states->use(other, Scope::global()).load() == -all);
}

TEST_CASE("a list has each element once, though requests and answers are lost and repeated", "[case80][case83]") {
  const Behind<Unreliable> unreliable;
  auto list = unreliable.states->get_state(std::vector<Number>(), {.key = "list", .scope = Scope::global()});
  support::in_threads(threads, [&](std::size_t i) {
    for (int n = 1; n <= each; ++n) list.apply(atom::append(static_cast<Number>(i) * each + n));
  });
  std::vector<Number> elements = list.load();
  std::sort(elements.begin(), elements.end());
  CHECK(elements == one_to_all());
}

TEST_CASE("what a database cannot calculate is compared and written, with the same results", "[case82][case85]") {
  const Behind<WithoutEquations> simple;
  State<Number> n = contract::number(*simple.states);
  CHECK(add_in_threads([&] { return n.apply(current + 1); }) == one_to_all());
  CHECK(n.load() == all);
  CHECK(n.try_apply(current / 0).error().code() == StateErrorCode::division_by_zero);
  CHECK(n.apply(min(current, 5)) == 5);
  CHECK(n.load() == 5);
}

}  // namespace
}  // namespace contract_faults

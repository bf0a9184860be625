// A network between the store and its database that loses, repeats and holds back, and a database that cannot
// calculate: nothing is lost or doubled.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/state/session.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
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
using contract::check_counting;
using contract::number;
using support::Fault;
using Number = std::int64_t;

constexpr Number each = 100;

/// A store on the kind's database behind a network that loses, repeats and holds back. What it has held back arrives in
/// the end. Where the kind has no database, there is no store, and nothing to be tested.
class Unreliable {
 public:
  Unreliable() {
    auto database = contract::open_backend();
    if (!database) return;
    support::Faults faults{.seed = 7};
    for (const Fault kind : kinds) faults.with(kind, 100);
    network_ = std::make_shared<support::FaultyBackend>(std::move(database), faults);
    states_ = std::make_unique<atom::StateStore>(network_, atom::StoreOptions{.deadline = 5min});
  }
  explicit operator bool() const { return states_ != nullptr; }
  atom::StateStore& operator*() const { return *states_; }
  atom::StateStore* operator->() const { return states_.get(); }
  /// All has gone wrong that may, and from now on nothing does.
  void calm_down() const {
    for (const Fault kind : kinds) CHECK(network_->happened(kind) > 0);
    network_->calm_down();
    network_->deliver_late_ones();
  }

 private:
  static constexpr Fault kinds[] = {Fault::request_lost, Fault::answer_lost, Fault::duplicated, Fault::delayed};
  std::shared_ptr<support::FaultyBackend> network_;
  std::unique_ptr<atom::StateStore> states_;
};

/// Counts with `add` of a State<Number>.
template <class Add>
void check_counting_on(const Unreliable& states, Add add) {
  check_counting({&*states}, each, add);
  states.calm_down();
  CHECK(number(*states).load() == 4 * each);
}

TEST_CASE("an equation takes effect once, though requests and answers are lost and repeated", "[case82][case83]") {
  const Unreliable states;
  if (!states) return;
  check_counting_on(states, [](State<Number>& n) { return n.apply(current + 1); });
}

TEST_CASE("a comparison takes effect once, though requests and answers are lost and repeated", "[case83][case86]") {
  const Unreliable states;
  if (!states) return;
  check_counting_on(states, [](State<Number>& n) { return n.update([](Number now) { return now + 1; }); });
}

TEST_CASE("a transaction takes effect once, though requests and answers are lost and repeated", "[case83][case90]") {
  static const atom::Atom<Number> count{"number", 0}, other{"faults.other", 0};
  const Unreliable states;
  if (!states) return;
  check_counting_on(states, [&](State<Number>&) {
    return states->transact(Scope::global(), [](Session& session) {
      session.use(count).update(session.use(count).value() + 1);
      session.use(other).update(session.use(other).value() - 1);
      return session.use(count).value();
    });
  });
  CHECK(states->use(other, Scope::global()).load() == -4 * each);
}

TEST_CASE("a list has each element once, though requests and answers are lost and repeated", "[case80][case83]") {
  const Unreliable states;
  if (!states) return;
  auto list = states->get_state(std::vector<Number>(), {.key = "list", .scope = Scope::global()});
  support::in_threads(4, [&](std::size_t i) {
    for (Number n = 1; n <= each; ++n) list.apply(atom::append(static_cast<Number>(i) * each + n));
  });
  states.calm_down();
  std::vector<Number> elements = list.load();
  std::sort(elements.begin(), elements.end());
  CHECK(elements == contract::one_to(4 * each));
}

/// Carries out no equation.
class WithoutEquations final : public support::PassingBackend {
 public:
  using PassingBackend::PassingBackend;
  bool runs(const atom::AnyEquation&, const atom::detail::TypeOps&) const override { return false; }
};

TEST_CASE("what a database cannot calculate is compared and written, with the same results", "[case82][case85]") {
  auto database = contract::open_backend();
  if (!database) return;
  atom::StateStore states{std::make_shared<WithoutEquations>(std::move(database)), {.deadline = 5min}};
  check_counting({&states}, each, [](State<Number>& n) { return n.apply(current + 1); });
  State<Number> n = number(states);
  CHECK(n.try_apply(current / 0).error().code() == StateErrorCode::division_by_zero);
  CHECK(n.apply(min(current, 5)) == 5);
  CHECK(n.load() == 5);
}

}  // namespace
}  // namespace contract_faults

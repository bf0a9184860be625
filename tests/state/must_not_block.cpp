#include <atom/state/must_not_block.hpp>

#include <atom/atom.hpp>
#include <atom/backend/memory.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/event_stream.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>

#include "support/catch.hpp"
#include "support/faulty_backend.hpp"
#include "support/misuse.hpp"

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace must_not_block_test {
namespace {

using atom::MustNotBlock;
using atom::Scope;
using atom::Session;
using atom::StateStore;
using support::ContainsSubstring;
using support::ListeningToMisuse;

const atom::Atom<int> number_atom{"must not block.number", 0};
const atom::StateOptions number_options{.key = "n", .scope = Scope::global()};

/// How often it was reported, and that nothing else was.
template <class F>
std::size_t reported(F f) {
  const ListeningToMisuse listening;
  f();
  for (const std::string& report : ListeningToMisuse::reports()) {
    CHECK_THAT(report, ContainsSubstring("in a thread that must not block"));
  }
  return ListeningToMisuse::reports().size();
}
const std::size_t once = support::if_checked({"one"}).size();

/// Returns when something was reported, or at the end.
void wait_for_report(std::chrono::steady_clock::time_point end) {
  while (ListeningToMisuse::reports().size() < once && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Waits until it is done, as a loop does.
template <class Task>
auto in_a_loop(Task task) {
  while (!task.is_ready()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return task.wait();
}

/// Writes nothing before it was reported that somebody waits for it: else it may be done, and nobody does.
class Patient : public support::PassingBackend {
 public:
  Patient() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    wait_for_report(deadline);
    return inner().execute(lane, mode, commands, outcomes, deadline);
  }
};

TEST_CASE("What waits for a database in a thread that must not is reported", "[case79][case90]") {
  StateStore states{std::make_shared<Patient>()};
  auto state = states.get_state(0, number_options);
  Session session{states, Scope::client("a")};
  atom::Visitor visitor{states, ""};
  const MustNotBlock here;
  CHECK(reported([&] { state.load(); }) == once);
  CHECK(reported([&] { state.set(1); }) == once);
  CHECK(reported([&] { state.apply(atom::current + 1); }) == once);
  CHECK(reported([&] { state.apply_async(atom::current + 1).wait(); }) == once);
  CHECK(reported([&] { static_cast<void>(states.list()); }) == once);
  CHECK(reported([&] { states.has_state(number_options); }) == once);
  CHECK(reported([&] { session.use(number_atom).update(1); }) == once);
  CHECK(reported([&] { session.commit(); }) == once);
  CHECK(reported([&] { visitor.context(); }) == once);
  atom::StateSubscription subscription;
  CHECK(reported([&] { subscription = state.on_change([] {}); }) == once);
  CHECK(reported([&] { subscription = state.on_change([] {}); }) == 0);  // the store follows the database now
  CHECK(reported([&] { static_cast<void>(states.events(Scope::global())); }) == once);
  CHECK(reported([&] { CHECK(state.load() == 3); }) == once);  // it waits all the same
}

TEST_CASE("So is waiting for what a thread of the store does already", "[case79][case93]") {
  StateStore states{std::make_shared<atom::Memory>()};
  std::promise<void> begins, ends;
  auto task = states.async([&] {
    begins.set_value();
    ends.get_future().wait();
  });
  begins.get_future().wait();
  std::thread other;
  {
    const MustNotBlock here;
    CHECK(reported([&] {
            other = std::thread([&] {  // when that is reported, or never is
              wait_for_report(std::chrono::steady_clock::now() + std::chrono::seconds(5));
              ends.set_value();
            });
            task.wait();
          }) == once);
  }
  other.join();
}

TEST_CASE("What a loop may do in such a thread is not", "[case79][case90]") {
  StateStore states{std::make_shared<atom::Memory>()};
  auto state = states.get_state(0, number_options);
  const MustNotBlock here;
  CHECK(reported([&] {
          CHECK(in_a_loop(state.apply_async(atom::current + 1)) == 1);
          CHECK(in_a_loop(state.load_async()) == 1);
          CHECK(state.get() == 1);  // it is known
          CHECK(in_a_loop(states.list_async()).size() == 1);
          Session session{states, Scope::client("a")};
          in_a_loop(session.load_async(number_atom));
          session.use(number_atom).update(1);
          in_a_loop(session.commit_async());
          const auto visitor = in_a_loop(atom::Visitor::find_async(states, ""));
          in_a_loop(visitor->transact_async([](Session& mine) { mine.use(number_atom).update(2); }));
          auto events = in_a_loop(states.events_async(Scope::global()));
          CHECK_FALSE(events.take().empty());
        }) == 0);
}

TEST_CASE("Other threads may wait, and this one after it, and in memory nothing does", "[case79]") {
  StateStore states{std::make_shared<atom::Memory>()};
  StateStore in_memory;
  auto state = states.get_state(0, number_options);
  {
    const MustNotBlock outer;
    {
      const MustNotBlock inner;
    }
    CHECK(MustNotBlock::here());
    CHECK(reported([&] { std::thread([&] { state.load(); }).join(); }) == 0);
    CHECK(reported([&] {
            in_memory.get_state(0, number_options).apply(atom::current + 1);
            Session session{in_memory, Scope::client("a")};
            session.use(number_atom).update(1);
            session.commit();
          }) == 0);
  }
  CHECK_FALSE(MustNotBlock::here());
  CHECK(reported([&] { state.load(); }) == 0);
}

#if ATOM_CHECKS
TEST_CASE("What a handler of misuse throws comes before anything is written", "[case79][case90]") {
  StateStore states{std::make_shared<atom::Memory>()};
  auto state = states.get_state(0, number_options);
  Session session{states, Scope::client("a")};
  session.use(number_atom).update(1);
  const auto before = atom::set_misuse_handler([](std::string_view) { throw std::runtime_error("misuse"); });
  {
    const MustNotBlock here;
    CHECK_THROWS_WITH(state.apply(atom::current + 1), "misuse");
    CHECK_THROWS_WITH(state.set(7), "misuse");
    CHECK_THROWS_WITH(session.commit(), "misuse");
  }
  atom::set_misuse_handler(before);
  CHECK(state.apply(atom::current + 10) == 10);
  CHECK(states.list(Scope::client("a")).empty());
  session.commit();
  CHECK(states.list(Scope::client("a")).size() == 1);
}
#endif

}  // namespace
}  // namespace must_not_block_test

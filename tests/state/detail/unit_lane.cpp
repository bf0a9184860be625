// Batches of all or nothing: whose turn it is, and when there are no more. What becomes of them is in
// tests/state/engine.cpp and tests/state/session.cpp.
#include <atom/state/detail/unit_lane.hpp>

#include <atom/backend/memory.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include "support/catch.hpp"
#include "support/faulty_backend.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <thread>

namespace unit_lane_test {
namespace {

using namespace std::chrono_literals;
using atom::StateErrorCode;

/// Carries nothing out before it may.
struct Shut final : support::PassingBackend {
  Shut() : PassingBackend(std::make_shared<atom::Memory>()) {}
  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    has_come = true;
    while (!is_open) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(20ms);
    const atom::BatchResult result = inner().execute(lane, mode, commands, outcomes, deadline);
    ++done;
    return result;
  }
  std::atomic<bool> has_come = false, is_open = false;
  std::atomic<int> done = 0;
};

/// A lane, and who wants batches of it.
class Lane {
 public:
  /// What came of one that may take so long.
  std::optional<StateErrorCode> commit(std::chrono::milliseconds within) {
    const atom::Command check{.kind = atom::Command::Kind::check, .name = {scope_, "n"}};
    atom::detail::LaneEvents events;
    const auto result = units_.commit({&check, 1}, std::chrono::steady_clock::now() + within, events);
    return result ? std::nullopt : std::optional(result.error().code());
  }
  bool close(std::chrono::milliseconds within) { return units_.close(std::chrono::steady_clock::now() + within); }
  Shut database;

 private:
  const atom::Scope scope_ = atom::Scope::global();
  atom::detail::BackendCalls calls_{database};
  atom::detail::UnitLane units_{calls_, 5s};
};

TEST_CASE("a lane of units is closed when those that had begun are done, and no other one begins") {
  Lane lane;
  const auto commit = [&] { return lane.commit(20s); };
  auto first = std::async(std::launch::async, commit);
  while (!lane.database.has_come) std::this_thread::sleep_for(1ms);
  auto second = std::async(std::launch::async, commit);
  auto third = std::async(std::launch::async, commit);
  std::this_thread::sleep_for(50ms);  // until they wait for their turn
  auto closed = std::async(std::launch::async, [&] { return lane.close(20s) ? lane.database.done.load() : -1; });
  std::optional<StateErrorCode> late;
  for (int i = 0; i < 500 && late != StateErrorCode::closed; ++i) late = lane.commit(10ms);
  CHECK(late == StateErrorCode::closed);
  lane.database.is_open = true;
  CHECK(closed.get() == 3);
  CHECK_FALSE(first.get());
  CHECK_FALSE(second.get());
  CHECK_FALSE(third.get());
}

TEST_CASE("a lane of units whose database does not answer is closed at the deadline, and stays closed") {
  Lane lane;
  auto first = std::async(std::launch::async, [&] { return lane.commit(20s); });
  while (!lane.database.has_come) std::this_thread::sleep_for(1ms);
  CHECK_FALSE(lane.close(20ms));
  CHECK(lane.commit(10ms) == StateErrorCode::closed);
  lane.database.is_open = true;
  CHECK_FALSE(first.get());
  CHECK(lane.close(20s));
}

}  // namespace
}  // namespace unit_lane_test

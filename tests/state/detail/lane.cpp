// The numbers of batches, and how much of what was acknowledged is lost.
#include <atom/state/detail/lane.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

namespace state_lane_test {
namespace {

using atom::detail::NumberedLane;

/// A lane whose batches had so many operations each.
NumberedLane lane_of(std::initializer_list<std::size_t> operations) {
  NumberedLane lane(0);
  for (const std::size_t count : operations) {
    lane.next();
    lane.acknowledge(count);
  }
  return lane;
}

TEST_CASE("batches are numbered from 1 on, and each lane is another one") {
  NumberedLane lane(3);
  lane.next();
  CHECK(lane.lane().sequence == 1);
  CHECK(lane.lane().number == 3);
  lane.give_back();
  lane.next();
  CHECK(lane.lane().sequence == 1);
  lane.acknowledge(1);
  lane.next();
  CHECK(lane.lane().sequence == 2);
  CHECK(NumberedLane(3).lane().session != lane.lane().session);
}

TEST_CASE("what the database does not know any more was lost, and is counted once") {
  NumberedLane lane = lane_of({1, 10, 100, 1000});
  lane.next();
  CHECK(lane.lose(2) == 1100);
  CHECK(lane.lane().after_loss);
  CHECK(lane.lose(2) == 0);
  CHECK(lane.lose(0) == 11);
  lane.acknowledge(10000);
  CHECK_FALSE(lane.lane().after_loss);
  lane.next();
  CHECK(lane.lose(3) == 10000);
}

TEST_CASE("without a number nothing is known of a loss but that there is one") {
  NumberedLane lane = lane_of({1, 10});
  lane.next();
  CHECK(lane.lose(std::nullopt) == 0);
  CHECK(lane.lane().after_loss);
}

TEST_CASE("of long ago it is not known how much was lost") {
  NumberedLane lane(0);
  for (int i = 0; i < 5000; ++i) {
    lane.next();
    lane.acknowledge(1);
  }
  lane.next();
  const std::uint64_t lost = lane.lose(0);
  CHECK(lost > 1000);
  CHECK(lost <= 1024);
}

}  // namespace
}  // namespace state_lane_test

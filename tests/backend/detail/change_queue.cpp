#include <atom/backend/detail/change_queue.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace change_queue_test {
namespace {

using atom::Scope;
using atom::StoredValue;
using atom::detail::ChangeQueue;

const Scope shop{"shop"};
atom::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

struct Heard : atom::FeedSink {
  void changed(const Scope&, std::string_view key, std::int64_t version, std::optional<StoredValue> value) override {
    changes.push_back(std::string(key) + " " + std::to_string(version) + " " + (value ? value->text : "ended"));
  }
  void lost_track() override { ++losses; }
  std::vector<std::string> changes;
  int losses = 0;
};

TEST_CASE("change queue: changes are told once, in their order") {
  ChangeQueue queue;
  const StoredValue value{"7", 0};
  queue.add({shop, "a"}, 1, &value);
  queue.add({shop, "a"}, 1, nullptr);
  Heard heard;
  CHECK_FALSE(queue.wait(heard, in(10s)));
  CHECK_FALSE(queue.wait(heard, in(0s)));
  CHECK(heard.changes == std::vector<std::string>{"a 1 7", "a 1 ended"});
  CHECK(heard.losses == 0);
}

TEST_CASE("change queue: if nobody takes them it keeps a bounded number, and tells that it lost track") {
  ChangeQueue queue;
  const StoredValue value{"1", 0};
  for (int i = 0; i < 10'001; ++i) queue.add({shop, "a"}, i, &value);
  Heard heard;
  CHECK_FALSE(queue.wait(heard, in(0s)));
  CHECK(heard.losses == 1);
  CHECK(heard.changes == std::vector<std::string>{"a 10000 1"});
}

TEST_CASE("change queue: where there is no memory for a change, those before it are lost with it, and that is told") {
  ChangeQueue queue;
  const StoredValue value{"7", 0};
  queue.add({shop, "a"}, 1, &value);
  {
    const support::FailingAllocation next(1);
    queue.add({shop, "a key that is too long to lie in the string itself"}, 2, &value);
  }
  Heard heard;
  CHECK_FALSE(queue.wait(heard, in(0s)));
  CHECK(heard.losses == 1);
  CHECK(heard.changes.empty());
}

TEST_CASE("change queue: a waiting thread hears of a change when it is made") {
  ChangeQueue queue;
  Heard heard;
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    queue.add({shop, "a"}, 1, nullptr);
  });
  CHECK_FALSE(queue.wait(heard, in(1h)));
  other.join();
  CHECK(heard.changes == std::vector<std::string>{"a 1 ended"});
}

TEST_CASE("change queue: a waiting thread is woken, once for each time") {
  ChangeQueue queue;
  Heard heard;
  std::thread other([&] { queue.wake(); });
  CHECK(queue.wait(heard, in(60s)));
  other.join();
  CHECK_FALSE(queue.wait(heard, in(0s)));
}

}  // namespace
}  // namespace change_queue_test

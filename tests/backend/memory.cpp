#include <atom/backend/memory.hpp>

#include "support/allocations.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

namespace memory_test {
namespace {

using atom::Memory;
using atom::Scope;
using atom::StoredValue;
using support::Allocations;
using support::Batch;
using support::Client;

const Scope shop{"shop"};

struct Heard : atom::FeedSink {
  void changed(const Scope&, std::string_view, std::int64_t, std::optional<StoredValue>) override { ++changes; }
  void lost_track() override { ++losses; }
  int changes = 0, losses = 0;
};

TEST_CASE("memory: a change is kept until each feed has been told of it, and no longer") {
  Memory memory;
  Client client(memory);
  const auto write = [&] {
    for (int i = 0; i < 100; ++i) client.run(Batch().write(shop, "a", std::string(1000, '1')));
    client.run(Batch().erase(shop, "a"));
    client.run(Batch().write(shop, "a", "1", {.labels = {"x"}}));
    REQUIRE(memory.purge(std::vector<std::string>{"x"}, support::soon()));
    client.run(Batch().write(shop, "a", "1"));
  };
  write();
  const long before = Allocations::alive();
  write();
  CHECK(Allocations::alive() == before);
  const auto first = memory.open_feed();
  const auto second = memory.open_feed();
  Heard heard;
  const long with_feeds = Allocations::alive();
  write();
  CHECK(Allocations::alive() > with_feeds);
  REQUIRE_FALSE(first->poll(heard, {}));
  REQUIRE_FALSE(second->poll(heard, {}));
  CHECK(Allocations::alive() == with_feeds);
  CHECK(heard.changes == 2 * 104);
  CHECK(heard.losses == 0);
}

TEST_CASE("memory: a feed that nobody polls loses track when too many changes wait for it") {
  Memory memory;
  Client client(memory);
  const auto feed = memory.open_feed();
  for (int i = 0; i < 10'001; ++i) client.run(Batch().write(shop, "a", "1"));
  Heard heard;
  REQUIRE_FALSE(feed->poll(heard, {}));
  CHECK(heard.losses == 1);
  CHECK(heard.changes == 1);
}

TEST_CASE("memory: a feed that has gone is not told of anything") {
  Memory memory;
  Client client(memory);
  {
    const auto feed = memory.open_feed();
  }
  client.run(Batch().write(shop, "a", "1"));
  CHECK(client.text(shop, "a") == "1");
}

}  // namespace
}  // namespace memory_test

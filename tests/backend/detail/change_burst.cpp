#include <atom/backend/detail/change_burst.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace change_burst_test {
namespace {

using atom::Scope;
using atom::StoredValue;
using atom::detail::ChangeBurst;
using Texts = std::vector<std::string>;

const Scope shop{"shop"};

/// Of a sink that knows nothing of several at once, each comes alone.
struct Simple : atom::FeedSink {
  void changed(const Scope& scope, std::string_view key, std::int64_t version,
               std::optional<StoredValue> value) override {
    told.push_back(scope.text() + ":" + std::string(key) + " " + std::to_string(version) +
                   (value ? " " + value->text : ""));
  }
  void lost_track() override { told.push_back("lost"); }
  Texts told;
};
struct Several final : Simple {
  void to_be_read(std::span<const atom::ChangedState> states) override {
    told.push_back(std::to_string(states.size()) + " to be read");
    Simple::to_be_read(states);
  }
};

TEST_CASE("change burst: what is to be read comes once, with its highest version, when the rest is told") {
  Several sink;
  ChangeBurst burst(sink);
  burst.changed(shop, "a", 1, std::nullopt);
  burst.changed(shop, "b", 7, StoredValue{"70", 0});
  burst.changed(shop, "a", 3, std::nullopt);
  burst.changed(shop, "a", 2, std::nullopt);
  burst.changed(Scope{"other"}, "a", 1, std::nullopt);
  CHECK(sink.told == Texts{"shop:b 7 70"});
  burst.end();
  CHECK(sink.told == Texts{"shop:b 7 70", "2 to be read", "shop:a 3", "other:a 1"});
  burst.end();
  CHECK(sink.told.size() == 4);
}

TEST_CASE("change burst: a sink that reads one by one is told of each") {
  Simple sink;
  ChangeBurst burst(sink);
  burst.changed(shop, "a", 1, std::nullopt);
  burst.changed(shop, "b", 2, std::nullopt);
  burst.end();
  CHECK(sink.told == Texts{"shop:a 1", "shop:b 2"});
}

TEST_CASE("change burst: where track is lost nothing of before is to be read") {
  Several sink;
  ChangeBurst burst(sink);
  burst.changed(shop, "a", 1, std::nullopt);
  burst.lost_track();
  CHECK(sink.told == Texts{"lost"});
  burst.changed(shop, "b", 2, std::nullopt);
  burst.end();
  CHECK(sink.told == Texts{"lost", "1 to be read", "shop:b 2"});
}

TEST_CASE("change burst: of too many track is lost") {
  Several sink;
  ChangeBurst burst(sink);
  for (int i = 0; i < 1000; ++i) burst.changed(shop, std::to_string(i), 1, std::nullopt);
  CHECK(sink.told.empty());
  burst.changed(shop, "1000", 1, std::nullopt);
  CHECK(sink.told == Texts{"lost"});
  burst.end();
  CHECK(sink.told.size() == 1);
}

}  // namespace
}  // namespace change_burst_test

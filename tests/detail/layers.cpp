#include <atom/atom.hpp>
#include <atom/detail/layers.hpp>
#include <atom/options.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace layers_test {
namespace {

using atom::AtomOptions;
using atom::Key;
using atom::Rejection;
using atom::Snapshot;
using atom::Trust;
using atom::Value;
using atom::detail::AtomDefinition;
using atom::detail::Layers;

struct Fixture {
  atom::detail::Arena arena{std::pmr::new_delete_resource()};
  Layers layers{arena};
  const AtomDefinition<int> number{Key("layers.number"), AtomOptions<int>{}, std::in_place, -1};
  const AtomDefinition<std::string> word{Key("layers.word"), AtomOptions<std::string>{}, std::in_place, "none"};
  const AtomDefinition<int> even{Key("layers.even"),
                                 AtomOptions<int>{.before_update =
                                                      [](int&& next, const int&) {
                                                        if (next < 0) throw std::runtime_error("negative");
                                                        return next / 2 * 2;
                                                      },
                                                  .client_writable = true},
                                 std::in_place, 0};
  ~Fixture() { layers.free_all(); }

  void push(Snapshot snapshot, Trust from = Trust::server) { layers.push(std::move(snapshot), from); }
  int found() { return *static_cast<const int*>(layers.find(number)); }
};

TEST_CASE_METHOD(Fixture, "without layers nothing waits") {
  CHECK(layers.empty());
  CHECK(layers.find(number) == nullptr);
}

TEST_CASE_METHOD(Fixture, "the newest layer that has a key counts") {
  push({{"layers.number", 1}, {"layers.word", "one"}});
  push({{"layers.number", 2}});
  push({{"layers.other", 3}});
  CHECK_FALSE(layers.empty());
  CHECK(found() == 2);
  CHECK(*static_cast<const std::string*>(layers.find(word)) == "one");
}

TEST_CASE_METHOD(Fixture, "a value of the right type is found where it lies, each time") {
  const auto shared = std::make_shared<const Snapshot>(Snapshot{{"layers.number", 1}});
  layers.push(shared, Trust::server);
  CHECK(layers.find(number) == shared->try_get<int>("layers.number"));
  CHECK(layers.find(number) == shared->try_get<int>("layers.number"));
}

TEST_CASE_METHOD(Fixture, "a pushed snapshot is returned at the place where it stays") {
  const Snapshot& stays = layers.push(Snapshot{{"layers.number", 4}}, Trust::server);
  CHECK(layers.find(number) == stays.try_get<int>("layers.number"));
}

TEST_CASE_METHOD(Fixture, "a shared snapshot is let go of with its layer") {
  const auto shared = std::make_shared<const Snapshot>(Snapshot{{"layers.number", 1}});
  layers.push(shared, Trust::server);
  CHECK(shared.use_count() == 2);
  layers.free_all();
  CHECK(shared.use_count() == 1);
  CHECK(layers.empty());
}

TEST_CASE_METHOD(Fixture, "a value that converts is converted once, and then stays where it is") {
  push({{"layers.number", 7L}});
  const void* const place = layers.find(number);
  CHECK(found() == 7);
  CHECK(layers.find(number) == place);
  CHECK(layers.rejected().empty());
}

TEST_CASE_METHOD(Fixture, "a value of the wrong type is rejected once, and an older one counts") {
  push({{"layers.number", 1}});
  push({{"layers.number", "one"}});
  CHECK(found() == 1);
  CHECK(found() == 1);
  REQUIRE(layers.rejected().size() == 1);
  CHECK(layers.rejected()[0].key == "layers.number");
  CHECK(layers.rejected()[0].cause == Rejection::Cause::type);
  CHECK(layers.rejected()[0].reason == "expected int, found std::string");
}

TEST_CASE_METHOD(Fixture, "where no value is right there is none, and each is rejected once") {
  push({{"layers.number", 1.5}});
  push({{"layers.number", true}});
  CHECK(layers.find(number) == nullptr);
  CHECK(layers.find(number) == nullptr);
  CHECK(layers.rejected().size() == 2);
}

TEST_CASE_METHOD(Fixture, "a value from a client goes to a client-writable atom only") {
  push({{"layers.number", 1}, {"layers.even", 2}}, Trust::client);
  CHECK(layers.find(number) == nullptr);
  REQUIRE(layers.find(even));
  CHECK(*static_cast<const int*>(layers.find(even)) == 2);
  REQUIRE(layers.rejected().size() == 1);
  CHECK(layers.rejected()[0].cause == Rejection::Cause::not_writable);
}

TEST_CASE_METHOD(Fixture, "a value from a client passes before_update, one from the server does not") {
  push({{"layers.even", 5}}, Trust::client);
  CHECK(*static_cast<const int*>(layers.find(even)) == 4);
  push({{"layers.even", 7}}, Trust::server);
  CHECK(*static_cast<const int*>(layers.find(even)) == 7);
}

TEST_CASE_METHOD(Fixture, "what before_update refuses is rejected with its reason") {
  push({{"layers.even", -5}}, Trust::client);
  CHECK(layers.find(even) == nullptr);
  REQUIRE(layers.rejected().size() == 1);
  CHECK(layers.rejected()[0].cause == Rejection::Cause::refused);
  CHECK(layers.rejected()[0].reason == "before_update refused it: negative");
}

TEST_CASE_METHOD(Fixture, "a hidden key is not found in older layers, but in newer ones") {
  push({{"layers.number", 1}, {"layers.word", "one"}});
  layers.hide(number);
  CHECK(layers.find(number) == nullptr);
  CHECK(layers.find(word) != nullptr);
  push({{"layers.number", 2}});
  CHECK(found() == 2);
  layers.hide(number);
  CHECK(layers.find(number) == nullptr);
}

TEST_CASE_METHOD(Fixture, "hiding what is not there costs nothing") {
  layers.hide(number);
  CHECK(layers.empty());
  push({{"layers.word", "one"}});
  for (int i = 0; i < 100; ++i) layers.hide(number);
  CHECK_FALSE(layers.many());
}

TEST_CASE_METHOD(Fixture, "walking the layers shows each key once, with the value that counts and its origin") {
  push({{"layers.number", 1}, {"layers.word", "old"}, {"layers.even", 2}});
  layers.hide(even);
  push({{"layers.word", "new"}}, Trust::client);
  std::vector<std::string> seen;
  layers.for_each([&](const Snapshot::Entry& entry, Trust trust) {
    seen.push_back(std::string(entry.key) + (trust == Trust::client ? " client" : " server"));
  });
  CHECK(seen == std::vector<std::string>{"layers.word client", "layers.number server"});
}

TEST_CASE_METHOD(Fixture, "a sweep frees the layers in which nothing is needed, and leaves the others where they are") {
  using Held = support::Counted<struct Swept>;
  for (int i = 0; i < 20; ++i) push({{"layers.held", Held(i)}, {"layers.number", i}});
  push({{"layers.even", 9}}, Trust::client);
  CHECK(layers.many());
  const AtomDefinition<Held> held(Key("layers.held"), AtomOptions<Held>{}, std::in_place, 0);
  const void* const newest_held = layers.find(held);
  layers.sweep([](const Snapshot::Entry& entry, bool newest) { return entry.key != "layers.number" && newest; });
  CHECK_FALSE(layers.many());
  CHECK(Held::counts().alive == 2);  // the default is the other one
  CHECK(layers.find(held) == newest_held);
  CHECK(static_cast<const Held*>(newest_held)->value == 19);
  CHECK(*static_cast<const int*>(layers.find(even)) == 8);  // it still comes from a client
}

TEST_CASE_METHOD(Fixture, "a sweep keeps an older layer whose value somebody still refers to") {
  push({{"layers.number", 1}});
  const void* const referred = layers.find(number);
  push({{"layers.number", 2}});
  layers.sweep([&](const Snapshot::Entry& entry, bool) { return entry.value.try_get<int>() == referred; });
  CHECK(layers.find(number) == referred);
}

TEST_CASE_METHOD(Fixture, "a hidden key stays hidden while an older layer has it, and goes with that") {
  push({{"layers.number", 1}, {"layers.word", "one"}});
  layers.hide(number);
  layers.sweep([](const Snapshot::Entry& entry, bool) { return entry.key == "layers.word"; });
  CHECK(layers.find(number) == nullptr);
  layers.sweep([](const Snapshot::Entry&, bool) { return false; });
  layers.sweep([](const Snapshot::Entry&, bool) { return false; });
  CHECK(layers.empty());
}

TEST_CASE_METHOD(Fixture, "a pointer to something that can be changed is rejected, whoever sends it") {
  const AtomDefinition<std::shared_ptr<int>> shared(
      Key("layers.shared"), AtomOptions<std::shared_ptr<int>>{},
      atom::detail::Hook<std::shared_ptr<int>()>([] { return std::make_shared<int>(0); }));
  const Trust from = GENERATE(Trust::server, Trust::client);
  push({{"layers.shared", std::make_shared<int>(1)}}, from);
  CHECK(layers.find(shared) == nullptr);
  CHECK(layers.rejected().size() == 1);
}

TEST_CASE("what stands for a snapshot keeps it alive, moves without throwing, and does not let it be changed") {
  STATIC_REQUIRE(atom::snapshot_pointer<std::shared_ptr<const Snapshot>>);
  STATIC_REQUIRE(atom::snapshot_pointer<std::unique_ptr<const Snapshot>>);
  STATIC_REQUIRE_FALSE(atom::snapshot_pointer<std::shared_ptr<Snapshot>>);
  STATIC_REQUIRE_FALSE(atom::snapshot_pointer<const Snapshot*>);
  STATIC_REQUIRE_FALSE(atom::snapshot_pointer<Snapshot>);
}

}  // namespace
}  // namespace layers_test

// How a state is read, written and told, and that no code of the user's runs under a lock.
#include <atom/state/detail/core.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace state_core_test {
namespace {

using atom::Scope;
using atom::detail::NodeLock;
using atom::detail::NodeReference;
using atom::detail::OwnedNode;
using atom::detail::StateCore;
using atom::detail::StateListener;
using atom::detail::StateNode;

template <class T>
NodeReference obtain(StateCore& core, const T& initial, std::string_view key = "key") {
  return core.table.obtain(Scope{"s"}, key,
                           [&] { return OwnedNode(StateNode::make(key, atom::detail::type_ops<T>, &initial)); });
}
template <class F>
struct Hears final : StateListener {
  explicit Hears(F f) : function(std::move(f)) {}
  void hear(const atom::detail::StateNews& news) override { function(news.value.get()); }
  F function;
};
template <class F>
std::shared_ptr<StateListener> listen(StateCore& core, const NodeReference& node, F f) {
  auto listener = std::make_shared<Hears<F>>(std::move(f));
  core.listen(*node, listener);
  return listener;
}
/// Whether neither the node nor the order of its listeners is locked, asked by another thread. (It does not return if
/// the node is.)
bool is_unlocked(const NodeReference& node) {
  return std::async(std::launch::async,
                    [&] {
                      NodeLock(*node).unlock();
                      const std::unique_lock lock(atom::detail::extras_of(*node).mutex, std::try_to_lock);
                      return lock.owns_lock();
                    })
      .get();
}

/// Values that look, when they are destroyed, whether a lock is held. The node must not have one at its own end.
class Values {
 public:
  explicit Values(const NodeReference& node) : node_(node) {}
  std::shared_ptr<const std::string> make() {
    return {new std::string, [this](const std::string* value) {
              ++destroyed;
              unlocked = unlocked && is_unlocked(node_);
              delete value;
            }};
  }
  int destroyed = 0;
  bool unlocked = true;

 private:
  const NodeReference& node_;
};

TEST_CASE("a value that is replaced or ended is destroyed when nothing is locked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::string());
  Values values(node);
  if (GENERATE(false, true)) listen(core, node, [](const void*) {});
  core.write(*node, values.make(), std::nullopt);
  core.write(*node, values.make(), std::nullopt);
  CHECK(values.destroyed == 1);
  core.write(*node, nullptr, std::nullopt);
  CHECK(values.destroyed == 2);
  CHECK(values.unlocked);
}

TEST_CASE("a value that another one of the database replaces is destroyed when nothing is locked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::string());
  Values values(node);
  const bool heard = GENERATE(false, true);
  if (heard) listen(core, node, [](const void*) {});
  for (std::int64_t version : {10, 11, 12}) {
    core.accept(*node, values.make(), version);
    if (heard) core.tell_news(*node);
  }
  CHECK(values.destroyed == 2);
  core.accept(*node, nullptr, 12);
  if (heard) core.tell_news(*node);
  CHECK(values.destroyed == 3);
  CHECK(values.unlocked);
}

TEST_CASE("a value that was replaced while it was told is destroyed when nothing is locked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::string());
  Values values(node);
  bool once = false;
  listen(core, node, [&](const void*) {
    if (!std::exchange(once, true)) core.write(*node, values.make(), std::nullopt);
  });
  core.write(*node, values.make(), std::nullopt);
  CHECK(values.destroyed == 1);
  core.write(*node, nullptr, std::nullopt);
  CHECK(values.unlocked);
}

TEST_CASE("a value whose time is over is destroyed when nothing is locked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::string());
  atom::detail::extras_of(*node).time_to_live = 3'600'000;
  node->add(StateNode::timed);
  if (GENERATE(false, true)) listen(core, node, [](const void*) {});
  Values values(node);
  core.write(*node, values.make(), std::nullopt);
  atom::detail::extras_of(*node).ends = 1;
  core.look(*node);
  CHECK(values.destroyed == 1);
  core.write(*node, values.make(), std::nullopt);
  atom::detail::extras_of(*node).ends = 1;
  core.write(*node, values.make(), std::nullopt);
  CHECK(values.destroyed == 2);
  core.write(*node, nullptr, std::nullopt);
  CHECK(values.unlocked);
}

TEST_CASE("a listener that ends is destroyed when nothing is locked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::string());
  bool unlocked = false;
  std::weak_ptr<StateListener> own;
  {
    const std::shared_ptr<void> destroyed(nullptr, [&](void*) { unlocked = is_unlocked(node); });
    own = listen(core, node, [&, destroyed](const void*) { StateCore::forget(*node, *own.lock()); });
  }
  SECTION("while it runs") {
    core.write(*node, std::make_shared<const std::string>(), std::nullopt);
  }
  SECTION("otherwise") {
    StateCore::forget(*node, *atom::detail::extras_of(*node).listeners.front());
  }
  CHECK(unlocked);
}

TEST_CASE("listeners are called when nothing is locked") {
  StateCore core({.on_event = [](const atom::StateEvent&) {}});
  const NodeReference node = obtain(core, std::string());
  bool unlocked = false;
  listen(core, node, [&](const void*) { unlocked = is_unlocked(node); });
  core.write(*node, std::make_shared<const std::string>(), std::nullopt);
  CHECK(unlocked);
}

TEST_CASE("on_event is called when nothing is locked") {
  NodeReference node;
  bool unlocked = false;
  StateCore core({.on_event = [&](const atom::StateEvent&) { unlocked = is_unlocked(node); }});
  node = obtain(core, std::string());
  listen(core, node, [&](const void*) { throw std::runtime_error("no"); });
  core.write(*node, std::make_shared<const std::string>(), std::nullopt);
  CHECK(unlocked);
  node = NodeReference();
}

TEST_CASE("a listener hears of no change that was made before it came") {
  StateCore core({});
  const NodeReference node = obtain(core, std::int64_t{0});
  const auto write = [&](std::int64_t value) {
    core.write(*node, std::make_shared<const std::int64_t>(value), std::nullopt);
  };
  std::vector<std::int64_t> heard;
  listen(core, node, [&](const void* now) {
    if (*static_cast<const std::int64_t*>(now) != 1) return;
    write(2);  // is told when this one has returned
    write(3);
    listen(core, node, [&](const void* value) { heard.push_back(*static_cast<const std::int64_t*>(value)); });
    write(4);
  });
  write(1);
  write(5);
  CHECK(heard == std::vector<std::int64_t>{4, 5});
}

TEST_CASE("a version is one more with each write, and goes on after the last one when the state is there again") {
  StateCore core({});
  const NodeReference node = obtain(core, std::int64_t{0});
  const auto write = [&] {
    return core.write(*node, std::make_shared<const std::int64_t>(1), std::nullopt).value_or(0);
  };
  const std::int64_t first = write();
  CHECK(write() == first + 1);
  constexpr std::int64_t far_ahead = std::int64_t{1} << 60;
  REQUIRE_FALSE(core.accept(*node, std::make_shared<const std::int64_t>(1), far_ahead));
  CHECK(write() == far_ahead + 1);
  core.write(*node, nullptr, std::nullopt);
  CHECK(node->version() == 0);
  CHECK(write() == far_ahead + 2);
  // A state of any name that is gone may come again under its name.
  core.write(*node, nullptr, std::nullopt);
  const NodeReference other = obtain(core, std::int64_t{0}, "other");
  CHECK(core.write(*other, std::make_shared<const std::int64_t>(1), std::nullopt).value_or(0) > far_ahead + 2);
}

TEST_CASE("what a database has counts if it is newer than what is known") {
  StateCore core({});
  const NodeReference node = obtain(core, std::int64_t{0});
  const auto accept = [&](std::int64_t value, std::int64_t version) {
    core.accept(*node, std::make_shared<const std::int64_t>(value), version);
    return node->read<std::int64_t>();
  };
  CHECK(accept(1, 10) == 1);
  CHECK(accept(2, 9) == 1);
  CHECK(accept(3, 10) == 1);
  CHECK(accept(4, 12) == 4);
  core.accept(*node, nullptr, 11);  // the end of one before
  CHECK(node->version() == 12);
  core.accept(*node, nullptr, 12);
  CHECK(node->version() == 0);
  CHECK(accept(5, 12) == 0);
  CHECK(accept(6, 13) == 6);
}

TEST_CASE("what a database says that has gone back counts, unless something has happened since it was asked") {
  StateCore core({});
  const NodeReference node = obtain(core, std::int64_t{0});
  const auto accept = [&](std::optional<std::int64_t> value, std::int64_t version, std::int64_t known, bool wrote) {
    auto next = value ? std::make_shared<const std::int64_t>(*value) : nullptr;
    core.accept(*node, std::move(next), version, StateCore::Asked{known, wrote});
    return node->version();
  };
  CHECK(accept(1, 13, 0, false) == 13);
  SECTION("of a value") {
    CHECK(accept(2, 10, 12, false) == 13);
    CHECK(accept(2, 10, 13, false) == 10);
    CHECK(node->read<std::int64_t>() == 2);
  }
  SECTION("of the version that it is known to have") {
    accept(2, 13, 13, false);
    CHECK(node->read<std::int64_t>() == 1);
    accept(2, 13, 12, true);
    CHECK(node->read<std::int64_t>() == 1);
    accept(2, 13, 13, true);
    CHECK(node->read<std::int64_t>() == 2);
  }
  SECTION("of no value") {
    CHECK(accept(std::nullopt, 0, 12, false) == 13);
    CHECK(accept(std::nullopt, 0, 13, false) == 0);
    CHECK(accept(3, 5, -12, false) == 0);
    CHECK(accept(3, 5, -13, false) == 5);
  }
}

TEST_CASE("of a value that ended later than it is known, older ones do not come again") {
  StateCore core({});
  const NodeReference node = obtain(core, std::int64_t{0});
  core.accept(*node, std::make_shared<const std::int64_t>(1), 10);
  core.accept(*node, nullptr, 15);
  core.accept(*node, std::make_shared<const std::int64_t>(2), 14);
  CHECK(node->version() == 0);
}

TEST_CASE("What is known of routes is bounded: neither too many of them, nor too many atoms of one") {
  using Used = atom::detail::Routes::Used;
  atom::detail::Routes routes;
  routes.remember("/many", std::vector<Used>(1000, Used{std::nullopt, "a"}));
  CHECK(routes.used_by("/many").size() == 64);
  for (int i = 0; i < 2000; ++i) routes.remember("/" + std::to_string(i), {{std::nullopt, "a"}});
  CHECK(routes.used_by("/998").size() == 1);
  CHECK(routes.used_by("/999").empty());
  routes.remember("/998", {{std::nullopt, "b"}, {std::nullopt, "c"}});  // one that is known is learnt anew
  CHECK(routes.used_by("/998").size() == 2);
}

}  // namespace
}  // namespace state_core_test

// One state in memory: where its value lies, that it comes back as it was, and that nobody reads half of one.
#include <atom/state/detail/extras.hpp>
#include <atom/state/detail/node.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace state_node_test {
namespace {

using atom::detail::inside_node;
using atom::detail::NodeLock;
using atom::detail::SharedValue;
using atom::detail::StateNode;

struct Free {
  void operator()(StateNode* node) const noexcept { node->free(); }
};
template <class T>
std::unique_ptr<StateNode, Free> make(const T& initial, std::string_view key = "key") {
  return std::unique_ptr<StateNode, Free>(StateNode::make(key, atom::detail::type_ops<T>, &initial));
}

template <std::size_t size>
struct Bytes {
  std::array<unsigned char, size> bytes{};
  bool operator==(const Bytes&) const = default;
};
struct alignas(32) Aligned {
  int value = 0;
};
struct NotTrivial {
  int value = 0;
  NotTrivial() = default;
  NotTrivial(const NotTrivial& other) : value(other.value) {}
  NotTrivial& operator=(const NotTrivial&) = default;
};

TEST_CASE("a small value that can be copied as bytes lies in the node, any other is shared") {
  STATIC_REQUIRE(inside_node<bool>);
  STATIC_REQUIRE(inside_node<double>);
  STATIC_REQUIRE(inside_node<Bytes<1>>);
  STATIC_REQUIRE(inside_node<Bytes<64>>);
  STATIC_REQUIRE_FALSE(inside_node<Bytes<65>>);
  STATIC_REQUIRE_FALSE(inside_node<Aligned>);
  STATIC_REQUIRE_FALSE(inside_node<NotTrivial>);
  STATIC_REQUIRE_FALSE(inside_node<std::string>);
  CHECK(make(1)->has(StateNode::inside));
  CHECK_FALSE(make(std::string("x"))->has(StateNode::inside));
  CHECK_FALSE(make(Aligned{1})->has(StateNode::inside));
}

template <std::size_t size>
void comes_back() {
  Bytes<size> initial;
  Bytes<size> other;
  for (std::size_t i = 0; i < size; ++i) {
    initial.bytes[i] = static_cast<unsigned char>(i + 1);
    other.bytes[i] = static_cast<unsigned char>(255 - i);
  }
  for (const Bytes<size>& start : {initial, Bytes<size>()}) {
    const auto node = make(start);
    CHECK(node->template read<Bytes<size>>() == start);
    CHECK(node->version() == 0);
    NodeLock lock(*node);
    node->put(other, 7);
    CHECK(node->template value<Bytes<size>>() == other);
    lock.unlock();
    std::int64_t version = 0;
    CHECK(node->template read<Bytes<size>>(&version) == other);
    CHECK(version == 7);
    CHECK(*std::static_pointer_cast<const Bytes<size>>(node->initial()) == start);
    SharedValue gone;
    lock = NodeLock(*node);
    node->clear(gone, node->raw_version());
    lock.unlock();
    CHECK(node->template read<Bytes<size>>(&version) == start);
    CHECK(version == 0);
    CHECK(node->raw_version() == -7);
    CHECK(node->key() == "key");
  }
}

TEST_CASE("a value of any size comes back as it was, and the default after it") {
  comes_back<1>();
  comes_back<2>();
  comes_back<3>();
  comes_back<7>();
  comes_back<8>();
  comes_back<9>();
  comes_back<15>();
  comes_back<63>();
  comes_back<64>();
}

TEST_CASE("a negative zero is not taken for nothing but zeros") {
  const auto node = make(-0.0);
  CHECK(std::signbit(node->read<double>()));
}

TEST_CASE("a shared value comes back as it was, and the default after it") {
  const auto node = make(std::string("default"));
  const auto text = [&] { return *std::static_pointer_cast<const std::string>(node->shared()); };
  CHECK(text() == "default");
  SharedValue value = std::make_shared<const std::string>("value");
  node->put(value, 7);
  CHECK(text() == "value");
  CHECK(*std::static_pointer_cast<const std::string>(value) == "default");
  CHECK(*std::static_pointer_cast<const std::string>(node->initial()) == "default");
  node->clear(value, node->raw_version());
  CHECK(text() == "default");
  CHECK(*std::static_pointer_cast<const std::string>(value) == "value");
  CHECK(node->version() == 0);
}

TEST_CASE("an over-aligned value is shared, and lies where it must") {
  const auto node = make(Aligned{5});
  const auto value = std::static_pointer_cast<const Aligned>(node->shared());
  CHECK(value->value == 5);
  CHECK(reinterpret_cast<std::uintptr_t>(value.get()) % alignof(Aligned) == 0);
}

TEST_CASE("a small value and its key are one piece of memory") {
  const support::Allocations allocations;
  const auto node = make(std::int64_t{5}, std::string_view("a key that is too long to lie in a string itself"));
  CHECK(allocations.count() == 1);
  CHECK(node->key() == "a key that is too long to lie in a string itself");
  CHECK(node->read<std::int64_t>() == 5);
}

struct Throws {
  bool throws = false;
  explicit Throws(bool t) : throws(t) {}
  Throws(const Throws& other) : throws(other.throws) {
    if (throws) throw std::runtime_error("no copy");
  }
  Throws& operator=(const Throws&) = default;
};

TEST_CASE("a default that cannot be copied makes no node and leaves nothing behind") {
  const Throws initial(true);
  bool thrown = false;
  const long alive = support::Allocations::alive();
  try {
    make(initial);
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  CHECK(support::Allocations::alive() == alive);
  CHECK(thrown);
}

TEST_CASE("nobody reads half of a value that lies in the node, nor another one's version") {
  using Value = std::array<std::int64_t, 8>;
  const auto node = make(Value{});
  constexpr int enough = 200;  // values in a row that are not the same: so often somebody wrote in between
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::atomic<int> reading{2};
  std::atomic<int> torn{0};
  std::atomic<std::int64_t> written{0};
  support::in_threads(4, [&](std::size_t thread) {
    if (thread < 2) {
      for (; reading > 0; ++written) {
        std::this_thread::yield();  // else it is hardly ever still while somebody reads
        const NodeLock lock(*node);
        const std::int64_t version = node->raw_version() + 1;
        Value value;
        value.fill(version);
        node->put(value, version);
      }
      return;
    }
    std::int64_t last = 0;
    for (int news = 0, reads = 1; news < enough && (reads % 1000 != 0 || std::chrono::steady_clock::now() < end);
         ++reads) {
      std::int64_t version = 0;
      const Value value = node->read<Value>(&version);
      for (const std::int64_t part : value) torn += part != version;
      news += std::exchange(last, version) != version;
    }
    --reading;
  });
  CHECK(torn == 0);
  CHECK(node->version() == written);
}

}  // namespace
}  // namespace state_node_test

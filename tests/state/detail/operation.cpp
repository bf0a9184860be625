// Operations that wait their turn.
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/operation.hpp>
#include <atom/state/detail/typed_operation.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace state_operation_test {
namespace {

using atom::Scope;
using atom::detail::EraseOperation;
using atom::detail::NodeReference;
using atom::detail::OperationPointer;
using atom::detail::OperationQueue;
using atom::detail::OwnedNode;
using atom::detail::StateCore;
using atom::detail::StateNode;

class Operations {
 public:
  OperationPointer make() {
    const std::int64_t zero = 0;
    return std::make_shared<EraseOperation>(
        core_.table.obtain(
            Scope{"s"}, "key",
            [&] { return OwnedNode(StateNode::make("key", atom::detail::type_ops<std::int64_t>, &zero)); }),
        atom::Deadline::max());
  }
  std::vector<OperationPointer> make(std::size_t count) {
    std::vector<OperationPointer> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(make());
    return all;
  }

 private:
  StateCore core_{{}};
};
std::vector<OperationPointer> all_of(const OperationQueue& queue) {
  std::vector<OperationPointer> all;
  queue.each([&](const OperationPointer& operation) { all.push_back(operation); });
  return all;
}

TEST_CASE("operations come out in the order in which they went in") {
  Operations operations;
  const auto all = operations.make(3);
  OperationQueue queue;
  CHECK(queue.empty());
  const support::Allocations allocations;
  for (const auto& operation : all) queue.push_back(operation);
  CHECK(allocations.count() == 0);
  CHECK(all_of(queue) == all);
  CHECK(queue.pop_front() == all[0]);
  queue.push_back(all[0]);
  CHECK(all_of(queue) == std::vector{all[1], all[2], all[0]});
}

TEST_CASE("one may be taken out wherever it is") {
  Operations operations;
  const auto all = operations.make(4);
  const std::size_t which = GENERATE(0u, 1u, 2u);
  OperationQueue queue;
  for (std::size_t i = 0; i < 3; ++i) queue.push_back(all[i]);
  CHECK(queue.remove(*all[which]));
  CHECK_FALSE(queue.remove(*all[which]));
  CHECK_FALSE(queue.remove(*all[3]));
  queue.push_back(all[3]);
  std::vector<OperationPointer> wanted = all;
  wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(which));
  CHECK(all_of(queue) == wanted);
}

TEST_CASE("queues are joined and moved whole, and one that is long ends without a stack") {
  Operations operations;
  const auto all = operations.make(4);
  OperationQueue first, second;
  for (std::size_t i = 0; i < 4; ++i) (i < 2 ? first : second).push_back(all[i]);
  first.append(std::move(second));
  CHECK(all_of(first) == all);
  OperationQueue third = std::move(first);
  CHECK(all_of(third) == all);
  for (int i = 0; i < 200'000; ++i) third.push_back(operations.make());
}

TEST_CASE("a queue that is assigned has what the other one had, and goes on behind that") {
  Operations operations;
  const auto all = operations.make(3);
  OperationQueue queue;
  queue.push_back(operations.make());
  OperationQueue other;
  other.push_back(all[0]);
  other.push_back(all[1]);
  queue = std::move(other);
  queue.push_back(all[2]);
  CHECK(all_of(queue) == all);
}

TEST_CASE("an operation that is done waits in another queue without leaving the first") {
  Operations operations;
  const auto all = operations.make(2);
  OperationQueue waiting;
  OperationQueue done{OperationQueue::Link::done};
  for (const auto& operation : all) waiting.push_back(operation);
  done.push_back(all[1]);
  done.push_back(all[0]);
  CHECK(all_of(waiting) == all);
  CHECK(all_of(done) == std::vector{all[1], all[0]});
}

TEST_CASE("a coroutine that waits is resumed once, and none begins to wait for what is done") {
  Operations operations;
  const OperationPointer operation = operations.make();
  const auto coroutine = std::noop_coroutine();
  SECTION("it waits") {
    CHECK(operation->suspend(coroutine));
    CHECK_FALSE(operation->is_left_alone());
    CHECK(operation->resumed() == coroutine);
    CHECK_FALSE(operation->resumed());
  }
  SECTION("it comes late") {
    CHECK(operation->is_left_alone());
    CHECK_FALSE(operation->suspend(coroutine));
    CHECK(operation->is_left_alone());
  }
  SECTION("it goes") {
    CHECK(operation->suspend(coroutine));
    CHECK(operation->resumed());  // by the one that goes
    CHECK(operation->is_left_alone());
  }
}

}  // namespace
}  // namespace state_operation_test

// Values whose type has been forgotten.
#include <atom/state/type.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace state_type_test {
namespace {

using atom::detail::build_value;
using atom::detail::copy_value;
using atom::detail::type_ops;
using Number = support::Counted<struct StateTypeNumber>;

struct alignas(128) Aligned {
  int value = 1;
};

TEST_CASE("a copy of a value is one, and ends with the last who shares it") {
  const int alive = Number::counts().alive;
  {
    const Number number(5);
    Number::forget();
    const std::shared_ptr<void> copy = copy_value(type_ops<Number>, &number);
    const std::shared_ptr<void> shared = copy;
    CHECK(static_cast<const Number*>(shared.get())->value == 5);
    CHECK(Number::counts().copies == 1);
    CHECK(Number::counts().moves == 0);
    CHECK(Number::counts().alive == alive + 2);
  }
  CHECK(Number::counts().alive == alive);
}

TEST_CASE("a copy lies where its alignment wants it") {
  const Aligned aligned;
  const std::shared_ptr<void> copy = copy_value(type_ops<Aligned>, &aligned);
  CHECK(reinterpret_cast<std::uintptr_t>(copy.get()) % 128 == 0);
  const char letter = 'x';
  CHECK(*static_cast<const char*>(copy_value(type_ops<char>, &letter).get()) == 'x');
}

TEST_CASE("a value that is not built leaves nothing behind") {
  const long alive = support::Allocations::alive();
  const bool is_built = build_value(type_ops<std::string>, [](void*) { return false; }) != nullptr;
  bool has_thrown = false;
  try {
    build_value(type_ops<std::string>, [](void*) -> bool { throw std::runtime_error("no"); });
  } catch (const std::runtime_error&) {
    has_thrown = true;
  }
  const long left = support::Allocations::alive() - alive;
  CHECK_FALSE(is_built);
  CHECK(has_thrown);
  CHECK(left == 0);
}

TEST_CASE("a copy for which there is no memory leaves nothing behind") {
  const std::string text(100, 'x');
  const long alive = support::Allocations::alive();
  std::size_t failures = 0;
  for (std::size_t n = 1;; ++n) {
    try {
      const support::FailingAllocation fails(n);
      copy_value(type_ops<std::string>, &text);
      break;
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    CHECK(support::Allocations::alive() == alive);
  }
  CHECK(failures == 3);
  CHECK(support::Allocations::alive() == alive);
}

}  // namespace
}  // namespace state_type_test

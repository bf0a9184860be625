// With the macros min and max of windows.h, which stand before what is included here of the library.
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))

#include <atom/state/clamped_sum.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/evaluate.hpp>

namespace equation_min_max_test {
namespace {

TEST_CASE("Equations can be written beside the macros of windows.h") {
  using atom::current;
  int n = 3;
  CHECK_FALSE(atom::apply_to((atom::max)(current, 5), n));
  CHECK(n == 5);
  CHECK_FALSE(atom::apply_to((atom::min)(current - 1, 2), n));
  CHECK(n == 2);
  CHECK_FALSE(atom::apply_to(clamp(current * 10, 0, 7), n));
  CHECK(n == 7);
}

}  // namespace
}  // namespace equation_min_max_test

#undef min
#undef max

#include <atom/state/detail/outcomes.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace std::string_literals;

namespace outcomes_test {
namespace {

using atom::Outcome;
using atom::StateErrorCode;
using atom::StoredValue;
using atom::detail::pack_outcomes;
using atom::detail::unpack_outcomes;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

TEST_CASE("outcomes: they come back from their bytes, and bytes that were cut off, or are of others, are noticed") {
  const std::vector<Outcome> all{{.version = 5},
                                 {.error = StateErrorCode::conflict, .version = 0, .value = StoredValue{"\0x"s, 300}},
                                 {.version = highest, .value = StoredValue{"", -1}}};
  const std::string bytes = pack_outcomes(all);
  std::vector<Outcome> read(3);
  REQUIRE(unpack_outcomes(bytes, read));
  CHECK(read[0].version == 5);
  CHECK(read[1].error == StateErrorCode::conflict);
  CHECK(read[1].value->text == "\0x"s);
  CHECK(read[1].value->format == 300);
  CHECK(read[2].version == highest);
  CHECK(read[2].value->format == -1);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(unpack_outcomes(bytes.substr(0, size), read));
  }
  CHECK_FALSE(unpack_outcomes(bytes + "x", read));
  std::vector<Outcome> fewer(2);
  CHECK_FALSE(unpack_outcomes(bytes, fewer));
  CHECK_FALSE(unpack_outcomes(std::string(40, '\xff'), read));
}

TEST_CASE("outcomes: numbers of any size come back") {
  for (const std::int64_t number : {0, 1, 127, 128, 129, 255, 256, 16'383, 16'384, 2'097'152}) {
    CAPTURE(number);
    const std::vector<Outcome> all{{.version = number, .value = StoredValue{"x", static_cast<int>(number)}}};
    std::vector<Outcome> read(1);
    REQUIRE(unpack_outcomes(pack_outcomes(all), read));
    CHECK(read[0].version == number);
    CHECK(read[0].value->format == number);
  }
}

}  // namespace
}  // namespace outcomes_test

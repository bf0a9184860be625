#include <atom/result.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>

namespace {

using Text = atom::Result<std::string>;

TEST_CASE("A result is a value or an error") {
  const Text good("text");
  CHECK(good);
  CHECK(*good == "text");
  CHECK(good->size() == 4);
  CHECK(good.value() == "text");
  CHECK(good.value_or("other") == "text");
  const Text bad(atom::DecodeError{"a.b", "int32", "\"x\""});
  CHECK_FALSE(bad);
  CHECK(bad.error().message() == "a.b: expected int32, found \"x\"");
  CHECK(bad.value_or("other") == "other");
  CHECK_THROWS_AS(bad.value(), atom::Error);
  CHECK_THROWS_WITH(bad.value(), "a.b: expected int32, found \"x\"");
}

TEST_CASE("A result may hold what can only be moved") {
  atom::Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(result);
  CHECK(*taken == 7);
}

TEST_CASE("An error without a path or without anything found still reads well") {
  CHECK(atom::DecodeError{"", "JSON", "nothing"}.message() == "expected JSON, found nothing");
  CHECK(atom::DecodeError{"a", "int", ""}.message() == "a: expected int");
}

}  // namespace

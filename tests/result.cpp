#include <atom/result.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace result_test {
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

TEST_CASE("What is taken out of a result that is about to go does not refer to it") {
  const auto make = [] { return Text(std::string(100, 'x')); };
  std::string letters;
  for (const char letter : make().value()) letters += letter;
  CHECK(letters == std::string(100, 'x'));
  STATIC_REQUIRE(std::is_same_v<decltype(make().value()), std::string>);
  STATIC_REQUIRE(std::is_same_v<decltype(*make()), std::string>);
}

TEST_CASE("An error without a path or without anything found still reads well") {
  CHECK(atom::DecodeError{"", "JSON", "nothing"}.message() == "expected JSON, found nothing");
  CHECK(atom::DecodeError{"a", "int", ""}.message() == "a: expected int");
}

TEST_CASE("The value of a result can be changed in place, and taken out") {
  Text result(std::string("text"));
  *result += "!";
  result->push_back('?');
  result.value() += ".";
  CHECK(*result == "text!?.");
  const std::string taken = std::move(result).value();
  CHECK(taken == "text!?.");
  CHECK(Text(std::string("a")).value_or("b") == "a");
  CHECK(Text(atom::DecodeError{}).value_or("b") == "b");
}

TEST_CASE("A result that is only looked at, or moved along, does not copy its value") {
  using Held = support::Counted<struct HeldByResult>;
  Held::forget();
  {
    atom::Result<Held> result{Held(3)};
    const atom::Result<Held> moved(std::move(result));
    CHECK(moved->value == 3);
    CHECK(moved.value().value == 3);
    CHECK((*moved).value == 3);
    CHECK(Held::counts().copies == 0);
    const atom::Result<Held> copy = moved;
    CHECK(copy->value == 3);
    CHECK(Held::counts().copies == 1);
    CHECK(atom::Result<Held>(Held(4)).value_or(Held(5)).value == 4);
    CHECK(Held::counts().copies == 1);
  }
  CHECK(Held::counts().alive == 0);
}

TEST_CASE("A result becomes an error by assigning one, and the value is gone") {
  using Held = support::Counted<struct ReplacedInResult>;
  atom::Result<Held> result{Held(3)};
  result = atom::DecodeError{"a", "int32", "null"};
  CHECK_FALSE(result.has_value());
  CHECK(result.error().path == "a");
  CHECK(Held::counts().alive == 0);
  result = Held(4);
  CHECK(result->value == 4);
}

TEST_CASE("A result may have an error of another type, that says a message") {
  struct Problem {
    int code = 0;
    std::string message() const { return "problem " + std::to_string(code); }
  };
  const atom::Result<int, Problem> bad(Problem{7});
  CHECK(bad.error().code == 7);
  CHECK_THROWS_WITH(bad.value(), "problem 7");
  CHECK(atom::Result<int, Problem>(0));  // a zero is a value
}

}  // namespace
}  // namespace result_test

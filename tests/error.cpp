#include <atom/error.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <type_traits>

namespace error_test {
namespace {

const atom::Atom<int> number{"error.number", 1};
const atom::Atom<std::string> secret{"error.secret", "hunter2"};

TEST_CASE("all that the library throws is an Error, and a std::runtime_error") {
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, atom::Error>);
  STATIC_REQUIRE(std::is_base_of_v<atom::Error, atom::KeyConflict>);
  STATIC_REQUIRE(std::is_base_of_v<atom::Error, atom::TypeMismatch>);
  STATIC_REQUIRE(std::is_base_of_v<atom::Error, atom::CycleError>);
}

TEST_CASE("the kinds of error are told apart by their class") {
  STATIC_REQUIRE_FALSE(std::is_base_of_v<atom::KeyConflict, atom::TypeMismatch>);
  STATIC_REQUIRE_FALSE(std::is_base_of_v<atom::TypeMismatch, atom::CycleError>);
  CHECK_THROWS_AS(atom::Value(1).get<long>(), atom::TypeMismatch);
  CHECK_THROWS_AS(atom::Snapshot().get<int>("error.none"), atom::Error);
}

TEST_CASE("a message names the types, never the value") {
  try {
    (void)atom::Value(std::string("hunter2")).get<int>();
    FAIL("it should have thrown");
  } catch (const atom::TypeMismatch& error) {
    const std::string message = error.what();
    CHECK(message.find("int") != std::string::npos);
    CHECK(message.find("std::string") != std::string::npos);
    CHECK(message.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("the reason of a rejection names the types, never the value") {
  atom::AtomStore store;
  const atom::HydrateReport report = store.hydrate(atom::Snapshot{{"error.number", "hunter2"}});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].reason == "expected int, found std::string");
}

TEST_CASE("an error in a text says where, what was expected and what was found") {
  atom::DecodeError error{"", "int32", "\"x\""};
  CHECK(error.message() == "expected int32, found \"x\"");
  error.prepend("price");
  error.prepend("[2]");
  error.prepend("cart");
  CHECK(error.path == "cart[2].price");
  CHECK(error.message() == "cart[2].price: expected int32, found \"x\"");
  CHECK(atom::DecodeError{"cart", "a list", ""}.message() == "cart: expected a list");
}

TEST_CASE("a message about an atom names its key") {
  atom::AtomStore store;
  auto& clone = store.use(secret);
  try {
    clone.mutate([&](std::string&) { store.drop(clone); });
    FAIL("it should have thrown");
  } catch (const atom::Error& error) {
    const std::string message = error.what();
    CHECK(message.find("\"error.secret\"") != std::string::npos);
    CHECK(message.find("hunter2") == std::string::npos);
  }
}

}  // namespace
}  // namespace error_test

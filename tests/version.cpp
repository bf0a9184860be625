#include <atom/store.hpp>
#include <atom/version.hpp>

#include "support/catch.hpp"

#include <type_traits>

namespace version_test {
namespace {

TEST_CASE("the version is three numbers that the preprocessor can compare") {
#if ATOM_VERSION_MAJOR == 0 && ATOM_VERSION_MINOR == 1 && ATOM_VERSION_PATCH >= 0
  const bool compared = true;
#else
  const bool compared = false;
#endif
  CHECK(compared);
}

TEST_CASE("everything lives in an inline namespace named after the major and the minor version") {
  STATIC_REQUIRE(std::is_same_v<atom::AtomStore, atom::v0_1::AtomStore>);
  STATIC_REQUIRE(std::is_same_v<atom::Snapshot, atom::v0_1::Snapshot>);
  STATIC_REQUIRE(std::is_same_v<atom::Error, atom::v0_1::Error>);
}

}  // namespace
}  // namespace version_test

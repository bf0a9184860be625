#include <atom/detail/type_identity.hpp>

#include "support/catch.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace detail = atom::detail;

namespace type_identity_tests {

struct Common {};
template <class T>
struct Holder {};
struct HTML5Zone {};
class Class {
 public:
  auto local() const {
    struct Local {};
    return Local{};
  }
};
inline auto inline_local() {
  struct Local {};
  return Local{};
}

}  // namespace type_identity_tests

namespace {

struct Private {};
auto local() {
  struct Local {};
  return Local{};
}

/// Whether a T that another shared object has as well is recognised. The identity is a second one: a copy.
template <class T>
bool recognised() {
  const detail::TypeIdentity here = detail::type_identity<T>();
  const detail::TypeIdentity there = here;
  return here.same_elsewhere(there);
}

#if (defined(__clang__) || defined(_MSC_VER)) && !defined(__cpp_rtti)
constexpr bool can_tell = false;
#else
constexpr bool can_tell = true;
#endif

}  // namespace

TEST_CASE("The name of a type is how the compiler spells it") {
  STATIC_REQUIRE(detail::type_name<int>() == "int");
  STATIC_REQUIRE(detail::type_name<bool>() == "bool");
  STATIC_REQUIRE(detail::type_name<std::string>() == "std::string");
  STATIC_REQUIRE(detail::type_name<Private>().ends_with("Private"));
  STATIC_REQUIRE(detail::type_name<std::vector<int>>().find("vector<int") != std::string_view::npos);
}

TEST_CASE("A name with brackets in it is not cut off") {
  CHECK(detail::type_name<std::unique_ptr<int[]>>().ends_with(">"));
}

TEST_CASE("A type with linkage is recognised when another shared object has it too") {
  namespace t = type_identity_tests;
  CHECK(recognised<int>() == can_tell);
  CHECK(recognised<std::string>() == can_tell);
  CHECK(recognised<t::Common>() == can_tell);
  CHECK(recognised<t::HTML5Zone>() == can_tell);
  CHECK(recognised<std::vector<t::Holder<t::Common>>>() == can_tell);
  CHECK(recognised<std::function<void(const t::Common&, std::string)>>() == can_tell);
  CHECK(recognised<void (t::Class::*)() const>() == can_tell);
}

TEST_CASE("Two types are never one, however alike their names") {
  namespace t = type_identity_tests;
  const auto same = []<class A, class B>(const A&, const B&) {
    return detail::type_identity<A>().same_elsewhere(detail::type_identity<B>());
  };
  CHECK_FALSE(same(1, 1U));
  CHECK_FALSE(same(1L, 1LL));
  CHECK_FALSE(same(t::Common(), t::Holder<t::Common>()));
  CHECK_FALSE(same(t::inline_local(), t::Class().local()));
  CHECK_FALSE(same(t::inline_local(), local()));
  CHECK_FALSE(same(Private(), t::Common()));
}

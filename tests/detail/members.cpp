#include <atom/detail/members.hpp>

#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace detail = atom::detail;

namespace members_test {
namespace {

struct Address {
  std::string city = "Oslo";
};
struct User {
  std::string name = "Anon";
  int age = 0;
  const int id = 1;
  std::unique_ptr<int> owned = {};
  Address address = {};
  std::optional<Address> second = {};
  int method() const { return 1; }
};
struct Admin : User {
  int level = 1;
};
struct Secret : private Address {};

TEST_CASE("An optional is recognised by its shape") {
  STATIC_REQUIRE(detail::optional_like<std::optional<int>>);
  STATIC_REQUIRE_FALSE(detail::optional_like<int>);
  STATIC_REQUIRE_FALSE(detail::optional_like<std::vector<int>>);
  STATIC_REQUIRE_FALSE(detail::optional_like<std::unique_ptr<int>>);
}

TEST_CASE("A member leads on from its class, from what derives from it, and from an optional of these") {
  STATIC_REQUIRE(detail::leads_on<User, User>);
  STATIC_REQUIRE(detail::leads_on<Admin, User>);
  STATIC_REQUIRE(detail::leads_on<std::optional<User>, User>);
  STATIC_REQUIRE(detail::leads_on<std::optional<Admin>, User>);
  STATIC_REQUIRE_FALSE(detail::leads_on<User, Admin>);
  STATIC_REQUIRE_FALSE(detail::leads_on<Secret, Address>);
  STATIC_REQUIRE_FALSE(detail::leads_on<int, User>);
  STATIC_REQUIRE_FALSE(detail::leads_on<std::vector<User>, User>);
  STATIC_REQUIRE_FALSE(detail::leads_on<std::optional<int>, User>);
  STATIC_REQUIRE_FALSE(detail::leads_on<std::optional<std::optional<User>>, User>);
}

TEST_CASE("Following a member gives its place, through an optional, too") {
  User user;
  CHECK(detail::follow(&user, &User::name) == &user.name);
  std::optional<User> maybe;
  CHECK(detail::follow(&maybe, &User::name) == nullptr);
  maybe.emplace();
  CHECK(detail::follow(&maybe, &User::name) == &maybe->name);
  CHECK(detail::follow(&user.second, &Address::city) == nullptr);
  Admin admin;
  CHECK(detail::follow(&admin, &User::name) == &admin.name);
}

TEST_CASE("Following a member from nothing gives nothing") {
  CHECK(detail::follow(static_cast<const User*>(nullptr), &User::name) == nullptr);
  CHECK(detail::follow(static_cast<const std::optional<User>*>(nullptr), &User::name) == nullptr);
}

TEST_CASE("A change knows whether it differs, and applies itself") {
  User user;
  detail::MemberChange<std::string, User> change{&User::name, "Bob"};
  CHECK(change.differs(user));
  change.apply(user);
  CHECK(user.name == "Bob");
  CHECK_FALSE(detail::MemberChange<std::string, User>{&User::name, "Bob"}.differs(user));
}

TEST_CASE("A change may be of a base class's member, and move what cannot be copied") {
  Admin admin;
  detail::MemberChange<std::unique_ptr<int>, User> change{&User::owned, std::make_unique<int>(5)};
  CHECK(change.differs(admin));
  change.apply(admin);
  CHECK(*admin.owned == 5);
}

template <class Member, class V, class T>
constexpr bool is_change = detail::IsChange<Member, V, T>::value;

TEST_CASE("A change names a member of the value that can be assigned, and what converts to it") {
  STATIC_REQUIRE(is_change<std::string User::*, const char*, User>);
  STATIC_REQUIRE(is_change<int User::*, short, User>);
  STATIC_REQUIRE(is_change<int User::*, int, Admin>);
  STATIC_REQUIRE(is_change<std::unique_ptr<int> User::*, std::unique_ptr<int>, User>);
  STATIC_REQUIRE(is_change<std::optional<Address> User::*, Address, User>);
  STATIC_REQUIRE_FALSE(is_change<const int User::*, int, User>);
  STATIC_REQUIRE_FALSE(is_change<std::string User::*, int, User>);
  STATIC_REQUIRE_FALSE(is_change<int Admin::*, int, User>);
  STATIC_REQUIRE_FALSE(is_change<int User::*, int, int>);
  STATIC_REQUIRE_FALSE(is_change<int User::*, int, std::optional<User>>);
  STATIC_REQUIRE_FALSE(is_change<decltype(&User::method), int, User>);
  STATIC_REQUIRE_FALSE(is_change<int, int, User>);
}

TEST_CASE("Changes come in pairs") {
  using Name = std::string User::*;
  using Age = int User::*;
  STATIC_REQUIRE(detail::AreChanges<User>::value);
  STATIC_REQUIRE(detail::AreChanges<User, Name, const char*>::value);
  STATIC_REQUIRE(detail::AreChanges<User, const Name&, const char(&)[4], Age, int>::value);
  STATIC_REQUIRE_FALSE(detail::AreChanges<User, Name>::value);
  STATIC_REQUIRE_FALSE(detail::AreChanges<User, Name, const char*, Age>::value);
  STATIC_REQUIRE_FALSE(detail::AreChanges<User, Name, const char*, Age, std::string>::value);
  STATIC_REQUIRE_FALSE(detail::AreChanges<Address, Name, const char*>::value);
}

}  // namespace
}  // namespace members_test

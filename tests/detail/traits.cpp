#include <atom/detail/traits.hpp>

#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace detail = atom::detail;

namespace traits_test {
namespace {

struct Plain {
  int n = 0;
  bool operator==(const Plain&) const = default;
};
struct Opaque {};  // no ==
using Pointer = std::unique_ptr<int>;

/// Holds itself, as the values of a JSON library do.
struct Tree {
  using value_type = Tree;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};
struct List : std::vector<List> {};

TEST_CASE("What can be copied is found") {
  STATIC_REQUIRE(detail::copyable<int>);
  STATIC_REQUIRE(detail::copyable<std::string>);
  STATIC_REQUIRE(detail::copyable<Plain>);
  STATIC_REQUIRE(detail::copyable<std::vector<std::vector<Plain>>>);
  STATIC_REQUIRE(detail::copyable<std::map<std::string, int>>);
  STATIC_REQUIRE(detail::copyable<std::optional<std::string>>);
  STATIC_REQUIRE(detail::copyable<std::variant<int, std::string>>);
  STATIC_REQUIRE(detail::copyable<std::tuple<int, Plain>>);
  STATIC_REQUIRE(detail::copyable<std::tuple<int&>>);
  STATIC_REQUIRE(detail::copyable<std::shared_ptr<Pointer>>);
  STATIC_REQUIRE(detail::copyable<std::array<int, 3>>);
  STATIC_REQUIRE(detail::copyable<std::function<int()>>);
}

TEST_CASE("What cannot be copied is found however deep it lies") {
  STATIC_REQUIRE_FALSE(detail::copyable<Pointer>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::mutex>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::atomic<int>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::vector<Pointer>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::vector<std::vector<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::deque<std::optional<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::map<int, Pointer>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::unordered_map<int, std::vector<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::variant<int, std::vector<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::pair<int, std::vector<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::tuple<int, std::vector<Pointer>>>);
  STATIC_REQUIRE_FALSE(detail::copyable<std::array<Pointer, 2>>);
}

TEST_CASE("What has == is found") {
  STATIC_REQUIRE(detail::comparable<int>);
  STATIC_REQUIRE(detail::comparable<double>);
  STATIC_REQUIRE(detail::comparable<Plain>);
  STATIC_REQUIRE(detail::comparable<std::vector<bool>>);
  STATIC_REQUIRE(detail::comparable<std::set<std::string>>);
  STATIC_REQUIRE(detail::comparable<std::optional<std::pair<int, std::string>>>);
  STATIC_REQUIRE(detail::comparable<std::variant<std::monostate, Plain>>);
  STATIC_REQUIRE(detail::comparable<Pointer>);
}

TEST_CASE("What has no == is found however deep it lies") {
  STATIC_REQUIRE_FALSE(detail::comparable<Opaque>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::vector<Opaque>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::vector<std::vector<Opaque>>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::optional<std::vector<Opaque>>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::map<int, Opaque>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::unordered_map<int, Opaque>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::variant<int, Opaque>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::tuple<int, std::vector<Opaque>>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::array<Opaque, 2>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::function<int()>>);
  STATIC_REQUIRE_FALSE(detail::comparable<std::span<const int>>);
}

TEST_CASE("What points to nothing that can be changed is isolated") {
  STATIC_REQUIRE(detail::isolated<int>);
  STATIC_REQUIRE(detail::isolated<std::string>);
  STATIC_REQUIRE(detail::isolated<std::string_view>);
  STATIC_REQUIRE(detail::isolated<const char*>);
  STATIC_REQUIRE(detail::isolated<const Plain*>);
  STATIC_REQUIRE(detail::isolated<int (*)(int)>);
  STATIC_REQUIRE(detail::isolated<int Plain::*>);
  STATIC_REQUIRE(detail::isolated<std::shared_ptr<const Plain>>);
  STATIC_REQUIRE(detail::isolated<std::unique_ptr<const Plain>>);
  STATIC_REQUIRE(detail::isolated<std::span<const int>>);
  STATIC_REQUIRE(detail::isolated<std::reference_wrapper<const int>>);
  STATIC_REQUIRE(detail::isolated<std::vector<std::shared_ptr<const Plain>>>);
  STATIC_REQUIRE(detail::isolated<std::map<std::string, std::optional<int>>>);
  STATIC_REQUIRE(detail::isolated<std::vector<bool>>);
}

TEST_CASE("What points to something that can be changed is found however deep it lies") {
  STATIC_REQUIRE_FALSE(detail::isolated<int*>);
  STATIC_REQUIRE_FALSE(detail::isolated<void*>);
  STATIC_REQUIRE_FALSE(detail::isolated<volatile int*>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::shared_ptr<int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::unique_ptr<int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::unique_ptr<int[]>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::weak_ptr<int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::span<int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::reference_wrapper<int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::vector<std::shared_ptr<int>>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::optional<int*>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::map<std::string, std::shared_ptr<int>>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::map<int*, int>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::pair<int, int*>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::tuple<int, std::vector<int*>>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::variant<int, std::shared_ptr<int>>>);
  STATIC_REQUIRE_FALSE(detail::isolated<std::array<int*, 2>>);
}

TEST_CASE("A type that holds itself is asked once") {
  STATIC_REQUIRE(detail::copyable<Tree>);
  STATIC_REQUIRE(detail::comparable<Tree>);
  STATIC_REQUIRE(detail::isolated<Tree>);
  STATIC_REQUIRE(detail::copyable<List>);
  STATIC_REQUIRE(detail::isolated<List>);
}

TEST_CASE("Shapes are told apart") {
  STATIC_REQUIRE(detail::holder<std::vector<int>>);
  STATIC_REQUIRE(detail::holder<std::optional<int>>);
  STATIC_REQUIRE_FALSE(detail::holder<int>);
  STATIC_REQUIRE_FALSE(detail::holder<Tree>);
  STATIC_REQUIRE(detail::tuple_like<std::pair<int, int>>);
  STATIC_REQUIRE(detail::tuple_like<std::tuple<>>);
  STATIC_REQUIRE_FALSE(detail::tuple_like<std::vector<int>>);
  STATIC_REQUIRE(detail::variant_like<std::variant<int, bool>>);
  STATIC_REQUIRE_FALSE(detail::variant_like<std::optional<int>>);
}

}  // namespace
}  // namespace traits_test

#include <atom/detail/type_ops.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace detail = atom::detail;

namespace type_ops_test {
namespace {

struct Plain {
  int n = 0;
  bool operator==(const Plain&) const = default;
};
struct Opaque {
  int n = 0;
};
struct alignas(64) Line {
  int n = 0;
};
struct ThrowingMove {
  ThrowingMove() = default;
  ThrowingMove(const ThrowingMove&) {}
};

template <class T>
constexpr const detail::TypeOps& ops = detail::type_ops<T>;

/// Room for one T, which is destroyed with it.
template <class T>
struct Room {
  Room() = default;
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() {
    if (filled) ops<T>.clear(place);
  }
  T& get() { return *std::launder(reinterpret_cast<T*>(place)); }
  alignas(T) std::byte place[sizeof(T)];
  bool filled = false;
};

/// Converts `from` to a To, or finds that it does not.
template <class To, class From>
std::optional<To> convert(const From& from) {
  Room<To> room;
  room.filled = ops<To>.convert(room.place, ops<From>, &from, nullptr);
  if (!room.filled) return std::nullopt;
  return room.get();
}

TEST_CASE("The table of a type tells its size, alignment and nature") {
  STATIC_REQUIRE(ops<int>.size == sizeof(int));
  STATIC_REQUIRE(ops<Line>.align == 64);
  STATIC_REQUIRE(ops<int>.trivial);
  STATIC_REQUIRE_FALSE(ops<std::string>.trivial);
  STATIC_REQUIRE(ops<int>.shareable);
  STATIC_REQUIRE_FALSE(ops<int*>.shareable);
  STATIC_REQUIRE(ops<int>.name == "int");
}

TEST_CASE("Small values that move without throwing fit in the buffer of a Value") {
  STATIC_REQUIRE(ops<int>.fits_value);
  STATIC_REQUIRE(ops<std::string>.fits_value);
  STATIC_REQUIRE_FALSE(ops<std::array<char, 100>>.fits_value);
  STATIC_REQUIRE_FALSE(ops<Line>.fits_value);
  STATIC_REQUIRE_FALSE(ops<ThrowingMove>.fits_value);
}

TEST_CASE("What a type cannot do is missing from its table") {
  STATIC_REQUIRE(ops<std::unique_ptr<int>>.copy == nullptr);
  STATIC_REQUIRE(ops<std::vector<std::unique_ptr<int>>>.copy == nullptr);
  STATIC_REQUIRE(ops<std::mutex>.copy == nullptr);
  STATIC_REQUIRE(ops<std::mutex>.relocate == nullptr);
  STATIC_REQUIRE(ops<Opaque>.equal == nullptr);
  STATIC_REQUIRE(ops<std::vector<Opaque>>.equal == nullptr);
  STATIC_REQUIRE(ops<int>.destroy == nullptr);
  STATIC_REQUIRE(ops<int>.relocate == nullptr);
  STATIC_REQUIRE(ops<Plain>.convert == nullptr);
  STATIC_REQUIRE(ops<bool>.convert == nullptr);
  STATIC_REQUIRE(ops<char>.convert == nullptr);
  STATIC_REQUIRE(ops<double>.convert == nullptr);
}

TEST_CASE("Values are copied, moved over and destroyed through the table") {
  using Value = support::Counted<struct TypeOpsTag>;
  const int alive = Value::counts().alive;
  {
    const Value source(5);
    Room<Value> first;
    ops<Value>.copy(first.place, &source, nullptr);
    CHECK(first.get().value == 5);
    Room<Value> second;
    ops<Value>.relocate(second.place, first.place);
    second.filled = true;
    CHECK(second.get().value == 5);
    CHECK(Value::counts().alive == alive + 2);
  }
  CHECK(Value::counts().alive == alive);
}

TEST_CASE("Values are compared through the table") {
  const Plain a{1};
  const Plain b{1};
  const Plain c{2};
  CHECK(ops<Plain>.equal(&a, &b));
  CHECK_FALSE(ops<Plain>.equal(&a, &c));
}

TEST_CASE("Clearing a value that needs no destroying does nothing") {
  int n = 5;
  ops<int>.clear(&n);
  CHECK(n == 5);
}

TEST_CASE("Two tables are of the same type if it is the same type") {
  CHECK(ops<int>.same_type(ops<int>));
  CHECK_FALSE(ops<int>.same_type(ops<long>));
  CHECK_FALSE(ops<int>.same_type(ops<unsigned>));
  CHECK_FALSE(ops<Plain>.same_type(ops<Opaque>));
}

TEST_CASE("An integer converts to any integer type that it fits in") {
  CHECK(convert<long>(5) == 5);
  CHECK(convert<std::uint8_t>(255) == 255);
  CHECK(convert<std::uint8_t>(256) == std::nullopt);
  CHECK(convert<std::uint8_t>(-1) == std::nullopt);
  CHECK(convert<std::int8_t>(-128) == -128);
  CHECK(convert<std::int8_t>(-129) == std::nullopt);
  CHECK(convert<std::int8_t>(std::int64_t{127}) == 127);
  CHECK(convert<std::int16_t>(std::uint16_t{40'000}) == std::nullopt);
  CHECK(convert<unsigned>(std::numeric_limits<int>::min()) == std::nullopt);
  CHECK(convert<std::int64_t>(std::numeric_limits<std::uint64_t>::max()) == std::nullopt);
  CHECK(convert<std::uint64_t>(std::numeric_limits<std::uint64_t>::max()) == std::numeric_limits<std::uint64_t>::max());
  CHECK(convert<std::int64_t>(std::int8_t{-1}) == -1);
  CHECK(convert<long long>(std::numeric_limits<long>::min()) == std::numeric_limits<long>::min());
}

TEST_CASE("Characters, bools, fractions and texts are no integers") {
  CHECK(convert<int>(true) == std::nullopt);
  CHECK(convert<int>('a') == std::nullopt);
  CHECK(convert<int>(1.0) == std::nullopt);
  CHECK(convert<int>(std::string("1")) == std::nullopt);
}

TEST_CASE("A text converts to any string of characters") {
  CHECK(convert<std::pmr::string>(std::string("text")) == "text");
  CHECK(convert<std::string>(5) == std::nullopt);
  CHECK(convert<std::pmr::string>(std::string_view("a view")) == std::nullopt);
}

TEST_CASE("A value that takes memory is built on the memory that is given, if there is one") {
  std::array<std::byte, 1024> buffer;
  std::pmr::monotonic_buffer_resource memory(buffer.data(), buffer.size(), std::pmr::null_memory_resource());
  STATIC_REQUIRE(detail::takes_memory<std::pmr::string>);
  STATIC_REQUIRE(detail::takes_memory<std::pmr::vector<int>>);
  STATIC_REQUIRE_FALSE(detail::takes_memory<std::string>);
  STATIC_REQUIRE_FALSE(detail::takes_memory<int>);
  Room<std::pmr::string> here;
  detail::construct<std::pmr::string>(here.place, &memory, "a text");
  here.filled = true;
  CHECK(here.get().get_allocator().resource() == &memory);
  Room<std::pmr::string> anywhere;
  detail::construct<std::pmr::string>(anywhere.place, nullptr, "a text");
  anywhere.filled = true;
  CHECK(anywhere.get().get_allocator().resource() == std::pmr::get_default_resource());
  Room<std::pmr::string> copy;
  ops<std::pmr::string>.copy(copy.place, anywhere.place, &memory);
  copy.filled = true;
  CHECK(copy.get().get_allocator().resource() == &memory);
}

}  // namespace
}  // namespace type_ops_test

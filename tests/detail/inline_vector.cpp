#include <atom/detail/inline_vector.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

namespace inline_vector_test {
namespace {

template <class Tag>
using Vector = atom::detail::InlineVector<support::Counted<Tag>, 4>;

template <class V>
V filled(int size) {
  V vector;
  for (int i = 0; i < size; ++i) vector.emplace_back(i);
  return vector;
}
template <class V>
std::vector<int> contents(const V& vector) {
  std::vector<int> numbers;
  for (const auto& element : vector) numbers.push_back(element.value);
  return numbers;
}
std::vector<int> first_numbers(int size) {
  std::vector<int> numbers;
  for (int i = 0; i < size; ++i) numbers.push_back(i);
  return numbers;
}

TEST_CASE("an inline vector keeps its elements in order, inside and beyond") {
  using V = Vector<struct Order>;
  for (const int size : {0, 1, 3, 4, 5, 8, 9, 100}) {
    const V vector = filled<V>(size);
    CHECK(vector.size() == static_cast<std::size_t>(size));
    CHECK(vector.empty() == (size == 0));
    CHECK(contents(vector) == first_numbers(size));
    if (size > 0) {
      CHECK(vector[static_cast<std::size_t>(size) - 1].value == size - 1);
    }
  }
  CHECK(support::Counted<struct Order>::counts().alive == 0);
}

TEST_CASE("the first elements of an inline vector lie in the object itself") {
  using V = Vector<struct Inside>;
  V vector = filled<V>(4);
  const auto lies_inside = [&] {
    const auto* const place = reinterpret_cast<const std::byte*>(vector.begin());
    const auto* const object = reinterpret_cast<const std::byte*>(&vector);
    return place >= object && place < object + sizeof vector;
  };
  CHECK(lies_inside());
  vector.emplace_back(4);
  CHECK_FALSE(lies_inside());
  CHECK(contents(vector) == first_numbers(5));
  vector.clear();
  vector.emplace_back(0);
  CHECK(lies_inside());
}

TEST_CASE("a copy of what fits into the object lies in the object") {
  using V = Vector<struct CopyInside>;
  const V vector = filled<V>(4);
  const support::Allocations allocations;
  const V copy = vector;
  CHECK(allocations.count() == 0);
  CHECK(copy.size() == 4);
}

TEST_CASE("an inline vector is copied element by element") {
  using V = Vector<struct Copied>;
  for (const int size : {0, 4, 5, 20}) {
    const V vector = filled<V>(size);
    const V copy(vector);
    CHECK(contents(copy) == first_numbers(size));
    CHECK(contents(vector) == first_numbers(size));
    if (size > 0) {
      CHECK(copy.begin() != vector.begin());
    }
    CHECK(support::Counted<struct Copied>::counts().alive == 2 * size);
  }
}

TEST_CASE("a moved inline vector is empty, and usable") {
  using V = Vector<struct Moved>;
  using Element = support::Counted<struct Moved>;
  for (const int size : {0, 4, 5, 20}) {
    V vector = filled<V>(size);
    Element::forget();
    V moved(std::move(vector));
    CHECK(Element::counts().copies == 0);
    CHECK(contents(moved) == first_numbers(size));
    CHECK(vector.empty());
    CHECK(vector.begin() == vector.end());
    for (int i = 0; i < 6; ++i) vector.emplace_back(i);
    CHECK(contents(vector) == first_numbers(6));
    CHECK(contents(moved) == first_numbers(size));
  }
  CHECK(Element::counts().alive == 0);
}

TEST_CASE("assigning an inline vector replaces what it held") {
  using V = Vector<struct Assigned>;
  using Element = support::Counted<struct Assigned>;
  for (const int from : {0, 3, 9}) {
    for (const int to : {0, 4, 12}) {
      V target = filled<V>(to);
      V source = filled<V>(from);
      target = source;
      CHECK(contents(target) == first_numbers(from));
      CHECK(contents(source) == first_numbers(from));
      target = filled<V>(to);
      target = std::move(source);
      CHECK(contents(target) == first_numbers(from));
      CHECK(source.empty());
      CHECK(Element::counts().alive == from);
    }
  }
}

TEST_CASE("an inline vector survives being assigned to itself") {
  using V = Vector<struct SelfAssigned>;
  for (const int size : {0, 3, 9}) {
    V vector = filled<V>(size);
    V& alias = vector;
    vector = alias;
    CHECK(contents(vector) == first_numbers(size));
    vector = std::move(alias);
    CHECK(contents(vector) == first_numbers(size));
  }
  CHECK(support::Counted<struct SelfAssigned>::counts().alive == 0);
}

TEST_CASE("reserving keeps what is there and makes room") {
  using V = Vector<struct Reserved>;
  V vector = filled<V>(3);
  vector.reserve(2);
  CHECK(contents(vector) == first_numbers(3));
  vector.reserve(50);
  CHECK(contents(vector) == first_numbers(3));
  const auto* const place = vector.begin();
  for (int i = 3; i < 50; ++i) vector.emplace_back(i);
  CHECK(vector.begin() == place);
  CHECK(contents(vector) == first_numbers(50));
}

TEST_CASE("clearing destroys every element") {
  using V = Vector<struct Cleared>;
  using Element = support::Counted<struct Cleared>;
  for (const int size : {3, 9}) {
    V vector = filled<V>(size);
    vector.clear();
    CHECK(vector.empty());
    CHECK(Element::counts().alive == 0);
    vector.clear();
    CHECK(vector.empty());
  }
}

/// The copy that is due throws.
struct Fragile {
  static inline int copies_left = 1000;
  static inline int alive = 0;
  explicit Fragile(int v) : value(v) { ++alive; }
  Fragile(const Fragile& other) : value(other.value) {
    if (copies_left-- == 0) throw std::runtime_error("cannot be copied now");
    ++alive;
  }
  Fragile(Fragile&& other) noexcept : value(other.value) { ++alive; }
  ~Fragile() { --alive; }
  int value;
};

TEST_CASE("a copy of an inline vector that fails half-way leaves nothing behind") {
  using V = atom::detail::InlineVector<Fragile, 4>;
  Fragile::copies_left = 1000;
  for (const int size : {4, 9}) {
    {
      const V vector = filled<V>(size);
      for (int fails_at = 0; fails_at < size; ++fails_at) {
        Fragile::copies_left = fails_at;
        CHECK_THROWS_AS(V(vector), std::runtime_error);
        Fragile::copies_left = 1000;
        CHECK(Fragile::alive == size);
        Fragile::alive = size;  // or one mistake would be reported many times
      }
      CHECK(contents(vector) == first_numbers(size));
    }
    CHECK(Fragile::alive == 0);
  }
}

TEST_CASE("an element that cannot be made leaves the inline vector as it was") {
  using V = atom::detail::InlineVector<Fragile, 4>;
  Fragile::copies_left = 1000;
  {
    const Fragile source(7);
    V vector = filled<V>(4);
    Fragile::copies_left = 0;
    CHECK_THROWS_AS(vector.emplace_back(source), std::runtime_error);
    Fragile::copies_left = 1000;
    CHECK(contents(vector) == first_numbers(4));
    vector.emplace_back(source);
    CHECK(vector.size() == 5);
  }
  CHECK(Fragile::alive == 0);
}

}  // namespace
}  // namespace inline_vector_test

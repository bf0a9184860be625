#include <atom/equal.hpp>

#include <atom/store.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace equal_test {
namespace {

/// `==` would cost more than it saves.
struct Image {
  int pixels = 0;
  friend bool operator==(const Image&, const Image&) {
    ++compared;
    return true;
  }
  static inline int compared = 0;
};

/// Compared without regard to case.
struct Name {
  std::string text;
  bool operator==(const Name&) const = default;
};

/// Has no `==` of its own.
struct Legacy {
  int version = 0;
  int padding = 0;
};

struct Opaque {
  int n = 0;
};

struct Holder {
  Name name = {};
  Image image = {};
  int n = 0;
  bool operator==(const Holder&) const = default;
};

}  // namespace
}  // namespace equal_test

template <>
inline constexpr bool atom::compare<equal_test::Image> = false;
template <>
struct atom::equal<equal_test::Name> {
  bool operator()(const equal_test::Name& a, const equal_test::Name& b) const {
    const auto lower = [](std::string text) {
      for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      return text;
    };
    return lower(a.text) == lower(b.text);
  }
};
template <>
inline constexpr bool atom::compare<equal_test::Legacy> = true;
template <>
struct atom::equal<equal_test::Legacy> {
  bool operator()(const equal_test::Legacy& a, const equal_test::Legacy& b) const { return a.version == b.version; }
};

namespace equal_test {
namespace {

TEST_CASE("Values are compared where their type has ==") {
  STATIC_REQUIRE(atom::compare<int>);
  STATIC_REQUIRE(atom::compare<std::vector<std::string>>);
  STATIC_REQUIRE_FALSE(atom::compare<Opaque>);
  STATIC_REQUIRE_FALSE(atom::compare<std::vector<Opaque>>);
  STATIC_REQUIRE(atom::compare<std::unique_ptr<int>>);
}

TEST_CASE("equal is ==, exactly") {
  CHECK(atom::equal<double>{}(0.1, 0.1));
  CHECK_FALSE(atom::equal<double>{}(0.1 + 0.2, 0.3));
  CHECK(atom::equal<double>{}(0.0, -0.0));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(atom::equal<double>{}(nan, nan));
  CHECK(atom::equal<std::string>{}("a", "a"));
}

TEST_CASE("The result of == may be anything that converts to bool") {
  struct Answer {
    bool yes;
    explicit operator bool() const { return yes; }
  };
  struct Odd {
    int n;
    Answer operator==(const Odd& other) const { return {n == other.n}; }
  };
  CHECK(atom::equal<Odd>{}(Odd{1}, Odd{1}));
  CHECK_FALSE(atom::equal<Odd>{}(Odd{1}, Odd{2}));
}

TEST_CASE("A type may opt out of comparing: each write counts as a change") {
  static const atom::Atom<Image> image{"equal.image"};
  atom::AtomStore store;
  auto& x = store.use(image);
  int told = 0;
  x.on_change([&] { ++told; });
  Image::compared = 0;
  CHECK(x.update(Image{}));
  CHECK(x.update(x.value()));
  store.batch([&] {
    x.update(Image{});
    x.update(Image{});
  });
  CHECK(told == 3);
  CHECK(Image::compared == 0);
}

TEST_CASE("A type may replace ==") {
  static const atom::Atom<Name> name{"equal.name", Name{"Bob"}};
  atom::AtomStore store;
  auto& x = store.use(name);
  int told = 0;
  x.on_change([&] { ++told; });
  CHECK_FALSE(x.update(Name{"BOB"}));
  CHECK(x->text == "Bob");
  CHECK(x.update(Name{"Eve"}));
  CHECK(told == 1);
}

TEST_CASE("A type without == may be given one") {
  static const atom::Atom<Legacy> legacy{"equal.legacy"};
  atom::AtomStore store;
  CHECK_FALSE(store.use(legacy).update(Legacy{0, 5}));
  CHECK(store.use(legacy).update(Legacy{1, 5}));
}

TEST_CASE("change and watch compare a member as its own type is compared") {
  static const atom::Atom<Holder> holder{"equal.holder", Holder{Name{"Bob"}, {}, 0}};
  atom::AtomStore store;
  auto& x = store.use(holder);
  int names = 0;
  int images = 0;
  x.watch(&Holder::name, [&] { ++names; });
  x.watch(&Holder::image, [&] { ++images; });
  CHECK_FALSE(x.change(&Holder::name, Name{"BOB"}));
  CHECK(x.change(&Holder::image, Image{}));
  CHECK(x.change(&Holder::n, 1));
  CHECK(x.update(Holder{Name{"bob"}, {}, 2}));
  CHECK(names == 0);
  CHECK(images == 3);
}

TEST_CASE("Values in snapshots are compared in the same way") {
  const atom::Snapshot a{{"name", Name{"Bob"}}, {"version", Legacy{1, 2}}};
  const atom::Snapshot b{{"name", Name{"BOB"}}, {"version", Legacy{1, 3}}};
  CHECK(a == b);
  CHECK_FALSE(atom::Value(Image{}) == atom::Value(Image{}));
  CHECK_FALSE(atom::Value(Opaque{}) == atom::Value(Opaque{}));
}

TEST_CASE("A reset of a value that is never compared counts as a change once it was written") {
  static const atom::Atom<Opaque> opaque{"equal.opaque"};
  atom::AtomStore store;
  auto& x = store.use(opaque);
  CHECK_FALSE(x.reset());
  x.update(Opaque{});
  CHECK(x.reset());
}

}  // namespace
}  // namespace equal_test
